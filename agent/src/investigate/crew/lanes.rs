//! The books of a crew: what waits, what is in work and for how long. Nothing here waits, calls or counts.

use super::{Job, Lane, Limits};
use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    time::{Duration, Instant},
};

/// What there is to do, and who does it.
#[derive(Default)]
pub(super) struct State {
    pub(super) lanes: BTreeMap<Lane, Queue>,
    /// Lanes with waiting work and none in work.
    pub(super) ready: VecDeque<Lane>,
    /// What is in work, in the order of its begin.
    pub(super) running: BTreeMap<u64, Running>,
    next: u64,
    pub(super) waiting: usize,
    pub(super) threads: usize,
    /// Threads without work that nobody has called.
    pub(super) idle: usize,
    /// Threads called, woken ones and new ones, that have not come yet.
    pub(super) called: usize,
    /// Of these, the ones that are to wake.
    pub(super) woken: usize,
    pub(super) watch: Watch,
    pub(super) is_closed: bool,
}

/// The thread that watches the others.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Watch {
    #[default]
    None,
    /// There was nothing to watch: it sleeps until it is called.
    Asleep,
    /// It looks again in a while.
    Awake,
}

/// A lane's work.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) tasks: VecDeque<Task>,
    pub(super) in_work: bool,
    pub(super) is_stuck: bool,
}

pub(super) struct Task {
    pub(super) job: Job,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Work,
    /// Is done even after what is stuck.
    Must,
    /// Says that what came before it is done.
    Sign,
}

pub(super) struct Running {
    pub(super) lane: Lane,
    pub(super) since: Instant,
    pub(super) is_slow: bool,
    pub(super) is_stuck: bool,
}

impl State {
    /// Adds work to the end of a lane.
    pub(super) fn push(&mut self, lane: Lane, task: Task) {
        let queue = self.lanes.entry(lane).or_default();
        if queue.tasks.is_empty() && !queue.in_work {
            self.ready.push_back(lane);
        }
        queue.tasks.push_back(task);
        self.waiting += 1;
    }

    /// Work that may be begun and has a place.
    pub(super) fn begin(&mut self, limits: &Limits) -> Option<(u64, Job)> {
        if self.places(limits) == 0 {
            return None;
        }
        let lane = self.ready.pop_front()?;
        let queue = self.lanes.get_mut(&lane)?;
        let task = queue.tasks.pop_front()?;
        queue.in_work = true;
        self.waiting -= 1;
        let number = self.next;
        self.next += 1;
        self.running.insert(number, Running { lane, since: Instant::now(), is_slow: false, is_stuck: false });
        Some((number, task.job))
    }

    /// How many more pieces may be in work.
    pub(super) fn places(&self, limits: &Limits) -> usize {
        limits.places.saturating_sub(self.running.values().filter(|running| !running.is_slow).count())
    }

    /// A piece of work is done.
    pub(super) fn end(&mut self, number: u64) -> Option<Running> {
        let running = self.running.remove(&number)?;
        if let Some(queue) = self.lanes.get_mut(&running.lane) {
            (queue.in_work, queue.is_stuck) = (false, false);
            if queue.tasks.is_empty() {
                self.lanes.remove(&running.lane);
            } else {
                self.ready.push_back(running.lane);
            }
        }
        Some(running)
    }

    /// When to look for the next piece of work that has got slow or stuck; `None`: there is none. Never later than a piece
    /// that is begun meanwhile gets slow.
    pub(super) fn next_change(&self, now: Instant, limits: &Limits) -> Option<Duration> {
        let pending = self.running.values().filter(|running| !running.is_stuck);
        let change = pending.map(|running| running.since + if running.is_slow { limits.stuck } else { limits.slow }).min()?;
        Some(change.saturating_duration_since(now).min(limits.slow))
    }

    /// Marks what has got slow or stuck. Returns what is dropped for it, and how many are newly stuck.
    pub(super) fn judge(&mut self, now: Instant, limits: &Limits) -> (Vec<Task>, u64) {
        let (mut dropped, mut stuck) = (Vec::new(), 0);
        for running in self.running.values_mut().filter(|running| !running.is_stuck) {
            let taken = now.saturating_duration_since(running.since);
            running.is_slow |= taken >= limits.slow;
            running.is_stuck = taken >= limits.stuck;
            if running.is_stuck
                && let Some(queue) = self.lanes.get_mut(&running.lane)
            {
                queue.is_stuck = true;
                let (must, may) = mem::take(&mut queue.tasks).into_iter().partition(|task| task.kind == Kind::Must);
                queue.tasks = must;
                dropped.extend::<VecDeque<Task>>(may);
                stuck += 1;
            }
        }
        self.waiting -= dropped.len();
        (dropped, stuck)
    }
}
