//! A volume that did not get the fsGroup although the manifest has it: why, and what makes the kubelet give it.
//!
//! The kubelet gives a volume to the group as it mounts it for a pod, and never again: no restart of a container repeats
//! it. What it passes over then depends on the plugin (Kubernetes 1.37):
//!
//! - `local` leaves the volume as it is while any other pod of the node has it mounted, with an event
//!   `AlreadyMountedVolume` and no error (`localVolumeMounter.SetUpAt` of `pkg/volume/local/local.go`). A pod whose object
//!   was deleted by force is such a pod until the kubelet has unmounted it, and so is, for a Deployment, an old pod that has
//!   ended: its successor is made before its volumes are unmounted.
//! - CSI gives it at the mount of each pod, if the driver wants it (`supportsFSGroup` of `pkg/volume/csi/csi_mounter.go`).
//! - With `OnRootMismatch` a top directory that has the group and its mode stands for all (`requiresPermissionChange` of
//!   `pkg/volume/volume_linux.go`): that is mended by a patch.

use super::{
    located::Located,
    patch::{self, is_local},
    refusal::Refusal,
};
use crate::{
    case::Manifest,
    pod::{FsGroupReach, Pod},
    question::FileKind,
};

const ON_ROOT_MISMATCH: &str = "OnRootMismatch";

/// The kubelet would give the volume to the group if it mounted it once more: it passed over it because another pod had it.
pub(super) fn needs_a_mount(refusal: &Refusal<'_>, place: &Located<'_>, gid: u32) -> bool {
    place.claim.is_some_and(is_local) && group_of_entry(refusal, place).is_some_and(|group| group != gid)
}

fn group_of_entry(refusal: &Refusal<'_>, place: &Located<'_>) -> Option<u32> {
    refusal.rights.gid_inside(place.entry(refusal.walk)?.gid)
}

/// Why what refuses is not the group's.
pub(super) fn reason(refusal: &Refusal<'_>, place: &Located<'_>, gid: u32) -> String {
    let skips = refusal.spec.pod.security.fs_group_change_policy == ON_ROOT_MISMATCH;
    if group_of_entry(refusal, place) == Some(gid) {
        let at = &refusal.denial.at.path;
        return if skips {
            format!("{at} has another group than fsGroup {gid}: OnRootMismatch looks at the volume's top directory alone, which has it")
        } else {
            format!("{at} has another group than fsGroup {gid}, which the volume was given to: it was put there, or changed, since")
        };
    }
    let why = match (place.claim, driver(place)) {
        (Some(claim), _) if is_local(claim) => {
            "another pod of the node had it mounted when the kubelet mounted it for this one (event AlreadyMountedVolume), and no restart of a container mounts it again".to_owned()
        }
        (_, Some(driver)) => format!("{driver} does not do it (fsGroupPolicy of the CSIDriver)"),
        _ => "its driver does not do it (fsGroupPolicy of the CSIDriver), or it is a local one and another pod had it mounted".to_owned(),
    };
    format!("fsGroup {gid} was not given to the volume: {why}")
}

/// The CSI driver behind a claim.
fn driver<'a>(place: &Located<'a>) -> Option<&'a str> {
    place.claim?.source.strip_prefix("csi (")?.strip_suffix(')')
}

/// What is to happen, when the manifest is right.
pub(super) fn text(volume: &str, gid: u32) -> String {
    format!(
        "The manifest is right, it has fsGroup: {gid} already. The kubelet gives {volume} to that group when it mounts it and no other pod of the node has it: let it be mounted anew."
    )
}

/// How, a sentence each.
pub(super) fn steps(spec: &Manifest<'_>, place: Option<&Located<'_>>) -> Vec<String> {
    let claim = place.and_then(|place| place.claim);
    let others = claim.map(|claim| {
        format!(
            "If another pod uses PVC {0} (`kubectl -n {1} describe pvc {0}` lists them, Used By), end it first, without --force.",
            claim.name, spec.pod.namespace
        )
    });
    others.into_iter().chain([anew(spec.pod)]).collect()
}

/// The object of a pod that is deleted without force goes when its volumes are unmounted (see [`patch::delete`]). Only what gives
/// the next pod the same name waits for that.
fn anew(pod: &Pod) -> String {
    let ns = &pod.namespace;
    let Some(owner) = pod.owner.as_ref().filter(|_| !pod.is_mirror) else {
        let file = patch::caveats(pod);
        return format!("Delete the pod without --force, and make it again when it is gone. {}", file.join(" "));
    };
    if let "Deployment" | "ReplicaSet" | "ReplicationController" = owner.kind.as_str() {
        let kind = owner.kind.to_lowercase();
        // Without a grace period the objects are gone before anything is unmounted.
        let when = if pod.grace_seconds == 0 { "a minute after its pods are gone" } else { "when its pods are gone" };
        return format!("Scale it to 0, and up again {when}: `kubectl -n {ns} scale {kind}/{} --replicas=0`.", owner.name);
    }
    let delete = patch::delete(pod);
    format!("Delete the pod again, without --force, so that the next one comes when the volume is unmounted: `{delete}`.")
}

/// The manifest has it, and no mount will help: what does, in words.
pub(super) fn by_hand(refusal: &Refusal<'_>, place: &Located<'_>) -> Option<String> {
    let gid = refusal.spec.pod.security.fs_group.filter(|gid| refusal.who.is_in(*gid))?;
    if place.reach() != FsGroupReach::Everything || group_of_entry(refusal, place)? == gid {
        return None;
    }
    let at = &refusal.denial.at;
    let letters = if at.kind == FileKind::Directory { "rwx" } else { "rw" };
    let by_hand = format!("give it to the group where it is kept, `chgrp {gid} {0} && chmod g+{letters} {0}`", at.path);
    Some(match driver(place) {
        Some(driver) => format!(
            "The manifest has fsGroup: {gid} already, and {driver} leaves it to nobody: `kubectl get csidriver {driver} -o jsonpath='{{.spec.fsGroupPolicy}}'` must say File (the default wants ReadWriteOnce and an fsType too). If it cannot, {by_hand}."
        ),
        None => format!(
            "The manifest has fsGroup: {gid} already. If another pod of the node has the volume mounted, end it, and delete this pod without --force; if the volume's driver applies no fsGroup, {by_hand}."
        ),
    })
}
