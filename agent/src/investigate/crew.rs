//! Threads for work that may get stuck: a file system that a container chose need never answer, and no signal ends the wait.
//!
//! Work comes in lanes, one for each container: what is in a lane is done in order, one at a time. A piece of work goes through:
//!
//! ```text
//!   waiting ──► in work ──► done
//!                  │ slow: its place is given to another thread ──► done
//!                  └────────► stuck: its lane is closed, what waits in it is dropped ──► done: the lane is open again
//! ```
//!
//! Bounded: the threads in all, so also those that are stuck; what waits in a lane, and in all. What was dropped, refused
//! and abandoned is counted. Nobody waits for these threads: they end with the process.

mod lanes;
#[cfg(test)]
mod tests;

use lanes::{Kind, State, Task, Watch};
use std::{
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Stack of a thread, bytes: what is read is read in pieces, into the heap.
const STACK: usize = 1 << 20;

/// A piece of work.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// What is done in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    /// Number of the container.
    pub(super) container: u64,
    /// Its files are not touched: a lane of its own, which its files cannot close.
    pub(super) without_files: bool,
}

/// What a crew may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Name of the threads.
    pub(super) name: &'static str,
    /// Pieces of work at once, slow ones not counted.
    pub(super) places: usize,
    /// Threads beside those, for what is slow or stuck.
    pub(super) more: usize,
    /// After so long work is slow.
    pub(super) slow: Duration,
    /// After so long work is stuck.
    pub(super) stuck: Duration,
    /// What may wait in a lane.
    pub(super) waiting: usize,
    /// What may wait in all lanes.
    pub(super) waiting_in_all: usize,
    /// How long a thread without work stays; `None`: always.
    pub(super) idle: Option<Duration>,
}

/// Why work was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The lane is closed.
    Stuck,
    /// Too much waits.
    Full,
}

/// What became of work that was not done.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Got stuck.
    pub(super) abandoned: AtomicU64,
    /// Was not taken, or taken and then dropped.
    pub(super) refused: AtomicU64,
    /// Is stuck now.
    pub(super) stuck: AtomicU64,
}

/// The threads with their work. They end when this is dropped, those that are stuck when they can.
pub(super) struct Crew(Arc<Inner>);

struct Inner {
    limits: Limits,
    state: Mutex<State>,
    /// For threads without work.
    calls: Condvar,
    /// For the one that watches the others.
    watch: Condvar,
    counts: Arc<Counts>,
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl Crew {
    pub(super) fn new(limits: Limits) -> Self {
        let (calls, watch) = (Condvar::new(), Condvar::new());
        Self(Arc::new(Inner { limits, state: Mutex::default(), calls, watch, counts: Arc::default() }))
    }

    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.0.counts)
    }

    /// Adds work to a lane.
    pub(super) fn submit(&self, lane: Lane, job: Job) -> Result<(), Refusal> {
        let limits = &self.0.limits;
        let mut state = self.0.lock();
        let queue = state.lanes.get(&lane);
        let refusal = if queue.is_some_and(|queue| queue.is_stuck) {
            Some(Refusal::Stuck)
        } else if queue.is_some_and(|queue| queue.tasks.len() >= limits.waiting) || state.waiting >= limits.waiting_in_all {
            Some(Refusal::Full)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.0.counts.refused.fetch_add(1, Ordering::Relaxed);
            return Err(refusal);
        }
        state.push(lane, Task { job, kind: Kind::Work });
        self.0.call(&mut state);
        Ok(())
    }

    /// Adds short work that must be done after all there is in the lane. `Some`: there is nothing, do it now.
    pub(super) fn submit_last(&self, lane: Lane, job: Job) -> Option<Job> {
        let mut state = self.0.lock();
        if !state.lanes.contains_key(&lane) || state.waiting >= 2 * self.0.limits.waiting_in_all {
            return Some(job);
        }
        state.push(lane, Task { job, kind: Kind::Must });
        self.0.call(&mut state);
        None
    }

    /// Whether nothing is in a lane.
    pub(super) fn is_done(&self, lane: Lane) -> bool {
        !self.0.lock().lanes.contains_key(&lane)
    }

    /// Tells when all that is in the lane now is done, or dropped. `None`: nothing is, or it is not worth waiting for.
    pub(super) fn done(&self, lane: Lane) -> Option<oneshot::Receiver<()>> {
        let mut state = self.0.lock();
        let queue = state.lanes.get(&lane)?;
        if queue.is_stuck || queue.tasks.len() >= 2 * self.0.limits.waiting {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.push(lane, Task { job: Box::new(move || sender.send(()).unwrap_or(())), kind: Kind::Sign });
        self.0.call(&mut state);
        Some(receiver)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        let left = mem::take(&mut state.lanes); // its jobs may hold this crew's owner
        state.ready.clear();
        drop(state);
        drop(left);
        self.0.calls.notify_all();
        self.0.watch.notify_all();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls threads for what is ready and has a place.
    fn call(self: &Arc<Self>, state: &mut State) {
        let wanted = state.places(&self.limits).min(state.ready.len());
        while state.called < wanted {
            if state.idle > 0 {
                state.idle -= 1;
                state.woken += 1;
                self.calls.notify_one();
            } else if state.threads >= self.limits.places + self.limits.more || !self.spawn(Self::work) {
                break; // the next thread that is done takes it
            } else {
                state.threads += 1;
            }
            state.called += 1;
        }
    }

    fn spawn(self: &Arc<Self>, run: fn(&Arc<Self>)) -> bool {
        let inner = Arc::clone(self);
        thread::Builder::new().name(self.limits.name.to_owned()).stack_size(STACK).spawn(move || run(&inner)).is_ok()
    }

    /// Of a thread: does what is ready, until there has been nothing for long.
    fn work(self: &Arc<Self>) {
        let mut state = self.lock();
        state.called -= 1;
        while !state.is_closed {
            if let Some((number, job)) = state.begin(&self.limits) {
                self.wake_watch(&mut state);
                drop(state);
                let _ = catch_unwind(AssertUnwindSafe(job)); // the hook has said it; the others go on
                state = self.lock();
                if state.end(number).is_some_and(|running| running.is_stuck) {
                    self.counts.stuck.fetch_sub(1, Ordering::Relaxed);
                }
                continue;
            }
            let without_work = state.threads - state.running.len();
            if without_work > self.limits.places {
                break; // was stuck, and has been replaced
            }
            let is_called;
            (state, is_called) = self.rest(state);
            if !is_called {
                break;
            }
        }
        state.threads -= 1;
    }

    /// Waits to be called; `false`: for too long.
    fn rest<'s>(&self, mut state: MutexGuard<'s, State>) -> (MutexGuard<'s, State>, bool) {
        state.idle += 1;
        let is_wanted = |state: &mut State| state.woken == 0 && !state.is_closed;
        state = match self.limits.idle {
            Some(idle) => self.calls.wait_timeout_while(state, idle, is_wanted).unwrap_or_else(PoisonError::into_inner).0,
            None => self.calls.wait_while(state, is_wanted).unwrap_or_else(PoisonError::into_inner),
        };
        let is_called = state.woken > 0;
        if is_called {
            state.woken -= 1;
            state.called -= 1;
        } else {
            state.idle -= 1;
        }
        (state, is_called)
    }

    fn wake_watch(self: &Arc<Self>, state: &mut State) {
        match state.watch {
            Watch::Awake => return,
            Watch::Asleep => self.watch.notify_one(),
            Watch::None if !self.spawn(Self::watch) => return,
            Watch::None => {}
        }
        state.watch = Watch::Awake;
    }

    /// Of one thread: replaces those that are slow, closes the lanes of those that are stuck.
    fn watch(self: &Arc<Self>) {
        let mut state = self.lock();
        while !state.is_closed {
            let now = Instant::now();
            let (dropped, stuck) = state.judge(now, &self.limits);
            let refused = dropped.iter().filter(|task| task.kind == Kind::Work).count();
            self.counts.refused.fetch_add(refused as u64, Ordering::Relaxed);
            self.counts.abandoned.fetch_add(stuck, Ordering::Relaxed);
            self.counts.stuck.fetch_add(stuck, Ordering::Relaxed);
            self.call(&mut state);
            let next = state.next_change(now, &self.limits);
            if !dropped.is_empty() {
                drop(state);
                drop(dropped); // wakes those who wait for it
                state = self.lock();
            }
            state = match next {
                Some(next) => self.watch.wait_timeout(state, next).unwrap_or_else(PoisonError::into_inner).0,
                None if state.running.values().all(|running| running.is_stuck) => {
                    state.watch = Watch::Asleep;
                    self.watch.wait(state).unwrap_or_else(PoisonError::into_inner)
                }
                None => state, // begun while the lock was open
            };
        }
    }
}
