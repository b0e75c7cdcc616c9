//! The engine's part with pods: what the API server tells of them reaches their containers, and what those say joins what was said before.

use super::{Engine, TICK};
use crate::{
    cluster::{ClusterAnswer, ClusterQuestion, PodChange},
    input::Output,
    life::{
        container::Container,
        pod_state::{PodState, SELDOM},
    },
    pod::Pod,
    question::QuestionId,
    units::{BootNanos, CgroupId},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long a deleted pod is remembered.
const REMEMBERED: Duration = Duration::from_secs(30);

impl Engine {
    /// The pods of this node have changed.
    pub fn handle_pods(&mut self, change: PodChange, now: BootNanos) {
        self.pods.in_cluster = true;
        match change {
            PodChange::Apply(pod) => self.apply_pod(*pod, now),
            PodChange::Delete { uid } => self.delete_pod(&uid, now),
            PodChange::Reset(pods) => {
                let here: BTreeSet<&str> = pods.iter().map(|pod| pod.uid.as_str()).collect();
                let gone: Vec<String> = self.pods.by_uid.keys().filter(|uid| !here.contains(uid.as_str())).cloned().collect();
                for uid in gone {
                    self.delete_pod(&uid, now);
                }
                for pod in pods {
                    self.apply_pod(pod, now);
                }
            }
            PodChange::Unreachable => {}
        }
    }

    /// The cluster has answered.
    pub fn handle_cluster_answer(&mut self, id: QuestionId, answer: ClusterAnswer, now: BootNanos) {
        let Some((uid, question)) = self.pods.questions.remove(&id) else { return };
        let Some(state) = self.pods.by_uid.get_mut(&uid) else { return };
        match (question, answer) {
            (ClusterQuestion::PodEvents { .. }, ClusterAnswer::PodEvents(mut events)) => {
                state.dates.read_events(&mut events, &self.clocks, now);
                state.events = events;
            }
            (ClusterQuestion::Claim { name, .. }, ClusterAnswer::Claim(claim)) => {
                let claims = Arc::make_mut(&mut state.claims);
                claims.retain(|known| known.name != name);
                claims.push(claim);
                self.tell_containers(&uid, now);
            }
            (ClusterQuestion::PodEvents { .. } | ClusterQuestion::Claim { .. }, _) => {}
        }
        self.judge_pod(&uid, now);
    }

    /// Pods whose time has come.
    pub(super) fn pod_timeouts(&mut self, now: BootNanos) {
        while let Some((_, uid)) = self.pods.timers.first().filter(|(at, _)| *at <= now).cloned() {
            self.pods.timers.pop_first();
            let Some(state) = self.pods.by_uid.get_mut(&uid) else { continue };
            state.scheduled = None;
            if state.deleted.is_some_and(|at| now.since(at) >= REMEMBERED) {
                self.pods.by_uid.remove(&uid);
                self.pods.questions.retain(|_, (of, _)| *of != uid);
            } else {
                self.judge_pod(&uid, now);
            }
        }
    }

    /// Tells a container of a pod what the API server says of it.
    pub(super) fn introduce(&mut self, cgroup: CgroupId, now: BootNanos) {
        let in_cluster = self.pods.in_cluster;
        let Some(container) = self.containers.get(&cgroup).filter(|_| in_cluster) else { return };
        let known = self.pods.spec_of(&container.membership.pod_uid, &container.workload.container_id, &container.workload.container);
        self.with(cgroup, now, |container, now| {
            container.membership.in_cluster = true;
            if let Some(known) = known {
                container.know(&known, now);
            }
        });
    }

    /// Passes on what a container of a pod says, joined with what was said of its earlier starts.
    pub(super) fn speak_for_pod(&mut self, uid: &str, outputs: Vec<Output>, well: Option<String>, now: BootNanos) {
        let mut spoke = false;
        for output in outputs {
            match output {
                Output::Verdict(verdict) => {
                    spoke = true;
                    self.outputs.extend(self.pods.join(uid, *verdict, now).into_iter().map(|verdict| Output::Verdict(Box::new(verdict))));
                }
                Output::Start(_) | Output::Attention(..) | Output::Ask(..) | Output::AskCluster(..) | Output::Release(_) => {
                    self.outputs.push_back(output);
                }
            }
        }
        if let Some(container) = well {
            let over = self.pods.got_well(uid, &container, now);
            self.outputs.extend(over.into_iter().map(|verdict| Output::Verdict(Box::new(verdict))));
        }
        if spoke {
            self.judge_pod(uid, now);
        }
    }

    fn apply_pod(&mut self, pod: Pod, now: BootNanos) {
        let uid = pod.uid.clone();
        let is_full = self.pods.by_uid.len() >= self.config.pods;
        match self.pods.by_uid.get_mut(&uid) {
            Some(state) => state.hear(pod, &self.clocks, now),
            None if pod.has_succeeded() => return, // it is well, and nothing was said of it
            None if !is_full => {
                let mut state = PodState::new();
                state.hear(pod, &self.clocks, now);
                self.pods.by_uid.insert(uid.clone(), state);
            }
            None => {
                self.pods.refused = self.pods.refused.saturating_add(1);
                return;
            }
        }
        self.settle_replaced(&uid, now);
        self.tell_containers(&uid, now);
        self.judge_pod(&uid, now);
    }

    /// A pod that has failed for good is history once its owner has made another: an evicted one, one that was rejected.
    fn settle_replaced(&mut self, uid: &str, now: BootNanos) {
        let Some(pod) = self.pods.by_uid.get(uid).map(|state| Arc::clone(&state.pod)).filter(|pod| pod.owner.is_some()) else { return };
        let has_successor =
            self.pods.by_uid.get(uid).is_some_and(|state| self.pods.by_uid.values().any(|other| state.pod.is_replaced_by(&other.pod)));
        for (other, state) in &mut self.pods.by_uid {
            if (other == uid && has_successor) || state.pod.is_replaced_by(&pod) {
                state.replaced = true;
                let over = state.resolve(now, |_| true);
                self.outputs.extend(over.into_iter().map(|verdict| Output::Verdict(Box::new(verdict))));
            }
        }
    }

    fn delete_pod(&mut self, uid: &str, now: BootNanos) {
        let Some(state) = self.pods.by_uid.get_mut(uid).filter(|state| state.deleted.is_none()) else { return };
        state.deleted = Some(now);
        let over = state.resolve(now, |_| true);
        self.outputs.extend(over.into_iter().map(|verdict| Output::Verdict(Box::new(verdict))));
        self.schedule_pod(uid, now.after(REMEMBERED));
    }

    /// What is known of the pod reaches its containers.
    fn tell_containers(&mut self, uid: &str, now: BootNanos) {
        let theirs: Vec<CgroupId> =
            self.containers.iter().filter(|(_, container)| container.membership.pod_uid == uid).map(|(cgroup, _)| *cgroup).collect();
        for cgroup in theirs {
            self.introduce(cgroup, now);
        }
    }

    /// Claims are needed to explain a container; asked once.
    pub(super) fn want_claims(&mut self, uid: &str, now: BootNanos) {
        let Some(state) = self.pods.by_uid.get(uid).filter(|state| state.asked_claims.is_none()) else { return };
        let names = state.pod.claim_names().map(str::to_owned).collect();
        self.ask_claims(uid, names, now);
    }

    fn ask_claims(&mut self, uid: &str, names: Vec<String>, now: BootNanos) {
        let Some(state) = self.pods.by_uid.get_mut(uid) else { return };
        if names.is_empty() || state.asked_claims.is_some_and(|at| now.since(at) < SELDOM) {
            return;
        }
        state.asked_claims = Some(now);
        let namespace = state.pod.namespace.clone();
        for name in names {
            self.ask_cluster(uid, ClusterQuestion::Claim { namespace: namespace.clone(), name });
        }
    }

    fn ask_cluster(&mut self, uid: &str, question: ClusterQuestion) {
        let id = self.next_question_id();
        self.pods.questions.insert(id, (uid.to_owned(), question.clone()));
        self.outputs.push_back(Output::AskCluster(id, question));
    }

    fn schedule_pod(&mut self, uid: &str, at: BootNanos) {
        let Some(state) = self.pods.by_uid.get_mut(uid) else { return };
        if let Some(due) = state.scheduled.replace(at) {
            self.pods.timers.remove(&(due, uid.to_owned()));
        }
        self.pods.timers.insert((at, uid.to_owned()));
    }

    /// The containers of a pod that has been ready for long are left alone.
    fn settle_containers(&mut self, uid: &str, now: BootNanos) {
        let theirs = self.containers.iter().filter(|(_, container)| container.membership.pod_uid == uid && container.is_starting());
        for cgroup in theirs.map(|(cgroup, _)| *cgroup).collect::<Vec<_>>() {
            self.with(cgroup, now, Container::became_ready);
        }
    }

    /// Says what the API server's word on a pod means, and takes back what it no longer means.
    pub(super) fn judge_pod(&mut self, uid: &str, now: BootNanos) {
        let Some(state) = self.pods.by_uid.get_mut(uid).filter(|state| !state.is_over()) else { return };
        let explanation = state.explanation(&self.config, now);
        let (is_settled, settle_at) = state.settle_when_well(now);
        let mut over = if is_settled { state.over_when_well(now) } else { Vec::new() };
        let fresh = state.verdicts_on(&explanation, self.config.clock);
        over.extend(state.settle_old_stories(&explanation.findings, now));
        let said = state.say(fresh, now);
        let look_again = explanation.look_again.map(|after| now.after(after));
        let (ask_events, next_events) = state.events_due(explanation.needs_events, now);
        if ask_events {
            let question = ClusterQuestion::PodEvents {
                namespace: state.pod.namespace.clone(),
                pod: state.pod.name.clone(),
                uid: state.pod.uid.clone(),
            };
            self.ask_cluster(uid, question);
        }
        self.outputs.extend(over.into_iter().chain(said).map(|verdict| Output::Verdict(Box::new(verdict))));
        self.ask_claims(uid, explanation.needs_claims, now);
        if let Some(due) = look_again.into_iter().chain(next_events).chain(settle_at).min() {
            self.schedule_pod(uid, due.max(now.after(TICK)));
        }
        if is_settled {
            self.settle_containers(uid, now);
        }
    }
}
