//! The pods of this node, and what is said of them beside what their containers' kernel evidence says.
//!
//! ```text
//!   Pods(Apply, Reset, Delete) ─► PodState ─┬─► each of its containers: name, spec, readiness
//!   ClusterAnswer (events, claims) ─────────┤
//!   time ───────────────────────────────────┴─► platform::explain ─► verdicts on the pod, resolved when they no longer hold
//!   verdicts of its containers ─► PodState ─► the same finding of a later start is the same verdict, counted on
//! ```
//!
//! A pod that was deleted is kept for a while: its last container's verdict may still be on the way.

use super::{parts::KnownManifest, pod_state::PodState};
use crate::{cluster::ClusterQuestion, platform::NO_CGROUP, question::QuestionId, units::BootNanos, verdict::Verdict};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// All pods.
#[derive(Debug, Default)]
pub(crate) struct Pods {
    pub(super) by_uid: BTreeMap<String, PodState>,
    pub(super) questions: BTreeMap<QuestionId, (String, ClusterQuestion)>,
    pub(super) timers: BTreeSet<(BootNanos, String)>,
    /// Changes of pods that were not kept: there were too many.
    pub(crate) refused: u64,
    /// Anything was ever heard of pods: this node is one of a cluster.
    pub(crate) in_cluster: bool,
}

impl Pods {
    /// How many things are remembered.
    pub(crate) fn footprint(&self) -> usize {
        let states: usize = self.by_uid.values().map(PodState::footprint).sum();
        states + self.questions.len() + self.timers.len()
    }

    pub(super) fn states_mut(&mut self) -> impl Iterator<Item = &mut PodState> {
        self.by_uid.values_mut()
    }

    pub(crate) fn poll_timeout(&self) -> Option<BootNanos> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// What the API server says of a container, by its runtime id or, before it knows that, by its name.
    pub(crate) fn spec_of(&self, uid: &str, container_id: &str, name: &str) -> Option<KnownManifest> {
        let state = self.by_uid.get(uid)?;
        let by_id = state.pod.container_with_id(container_id).map(|(container, _)| container.name.as_str());
        let name = by_id.or_else(|| state.pod.container(name).map(|container| container.name.as_str()))?;
        Some(KnownManifest { pod: Arc::clone(&state.pod), name: name.to_owned(), claims: Arc::clone(&state.claims) })
    }

    /// Joins a container's verdict with what was said of its earlier starts; what no longer holds is resolved with it.
    pub(crate) fn join(&mut self, uid: &str, verdict: Verdict, now: BootNanos) -> Vec<Verdict> {
        let Some(state) = self.by_uid.get_mut(uid) else { return vec![verdict] };
        state.join(verdict, now)
    }

    /// A container of the pod has ended, and the kernel's evidence tells how.
    pub(crate) fn note_end(&mut self, uid: &str, container_id: String) {
        if let Some(state) = self.by_uid.get_mut(uid) {
            state.note_end(container_id);
        }
    }

    /// The container got over it: everything said of it is over.
    pub(crate) fn got_well(&mut self, uid: &str, container: &str, now: BootNanos) -> Vec<Verdict> {
        let Some(state) = self.by_uid.get_mut(uid) else { return Vec::new() };
        state.resolve(now, |verdict| verdict.workload.container == container && verdict.cgroup != NO_CGROUP)
    }
}
