//! Who looks: two crews, so that what must be looked at within a millisecond does not wait for what may take a second.
//!
//! One of them takes notes of records as they pass, the other answers questions. Both may get stuck in a file system that a
//! container chose; what that costs is bounded by [`Crew`] for a container and by [`Sites`] for a file system.

use super::{
    crew::{Counts, Crew, Lane, Limits, Refusal},
    reach::{self, Sites},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};

/// A note takes tens of microseconds. What waits of all containers is some 200 bytes each, 1 MiB at most.
const NOTES: Limits = Limits {
    name: "note",
    places: 3,
    more: 32,
    slow: Duration::from_millis(20),
    stuck: Duration::from_secs(1),
    waiting: 32,
    waiting_in_all: 4096,
    idle: None, // to be there at once is what they are for
};
/// A look takes a millisecond, or tens of them on a busy machine. The engine speaks after 150 ms with what it knows then; what
/// comes later still amends the verdict, and a slow network file system answers within the second.
const LOOKS: Limits = Limits {
    name: "look",
    places: 4,
    more: 64,
    slow: Duration::from_millis(250),
    stuck: PATIENCE,
    waiting: 256,
    waiting_in_all: 4096,
    idle: Some(Duration::from_secs(10)),
};
/// How long a look may take before it is given up, with the wait for its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer waits for the notes that were made before the question: less than the engine waits for the answer.
const NOTED_WITHIN: Duration = Duration::from_millis(100);

/// What could not be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookCounts {
    /// Looks given up, because a file system did not answer.
    pub looks_abandoned: u64,
    /// Looks not begun, because an earlier one at the container is stuck, or too many wait.
    pub looks_refused: u64,
    /// Notes given up.
    pub notes_abandoned: u64,
    /// Notes not made, because an earlier one of the container is stuck, or too many wait.
    pub notes_dropped: u64,
    /// Threads that are stuck now.
    pub stuck: u64,
}

/// Both crews.
#[derive(Debug)]
pub(super) struct Lookers {
    notes: Crew,
    looks: Crew,
    sites: Arc<Sites>,
}

impl Lookers {
    pub(super) fn new() -> Self {
        Self { notes: Crew::new(NOTES), looks: Crew::new(LOOKS), sites: Sites::new() }
    }

    /// Makes a note soon; those of a container in their order. What there is no room for is counted.
    pub(super) fn note(&self, container: u64, note: impl FnOnce() + Send + 'static) {
        let sites = Arc::clone(&self.sites);
        let note = move || {
            let _begun = sites.begin();
            note();
        };
        let _counted = self.notes.submit(lane(container), Box::new(note));
    }

    /// Changes only what is remembered, behind all notes of the container: at once if there are none.
    pub(super) fn after_notes(&self, container: u64, change: impl FnOnce() + Send + 'static) {
        if let Some(now) = self.notes.submit_last(lane(container), Box::new(change)) {
            now();
        }
    }

    /// Whether all notes of a container are made.
    pub(super) fn is_noted(&self, container: u64) -> bool {
        self.notes.is_done(lane(container))
    }

    /// Waits until the notes of a container are made, but not long.
    pub(super) async fn noted(&self, container: u64) {
        if let Some(done) = self.notes.done(lane(container)) {
            let _late = timeout(NOTED_WITHIN, done).await;
        }
    }

    /// Runs a look. An `Err` says why there is no answer.
    pub(super) async fn look<T: Send + 'static>(&self, at: Lane, look: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let (sender, receiver) = oneshot::channel();
        let sites = Arc::clone(&self.sites);
        let run = move || {
            if sender.is_closed() {
                return; // it has waited too long for its turn
            }
            let _begun = sites.begin();
            let found = look();
            drop(sender.send(reach::broken_off().map_or(Ok(found), Err)));
        };
        match self.looks.submit(at, Box::new(run)) {
            Ok(()) => {}
            Err(Refusal::Stuck) => return Err(STUCK.to_owned()),
            Err(Refusal::Full) => return Err("too many other looks wait".to_owned()),
        }
        match timeout(PATIENCE, receiver).await {
            Ok(Ok(found)) => found,
            Ok(Err(_dropped)) => Err(STUCK.to_owned()),
            Err(_late) => Err(format!("a file system did not answer within {} s", PATIENCE.as_secs())),
        }
    }

    /// What could not be looked at so far, also while others look.
    pub(super) fn observe(&self) -> impl Fn() -> LookCounts + Send + Sync + use<> {
        let (notes, looks) = (self.notes.counts(), self.looks.counts());
        move || {
            let of = |counts: &Counts| [&counts.abandoned, &counts.refused, &counts.stuck].map(|count| count.load(Ordering::Relaxed));
            let ([notes_abandoned, notes_dropped, stuck_notes], [looks_abandoned, looks_refused, stuck_looks]) = (of(&notes), of(&looks));
            LookCounts { looks_abandoned, looks_refused, notes_abandoned, notes_dropped, stuck: stuck_notes + stuck_looks }
        }
    }
}

const STUCK: &str = "an earlier look at this container has not returned: a file system does not answer";

const fn lane(container: u64) -> Lane {
    Lane { container, without_files: false }
}
