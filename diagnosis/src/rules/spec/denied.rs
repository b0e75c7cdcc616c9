//! A refused path and the manifest: where the path comes from, which fields bear on it, and the smallest change that helps.
//!
//! Changes are tried in the order of their safety ([`candidates`]); the first one that `simulate` lets
//! pass is proposed. What no change of the manifest can mend (a root-owned directory of the node, a file of the image) keeps
//! its remedy in words.

use super::{
    chain::{self, Who},
    change, mode,
    patch::{self, of_container},
    place::{Located, locate},
    simulate, written,
};
use crate::{
    permission::{Attempt, Capability, Denial, EXEC, Layer, Purpose, WRITE, bits},
    pod::{Container, ContainerKind, FsGroupReach, VolumeSource},
    question::FileKind,
    record::{Call, Errno},
    rules::{Context, Failure, Finding, Spec},
    verdict::{Evidence, EvidenceKind},
};
use serde_json::{Value, json};

/// A change of the manifest. Ids are the pod's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// `fsGroup`.
    FsGroup(u32),
    /// `fsGroupChangePolicy: Always`, so that the fsGroup that is set reaches what is in the volume.
    Reapply(u32),
    /// One more of `supplementalGroups`.
    Group(u32),
    /// `runAsUser`.
    RunAs(u32),
    /// A mode of the volume's files that lets more of the pod read.
    Readable(u32),
    /// `runAsUser` of the init container that fills the volume.
    InitAs {
        /// Its name.
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

/// A refusal with all that bears on it.
struct Case<'a> {
    spec: Spec<'a>,
    denial: &'a Denial,
    place: Option<Located<'a>>,
    who: Who,
    /// Owner of the refusing component, in the pod's numbers.
    owner: u32,
    /// The directory that was to be made, and is not there.
    made: Option<&'a str>,
}

/// Adds what the manifest says, and puts a change of it in the place of the general remedy where one helps.
pub(in crate::rules) fn explain(finding: &mut Finding, failure: &Failure, context: &Context<'_>, attempt: &Attempt<'_>, denial: &Denial) {
    let Some(spec) = context.spec else { return };
    let walk = attempt.walk;
    let who = Who::of(failure, Some(walk));
    let owner = crate::permission::Rights::new(failure.call.call, &failure.call.creds, walk).uid_inside(denial.at.uid).unwrap_or(u32::MAX);
    let made = walk.stopped.as_ref().filter(|stop| failure.call.call == Call::Mkdir && stop.errno == Errno::ENOENT);
    let made = made.map(|stop| stop.path.as_str());
    let case = Case { place: locate(&spec, &denial.at.path), spec, denial, who, owner, made };
    let said = reasons(&case, context);
    finding.evidence.extend(said.iter().map(|text| Evidence { at: failure.last, kind: EvidenceKind::Spec, text: text.clone() }));
    finding.explanation.extend(said);
    let helps = candidates(&case, context).into_iter().find(|change| simulate::permits(change, attempt, case.place.as_ref()));
    match helps {
        Some(helps) => propose(finding, &case, &helps),
        None => by_hand(finding, &case),
    }
}

/// The volume, then the fields that decided, then what the process made of them.
fn reasons(case: &Case<'_>, context: &Context<'_>) -> Vec<String> {
    let (spec, denial) = (&case.spec, case.denial);
    let reach = case.place.as_ref().map_or(FsGroupReach::Nothing, Located::reach);
    let fields = match &denial.layer {
        Layer::Capability(_) => chain::capabilities(spec),
        Layer::UserNamespace { .. } => "the pod sets hostUsers: false, which gives it a user namespace of its own".to_owned(),
        Layer::MountFlag(_) | Layer::Immutable | Layer::AppendOnly | Layer::Sysctl(_) => String::new(),
        Layer::ModeBits(_) | Layer::SupplementaryGroup { .. } | Layer::Acl { .. } | Layer::Ownership | Layer::Sticky { .. } => {
            chain::identity(spec, reach)
        }
    };
    let volume = case.place.as_ref().map(|place| place.sentence(Some(&denial.at.mount)));
    // Volume and fields are one reason: what lies there, and who may.
    let joined = [volume.unwrap_or_default(), fields].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
    let mut all: Vec<String> = (!joined.is_empty()).then_some(joined).into_iter().collect();
    all.extend(chain::origin(spec, context, &case.who));
    all.extend(in_vain(case, reach));
    all
}

/// The manifest has an fsGroup or a group for it, and yet it did not help.
fn in_vain(case: &Case<'_>, reach: FsGroupReach) -> Option<String> {
    let Case { spec, who, denial, .. } = case;
    let set = spec.pod.security.fs_group;
    match (reach, set, chain::lost_group(spec, who)) {
        (FsGroupReach::Nothing, Some(_), _) => {
            let place = case.place.as_ref()?;
            Some(format!("the kubelet does not apply fsGroup to {}", place.name()))
        }
        (_, _, Some(gid)) if who.uid != 0 => {
            Some(format!("the process is not in group {gid} any more: the program gave up its groups by itself (su, gosu, setgroups)"))
        }
        (FsGroupReach::Everything, Some(gid), None) if denial.at.gid != gid => Some(format!(
            "fsGroup {gid} was not given to the volume: its driver does not do it (fsGroupPolicy of the CSIDriver), another pod had it mounted, or OnRootMismatch looked at its top directory alone"
        )),
        (FsGroupReach::Everything | FsGroupReach::NewDirectory, Some(gid), None) if denial.at.gid == gid => {
            Some("it was made after the kubelet had given the volume to the group, by another user".to_owned())
        }
        _ => None,
    }
}

/// The changes that come into question, the safest first.
fn candidates(case: &Case<'_>, context: &Context<'_>) -> Vec<Change> {
    let Case { denial, who, owner, .. } = case;
    if denial.doubt.is_some() {
        return Vec::new();
    }
    let as_owner = (*owner != 0 && *owner != u32::MAX && *owner != who.uid).then_some(Change::RunAs(*owner));
    match &denial.layer {
        Layer::Capability(capability) if who.uid == 0 => fs_group(case).into_iter().chain([Change::Capability(*capability)]).collect(),
        Layer::ModeBits(_) => by_place(case, as_owner, context),
        Layer::SupplementaryGroup { gid } => join_group(case, *gid).into_iter().chain(by_place(case, as_owner, context)).collect(),
        Layer::Ownership => as_init(case).into_iter().chain(as_owner).collect(),
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

fn by_place(case: &Case<'_>, as_owner: Option<Change>, context: &Context<'_>) -> Vec<Change> {
    let Some(place) = &case.place else { return as_owner.into_iter().chain(empty_dir(case, context)).collect() };
    match place.reach() {
        // A private directory of another user, such as a database's: its owner wants nobody else in it.
        FsGroupReach::Everything if is_private(case) => as_owner.into_iter().chain(fs_group(case)).collect(),
        FsGroupReach::Everything => fs_group(case).into_iter().chain(as_owner).collect(),
        FsGroupReach::NewDirectory => fs_group(case).into_iter().chain(as_init(case)).chain(as_owner).collect(),
        FsGroupReach::Readable => readable(case),
        FsGroupReach::Nothing => as_owner.into_iter().collect(),
    }
}

fn is_private(case: &Case<'_>) -> bool {
    use crate::permission::Class;
    let mode = case.denial.at.mode;
    bits::bits(mode, Class::Group) == 0 && bits::bits(mode, Class::Other) == 0
}

/// The group of fsGroup: the one that the process has already, unless that is root's.
fn fs_group(case: &Case<'_>) -> Option<Change> {
    let Who { uid, gid, .. } = case.who;
    let group = if gid == 0 { uid } else { gid };
    match case.spec.pod.security.fs_group {
        _ if case.place.as_ref().is_none_or(|place| place.reach() == FsGroupReach::Nothing) => None,
        Some(set) if case.who.is_in(set) => {
            let skips = case.spec.pod.security.fs_group_change_policy == "OnRootMismatch";
            (skips && case.place.as_ref()?.reach() == FsGroupReach::Everything).then_some(Change::Reapply(set))
        }
        Some(set) if set == group => None,
        Some(_) | None => Some(Change::FsGroup(group)),
    }
}

/// A group that has the right already. Root's is never given away, and what a group of the node may there is not for a patch
/// to decide.
fn join_group(case: &Case<'_>, gid: u32) -> Option<Change> {
    let given = case.spec.pod.security.supplemental_groups.contains(&gid) || case.spec.pod.security.fs_group == Some(gid);
    let of_node = case.place.as_ref().is_some_and(|place| place.on_node().is_some());
    (!given && !of_node && gid != 0).then_some(Change::Group(gid))
}

/// The one init container that filled the volume as another user.
fn as_init(case: &Case<'_>) -> Option<Change> {
    let place = case.place.as_ref().filter(|place| place.reach() == FsGroupReach::NewDirectory)?;
    let Case { spec, who, owner, .. } = case;
    let fills = |container: &&Container| {
        container.kind == ContainerKind::Init
            && container.name != spec.container.name
            && container.mounts.iter().any(|mount| mount.volume == place.volume.name && !mount.read_only)
            && chain::run_as_user(spec.pod, container).is_none_or(|uid| uid == *owner)
    };
    let mut filling = spec.pod.containers.iter().filter(fills);
    match (filling.next(), filling.next()) {
        (Some(one), None) if who.uid != 0 => Some(Change::InitAs { container: one.name.clone(), uid: who.uid, was: *owner }),
        _ => None,
    }
}

/// Files that only the kubelet writes. An fsGroup would change every claim of the pod too: then their mode is the smaller step,
/// but not for a Secret, which not everybody in the pod should read.
fn readable(case: &Case<'_>) -> Vec<Change> {
    let group = fs_group(case);
    let mode = case.place.as_ref().and_then(|place| with_mode(place).map(|_| Change::Readable(readable_mode(place))));
    let mode_first = patch::has_claims(case.spec.pod) && !case.place.as_ref().is_some_and(Located::is_secret);
    if mode_first { mode.into_iter().chain(group).collect() } else { group.into_iter().chain(mode).collect() }
}

/// Keys are for owner and group alone.
const fn readable_mode(place: &Located<'_>) -> u32 {
    if place.is_secret() { 0o440 } else { 0o444 }
}

/// `fsGroup`; beside a claim with a policy that spares it a walk through all its files at each start, if only the kubelet's files need
/// the group.
fn fs_group_fields(case: &Case<'_>, gid: u32) -> Value {
    let pod = case.spec.pod;
    let spares = case.place.as_ref().is_some_and(Located::is_kubelet_written)
        && patch::has_claims(pod)
        && pod.security.fs_group_change_policy.is_empty();
    let policy = if spares { json!({ "fsGroupChangePolicy": "OnRootMismatch" }) } else { json!({}) };
    let mut fields = json!({ "fsGroup": gid });
    patch::join(&mut fields, policy);
    json!({ "securityContext": fields })
}

/// Something is to be made in a directory of the image that belongs to root: an emptyDir goes there if it hides nothing, otherwise
/// where a directory was to be made.
fn empty_dir(case: &Case<'_>, context: &Context<'_>) -> Option<Change> {
    let made = case.made.filter(|directory| written::may_be_made(directory));
    let directory = [Some(case.denial.at.path.as_str()).filter(|at| written::may_be_covered(at, context)), made];
    makes(case.denial).then(|| directory.into_iter().flatten().next())?.map(|directory| Change::EmptyDir(directory.to_owned()))
}

const fn makes(denial: &Denial) -> bool {
    matches!(denial.purpose, Purpose::Create | Purpose::Remove) && denial.missing & WRITE != 0
}

fn propose(finding: &mut Finding, case: &Case<'_>, helps: &Change) {
    let (pod, container) = (case.spec.pod, case.spec.container);
    let volume = case.place.as_ref().map(Located::name).unwrap_or_default();
    let at = &case.denial.at.path;
    let (text, fragment) = match helps {
        Change::FsGroup(gid) => {
            let rights = if case.place.as_ref().is_some_and(Located::is_kubelet_written) { "readable" } else { "readable and writable" };
            finding.remedy.also.extend(patch::fs_group_caveats(pod, case.spec.claims));
            (
                format!("Set spec.securityContext.fsGroup: {gid}: the kubelet then gives {volume} to that group, {rights}."),
                fs_group_fields(case, *gid),
            )
        }
        Change::Reapply(gid) => (
            format!(
                "Set spec.securityContext.fsGroupChangePolicy: Always: the kubelet then gives all of {volume} to group {gid} at each start, not only when its top directory differs."
            ),
            json!({ "securityContext": { "fsGroupChangePolicy": "Always" } }),
        ),
        Change::Group(gid) => {
            let groups: Vec<u32> = pod.security.supplemental_groups.iter().copied().chain([*gid]).collect();
            (
                format!("Add the group that may: spec.securityContext.supplementalGroups: {groups:?}."),
                json!({ "securityContext": { "supplementalGroups": groups } }),
            )
        }
        Change::RunAs(uid) => (format!("Run the container as the owner of {at}: securityContext.runAsUser: {uid}."), run_as(case, *uid)),
        Change::Readable(mode) => {
            let (words, fragment) = case.place.as_ref().and_then(with_mode).unwrap_or_default();
            let who = if *mode == 0o440 { "the group of its files" } else { "everybody in the container" };
            (
                format!(
                    "Set {words} on {volume}: {who} may then read it. (An fsGroup would do, and would change the other volumes of the pod too.)"
                ),
                fragment,
            )
        }
        Change::InitAs { container, uid, .. } => (
            format!(
                "Let the init container {container}, which fills {volume}, run as the same user: securityContext.runAsUser: {uid}. An fsGroup gives the group of what is made there, and not its mode."
            ),
            json!({ "initContainers": [{ "name": container, "securityContext": { "runAsUser": uid } }] }),
        ),
        Change::EmptyDir(directory) => (
            format!(
                "Mount an emptyDir at {directory} (or a PersistentVolumeClaim, if the data must last): {at} of the image belongs to uid {}.",
                case.owner
            ),
            written::empty_dirs(&case.spec, std::slice::from_ref(directory)),
        ),
        Change::Capability(capability) => (
            format!(
                "Root without {capability} is an ordinary user: let it own what it uses, or add this one: securityContext.capabilities.add: [{}].",
                capability.name()
            ),
            add_capabilities(container, &[capability.name()]),
        ),
    };
    change(finding, &case.spec, text, fragment);
}

/// `runAsUser` where it is said already; otherwise for this container alone.
fn run_as(case: &Case<'_>, uid: u32) -> Value {
    let Spec { pod, container, .. } = case.spec;
    let of_pod = container.security.run_as_user.is_none() && pod.security.run_as_user.is_some() && pod.containers.len() == 1;
    let context = json!({ "securityContext": { "runAsUser": uid } });
    if of_pod { context } else { of_container(container, context) }
}

/// The whole lists of `capabilities` with these added. A capability that is dropped by name stays dropped, even when it is
/// added (`WithCapabilities` of containerd's `internal/cri/opts`): it is taken off that list.
pub(super) fn add_capabilities(container: &Container, names: &[&str]) -> Value {
    let plain = |name: &str| name.to_uppercase().trim_start_matches("CAP_").to_owned();
    let security = &container.security;
    let new = names.iter().filter(|name| !security.add.iter().any(|known| plain(known) == **name)).map(ToString::to_string);
    let add: Vec<String> = security.add.iter().cloned().chain(new).collect();
    let drop: Vec<&String> = security.drop.iter().filter(|known| !names.contains(&plain(known).as_str())).collect();
    let mut lists = json!({ "add": add });
    if drop.len() != security.drop.len() {
        lists["drop"] = json!(drop);
    }
    of_container(container, json!({ "securityContext": { "capabilities": lists } }))
}

/// The mode that lets more of the pod read. What a projected volume mixes is not opened to everybody.
fn with_mode(place: &Located<'_>) -> Option<(String, Value)> {
    let mode = readable_mode(place);
    let setting = mode::set(place, mode).filter(|_| !matches!(place.volume.source, VolumeSource::Projected { .. }))?;
    let words =
        if setting.of_item { format!("mode: {mode:04o} for the item {}", place.in_volume()) } else { format!("defaultMode: {mode:04o}") };
    Some((words, setting.fragment))
}

/// No change of the manifest helps: where the volume is a directory of the node, it is named as the node knows it.
fn by_hand(finding: &mut Finding, case: &Case<'_>) {
    let Case { denial, who, spec, .. } = case;
    if let Some(text) = written::in_words(denial, case.place.as_ref(), makes(denial)) {
        finding.remedy.text = text;
        return;
    }
    let by_mode = matches!(denial.layer, Layer::ModeBits(_) | Layer::SupplementaryGroup { .. });
    let Some(place) = case.place.as_ref().filter(|place| place.reach() == FsGroupReach::Nothing && by_mode) else { return };
    let searches = denial.missing == EXEC && denial.at.kind == FileKind::Directory;
    let command = |path: &str| {
        if searches {
            format!("chmod o+x {path}")
        } else if denial.missing & WRITE != 0 {
            format!("chown {}:{} {path}", who.uid, who.gid)
        } else {
            format!("chgrp {} {path} && chmod g+r {path}", who.gid)
        }
    };
    finding.remedy.text = match (place.on_node(), &place.volume.source) {
        (Some(path), _) => format!(
            "No change of the manifest helps: fsGroup has no effect on a hostPath. On node {}, `{}`; or use a PersistentVolumeClaim, whose volume an fsGroup reaches.",
            if spec.pod.node.is_empty() { "of the pod" } else { &spec.pod.node },
            command(&path)
        ),
        (None, VolumeSource::Image { .. }) => {
            "No change of the manifest helps: an image volume is read-only, and its files have the owner and mode that its image gives them.".to_owned()
        }
        (None, _) => format!(
            "No change of the manifest helps: fsGroup has no effect on {}, which is {}. There, `{}`; or use a StorageClass whose driver applies fsGroup.",
            place.name(),
            if place.claim.is_some_and(|claim| claim.source == "hostPath") { "a directory of a node" } else { "on a file server" },
            command(if place.below.is_empty() { "its directory" } else { &place.below }),
        ),
    };
}

#[cfg(test)]
#[path = "denied_tests.rs"]
pub(super) mod tests;
