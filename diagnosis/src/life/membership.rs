//! What a container knows of its pod: its name, what the manifest says of it, and what the kubelet says of its readiness.

use super::{
    container::{Container, Fate},
    parts::{KnownManifest, Membership, Origin},
    state::State,
};
use crate::{
    answer::PodAnnotations,
    case::Manifest,
    pod::{ContainerKind, ContainerState},
    question::Question,
    record::ExitStatus,
    units::BootNanos,
};
use std::time::Duration;

/// How long a verdict waits for the manifest of a container whose name is known.
const SPEC_WITHIN: Duration = Duration::from_secs(3);
/// How long a verdict waits for the container's name: the kubelet reports a new container's id within about a second
/// (`pkg/kubelet/pleg/generic.go`, relist period), and may be late.
const NAME_WITHIN: Duration = Duration::from_secs(10);

impl Membership {
    /// The manifest's part, for rules.
    pub(super) fn known(&self) -> Option<Manifest<'_>> {
        let known = self.manifest.as_ref()?;
        Some(Manifest { pod: &known.pod, container: known.pod.container(&known.name)?, claims: &known.claims })
    }
}

impl Container {
    /// The manifest's part, for rules.
    pub(crate) fn manifest(&self) -> Option<Manifest<'_>> {
        self.membership.known()
    }

    /// Asks at once who it is: what the runtime wrote down is gone with the container.
    pub(crate) fn ask_who(&mut self, limit: usize) {
        let (cgroup, container_id) = (self.id, self.workload.container_id.clone());
        self.docket.asked.want_alone(Question::Identify { cgroup, container_id }, limit);
    }

    /// Who it is, as the runtime says.
    pub(crate) fn identified(&mut self, who: PodAnnotations) {
        if who.is_sandbox {
            self.fate = Fate::Sandbox;
            return;
        }
        if self.membership.manifest.is_none() {
            (self.workload.namespace, self.workload.pod) = (who.namespace, who.pod);
            (self.workload.container, self.workload.image) = (who.container, who.image);
        }
    }

    /// Who it is and how it is, as the API server says.
    pub(crate) fn know(&mut self, known: &KnownManifest, now: BootNanos) {
        let (pod, id) = (&known.pod, self.workload.container_id.clone());
        self.membership.manifest = Some(known.clone());
        let Some(container) = pod.container(&known.name) else { return };
        let workload = &mut self.workload;
        pod.namespace.clone_into(&mut workload.namespace);
        pod.name.clone_into(&mut workload.pod);
        pod.uid.clone_into(&mut workload.pod_uid);
        container.name.clone_into(&mut workload.container);
        container.image.clone_into(&mut workload.image);
        workload.owner.clone_from(&pod.owner);
        workload.kind = Some(container.kind);
        self.completeness.blind.own_kernel |= pod.has_own_kernel();
        let Some(status) = pod.status_of(&known.name) else { return };
        // A start that the kubelet has not reported yet follows the one that it knows.
        workload.restarts = if status.has_id(&id) || status.id.is_empty() { status.restarts_before(&id) } else { status.restarts + 1 };
        self.note_good_end();
        if status.id == id {
            self.hear_state(&status.state, now);
        } else if let Some(last) = status.last.as_ref().filter(|_| status.last_id == id) {
            self.hear_state(last, now);
        }
        if status.id != id || self.state.is_ended() {
            return; // an older word on readiness says nothing about an end that we have seen
        }
        let done = container.kind == ContainerKind::Init && matches!(status.state, ContainerState::Terminated { code: 0, .. });
        let runs = matches!(status.state, ContainerState::Running { .. });
        if done || (status.is_ready && container.readiness.is_some()) {
            self.became_ready(now);
        } else if self.membership.origin == Origin::Before && runs && !status.is_ready && self.state.is_left_alone() {
            self.revive(now);
        }
    }

    /// A container that may end, and did so well, got over what its earlier starts failed of.
    pub(crate) fn note_good_end(&mut self) {
        let ended_well = self.state.end().is_some_and(|(_, status)| status.is_success());
        self.membership.got_well |= ended_well && self.manifest().is_some_and(|manifest| !manifest.must_stay());
    }

    /// It ran before us, and is not ready.
    fn revive(&mut self, now: BootNanos) {
        self.membership.origin = Origin::Revived;
        self.state = State::attending(now);
        self.story.ready = None;
    }

    /// Whether what is to be said should wait for the pod's name and manifest.
    pub(crate) fn awaits_its_pod(&self, since: BootNanos, now: BootNanos) -> bool {
        now < self.pod_awaited_until(since)
    }

    /// The pod was waited for in vain.
    pub(super) const fn lacks_pod(&self) -> bool {
        let membership = &self.membership;
        membership.in_cluster && !membership.pod_uid.is_empty() && membership.manifest.is_none()
    }

    pub(crate) fn pod_awaited_until(&self, since: BootNanos) -> BootNanos {
        let membership = &self.membership;
        if !membership.in_cluster || membership.pod_uid.is_empty() || membership.manifest.is_some() {
            return since;
        }
        since.after(if self.workload.container.is_empty() { NAME_WITHIN } else { SPEC_WITHIN })
    }

    /// The kubelet decides when it is ready, or may still be about to tell that it does.
    pub(crate) fn is_probed(&self, now: BootNanos) -> bool {
        match self.manifest() {
            Some(spec) => spec.is_probed(),
            None => self.awaits_its_pod(self.created, now),
        }
    }

    /// The kubelet probes it and has had no answer yet.
    pub(crate) fn is_unready(&self) -> bool {
        self.story.ready.is_none() && self.manifest().is_some_and(|manifest| manifest.is_probed())
    }

    /// Its end is wrong by itself, whatever the exit code: a server of a pod that is to run for ever.
    pub(crate) fn must_stay(&self) -> bool {
        self.manifest().is_some_and(|manifest| manifest.must_stay())
    }

    /// The kubelet may have ended it: the pod is being deleted, or a liveness or startup probe has had the time to fail.
    /// (A server that ends in good order on SIGTERM exits with 0.)
    pub(crate) fn may_have_been_stopped(&self) -> bool {
        let (Some(spec), Some((ended, status))) = (self.manifest(), self.state.end()) else { return false };
        if spec.pod.deleted.is_some() {
            return true;
        }
        let lived = ended.since(self.created);
        let graceful = status.is_success() || matches!(status, ExitStatus::Code(143) | ExitStatus::Signal(15));
        let probes = [&spec.container.liveness, &spec.container.startup];
        graceful && probes.into_iter().flatten().any(|probe| lived >= time_to_kill(probe.initial_delay, probe.period, probe.failures))
    }
}

/// The earliest that a probe can have a container killed.
fn time_to_kill(initial_delay: u32, period: u32, failures: u32) -> Duration {
    let periods = period.max(1).saturating_mul(failures.saturating_sub(1));
    Duration::from_secs(u64::from(initial_delay.saturating_add(periods)))
}
