//! What happened once in a start, in order, and which probes were tried. Bounded: the first half of what comes is kept, and then the
//! latest, so that a server that executes and listens for ever loses neither its beginning nor its end.

use super::report::{ATTEMPTS, Attempt, MILESTONES, Milestone, Step};
use crate::units::BootNanos;

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Milestones {
    all: Vec<Milestone>,
    attempts: Vec<Attempt>,
    happened: u64,
    dropped: u32,
}

impl Milestones {
    pub(crate) const fn footprint(&self) -> usize {
        self.all.len() + self.attempts.len()
    }

    pub(crate) fn all(&self) -> &[Milestone] {
        &self.all
    }

    pub(crate) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Grows with what happened.
    pub(crate) const fn happened(&self) -> u64 {
        self.happened
    }

    /// How many were left out.
    pub(crate) const fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Something happened.
    pub(crate) fn reach(&mut self, step: Step, at: BootNanos) {
        self.happened = self.happened.saturating_add(1);
        if self.all.len() >= MILESTONES {
            self.all.remove(MILESTONES / 2);
            self.dropped = self.dropped.saturating_add(1);
        }
        let index = self.all.partition_point(|known| known.at <= at); // records of several processors may be out of order
        self.all.insert(index, Milestone { at, step });
    }

    /// It has not ended after all.
    pub(crate) fn take_back_end(&mut self) {
        self.all.retain(|known| !matches!(known.step, Step::Ended { .. }));
        self.happened = self.happened.saturating_add(1);
    }

    /// A socket began to listen. The same again (a restarted worker) is no news.
    pub(super) fn listening(&mut self, address: &str, port: u16, at: BootNanos) {
        let step = Step::Listening { address: address.to_owned(), port };
        if !self.all.iter().any(|known| known.step == step) {
            self.reach(step, at);
        }
    }

    /// A probe was tried. Those with the same outcome, one after the other, are counted.
    pub(crate) fn tried(&mut self, target: &str, passed: bool, outcome: &str, at: BootNanos) {
        if let Some(last) = self.attempts.last_mut()
            && (last.target.as_str(), last.passed, last.outcome.as_str()) == (target, passed, outcome)
        {
            last.last = at;
            last.count = last.count.saturating_add(1);
            return;
        }
        self.happened = self.happened.saturating_add(1);
        if self.attempts.len() >= ATTEMPTS {
            self.attempts.remove(ATTEMPTS / 2);
            self.dropped = self.dropped.saturating_add(1);
        }
        let (target, outcome) = (target.to_owned(), outcome.to_owned());
        self.attempts.push(Attempt { first: at, last: at, count: 1, target, passed, outcome });
    }
}
