//! What the pipeline says, to whoever runs it: a queue for each kind, none of which another kind can fill.
//!
//! | kind | when the queue is full |
//! |---|---|
//! | verdicts | one of the same id takes its place; else the oldest Advisory goes, then the oldest of the next severity |
//! | questions about the cluster | the question is given back, and answered at once: it cannot be asked |
//! | starts | one of the same id takes its place; else the oldest goes |
//! | listeners, for a launcher that asked for them: its own command's | the oldest goes |
//! | that the clock was set | never full: it is a flag |
//!
//! Verdicts, questions and starts that go are counted. Saying never waits; hearing takes the kinds in the order of the table, the clock first.

use super::{
    Event,
    gauges::{Gauge, QueueFill},
    latest::{Latest, Word},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::sync::Notify;
use unready_diagnosis::{cluster::ClusterQuestion, question::QuestionId, story::report::StartReport, verdict::Verdict};

/// Verdicts that may wait: some 2 KiB each.
pub(super) const VERDICTS: usize = 1024;
/// Questions about the cluster that may wait.
const QUESTIONS: usize = 256;
/// Start reports that may wait: some 4 KiB each.
const STARTS: usize = 256;
/// Changes of listeners that may wait.
const LISTENERS: usize = 256;

/// The end that speaks. When it goes, [`Events::recv`] ends after what was said before.
#[derive(Debug)]
pub(super) struct EventSender(Arc<Shared>);

/// The end that hears.
#[derive(Debug)]
pub struct Events(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    verdicts: Latest<Verdict>,
    questions: VecDeque<(QuestionId, ClusterQuestion)>,
    starts: Latest<StartReport>,
    listeners: VecDeque<Event>,
    clock_set: bool,
    refused_questions: u64,
    is_over: bool,
}

/// Two ends of one queue.
pub(super) fn channel() -> (EventSender, Events) {
    let shared = Arc::<Shared>::default();
    (EventSender(Arc::clone(&shared)), Events(shared))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner) // each change is whole by itself
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.lock());
        self.news.notify_one();
    }
}

impl EventSender {
    /// Says a finding.
    pub(super) fn verdict(&self, verdict: Box<Verdict>) {
        let mut dropped = 0;
        self.0.change(|waiting| dropped = push(&mut waiting.verdicts, verdict, VERDICTS));
        if dropped.is_power_of_two() {
            tracing::warn!("{dropped} verdicts were dropped: whoever takes them is too slow");
        }
    }

    /// Says how a start goes.
    pub(super) fn start(&self, report: Box<StartReport>) {
        let mut dropped = 0;
        self.0.change(|waiting| dropped = push(&mut waiting.starts, report, STARTS));
        if dropped.is_power_of_two() {
            tracing::info!("{dropped} start reports were dropped: whoever takes them is too slow");
        }
    }

    /// Asks about the cluster; `false`: too many questions wait.
    #[must_use]
    pub(super) fn ask(&self, id: QuestionId, question: ClusterQuestion) -> bool {
        let mut has_room = false;
        self.0.change(|waiting| {
            has_room = waiting.questions.len() < QUESTIONS;
            if has_room {
                waiting.questions.push_back((id, question));
            } else {
                waiting.refused_questions += 1;
            }
        });
        has_room
    }

    /// Tells a launcher of a listener.
    pub(super) fn listener(&self, event: Event) {
        self.0.change(|waiting| {
            if waiting.listeners.len() == LISTENERS {
                waiting.listeners.pop_front();
            }
            waiting.listeners.push_back(event);
        });
    }

    /// Somebody set the clock.
    pub(super) fn clock_set(&self) {
        self.0.change(|waiting| waiting.clock_set = true);
    }

    /// How the queue of verdicts stands.
    pub(super) fn verdicts(&self) -> Gauge {
        self.gauge(|waiting| QueueFill { length: waiting.verdicts.len(), capacity: VERDICTS, dropped: waiting.verdicts.dropped() })
    }

    /// How the queue of starts stands.
    pub(super) fn starts(&self) -> Gauge {
        self.gauge(|waiting| QueueFill { length: waiting.starts.len(), capacity: STARTS, dropped: waiting.starts.dropped() })
    }

    /// How the queue of questions stands; those that were given back count as dropped.
    pub(super) fn questions(&self) -> Gauge {
        self.gauge(|waiting| QueueFill { length: waiting.questions.len(), capacity: QUESTIONS, dropped: waiting.refused_questions })
    }

    /// A view that does not keep the queues.
    fn gauge(&self, look: fn(&Waiting) -> QueueFill) -> Gauge {
        let shared: Weak<Shared> = Arc::downgrade(&self.0);
        Gauge::new(move || Some(look(&shared.upgrade()?.lock())))
    }
}

/// How many are dropped by now, if this dropped one; else 0.
fn push<T: Word>(queue: &mut Latest<T>, word: Box<T>, room: usize) -> u64 {
    let before = queue.dropped();
    queue.push(word, room);
    if queue.dropped() == before { 0 } else { queue.dropped() }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        self.0.change(|waiting| waiting.is_over = true);
    }
}

impl Events {
    /// The next word; `None` when the pipeline has ended and everything was heard. May be dropped while it waits: nothing is lost.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            let news = self.0.news.notified(); // before the look: what is said after it is kept for this wait
            let is_over = {
                let mut waiting = self.0.lock();
                if let Some(event) = waiting.next() {
                    return Some(event);
                }
                waiting.is_over
            };
            if is_over {
                return None;
            }
            news.await;
        }
    }

    /// What was said so far and not heard, one at a time.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.0.lock().next()
    }
}

impl Waiting {
    fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.clock_set) {
            return Some(Event::ClockSet);
        }
        if let Some(verdict) = self.verdicts.pop() {
            return Some(Event::Verdict(verdict));
        }
        if let Some((id, question)) = self.questions.pop_front() {
            return Some(Event::AskCluster(id, question));
        }
        if let Some(report) = self.starts.pop() {
            return Some(Event::Start(report));
        }
        self.listeners.pop_front()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use unready_diagnosis::{
        catalogue::Cause,
        story::report::Stage,
        units::{BootNanos, CgroupId},
        verdict::{Completeness, Confidence, Remedy, Severity, Subject, SubjectKind, Workload},
    };

    fn verdict(id: &str, severity: Severity, count: u64) -> Box<Verdict> {
        Box::new(Verdict {
            id: id.to_owned(),
            cause: Cause::PermissionDenied,
            layer: String::new(),
            severity,
            confidence: Confidence::Certain,
            completeness: Completeness::default(),
            subject: Subject { kind: SubjectKind::Path, name: "/data".to_owned() },
            workload: Workload::default(),
            cgroup: CgroupId(7),
            summary: String::new(),
            explanation: Vec::new(),
            remedy: Remedy::default(),
            evidence: Vec::new(),
            first_seen: BootNanos(1),
            last_seen: BootNanos(1),
            count,
            resolved_at: None,
        })
    }

    fn heard(events: &mut Events) -> Vec<String> {
        let word = |event| match event {
            Event::Verdict(verdict) => format!("{}×{}", verdict.id, verdict.count),
            Event::Start(report) => format!("start {} {}", report.id, report.stage.word()),
            Event::AskCluster(id, _) => format!("question {}", id.0),
            Event::Listening { port, .. } => format!("port {port}"),
            Event::ClockSet => "clock".to_owned(),
        };
        std::iter::from_fn(|| events.try_recv()).map(word).collect()
    }

    fn start(id: &str, stage: Stage) -> Box<StartReport> {
        Box::new(StartReport {
            id: id.to_owned(),
            workload: Workload::default(),
            cgroup: CgroupId(7),
            stage,
            note: String::new(),
            began: BootNanos(1),
            told: BootNanos(1),
            milestones: Vec::new(),
            attempts: Vec::new(),
            waits: Vec::new(),
            dropped: 0,
            completeness: Completeness::default(),
        })
    }

    fn listening(port: u16) -> Event {
        Event::Listening { cgroup: CgroupId(1), address: String::new(), port, open: true }
    }

    #[test]
    fn a_later_word_takes_the_place_of_an_earlier_one() {
        let (sender, mut events) = channel();
        for (id, count) in [("a", 1), ("b", 1), ("a", 2), ("a", 3)] {
            sender.verdict(verdict(id, Severity::Blocking, count));
        }
        assert_eq!(heard(&mut events), ["a×3", "b×1"]);
        sender.verdict(verdict("a", Severity::Blocking, 4));
        assert_eq!(heard(&mut events), ["a×4"], "what was heard is no longer replaced");
    }

    #[test]
    fn a_flood_of_starts_drops_no_verdict_and_the_oldest_start_goes() {
        let (sender, mut events) = channel();
        sender.verdict(verdict("a", Severity::Advisory, 1));
        for number in 0..STARTS + 2 {
            sender.start(start(&number.to_string(), Stage::Created));
        }
        sender.start(start("2", Stage::Ready));
        assert_eq!(sender.starts().look(), Some(QueueFill { length: STARTS, capacity: STARTS, dropped: 2 }));
        let heard = heard(&mut events);
        assert_eq!(heard[..3], ["a×1", "start 2 Ready", "start 3 Created"], "the later word of 2 stands where the earlier one did");
        assert_eq!(heard.len(), 1 + STARTS);
    }

    #[test]
    fn a_flood_of_listeners_drops_no_verdict_and_no_question() {
        let (sender, mut events) = channel();
        sender.verdict(verdict("a", Severity::Blocking, 1));
        assert!(sender.ask(QuestionId(7), ClusterQuestion::PodEvents { namespace: "n".into(), pod: "p".into(), uid: "u".into() }));
        for port in 0..u16::try_from(2 * LISTENERS).unwrap() {
            sender.listener(listening(port));
        }
        let heard = heard(&mut events);
        assert_eq!(heard[..2], ["a×1", "question 7"]);
        assert_eq!(heard.len(), 2 + LISTENERS);
    }

    #[test]
    fn the_oldest_advisory_goes_first() {
        let mut verdicts = Latest::default();
        for (id, severity) in [("b", Severity::Blocking), ("s", Severity::Slowing), ("a1", Severity::Advisory), ("a2", Severity::Advisory)]
        {
            verdicts.push(verdict(id, severity, 1), 4);
        }
        let mut left = Vec::new();
        for new in ["n1", "n2", "n3", "n4"] {
            verdicts.push(verdict(new, Severity::Blocking, 1), 4);
            left.push(verdicts.ids().join(" "));
        }
        assert_eq!(left, ["b s a2 n1", "b s n1 n2", "b n1 n2 n3", "n1 n2 n3 n4"]);
        assert_eq!(verdicts.dropped(), 4);
    }

    #[test]
    fn an_advisory_takes_the_place_of_nothing_that_matters_more() {
        let mut verdicts = Latest::default();
        for (id, severity) in [("b", Severity::Blocking), ("s", Severity::Slowing), ("a", Severity::Advisory)] {
            verdicts.push(verdict(id, severity, 1), 2);
        }
        assert_eq!((verdicts.ids(), verdicts.dropped()), (vec!["b", "s"], 1));
    }

    #[test]
    fn a_question_for_which_there_is_no_room_is_given_back() {
        let (sender, _events) = channel();
        let ask = |id| sender.ask(QuestionId(id), ClusterQuestion::PodEvents { namespace: "n".into(), pod: "p".into(), uid: "u".into() });
        assert!((0..QUESTIONS as u64).all(ask));
        assert!(!ask(9999));
        assert_eq!(sender.questions().look().map(|fill| (fill.length, fill.dropped)), Some((QUESTIONS, 1)));
    }

    #[tokio::test]
    async fn it_ends_with_its_speaker_and_after_its_last_word() {
        let (sender, mut events) = channel();
        let gauge = sender.verdicts();
        sender.verdict(verdict("a", Severity::Blocking, 1));
        sender.clock_set();
        assert_eq!(gauge.look(), Some(QueueFill { length: 1, capacity: VERDICTS, dropped: 0 }));
        let listener = tokio::spawn(async move {
            let mut words = 0;
            while events.recv().await.is_some() {
                words += 1;
            }
            words
        });
        tokio::task::yield_now().await;
        drop(sender);
        assert_eq!(listener.await.unwrap(), 2);
        assert_eq!(gauge.look(), None);
    }
}
