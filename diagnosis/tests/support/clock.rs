//! A node whose wall clock is set while a story goes on: the same story, its later dates stamped by the new clock.

use super::play::CLOCK;
use unready_diagnosis::{
    Input,
    cluster::{ClusterAnswer, PodChange},
    pod::{ContainerState, Pod, PodEvent},
    question::Answer,
    units::{BootNanos, ClockAnchor},
};

/// When the clock is set, and by how many nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub at: BootNanos,
    pub by: i64,
}

impl Step {
    /// The clock from then on.
    pub fn anchor(self) -> ClockAnchor {
        ClockAnchor { boot: self.at, wall: CLOCK.wall_nanos(self.at).saturating_add_signed(self.by) }
    }

    /// What the engine hears of it.
    pub fn input(self) -> (BootNanos, Input) {
        (self.at, Input::Clock(self.anchor()))
    }

    /// What a date becomes that would have been this one: what is stamped after the step is stamped by the new clock.
    fn stamp(self, date: &mut u64) {
        if *date > CLOCK.wall_nanos(self.at) {
            *date = date.saturating_add_signed(self.by);
        }
    }

    /// The dates of an input.
    pub fn dates(self, mut input: Input) -> Input {
        match &mut input {
            Input::Pods(PodChange::Apply(pod)) => self.pod(pod),
            Input::Pods(PodChange::Reset(pods)) => pods.iter_mut().for_each(|pod| self.pod(pod)),
            Input::ClusterAnswer { answer: ClusterAnswer::PodEvents(events), .. } => events.iter_mut().for_each(|event| self.event(event)),
            Input::Answer { answer: Answer::Walk(walk), .. } => {
                let dates = walk.components.iter_mut().flat_map(|file| [&mut file.born, &mut file.changed]);
                dates.flatten().for_each(|date| self.stamp(date));
            }
            _ => {}
        }
        input
    }

    /// The dates of a pod.
    pub fn pod(self, pod: &mut Pod) {
        self.stamp(&mut pod.created);
        for date in pod.deleted.iter_mut().chain(&mut pod.status.started) {
            self.stamp(date);
        }
        for condition in &mut pod.status.conditions {
            self.stamp(&mut condition.since);
        }
        for state in pod.status.containers.iter_mut().flat_map(|status| std::iter::once(&mut status.state).chain(&mut status.last)) {
            match state {
                ContainerState::Running { since } => self.stamp(since),
                ContainerState::Terminated { started, finished, .. } => [started, finished].into_iter().for_each(|date| self.stamp(date)),
                ContainerState::Waiting { .. } => {}
            }
        }
    }

    fn event(self, event: &mut PodEvent) {
        self.stamp(&mut event.first);
        self.stamp(&mut event.last);
    }
}
