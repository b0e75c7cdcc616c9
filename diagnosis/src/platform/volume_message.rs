//! What an event of the kubelet, or of the attach/detach controller, says of a pod's volumes: which of them, and why.
//!
//! Sources, Kubernetes 1.37: `pkg/volume/util/operationexecutor` (`MountVolume.SetUp failed for volume "x" : …`),
//! `pkg/kubelet/volumemanager/volume_manager.go` (`unmounted volumes=[…], …: ` and then what the populator could not do, at once,
//! or after 2 min 3 s that the time is over), `…/populator/desired_state_of_world_populator.go` (`error processing PVC …`),
//! `pkg/controller/volume/attachdetach/reconciler` (Multi-Attach), `pkg/volume/hostpath`, `pkg/volume/csi`.

use super::{
    Scene, config,
    message::{between, quoted, word},
    objects::Object,
};
use crate::pod::PodEvent;

/// Why a volume is not there, from the most telling to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    Object,
    Key,
    Claim,
    HostPath,
    Driver,
    Elsewhere,
    Ownership,
    Resize,
    Attach,
    Mount,
    TimedOut,
}

/// What an event says of one volume.
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem<'a> {
    /// Name in the pod's spec, or as the event has it.
    pub(super) volume: &'a str,
    pub(super) why: Why,
    /// The part of the event's message that is about this volume and says why.
    pub(super) says: &'a str,
    pub(super) event: &'a PodEvent,
}

/// The volumes of an event. None: it was interrupted, and says nothing of any.
pub(super) fn read<'a>(scene: &Scene<'a>, event: &'a PodEvent) -> Vec<Problem<'a>> {
    let message = event.message.as_str();
    if event.reason == "VolumePermissionChangeInProgress" {
        let volume = owned_directory(message).map_or("", |name| in_spec(scene, name));
        return vec![Problem { volume, why: Why::Ownership, says: message, event }];
    }
    if let Some(unmounted) = listed(message, "unmounted volumes=") {
        return not_mounted(scene, event, &unmounted);
    }
    let volume = quoted(message, "volume ").map_or("", |name| in_spec(scene, name));
    let says = message.split_once("\" : ").map_or(message, |(_, why)| why);
    vec![Problem { volume, why: why(event, says), says, event }]
}

/// The kubelet waits for all volumes of a pod at once. Its word on that names those that are missing, whatever the reason; the
/// reason need not be about each of them.
fn not_mounted<'a>(scene: &Scene<'a>, event: &'a PodEvent, unmounted: &[&'a str]) -> Vec<Problem<'a>> {
    let message = event.message.as_str();
    let error = message.split_once("]: ").map_or("", |(_, error)| error.trim());
    match error {
        "context canceled" => Vec::new(), // the pod was changed or deleted meanwhile, and is looked at again
        "" | "context deadline exceeded" | "timed out waiting for the condition" => {
            unmounted.iter().map(|volume| Problem { volume, why: Why::TimedOut, says: message, event }).collect()
        }
        _ => {
            let unprocessed = listed(message, "failed to process volumes=").filter(|names| !names.is_empty());
            let rest = unprocessed.as_deref().unwrap_or(unmounted);
            errors(error).into_iter().flat_map(|says| failed(scene, event, says, rest)).collect()
        }
    }
}

/// The populator's errors, which are joined by `; `. What one of them quotes may hold that too.
fn errors(joined: &str) -> Vec<&str> {
    const BEGINNINGS: [&str; 3] = ["; error processing PVC ", "; volume ", "; failed to "];
    let mut ends: Vec<usize> = BEGINNINGS.iter().flat_map(|beginning| joined.match_indices(beginning)).map(|(at, _)| at).collect();
    ends.push(joined.len());
    ends.sort_unstable();
    let begins = std::iter::once(0).chain(ends.iter().map(|end| end.saturating_add("; ".len())));
    begins.zip(&ends).filter_map(|(begin, end)| joined.get(begin..*end)).collect()
}

/// One thing that the kubelet could not do: for the claim or volume that it names, or else for all of these.
fn failed<'a>(scene: &Scene<'a>, event: &'a PodEvent, says: &'a str, rest: &[&'a str]) -> Vec<Problem<'a>> {
    let why = why(event, says);
    let claim = word(says, "error processing PVC ").and_then(|path| path.rsplit('/').next());
    let is_named = |volume: &&crate::pod::Volume| {
        claim.map_or_else(|| word(says, "volume ").is_some_and(|name| name == volume.name), |claim| volume.claim() == Some(claim))
    };
    let named: Vec<_> = scene.pod.volumes.iter().filter(is_named).map(|volume| volume.name.as_str()).collect();
    let of_these = if named.is_empty() { rest } else { named.as_slice() };
    of_these.iter().map(|volume| Problem { volume, why, says, event }).collect()
}

/// The names in `label[a b]`.
fn listed<'a>(message: &'a str, label: &str) -> Option<Vec<&'a str>> {
    let names = between(message, &format!("{label}["), "]")?;
    Some(names.split([' ', ',']).filter(|name| !name.is_empty()).collect())
}

fn why(event: &PodEvent, says: &str) -> Why {
    let has = |phrase: &str| says.contains(phrase);
    match event.reason.as_str() {
        _ if missing_object(says).is_some() => Why::Object,
        _ if missing_key(says).is_some() => Why::Key,
        _ if has("persistentvolumeclaim") && has("not found") => Why::Claim,
        _ if has("hostPath type check failed") => Why::HostPath,
        _ if has("not found in the list of registered CSI drivers") => Why::Driver,
        _ if has("Multi-Attach error") || has("already exclusively attached") => Why::Elsewhere,
        "FileSystemResizeFailed" | "VolumeResizeFailed" => Why::Resize,
        "FailedAttachVolume" => Why::Attach,
        _ => Why::Mount,
    }
}

/// Controllers that have not followed yet.
const BEHIND: [&str; 5] = [
    // The node authorizer's graph follows the pod's binding (`plugin/pkg/auth/authorizer/node`).
    "no relationship found between node",
    "PVC is not bound",
    "PVC has empty pvc.Spec.VolumeName",
    "not yet bound to the claim",
    // Made by the controller manager in each new namespace.
    "configmap \"kube-root-ca.crt\" not found",
];

/// What the kubelet usually gets over by itself, within seconds: also caches that are not filled yet, and an API server
/// that could not be asked.
pub(super) fn is_passing(says: &str) -> bool {
    let unasked = ["failed to fetch token", "failed to fetch PVC", "failed to fetch PV "].iter().any(|phrase| says.contains(phrase));
    config::is_passing(says) || unasked && !says.contains("\" not found") || BEHIND.iter().any(|phrase| says.contains(phrase))
}

/// `configmap "app" not found`.
pub(super) fn missing_object(message: &str) -> Option<Object<'_>> {
    let names = ["configmap", "secret"].into_iter().filter_map(|kind| Some((kind, quoted(message, &format!("{kind} "))?)));
    let (kind, name) = names.into_iter().find(|(kind, name)| message.contains(&format!("{kind} \"{name}\" not found")))?;
    Some(Object::new(kind, name))
}

/// `configmap references non-existent config key: url`.
pub(super) fn missing_key(message: &str) -> Option<&str> {
    word(message, "non-existent config key: ").or_else(|| word(message, "non-existent secret key: "))
}

/// The directory's volume: `UID/volumes/kubernetes.io~csi/pvc-…/mount`, of other drivers without the last part.
fn owned_directory(message: &str) -> Option<&str> {
    let path = word(message, "ownership for ")?;
    path.trim_end_matches("/mount").rsplit('/').next().filter(|name| !name.is_empty())
}

/// Events call a claim's volume by its `PersistentVolume`; the pod's spec has a name of its own for it.
fn in_spec<'a>(scene: &Scene<'a>, name: &'a str) -> &'a str {
    if scene.pod.volumes.iter().any(|volume| volume.name == name) {
        return name;
    }
    let bound = scene.claims.iter().find(|claim| claim.volume == name).map(|claim| claim.name.as_str());
    let mut candidates =
        scene.pod.volumes.iter().filter(|volume| volume.claim().is_some_and(|claim| bound.is_none_or(|bound| bound == claim)));
    match (candidates.next(), candidates.next()) {
        (Some(only), None) => &only.name,
        _ => name,
    }
}
