//! Which Event is sent next, and when. Pure: time is an argument.
//!
//! ```text
//!             offer               next                 Published
//!   (nothing) ─────► due ───────────────────► in flight ────────► said
//!                     ▲    rates allow it         │                 │
//!                     ├── Again, Missing, Exists ─┘                 │
//!                     └──── offer: other words, or a higher count ──┘
//! ```
//!
//! An Event is worth a request when its words change (after a moment, in which they may change again), and now and then
//! when only its count did.

use super::object::{Item, Words};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// Verdicts that are known at once.
pub const QUEUE_MAX: usize = 1024;
/// Requests about one object: so many at once, then one each so often.
const OBJECT: Rate = Rate { burst: 10.0, each: Duration::from_secs(15) };
/// Requests altogether.
const ALL: Rate = Rate { burst: 50.0, each: Duration::from_millis(200) };
/// Words may change again within this time.
const SETTLE: Duration = Duration::from_secs(1);
/// A count alone is told so often.
const COUNT: Duration = Duration::from_mins(1);
/// First and longest pause of all requests when the server is away.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// What became of offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Offers whose words or count were not told yet.
    pub waiting: usize,
    /// Requests that the server took.
    pub published: u64,
    /// Verdicts that did not fit into the queue.
    pub dropped: u64,
    /// Verdicts that the server did not take for good: forbidden, or their namespace is going.
    pub refused: u64,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Published,
    /// It was created before: by us before a restart, or by the instance that we replace.
    Exists,
    /// It was deleted, by time or by hand; or the namespace was.
    Missing,
    /// The server is away.
    Again,
    /// It will not be taken.
    InVain,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Create(Box<Item>),
    Patch(Box<Item>),
    /// Nothing before this time.
    At(Instant),
    /// Nothing until something is offered.
    Idle,
    /// Closed, and all is said.
    Ended,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: BTreeMap<String, Entry>,
    objects: BTreeMap<String, Bucket>,
    all: Option<Bucket>,
    paused: Option<(Instant, u32)>,
    closed: bool,
    counts: Counts,
}

#[derive(Debug)]
struct Entry {
    item: Item,
    /// When it is to be sent; `None`: it is said, or in flight.
    due: Option<Instant>,
    exists: bool,
    said: Option<(Words, u32, Instant)>,
}

impl Queue {
    pub(super) fn offer(&mut self, item: Item, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&item.id) {
            let due = entry.due_with(&item, now);
            entry.item = item;
            entry.due = entry.due.into_iter().chain(due).min();
        } else if self.make_room() {
            self.entries.insert(item.id.clone(), Entry { item, due: Some(now), exists: false, said: None });
        } else {
            self.counts.dropped += 1;
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts { waiting: self.entries.values().filter(|entry| entry.due.is_some()).count(), ..self.counts }
    }

    /// Everything is due now; when all is said, it is the end.
    pub(super) fn close(&mut self, now: Instant) {
        self.closed = true;
        for entry in self.entries.values_mut().filter(|entry| entry.due.is_some()) {
            entry.due = Some(now);
        }
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        let mut waiting: Vec<_> = self.entries.values().filter_map(|entry| Some((entry.due?, &entry.item))).collect();
        waiting.sort_by_key(|(due, _)| *due);
        let floor = self.paused.map(|(until, _)| until).into_iter().chain(self.all.map(|all| all.ready(ALL))).max();
        let ready = |(due, item): &(Instant, &Item)| {
            let object = self.objects.get(&item.object).map(|bucket| bucket.ready(OBJECT));
            [Some(*due), floor, object].into_iter().flatten().max()
        };
        let Some((at, id)) = waiting.iter().filter_map(|one| Some((ready(one)?, &one.1.id))).min_by_key(|(at, _)| *at) else {
            return if self.closed { Next::Ended } else { Next::Idle };
        };
        if at > now {
            return Next::At(at);
        }
        let id = id.clone();
        self.take(&id, now)
    }

    fn take(&mut self, id: &str, now: Instant) -> Next {
        let Some(entry) = self.entries.get_mut(id) else { return Next::Idle };
        entry.due = None;
        self.all.get_or_insert(Bucket::full(ALL, now)).take(ALL, now);
        self.objects.entry(entry.item.object.clone()).or_insert(Bucket::full(OBJECT, now)).take(OBJECT, now);
        let item = Box::new(entry.item.clone());
        let (exists, objects) = (entry.exists, self.objects.len());
        if objects > QUEUE_MAX {
            self.objects.retain(|_, bucket| !bucket.is_full(OBJECT, now));
        }
        if exists { Next::Patch(item) } else { Next::Create(item) }
    }

    pub(super) fn done(&mut self, item: &Item, outcome: Outcome, now: Instant) {
        let attempts = self.paused.take().map_or(0, |(_, attempts)| attempts);
        let Some(entry) = self.entries.get_mut(&item.id) else { return };
        let was_patch = entry.exists;
        match outcome {
            Outcome::Published => {
                self.counts.published += 1;
                (entry.exists, entry.said) = (true, Some((item.words.clone(), item.count, now)));
                entry.due = entry.due_with(&entry.item, now);
            }
            Outcome::Exists => (entry.exists, entry.due) = (true, Some(now)),
            Outcome::Missing if was_patch => (entry.exists, entry.due) = (false, Some(now)),
            Outcome::Again => {
                entry.due = Some(now);
                let pause = PAUSE.0.saturating_mul(1 << attempts.min(8)).min(PAUSE.1);
                self.paused = Some((now + pause, attempts + 1));
            }
            // Said as far as we are concerned: other words would be tried again.
            Outcome::Missing | Outcome::InVain => {
                self.counts.refused += 1;
                (entry.exists, entry.said) = (false, Some((item.words.clone(), item.count, now)));
                entry.due = entry.due_with(&entry.item, now);
            }
        }
    }

    /// Room for one more: what is said can be forgotten, the oldest first.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < QUEUE_MAX {
            return true;
        }
        let said = self.entries.iter().filter(|(_, entry)| entry.due.is_none());
        let oldest = said.filter_map(|(id, entry)| Some((entry.said.as_ref()?.2, id))).min().map(|(_, id)| id.clone());
        oldest.is_some_and(|id| self.entries.remove(&id).is_some())
    }
}

impl Entry {
    /// When this state is worth a request, compared with what was said last.
    fn due_with(&self, item: &Item, now: Instant) -> Option<Instant> {
        match &self.said {
            None => self.due.is_some().then_some(now), // in flight: `done` compares
            Some((words, _, at)) if *words != item.words => Some(now.max(*at + SETTLE)),
            Some((_, count, at)) => (*count != item.count).then(|| now.max(*at + COUNT)),
        }
    }
}

/// A token bucket's measure.
#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: f64,
    each: Duration,
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    const fn full(rate: Rate, now: Instant) -> Self {
        Self { tokens: rate.burst, at: now }
    }

    fn tokens(&self, rate: Rate, now: Instant) -> f64 {
        (self.tokens + now.saturating_duration_since(self.at).as_secs_f64() / rate.each.as_secs_f64()).min(rate.burst)
    }

    fn is_full(&self, rate: Rate, now: Instant) -> bool {
        self.tokens(rate, now) >= rate.burst
    }

    /// When there is a token.
    fn ready(&self, rate: Rate) -> Instant {
        if self.tokens >= 1.0 { self.at } else { self.at + rate.each.mul_f64(1.0 - self.tokens) }
    }

    fn take(&mut self, rate: Rate, now: Instant) {
        (self.tokens, self.at) = ((self.tokens(rate, now) - 1.0).max(0.0), now);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{super::object, *};
    use k8s_openapi::api::core::v1::ObjectReference;
    use unready_proto::v1::Verdict;

    const SECOND: Duration = Duration::from_secs(1);

    fn item(id: &str, pod: &str, summary: &str, count: u32) -> Item {
        let verdict = Verdict { id: id.into(), cause: "Crashed".into(), summary: summary.into(), count, ..Verdict::default() };
        let regarding = ObjectReference { namespace: Some("shop".into()), name: Some(pod.into()), ..ObjectReference::default() };
        object::item(&verdict, object::Regarding(regarding), "node").unwrap()
    }

    /// Sends what is due, and tells how many requests that were.
    fn send(queue: &mut Queue, now: Instant, outcome: Outcome) -> (usize, usize) {
        let (mut created, mut patched) = (0, 0);
        loop {
            match queue.next(now) {
                Next::Create(item) => (created, ()) = (created + 1, queue.done(&item, outcome, now)),
                Next::Patch(item) => (patched, ()) = (patched + 1, queue.done(&item, outcome, now)),
                Next::At(_) | Next::Idle | Next::Ended => return (created, patched),
            }
        }
    }

    #[test]
    fn created_once_then_patched() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.offer(item("1", "a", "x", 1), start);
        assert_eq!(send(&mut queue, start, Outcome::Published), (1, 0));
        queue.offer(item("1", "a", "x", 1), start);
        assert_eq!(queue.next(start), Next::Idle, "the same again is nothing new");
        queue.offer(item("1", "a", "more", 1), start);
        assert_eq!(queue.next(start), Next::At(start + SETTLE));
        assert_eq!(send(&mut queue, start + SETTLE, Outcome::Published), (0, 1));
    }

    #[test]
    fn counts_alone_are_told_now_and_then() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.offer(item("1", "a", "x", 1), start);
        send(&mut queue, start, Outcome::Published);
        for n in 2..200 {
            queue.offer(item("1", "a", "x", n), start + SECOND);
        }
        assert_eq!(queue.next(start + SECOND), Next::At(start + COUNT));
        assert_eq!(queue.counts().waiting, 1);
        assert_eq!(send(&mut queue, start + COUNT, Outcome::Published), (0, 1));
    }

    #[test]
    fn what_changes_in_flight_is_said_afterwards() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.offer(item("1", "a", "x", 1), start);
        let Next::Create(flying) = queue.next(start) else { panic!("is due") };
        queue.offer(item("1", "a", "y", 1), start);
        assert_eq!(queue.next(start), Next::Idle, "one request at a time about one Event");
        queue.done(&flying, Outcome::Published, start);
        assert_eq!(send(&mut queue, start + SETTLE, Outcome::Published), (0, 1));
        assert_eq!(queue.counts().published, 2);
    }

    #[test]
    fn one_pod_cannot_crowd_out_the_others() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        for n in 0..30 {
            queue.offer(item(&format!("{n}"), "storm", "x", 1), start);
        }
        queue.offer(item("other", "calm", "x", 1), start);
        assert_eq!(send(&mut queue, start, Outcome::Published), (11, 0), "ten of the storm, and the calm one");
        assert_eq!(send(&mut queue, start + OBJECT.each, Outcome::Published), (1, 0));
    }

    #[test]
    fn there_is_a_limit_altogether() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        for n in 0..100 {
            queue.offer(item(&format!("{n}"), &format!("pod-{n}"), "x", 1), start);
        }
        assert_eq!(send(&mut queue, start, Outcome::Published).0, 50);
        assert_eq!(send(&mut queue, start + SECOND, Outcome::Published).0, 5);
    }

    #[test]
    fn an_absent_server_is_tried_less_and_less_often() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.offer(item("1", "a", "x", 1), start);
        let mut now = start;
        for expected in [500, 1000, 2000, 4000, 8000, 15_000, 15_000] {
            assert_eq!(send(&mut queue, now, Outcome::Again), (1, 0));
            let Next::At(at) = queue.next(now) else { panic!("it is not given up") };
            assert_eq!(at - now, Duration::from_millis(expected));
            now = at;
        }
        assert_eq!(send(&mut queue, now, Outcome::Published), (1, 0), "nothing is lost");
    }

    #[test]
    fn who_was_before_us_is_patched_and_who_expired_is_made_anew() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.offer(item("1", "a", "x", 3), start);
        let Next::Create(first) = queue.next(start) else { panic!("is due") };
        queue.done(&first, Outcome::Exists, start);
        let Next::Patch(second) = queue.next(start) else { panic!("is to be patched") };
        queue.done(&second, Outcome::Missing, start);
        let Next::Create(third) = queue.next(start) else { panic!("is to be made anew") };
        queue.done(&third, Outcome::Missing, start);
        assert_eq!(queue.next(start), Next::Idle, "its namespace is gone");
        assert_eq!(queue.counts().refused, 1);
    }

    #[test]
    fn bounded_and_counted() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        for n in 0..QUEUE_MAX + 7 {
            queue.offer(item(&format!("{n}"), &format!("pod-{n}"), "x", 1), start);
        }
        assert_eq!(queue.counts(), Counts { waiting: QUEUE_MAX, dropped: 7, ..Counts::default() });
        assert_eq!(send(&mut queue, start, Outcome::InVain).0, 50);
        queue.offer(item("new", "pod-new", "x", 1), start);
        assert_eq!(queue.counts().dropped, 7, "what is said makes room");
    }

    #[test]
    fn closing_says_what_waits() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.offer(item("1", "a", "x", 1), start);
        send(&mut queue, start, Outcome::Published);
        queue.offer(item("1", "a", "x", 9), start);
        queue.close(start);
        assert_eq!(send(&mut queue, start, Outcome::Published), (0, 1));
        assert_eq!(queue.next(start), Next::Ended);
    }
}
