//! What the rules of this folder ask a [`Scene`]: ages, events by reason, how far the kubelet has come with the pod.

use super::{Explanation, Scene, message};
use crate::{
    pod::{Container, ContainerKind, ContainerState, ContainerStatus, PodEvent},
    verdict::Confidence,
};
use std::time::Duration;

/// Events that the kubelet makes only when volumes and sandbox are there (`pkg/kubelet/events/event.go`).
const AFTER_SANDBOX: [&str; 4] = ["Pulling", "Pulled", "Created", "Started"];

impl<'a> Scene<'a> {
    /// How long ago a time was; nothing when it is not known.
    pub(super) const fn age(&self, since: u64) -> Duration {
        Duration::from_nanos(if since == 0 { 0 } else { self.now.saturating_sub(since) })
    }

    /// Since when the kubelet has the pod: `status.startTime`, or else when it was bound to the node.
    pub(super) fn taken_up(&self) -> u64 {
        let bound = self.pod.condition("PodScheduled").filter(|condition| condition.status == "True").map(|condition| condition.since);
        self.pod.status.started.or(bound).filter(|since| *since > 0).unwrap_or(self.pod.created)
    }

    /// Events with one of these reasons, oldest first.
    pub(super) fn events_with(&self, reasons: &'a [&'a str]) -> impl DoubleEndedIterator<Item = &'a PodEvent> {
        self.events.iter().filter(move |event| reasons.contains(&event.reason.as_str()))
    }

    /// What the kubelet last said of a probe of this container (event `Unhealthy`).
    pub(super) fn last_answer(&self, spec: &Container) -> Option<String> {
        let about = |event: &&PodEvent| container_of(event).is_none_or(|name| name == spec.name);
        let event = self.events_with(&["Unhealthy", "ProbeWarning"]).filter(about).max_by_key(|event| last(event))?;
        Some(message::quote(&event.message, 300))
    }

    /// The one of them that was seen last.
    pub(super) fn last_with(&self, reasons: &'a [&'a str]) -> Option<&'a PodEvent> {
        self.events_with(reasons).max_by_key(|event| last(event))
    }

    /// Volumes and sandbox are still being prepared, as far as the status tells: no container has ever run, and the kubelet has not
    /// said that the sandbox is there (`PodReadyToStartContainers`, KEP-3085; older kubelets have no such condition).
    pub(super) fn is_preparing(&self) -> bool {
        let has_sandbox = self.pod.condition("PodReadyToStartContainers").is_some_and(|condition| condition.status == "True");
        !has_sandbox && self.pod.status.containers.iter().all(is_untouched)
    }

    /// The sandbox was made after this time: whatever failed before it is over.
    pub(super) fn went_on_after(&self, time: u64) -> bool {
        self.events_with(&AFTER_SANDBOX).any(|event| last(event) > time)
    }

    /// Containers of the spec with their status, in the order of the spec.
    pub(super) fn containers(&self) -> impl Iterator<Item = (&'a Container, &'a ContainerStatus)> {
        self.pod.containers.iter().filter_map(|container| Some((container, self.pod.status_of(&container.name)?)))
    }

    /// What a container is started from, when the status speaks of one that the spec lacks.
    pub(super) fn kind_of(&self, name: &str) -> ContainerKind {
        self.pod.container(name).map(|container| container.kind).unwrap_or_default()
    }
}

impl Explanation {
    /// Look again after this time, or sooner.
    pub(super) fn look_in(&mut self, time: Duration) {
        self.look_again = Some(self.look_again.map_or(time, |known| known.min(time)));
    }

    /// Whether a time has passed; if not, that is when to look again.
    pub(super) fn is_due(&mut self, age: Duration, patience: Duration) -> bool {
        let left = patience.saturating_sub(age);
        if !left.is_zero() {
            self.look_in(left);
        }
        left.is_zero()
    }

    /// Something is known of this container already.
    pub(super) fn has_explained(&self, container: &str) -> bool {
        self.findings.iter().any(|found| found.container.as_deref() == Some(container))
    }
}

fn is_untouched(status: &ContainerStatus) -> bool {
    let waits = match &status.state {
        ContainerState::Waiting { reason, .. } => matches!(reason.as_str(), "" | "ContainerCreating" | "PodInitializing"),
        ContainerState::Running { .. } | ContainerState::Terminated { .. } => false,
    };
    waits && status.id.is_empty()
}

/// When an event was last seen.
pub(super) fn last(event: &PodEvent) -> u64 {
    event.last.max(event.first)
}

/// The container that an event is about: `spec.containers{app}`.
pub(super) fn container_of(event: &PodEvent) -> Option<&str> {
    event.field.split_once('{')?.1.strip_suffix('}')
}

/// Reason and message of a waiting container; empty when it does not wait.
pub(super) fn waits(status: &ContainerStatus) -> (&str, &str) {
    match &status.state {
        ContainerState::Waiting { reason, message } => (reason, message),
        ContainerState::Running { .. } | ContainerState::Terminated { .. } => ("", ""),
    }
}

/// How a container ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended<'a> {
    pub(super) code: i32,
    pub(super) signal: i32,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
    pub(super) started: u64,
    pub(super) finished: u64,
}

/// How it ended, when it is over; while it waits or runs again, how it ended last.
pub(super) fn last_end(status: &ContainerStatus) -> Option<Ended<'_>> {
    ended(&status.state).or_else(|| ended(status.last.as_ref()?))
}

/// Whether an event about a kill concerns this end of the container, and how sure that is.
///
/// Times of the status and of events have whole seconds. The kubelet's events about one pod are few after the first 25 (client-go,
/// `EventSourceObjectSpamFilter`: one in five minutes), so that a later start may have none of its own: one that ended in
/// the way that the kubelet ends containers then most likely ended for the same reason.
pub(super) fn concerns(event: &PodEvent, end: &Ended<'_>, killed: &[i32]) -> Option<Confidence> {
    if last(event).saturating_add(1_000_000_000) >= end.started {
        return Some(Confidence::Certain);
    }
    killed.contains(&end.code).then_some(Confidence::Likely)
}

/// A state, if it is an end.
pub(super) fn ended(state: &ContainerState) -> Option<Ended<'_>> {
    match state {
        ContainerState::Terminated { code, signal, reason, message, started, finished } => {
            Some(Ended { code: *code, signal: *signal, reason, message, started: *started, finished: *finished })
        }
        ContainerState::Waiting { .. } | ContainerState::Running { .. } => None,
    }
}

/// Since when a container runs.
pub(super) const fn running_since(status: &ContainerStatus) -> Option<u64> {
    match status.state {
        ContainerState::Running { since } => Some(since),
        ContainerState::Waiting { .. } | ContainerState::Terminated { .. } => None,
    }
}
