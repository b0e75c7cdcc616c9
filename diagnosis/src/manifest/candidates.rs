//! The changes of the manifest that may open a refused path, the safest first. Whether one does, `simulate` tells.

use super::{
    chain::{self, Who},
    located::Located,
    mode, patch,
    refusal::Refusal,
    ungiven, written,
};
use crate::{
    case::Case,
    permission::{Capability, Layer, bits},
    pod::{Container, ContainerKind, FsGroupReach, VolumeSource},
};
use serde_json::Value;

/// A change of the manifest. Ids are the pod's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// `fsGroup`.
    FsGroup(u32),
    /// `fsGroupChangePolicy: Always`, so that the fsGroup that is set reaches what is in the volume.
    Reapply(u32),
    /// None: the manifest is right, and the kubelet has to mount the volume anew to give it to the fsGroup.
    Remount(u32),
    /// One more of `supplementalGroups`.
    Group(u32),
    /// `runAsUser`.
    RunAs(u32),
    /// A mode of the volume's files that lets more of the pod read.
    Readable(u32),
    /// `runAsUser` of the init container that fills the volume.
    InitAs {
        container: String,
        /// The new one.
        uid: u32,
        /// Whose the files are now.
        was: u32,
    },
    /// An emptyDir at this directory of the image.
    EmptyDir(String),
    /// One more of `capabilities.add`.
    Capability(Capability),
}

/// The changes that come into question, the safest first.
pub(super) fn candidates(refusal: &Refusal<'_>, case: &Case<'_>) -> Vec<Change> {
    let Refusal { denial, who, .. } = refusal;
    if denial.doubt.is_some() {
        return Vec::new();
    }
    let owner = refusal.owner();
    let free = chain::range_of_namespace(&refusal.spec).is_none();
    let as_owner = (owner != 0 && owner != u32::MAX && owner != who.uid && free).then_some(Change::RunAs(owner));
    match &denial.layer {
        Layer::Capability(capability) if who.uid == 0 => {
            fs_group(refusal, case).into_iter().chain([Change::Capability(*capability)]).collect()
        }
        Layer::ModeBits(_) => by_place(refusal, as_owner, case),
        Layer::SupplementaryGroup { gid } => join_group(refusal, *gid, case).into_iter().chain(by_place(refusal, as_owner, case)).collect(),
        Layer::Ownership => as_init(refusal).into_iter().chain(as_owner).collect(),
        Layer::Acl { .. }
        | Layer::Sticky { .. }
        | Layer::Sysctl(_)
        | Layer::Immutable
        | Layer::AppendOnly
        | Layer::Capability(_)
        | Layer::UserNamespace { .. }
        | Layer::MountFlag(_) => Vec::new(),
    }
}

fn by_place(refusal: &Refusal<'_>, as_owner: Option<Change>, case: &Case<'_>) -> Vec<Change> {
    let Some(place) = &refusal.place else { return as_owner.into_iter().chain(empty_dir(refusal, case)).collect() };
    match place.reach() {
        // A private directory of another user, such as a database's: its owner wants nobody else in it.
        FsGroupReach::Everything if is_private(refusal) => as_owner.into_iter().chain(fs_group(refusal, case)).collect(),
        FsGroupReach::Everything => fs_group(refusal, case).into_iter().chain(as_owner).collect(),
        FsGroupReach::NewDirectory => fs_group(refusal, case).into_iter().chain(as_init(refusal)).chain(as_owner).collect(),
        FsGroupReach::Readable => readable(refusal, case),
        FsGroupReach::Nothing => as_owner.into_iter().collect(),
    }
}

fn is_private(refusal: &Refusal<'_>) -> bool {
    use crate::permission::Class;
    let mode = refusal.denial.at.mode;
    bits::bits(mode, Class::Group) == 0 && bits::bits(mode, Class::Other) == 0
}

/// The program would not keep an fsGroup: it sets its groups anew when it changes its user, to one whose own group is root's.
pub(super) fn loses_fs_group(refusal: &Refusal<'_>, case: &Case<'_>) -> bool {
    refusal.who.gid == 0 && chain::changes_user(&refusal.spec, case, &refusal.who)
}

/// The group of fsGroup: the one that the process has already, unless that is root's.
fn fs_group(refusal: &Refusal<'_>, case: &Case<'_>) -> Option<Change> {
    let Who { uid, gid, .. } = refusal.who;
    let group = if gid == 0 { uid } else { gid };
    let place = refusal.place.as_ref().filter(|place| place.reach() != FsGroupReach::Nothing)?;
    match refusal.spec.pod.security.fs_group {
        Some(set) if refusal.who.is_in(set) => {
            reapply(refusal, place, set).or_else(|| ungiven::needs_a_mount(refusal, place, set).then_some(Change::Remount(set)))
        }
        Some(set) if set == group => None,
        Some(_) if chain::range_of_namespace(&refusal.spec).is_some() => None,
        Some(_) | None if loses_fs_group(refusal, case) => None,
        Some(_) | None => Some(Change::FsGroup(group)),
    }
}

/// `OnRootMismatch` passes over a volume whose top directory has the group: one that has not was out of the kubelet's reach.
fn reapply(refusal: &Refusal<'_>, place: &Located<'_>, set: u32) -> Option<Change> {
    let skips = refusal.spec.pod.security.fs_group_change_policy == "OnRootMismatch" && place.reach() == FsGroupReach::Everything;
    let top = place.top(refusal.walk).and_then(|top| refusal.rights.gid_inside(top.gid));
    (skips && top.is_none_or(|gid| gid == set)).then_some(Change::Reapply(set))
}

/// A group that has the right already. Root's is never given away, and what a group of the node may there is not for a patch
/// to decide. A program that changes its user by itself sets its groups anew (`initgroups`), and would lose this one too.
fn join_group(refusal: &Refusal<'_>, gid: u32, case: &Case<'_>) -> Option<Change> {
    let gid = refusal.rights.gid_inside(gid).filter(|gid| *gid != 0)?;
    let security = &refusal.spec.pod.security;
    let given = security.supplemental_groups.contains(&gid) || security.fs_group == Some(gid);
    let of_node = refusal.place.as_ref().is_some_and(|place| place.on_node().is_some());
    let fixed = chain::range_of_namespace(&refusal.spec).is_some() || chain::changes_user(&refusal.spec, case, &refusal.who);
    (!given && !of_node && !fixed).then_some(Change::Group(gid))
}

/// The one init container that filled the volume as another user. What it gave to that user it gave as root: as the server's
/// user it could not.
fn as_init(refusal: &Refusal<'_>) -> Option<Change> {
    let place = refusal.place.as_ref().filter(|place| place.reach() == FsGroupReach::NewDirectory)?;
    let Refusal { spec, who, .. } = refusal;
    let owner = refusal.owner();
    let fills = |container: &&Container| {
        container.kind == ContainerKind::Init
            && container.name != spec.container.name
            && container.mounts.iter().any(|mount| mount.volume == place.volume.name && !mount.read_only)
            && chain::run_as_user(spec.pod, container).unwrap_or(0) == owner
    };
    let mut filling = spec.pod.containers.iter().filter(fills);
    match (filling.next(), filling.next()) {
        (Some(one), None) if who.uid != 0 => Some(Change::InitAs { container: one.name.clone(), uid: who.uid, was: owner }),
        _ => None,
    }
}

/// Files that only the kubelet writes. An fsGroup would change every claim of the pod too: then their mode is the smaller step,
/// but not for a Secret, which not everybody in the pod should read.
fn readable(refusal: &Refusal<'_>, case: &Case<'_>) -> Vec<Change> {
    let group = fs_group(refusal, case);
    let mode = with_mode(refusal).and_then(|_| Some(Change::Readable(readable_mode(refusal.place.as_ref()?))));
    let mode_first = patch::has_claims(refusal.spec.pod) && !refusal.place.as_ref().is_some_and(Located::is_secret);
    if mode_first { mode.into_iter().chain(group).collect() } else { group.into_iter().chain(mode).collect() }
}

/// Keys are for owner and group alone.
const fn readable_mode(place: &Located<'_>) -> u32 {
    if place.is_secret() { 0o440 } else { 0o444 }
}

/// Something is to be made in a directory of the image that belongs to root: an emptyDir goes there if it hides nothing, otherwise
/// where a directory was to be made.
fn empty_dir(refusal: &Refusal<'_>, case: &Case<'_>) -> Option<Change> {
    let made = refusal.made.filter(|directory| written::may_be_made(directory));
    let directory = [Some(refusal.denial.at.path.as_str()).filter(|at| written::may_be_covered(at, case)), made];
    refusal.makes().then(|| directory.into_iter().flatten().next())?.map(|directory| Change::EmptyDir(directory.to_owned()))
}

/// The mode that lets more of the pod read. What a projected volume mixes is not opened to everybody.
pub(super) fn with_mode(refusal: &Refusal<'_>) -> Option<(String, Value)> {
    let place = refusal.place.as_ref()?;
    let mode = readable_mode(place);
    let setting =
        mode::set(place, mode, Some(refusal.denial.at.mode)).filter(|_| !matches!(place.volume.source, VolumeSource::Projected { .. }))?;
    let words =
        if setting.of_item { format!("mode: {mode:04o} for the item {}", place.in_volume()) } else { format!("defaultMode: {mode:04o}") };
    Some((words, setting.fragment))
}
