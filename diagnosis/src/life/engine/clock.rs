//! The engine's part when the node's clock is set.

use super::Engine;
use crate::{
    answer::Answer,
    life::clock::{move_answer, of_answer},
    units::{BootNanos, ClockAnchor},
    verdict::Verdict,
};

impl Engine {
    /// The node's wall clock was set, at about `now`: what is kept moves with it, and nothing is said.
    pub fn handle_clock(&mut self, anchor: ClockAnchor, now: BootNanos) {
        let step = anchor.ahead_of(self.config.clock);
        if step == 0 {
            return;
        }
        let before = self.config;
        self.config.clock = anchor;
        for state in self.pods.states_mut() {
            let said: Vec<Verdict> = state.verdicts(&before, now);
            state.move_by(&self.clocks, step, now);
            let dated = state.verdicts(&self.config, now);
            state.redate(&said, dated);
        }
        for container in self.containers.values_mut() {
            container.docket.asked.answers_mut().for_each(|answer| move_answer(answer, step));
        }
        self.clocks.set(anchor, now);
    }

    /// The dates of an answer by the clock of now, as far as they are of this node's clocks.
    pub(super) fn read_answer(&self, answer: &mut Answer, heard: BootNanos) {
        if self.clocks.was_set() {
            of_answer(answer, |date| *date = self.clocks.by_now(*date, heard).unwrap_or(*date));
        }
    }
}
