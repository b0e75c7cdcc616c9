//! Threads for work that may get stuck: a file system that a container chose need never answer, and no signal ends the wait.
//!
//! Work comes in lanes, one a container: what is in a lane is done in order, one at a time. A piece of work goes through:
//!
//! ```text
//!   waiting ──► in work ──► done
//!                  │ slow: its place is given to another thread ──► done
//!                  └────────► stuck: its lane is closed, what waits in it is dropped ──► done: the lane is open again
//! ```
//!
//! Bounded: the threads in all, so also those that are stuck; what waits in a lane, and in all. What was dropped, refused
//! and abandoned is counted. Nobody waits for these threads: they end with the process.

use std::{
    collections::{BTreeMap, VecDeque},
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

#[derive(Default)]
struct State {
    lanes: BTreeMap<Lane, Queue>,
    /// Lanes with waiting work and none in work.
    ready: VecDeque<Lane>,
    /// What is in work, in the order of its begin.
    running: BTreeMap<u64, Running>,
    next: u64,
    waiting: usize,
    threads: usize,
    /// Threads without work that nobody has called.
    idle: usize,
    /// Threads called, woken ones and new ones, that have not come yet.
    called: usize,
    /// Of these, the ones that are to wake.
    woken: usize,
    watch: Watch,
    is_closed: bool,
}

/// The thread that watches the others.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Watch {
    #[default]
    None,
    /// There was nothing to watch: it sleeps until it is called.
    Asleep,
    /// It looks again in a while.
    Awake,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    in_work: bool,
    is_stuck: bool,
}

struct Task {
    job: Job,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Work,
    /// Is done even after what is stuck.
    Must,
    /// Says that what came before it is done.
    Sign,
}

struct Running {
    lane: Lane,
    since: Instant,
    is_slow: bool,
    is_stuck: bool,
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

impl State {
    fn push(&mut self, lane: Lane, task: Task) {
        let queue = self.lanes.entry(lane).or_default();
        if queue.tasks.is_empty() && !queue.in_work {
            self.ready.push_back(lane);
        }
        queue.tasks.push_back(task);
        self.waiting += 1;
    }

    /// Work that may be begun and has a place.
    fn begin(&mut self, limits: &Limits) -> Option<(u64, Job)> {
        if !self.has_place(limits) {
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

    fn has_place(&self, limits: &Limits) -> bool {
        self.running.values().filter(|running| !running.is_slow).count() < limits.places
    }

    fn end(&mut self, number: u64) -> Option<Running> {
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
    fn next_change(&self, now: Instant, limits: &Limits) -> Option<Duration> {
        let pending = self.running.values().filter(|running| !running.is_stuck);
        let change = pending.map(|running| running.since + if running.is_slow { limits.stuck } else { limits.slow }).min()?;
        Some(change.saturating_duration_since(now).min(limits.slow))
    }

    /// Marks what has got slow or stuck. Returns what is dropped for it, and how many are newly stuck.
    fn judge(&mut self, now: Instant, limits: &Limits) -> (Vec<Task>, u64) {
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

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls threads for what is ready and has a place.
    fn call(self: &Arc<Self>, state: &mut State) {
        let in_place = state.running.values().filter(|running| !running.is_slow).count();
        let wanted = self.limits.places.saturating_sub(in_place).min(state.ready.len());
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::sync::mpsc;

    const SLOW: Duration = Duration::from_millis(20);
    const LIMITS: Limits = Limits {
        name: "test",
        places: 2,
        more: 4,
        slow: SLOW,
        stuck: Duration::from_millis(60),
        waiting: 3,
        waiting_in_all: 8,
        idle: Some(Duration::from_millis(50)),
    };

    /// Where nothing is to be called slow, however busy the machine.
    const PATIENT: Limits =
        Limits { slow: Duration::from_mins(1), stuck: Duration::from_mins(1), waiting: 100, waiting_in_all: 1000, ..LIMITS };

    fn lane(container: u64) -> Lane {
        Lane { container, without_files: false }
    }

    fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Work that is stuck until what is returned is dropped.
    fn stuck(crew: &Crew, container: u64) -> mpsc::Sender<()> {
        let (end, ended) = mpsc::channel();
        crew.submit(lane(container), Box::new(move || ended.recv().unwrap_or(()))).unwrap();
        end
    }

    fn number(counts: &AtomicU64) -> u64 {
        counts.load(Ordering::Relaxed)
    }

    #[test]
    fn a_lane_keeps_its_order() {
        let crew = Crew::new(PATIENT);
        let (seen, all) = mpsc::channel();
        for number in 0..50 {
            for container in 0..4 {
                let seen = seen.clone();
                crew.submit(lane(container), Box::new(move || seen.send((container, number)).unwrap())).unwrap();
            }
        }
        let all: Vec<(u64, u32)> = all.iter().take(200).collect();
        for container in 0..4 {
            let numbers: Vec<u32> = all.iter().filter(|(of, _)| *of == container).map(|(_, number)| *number).collect();
            assert_eq!(numbers, (0..50).collect::<Vec<_>>());
        }
        eventually("threads without work stay", || crew.0.lock().threads == 0);
    }

    #[test]
    fn what_is_stuck_is_replaced_and_its_lane_closed() {
        let crew = Crew::new(LIMITS);
        let ends: Vec<_> = (0..4).map(|container| stuck(&crew, container)).collect();
        let (done, is_done) = mpsc::channel();
        crew.submit(lane(9), Box::new(move || done.send(()).unwrap())).unwrap();
        is_done.recv_timeout(Duration::from_secs(10)).unwrap();
        let counts = crew.counts();
        eventually("nothing is abandoned", || number(&counts.stuck) == 4);
        assert_eq!(crew.submit(lane(0), Box::new(|| ())), Err(Refusal::Stuck));
        assert!(crew.done(lane(0)).is_none(), "not worth waiting for");
        let (last, is_last) = mpsc::channel();
        assert!(crew.submit_last(lane(0), Box::new(move || last.send(()).unwrap())).is_none());
        drop(ends);
        is_last.recv_timeout(Duration::from_secs(10)).unwrap();
        eventually("the lane stays closed", || crew.submit(lane(0), Box::new(|| ())).is_ok());
        eventually("what has returned still counts as stuck", || number(&counts.stuck) == 0);
        assert_eq!((number(&counts.abandoned), number(&counts.refused)), (4, 1));
        eventually("the replaced threads stay", || crew.0.lock().threads <= LIMITS.places);
    }

    #[test]
    fn threads_and_waiting_work_are_bounded() {
        let crew = Crew::new(LIMITS);
        let mut ends: Vec<_> = (0..6).map(|container| stuck(&crew, container)).collect();
        let counts = crew.counts();
        eventually("not all are begun", || number(&counts.stuck) == 6);
        ends.push(stuck(&crew, 6));
        assert_eq!(crew.0.lock().threads, 6);
        for _ in 0..3 {
            crew.submit(lane(7), Box::new(|| ())).unwrap();
        }
        assert_eq!(crew.submit(lane(7), Box::new(|| ())), Err(Refusal::Full));
        (8..12).for_each(|container| crew.submit(lane(container), Box::new(|| ())).unwrap());
        assert_eq!(crew.submit(lane(12), Box::new(|| ())), Err(Refusal::Full), "in all");
        drop(ends);
        eventually("what waited is not done", || crew.0.lock().waiting == 0);
    }

    #[test]
    fn what_breaks_does_not_take_its_thread_along() {
        let crew = Crew::new(PATIENT);
        for container in 0..8 {
            crew.submit(lane(container), Box::new(|| panic!("on purpose"))).unwrap();
        }
        let (done, is_done) = mpsc::channel();
        crew.submit(lane(0), Box::new(move || done.send(()).unwrap())).unwrap();
        is_done.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
