//! The node's wall clock, when somebody sets it while the engine runs (NTP after a boot, a machine that was suspended, `date -s`).
//!
//! Kernel times are boot time and do not mind. What the API server and file systems tell are dates, stamped by the clock that ran at
//! that moment. The engine keeps all dates by the clock of now: a step moves what is kept by its length, so that **no age and no order
//! changes by a step**, and a date that comes in afterwards is looked up in the clocks that have run ([`Clocks::by_now`]).
//!
//! ```text
//!   boot time  ──────────────────────┬──────────────────────────► now
//!   wall       10:00 ─────────► 10:20│11:20 ──────────────► 11:50     a step of one hour
//!                  a former clock    │    the clock of now
//!   a date  10:10 ─ is by the former, 11:10 by the clock of now
//!           11:30 ─ is as it says
//!           10:50 ─ this node never showed: somebody else's clock. It counts from when it was heard
//! ```
//!
//! The same date of one pod is always taken to mean the same moment ([`Dates`]), however often it is told: after a step back the clock
//! shows the same hour twice.
//!
//! Refused: to say anything because of a step. Sentences with dates in them are remembered anew, and not said again.

use crate::{
    answer::Answer,
    pod::{ContainerState, Pod, PodEvent},
    units::{BootNanos, ClockAnchor},
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Former clocks remembered: what came before counts as stamped by the oldest of them.
const FORMER: usize = 16;
/// Dates that others stamp may be so far ahead of our clock.
const SKEW: Duration = Duration::from_secs(10);
/// The API server's dates are cut to whole seconds.
const CUT: u64 = 1_000_000_000;

/// The clocks that have run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clocks {
    pub(super) now: ClockAnchor,
    /// Oldest first, each with the moment at which the next one took its place.
    former: VecDeque<(ClockAnchor, BootNanos)>,
}

impl Clocks {
    /// So far only this one.
    pub(super) fn new(now: ClockAnchor) -> Self {
        Self { now, former: VecDeque::new() }
    }

    /// It was set since the engine began.
    pub(super) fn was_set(&self) -> bool {
        !self.former.is_empty()
    }

    /// How many clocks are remembered beside the one that runs.
    pub(super) fn footprint(&self) -> usize {
        self.former.len()
    }

    pub(super) fn set(&mut self, anchor: ClockAnchor, at: BootNanos) {
        if self.former.len() == FORMER {
            self.former.pop_front();
        }
        self.former.push_back((self.now, at));
        self.now = anchor;
    }

    /// Since when the clock of now runs, by itself; the moment may have been noticed late, and dates are cut.
    fn began(&self) -> u64 {
        self.former.back().map_or(0, |(_, until)| self.now.wall_nanos(*until).saturating_sub(CUT))
    }

    /// A date that was heard at a moment, by the clock of now. `None`: no clock of this node showed it before then. What two clocks
    /// have shown is taken for the later: nothing is called slow for what may be young.
    pub(super) fn by_now(&self, date: u64, heard: BootNanos) -> Option<u64> {
        if (self.began()..=self.now.wall_nanos(heard.after(SKEW))).contains(&date) {
            return Some(date);
        }
        let mut later = self.former.iter().enumerate().rev();
        let (_, (clock, _)) = later.find(|(index, (clock, until))| {
            let began = index.checked_sub(1).map_or(0, |before| clock.wall_nanos(self.former[before].1).saturating_sub(CUT));
            (began..=clock.wall_nanos(*until)).contains(&date)
        })?;
        Some(date.saturating_add_signed(self.now.ahead_of(*clock)))
    }
}

/// What a date tells of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tells {
    /// Something that was.
    Past,
    /// When something is to be over, so long after it began.
    Due(Duration),
}

/// How the dates of one pod are to be understood: as told, and by the clock of now. Empty until the clock is set for the first time.
#[derive(Debug, Default)]
pub(super) struct Dates {
    of_pod: BTreeMap<u64, u64>,
    of_events: BTreeMap<u64, u64>,
}

impl Dates {
    /// How many dates are remembered.
    pub(super) fn footprint(&self) -> usize {
        self.of_pod.len() + self.of_events.len()
    }

    fn known(&self, told: u64) -> Option<u64> {
        self.of_pod.get(&told).or_else(|| self.of_events.get(&told)).copied()
    }

    fn understand(&self, told: u64, tells: Tells, clocks: &Clocks, heard: BootNanos) -> u64 {
        self.known(told).unwrap_or_else(|| match tells {
            Tells::Past => clocks.by_now(told, heard).unwrap_or_else(|| clocks.now.wall_nanos(heard)),
            Tells::Due(_) if told >= clocks.began() => told, // it lies ahead, and only the API server's clock makes such dates
            Tells::Due(after) => clocks.now.wall_nanos(heard.after(after)),
        })
    }

    /// A pod has come whose dates are as told.
    pub(super) fn read_pod(&mut self, pod: &mut Pod, clocks: &Clocks, heard: BootNanos) {
        if clocks.was_set() {
            let mut read = BTreeMap::new();
            of_pod(pod, |date, tells| *date = *read.entry(*date).or_insert_with(|| self.understand(*date, tells, clocks, heard)));
            self.of_pod = read;
        }
    }

    /// Events have come whose dates are as told.
    pub(super) fn read_events(&mut self, events: &mut [PodEvent], clocks: &Clocks, heard: BootNanos) {
        if clocks.was_set() {
            let mut read = BTreeMap::new();
            of_events(events, |date| *date = *read.entry(*date).or_insert_with(|| self.understand(*date, Tells::Past, clocks, heard)));
            self.of_events = read;
        }
    }

    /// Before the first step everything is by the clock of now already, but for what that clock has not shown yet: it belongs to others
    /// and is as old as our knowledge of it.
    pub(super) fn begin(&mut self, pod: &mut Pod, events: &mut [PodEvent], now: u64) {
        let mut known = BTreeMap::new();
        of_pod(pod, |date, tells| {
            let told = *date;
            if matches!(tells, Tells::Past) {
                *date = told.min(now);
            }
            known.insert(told, *date);
        });
        self.of_pod = std::mem::take(&mut known);
        of_events(events, |date| {
            let told = *date;
            *date = told.min(now);
            known.insert(told, *date);
        });
        self.of_events = known;
    }

    pub(super) fn move_by(&mut self, step: i64) {
        for date in self.of_pod.values_mut().chain(self.of_events.values_mut()) {
            *date = date.saturating_add_signed(step);
        }
    }
}

/// All dates of a pod that are known.
pub(super) fn of_pod(pod: &mut Pod, mut each: impl FnMut(&mut u64, Tells)) {
    let mut past = |date: &mut u64| {
        if *date > 0 {
            each(date, Tells::Past);
        }
    };
    past(&mut pod.created);
    pod.status.started.iter_mut().for_each(&mut past);
    pod.status.conditions.iter_mut().for_each(|condition| past(&mut condition.since));
    for status in &mut pod.status.containers {
        for state in std::iter::once(&mut status.state).chain(&mut status.last) {
            match state {
                ContainerState::Running { since } => past(since),
                ContainerState::Terminated { started, finished, .. } => {
                    past(started);
                    past(finished);
                }
                ContainerState::Waiting { .. } => {}
            }
        }
    }
    if let Some(deadline) = &mut pod.deleted {
        each(deadline, Tells::Due(Duration::from_secs(pod.grace_seconds)));
    }
}

pub(super) fn of_events(events: &mut [PodEvent], mut each: impl FnMut(&mut u64)) {
    events.iter_mut().flat_map(|event| [&mut event.first, &mut event.last]).filter(|date| **date > 0).for_each(&mut each);
}

/// All dates of an answer: those of files, by the clock of this node (or of a file server).
pub(super) fn of_answer(answer: &mut Answer, mut each: impl FnMut(&mut u64)) {
    if let Answer::Walk(walk) = answer {
        walk.components.iter_mut().flat_map(|file| [&mut file.born, &mut file.changed]).flatten().for_each(&mut each);
    }
}

/// A kept answer's dates move with the clock.
pub(super) fn move_answer(answer: &mut Answer, step: i64) {
    of_answer(answer, |date| *date = date.saturating_add_signed(step));
}
