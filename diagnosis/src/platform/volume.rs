//! `VolumeSetup`: volumes that the kubelet cannot mount, or for which it takes long. The status says only `ContainerCreating`; the
//! events tell, by reason, and in their message which volume and why.
//!
//! Sources, Kubernetes 1.37: `pkg/kubelet/events/event.go`, `pkg/volume/volume_linux.go` (recursive fsGroup); how the messages are
//! read stands in `volume_message`.
//!
//! The first seconds of a pod are silent: the kubelet's caches fill then, and objects of the same `kubectl apply` may be on their way.

use super::{
    Explanation, PodFinding, Scene,
    message::word,
    scene::last,
    volume_message::{Problem, Why, is_passing, read},
    volume_words::say,
};
use crate::pod::VolumeSource;
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
/// What passes by itself does so within this time.
const PASSES: Duration = Duration::from_mins(1);
const AGAIN: Duration = Duration::from_secs(10);

/// Adds what is known about volumes.
pub(super) fn explain(scene: &Scene<'_>, explanation: &mut Explanation) {
    explanation.findings.extend(already_mounted(scene));
    if !scene.is_preparing() || !explanation.is_due(scene.age(scene.taken_up()), PATIENCE) {
        return;
    }
    explanation.needs_events = true;
    explanation.look_in(AGAIN);
    let problems = problems(scene);
    if problems.iter().any(|problem| is_of_claim(scene, problem.volume)) {
        explanation.needs_claims = scene.pod.claim_names().map(str::to_owned).collect();
    }
    explanation.findings.extend(problems.iter().map(|problem| say(scene, problem)));
}

/// The most telling problem of each volume, as far as it is not over.
fn problems<'a>(scene: &Scene<'a>) -> Vec<Problem<'a>> {
    let mut best: Vec<Problem<'a>> = Vec::new();
    for event in scene.events_with(&FAILED).filter(|event| !scene.went_on_after(last(event))) {
        for problem in read(scene, event).into_iter().filter(is_serious) {
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

/// What the kubelet gets over by itself is a problem when it has been saying so for a while.
fn is_serious(problem: &Problem<'_>) -> bool {
    let event = problem.event;
    !is_passing(problem.says) || Duration::from_nanos(last(event).saturating_sub(event.first)) > PASSES
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
