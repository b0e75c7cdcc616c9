//! `VolumeSetup`: volumes that the kubelet cannot mount, or for which it takes long. The status says only `ContainerCreating`; the
//! events tell, by reason, and in their message which volume and why.
//!
//! Sources, Kubernetes 1.37: `pkg/kubelet/events/event.go`, `pkg/volume/util/operationexecutor` (`MountVolume.SetUp failed for volume
//! "x" : …`), `pkg/kubelet/volumemanager` (`unmounted volumes=[…]` after 2 min 3 s), `pkg/volume/volume_linux.go` (recursive fsGroup),
//! `pkg/controller/volume/attachdetach/reconciler` (Multi-Attach), `pkg/volume/hostpath`, `pkg/volume/csi`.
//!
//! The first seconds of a pod are silent: the kubelet's caches fill then, and objects of the same `kubectl apply` may be on their way.

use super::{
    Account, PodFinding, Scene, config,
    message::{between, quoted, word},
    objects::Object,
    scene::last,
    volume_words::say,
};
use crate::pod::{PodEvent, VolumeSource};
use std::time::Duration;

const FAILED: [&str; 7] = [
    "FailedMount",
    "FailedAttachVolume",
    "FailedMapVolume",
    "FailedMountOnFilesystemMismatch",
    "FileSystemResizeFailed",
    "VolumeResizeFailed",
    "VolumePermissionChangeInProgress",
];
/// Before that, nothing is said.
const PATIENCE: Duration = Duration::from_secs(3);
/// A cache that is not filled after this time is a problem.
const PASSES: Duration = Duration::from_mins(1);
const AGAIN: Duration = Duration::from_secs(10);

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
    pub(super) event: &'a PodEvent,
}

/// Adds what is known about volumes.
pub(super) fn explain(scene: &Scene<'_>, account: &mut Account) {
    account.findings.extend(already_mounted(scene));
    if !scene.is_preparing() || !account.is_due(scene.age(scene.taken_up()), PATIENCE) {
        return;
    }
    account.needs_events = true;
    account.look_in(AGAIN);
    let problems = problems(scene);
    if problems.iter().any(|problem| is_of_claim(scene, problem.volume)) {
        account.needs_claims = scene.pod.claim_names().map(str::to_owned).collect();
    }
    account.findings.extend(problems.iter().map(|problem| say(scene, problem)));
}

/// The most telling problem of each volume, as far as it is not over.
fn problems<'a>(scene: &Scene<'a>) -> Vec<Problem<'a>> {
    let mut best: Vec<Problem<'a>> = Vec::new();
    for event in scene.events_with(&FAILED).filter(|event| !scene.went_on_after(last(event)) && is_serious(event)) {
        for problem in read(scene, event) {
            match best.iter_mut().find(|known| known.volume == problem.volume) {
                Some(known) if problem.why <= known.why => *known = problem,
                Some(_) => {}
                None => best.push(problem),
            }
        }
    }
    let specific = best.iter().any(|problem| problem.why != Why::TimedOut);
    best.retain(|problem| !specific || problem.why != Why::TimedOut);
    best
}

fn is_serious(event: &PodEvent) -> bool {
    !config::is_passing(&event.message) || Duration::from_nanos(last(event).saturating_sub(event.first)) > PASSES
}

fn read<'a>(scene: &Scene<'a>, event: &'a PodEvent) -> Vec<Problem<'a>> {
    let message = event.message.as_str();
    if event.reason == "VolumePermissionChangeInProgress" {
        let volume = owned_directory(message).map_or("", |name| in_spec(scene, name));
        return vec![Problem { volume, why: Why::Ownership, event }];
    }
    if let Some(names) = between(message, "unmounted volumes=[", "]") {
        let claim = message.contains("persistentvolumeclaim") && message.contains("not found");
        let why = if claim { Why::Claim } else { Why::TimedOut };
        return names.split([' ', ',']).filter(|name| !name.is_empty()).map(|volume| Problem { volume, why, event }).collect();
    }
    let volume = quoted(message, "volume ").map_or("", |name| in_spec(scene, name));
    vec![Problem { volume, why: why(event), event }]
}

fn why(event: &PodEvent) -> Why {
    let message = event.message.as_str();
    let has = |phrase: &str| message.contains(phrase);
    match event.reason.as_str() {
        _ if missing_object(message).is_some() => Why::Object,
        _ if missing_key(message).is_some() => Why::Key,
        _ if has("persistentvolumeclaim") && has("not found") => Why::Claim,
        _ if has("hostPath type check failed") => Why::HostPath,
        _ if has("not found in the list of registered CSI drivers") => Why::Driver,
        _ if has("Multi-Attach error") || has("already exclusively attached") => Why::Elsewhere,
        "FileSystemResizeFailed" | "VolumeResizeFailed" => Why::Resize,
        "FailedAttachVolume" => Why::Attach,
        _ => Why::Mount,
    }
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

/// Not known to be of another kind.
fn is_of_claim(scene: &Scene<'_>, name: &str) -> bool {
    let source = scene.pod.volumes.iter().find(|volume| volume.name == name).map(|volume| &volume.source);
    source.is_none_or(|source| matches!(source, VolumeSource::Claim { .. }))
}

/// It holds nothing up by itself: the volume is mounted with the group that it had.
fn already_mounted(scene: &Scene<'_>) -> Option<PodFinding> {
    let event = scene.last_with(&["AlreadyMountedVolume"])?;
    Some(super::volume_words::shared(scene, event, word(&event.message, "the volume ").unwrap_or("")))
}
