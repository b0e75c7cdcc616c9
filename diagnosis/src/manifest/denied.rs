//! A refused path and the manifest: where the path comes from, which fields bear on it, and the smallest change that helps.
//!
//! Changes are tried in the order of their safety ([`candidates`]); the first one that `simulate` lets
//! pass is proposed. What no change of the manifest can mend (a root-owned directory of the node, a file of the image) keeps
//! its remedy in words.

use super::{
    advice::{Advice, change},
    candidates::{Change, candidates, loses_fs_group, with_mode},
    chain,
    located::Located,
    patch::{self, of_container},
    refusal::Refusal,
    shared, simulate, ungiven, written,
};
use crate::{
    case::{
        Case, Manifest,
        finding::DeniedPath,
        look::{attempt, walk_of},
    },
    permission::{EXEC, Layer, WRITE},
    pod::{Container, ContainerKind, FsGroupReach, VolumeSource},
    question::FileKind,
    story::failure::Failure,
};
use serde_json::{Value, json};

/// Adds what the manifest says, and puts a change of it in the place of the general remedy where one helps.
pub(super) fn explain(advice: &mut Advice, failure: &Failure, case: &Case<'_>, denied: &DeniedPath) {
    let (Some(spec), Some(walk)) = (case.manifest, walk_of(case, &denied.path)) else { return };
    let attempt = &attempt(failure, denied.role, &denied.path, walk);
    let refusal = Refusal::new(spec, failure, attempt, &denied.denial);
    for reason in reasons(&refusal, case) {
        advice.say(reason);
    }
    let helps = candidates(&refusal, case).into_iter().find(|change| simulate::permits(change, attempt, refusal.place.as_ref()));
    match helps {
        Some(helps) => propose(advice, &refusal, &helps),
        None => by_hand(advice, &refusal, case),
    }
}

/// The volume, then the fields that decided, then what the process made of them.
fn reasons(refusal: &Refusal<'_>, case: &Case<'_>) -> Vec<String> {
    let (spec, denial) = (&refusal.spec, refusal.denial);
    let reach = refusal.place.as_ref().map_or(FsGroupReach::Nothing, Located::reach);
    let fields = match &denial.layer {
        Layer::Capability(_) => chain::capabilities(spec),
        Layer::UserNamespace { .. } => "the pod sets hostUsers: false, which gives it a user namespace of its own".to_owned(),
        Layer::MountFlag(_) | Layer::Immutable | Layer::AppendOnly | Layer::Sysctl(_) => String::new(),
        Layer::ModeBits(_) | Layer::SupplementaryGroup { .. } | Layer::Acl { .. } | Layer::Ownership | Layer::Sticky { .. } => {
            chain::identity(spec, reach)
        }
    };
    let volume = refusal.place.as_ref().map(|place| place.sentence(Some(&denial.at.mount)));
    // Volume and fields are one reason: what lies there, and who may.
    let joined = [volume.unwrap_or_default(), fields].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
    let mut all: Vec<String> = (!joined.is_empty()).then_some(joined).into_iter().collect();
    all.extend(chain::origin(spec, case, &refusal.who));
    all.extend(in_vain(refusal, reach));
    let by_mode = matches!(denial.layer, Layer::ModeBits(_) | Layer::SupplementaryGroup { .. });
    all.extend(chain::range_of_namespace(spec).filter(|_| by_mode).map(|id| {
        format!("runAsUser and fsGroup are both {id}, as a platform puts them into pods that gives each namespace a range of ids (an SCC of OpenShift): there, pods with others are refused")
    }));
    all
}

/// The manifest has an fsGroup or a group for it, and yet it did not help.
fn in_vain(refusal: &Refusal<'_>, reach: FsGroupReach) -> Option<String> {
    let Refusal { spec, who, .. } = refusal;
    let set = spec.pod.security.fs_group;
    match (reach, set, chain::lost_group(spec, who)) {
        (FsGroupReach::Nothing, Some(_), _) => {
            let place = refusal.place.as_ref()?;
            Some(format!("the kubelet does not apply fsGroup to {}", place.name()))
        }
        (_, _, Some(gid)) if who.uid != 0 => {
            Some(format!("the process is not in group {gid} any more: the program gave up its groups by itself (su, gosu, setgroups)"))
        }
        (FsGroupReach::Everything, Some(gid), None) if refusal.group() != gid => {
            Some(ungiven::reason(refusal, refusal.place.as_ref()?, gid))
        }
        (FsGroupReach::Everything | FsGroupReach::NewDirectory, Some(gid), None) if refusal.group() == gid => {
            Some("it was made after the kubelet had given the volume to the group, by another user".to_owned())
        }
        _ => None,
    }
}

/// `fsGroup`; beside a claim with a policy that spares it a walk through all its files at each start, if only the kubelet's files need
/// the group.
fn fs_group_fields(refusal: &Refusal<'_>, gid: u32) -> Value {
    let pod = refusal.spec.pod;
    let spares = refusal.place.as_ref().is_some_and(Located::is_kubelet_written)
        && patch::has_claims(pod)
        && pod.security.fs_group_change_policy.is_empty();
    let policy = if spares { json!({ "fsGroupChangePolicy": "OnRootMismatch" }) } else { json!({}) };
    let mut fields = json!({ "fsGroup": gid });
    patch::join(&mut fields, policy);
    json!({ "securityContext": fields })
}

fn propose(advice: &mut Advice, refusal: &Refusal<'_>, helps: &Change) {
    let (pod, container) = (refusal.spec.pod, refusal.spec.container);
    let volume = refusal.place.as_ref().map(Located::name).unwrap_or_default();
    let at = &refusal.denial.at.path;
    let (text, fragment) = match helps {
        Change::FsGroup(gid) => {
            let rights = if refusal.place.as_ref().is_some_and(Located::is_kubelet_written) { "readable" } else { "readable and writable" };
            advice.remedy.also.extend(patch::fs_group_caveats(pod, refusal.spec.claims));
            advice.remedy.also.extend(refusal.place.as_ref().and_then(|place| patch::driver_caveat(place.claim?)));
            (
                format!("Set spec.securityContext.fsGroup: {gid}: the kubelet then gives {volume} to that group, {rights}."),
                fs_group_fields(refusal, *gid),
            )
        }
        Change::Reapply(gid) => (
            format!(
                "Set spec.securityContext.fsGroupChangePolicy: Always: the kubelet then gives all of {volume} to group {gid} at each start, not only when its top directory differs."
            ),
            json!({ "securityContext": { "fsGroupChangePolicy": "Always" } }),
        ),
        Change::Remount(gid) => {
            advice.remedy.also.extend(ungiven::steps(&refusal.spec, refusal.place.as_ref()));
            (ungiven::text(&volume, *gid), json!({}))
        }
        Change::Group(gid) => {
            let groups: Vec<u32> = pod.security.supplemental_groups.iter().copied().chain([*gid]).collect();
            (
                format!("Add the group that may: spec.securityContext.supplementalGroups: {groups:?}."),
                json!({ "securityContext": { "supplementalGroups": groups } }),
            )
        }
        Change::RunAs(uid) => (format!("Run the container as the owner of {at}: securityContext.runAsUser: {uid}."), run_as(refusal, *uid)),
        Change::Readable(mode) => {
            let (words, fragment) = with_mode(refusal).unwrap_or_default();
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
                refusal.owner()
            ),
            written::empty_dirs(&refusal.spec, std::slice::from_ref(directory)),
        ),
        Change::Capability(capability) => {
            advice.remedy.also.extend(patch::capability_caveat(&[capability.name()]));
            let text = format!(
                "Root without {capability} is an ordinary user: let it own what it uses, or add this one: securityContext.capabilities.add: [{}].",
                capability.name()
            );
            (text, add_capabilities(container, &[capability.name()]))
        }
    };
    change(advice, &refusal.spec, text, fragment);
}

/// `runAsUser` where it is said already; otherwise for this container alone.
fn run_as(refusal: &Refusal<'_>, uid: u32) -> Value {
    let Manifest { pod, container, .. } = refusal.spec;
    let of_pod = container.security.run_as_user.is_none() && pod.security.run_as_user.is_some() && pod.containers.len() == 1;
    let case = json!({ "securityContext": { "runAsUser": uid } });
    if of_pod { case } else { of_container(container, case) }
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

/// No change of the manifest helps: what does, in words. Where the volume is a directory of the node, it is named as the node
/// knows it.
fn by_hand(advice: &mut Advice, refusal: &Refusal<'_>, case: &Case<'_>) {
    let by_mode = matches!(refusal.denial.layer, Layer::ModeBits(_) | Layer::SupplementaryGroup { .. });
    let text = match &refusal.place {
        None if by_mode => for_range(refusal).or_else(|| written::in_words(refusal)),
        Some(place) if by_mode && place.reach() == FsGroupReach::Nothing => {
            written::in_words(refusal).or_else(|| Some(out_of_reach(refusal, place)))
        }
        Some(place) if by_mode => {
            let closed = (place.reach() == FsGroupReach::NewDirectory).then(|| closed(refusal, place)).flatten();
            closed
                .or_else(|| loses_fs_group(refusal, case).then(|| group_of_root(refusal, place)))
                .or_else(|| ungiven::by_hand(refusal, place))
        }
        _ => None,
    };
    if let Some(text) = text {
        advice.remedy.text = text;
    }
}

/// A file of the image, and a user that the platform chooses.
fn for_range(refusal: &Refusal<'_>) -> Option<String> {
    chain::range_of_namespace(&refusal.spec).filter(|_| refusal.who.is_in(0))?;
    let at = &refusal.denial.at.path;
    Some(format!(
        "Give {at} to group 0, which such processes are in, with the rights of its owner: `chgrp -R 0 {at} && chmod -R g=u {at}` in the image. Another runAsUser needs a policy of the platform that allows it to the service account (on OpenShift the SCC nonroot-v2)."
    ))
}

/// An emptyDir that was closed after the kubelet had made it, open to all (`pkg/volume/emptydir`): it would be closed again.
fn closed(refusal: &Refusal<'_>, place: &Located<'_>) -> Option<String> {
    let is_top = place.below.is_empty() && place.mount.sub_path.is_empty();
    let others = shared::writers(&refusal.spec, place);
    let by = match others.iter().find(|(_, kind)| *kind == ContainerKind::Init) {
        Some((name, _)) => format!("init container {name}"),
        None => "a program of the pod".to_owned(),
    };
    is_top.then(|| {
        format!("No field of the manifest helps: the kubelet makes an emptyDir with mode 0777, and {by} has changed that. Let it leave owner and mode as they are, or give uid {} what it needs.", refusal.who.uid)
    })
}

/// A program that has only root's group once it has changed its user (`gosu 999:0`).
fn group_of_root(refusal: &Refusal<'_>, place: &Located<'_>) -> String {
    let (at, uid) = (&refusal.denial.at.path, refusal.who.uid);
    let now = if place.is_kubelet_written() {
        format!("Give the files of {} a mode with which group 0 may read them (0440)", place.name())
    } else {
        format!("Let the entry point, as long as it is root, give {at} to the user that it changes to (`chown {uid} {at}`)")
    };
    format!(
        "{now}: an fsGroup would be lost with the other groups when the program changes its user. Or start the container as that user, with securityContext.runAsUser: {uid} and spec.securityContext.fsGroup: {uid}, if its entry point allows that."
    )
}

/// A volume to which an fsGroup does nothing.
fn out_of_reach(refusal: &Refusal<'_>, place: &Located<'_>) -> String {
    let Refusal { denial, who, spec, .. } = refusal;
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
    let below = if place.below.is_empty() { "its directory" } else { &place.below };
    if let Some(path) = place.on_node() {
        return format!(
            "No change of the manifest helps: fsGroup has no effect on a hostPath. On node {}, `{}`; or use a PersistentVolumeClaim, whose volume an fsGroup reaches.",
            if spec.pod.node.is_empty() { "of the pod" } else { &spec.pod.node },
            command(&path)
        );
    }
    let name = place.name();
    if matches!(place.volume.source, VolumeSource::Image { .. }) {
        return "No change of the manifest helps: an image volume is read-only, and its files have the owner and mode that its image gives them."
            .to_owned();
    }
    if place.volume.source.is_read_only() {
        return format!(
            "fsGroup has no effect on {name} as long as the volume says readOnly: true. Where it is filled, `{}`; or take readOnly off the volume, set fsGroup, and say readOnly at the volumeMount instead.",
            command(below)
        );
    }
    format!(
        "No change of the manifest helps: fsGroup has no effect on {name}, which is {}. There, `{}`; or use a StorageClass whose driver applies fsGroup.",
        if place.claim.is_some_and(|claim| claim.source == "hostPath") { "a directory of a node" } else { "on a file server" },
        command(below)
    )
}

#[cfg(test)]
#[path = "denied_tests.rs"]
pub(super) mod tests;
