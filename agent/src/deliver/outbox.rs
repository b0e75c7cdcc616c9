//! What is on its way to the collector: waiting, then in flight until it is acknowledged. Pure.
//!
//! ```text
//!   offer ─► waiting ─ next_batch ─► in flight ─ acknowledge ─► gone
//!              │                       │
//!              └─ full: oldest dropped └─ connection lost: sent again, same number, same order
//! ```
//!
//! Accounts of starts go in the same batches, with bounds of their own ([`super::starts`]).
//!
//! What is acknowledged and still so is remembered, for a collector that has moved without its database: it is told again, as
//! room for it comes up, and never takes more than half of what may wait.
//!
//! Dates are those of the node's clock. When it is set, what is kept here is dated anew ([`Outbox::clock_set`]).
//!
//! Bounded by [`Limits`], some 2 KiB a verdict. A verdict that is offered again takes the place of its older self if that
//! still waits: a failure that repeats while the collector is down needs one place. What is in flight is never dropped,
//! because the collector may have it already.

use super::{dates, starts::Starts};
use std::collections::VecDeque;
use unready_proto::{
    prost::Message as _,
    v1::{StartReport, Verdict, VerdictBatch},
};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Verdicts that wait.
    pub waiting: usize,
    /// Verdicts sent and not acknowledged, above which no further batch is sent.
    pub in_flight: usize,
    /// Verdicts in one batch.
    pub batch: usize,
    /// Accounts of starts that wait.
    pub starts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { waiting: 1024, in_flight: 256, batch: 64, starts: 256 }
    }
}

/// How many acknowledged verdicts are remembered, the latest ones: a node has some hundred containers.
const TOLD_MAX: usize = 512;
/// A batch stays far below the 4 MiB that gRPC servers take by default.
const BATCH_BYTES: usize = 1 << 20;

/// What became of what was offered of one kind, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Offered.
    pub offered: u64,
    /// Took the place of an older self that still waited.
    pub replaced: u64,
    /// Dropped because the queue was full.
    pub dropped: u64,
    /// Committed by the collector.
    pub acknowledged: u64,
}

/// What was not acknowledged at the end.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// Verdicts, oldest first. They may arrive twice, which their ids make harmless.
    pub verdicts: Vec<Verdict>,
    /// How many accounts of starts.
    pub starts: usize,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    limits: Limits,
    waiting: VecDeque<Verdict>,
    in_flight: VecDeque<VerdictBatch>,
    /// Acknowledged, and not resolved, oldest first.
    told: VecDeque<Verdict>,
    /// The same, to be told again as soon as there is room.
    again: VecDeque<Verdict>,
    starts: Starts,
    last_sequence: u64,
    counts: Counts,
}

impl Outbox {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, starts: Starts::new(limits.starts), ..Self::default() }
    }

    pub(super) fn offer(&mut self, verdict: Verdict) {
        self.counts.offered += 1;
        if let Some(older) = self.waiting.iter_mut().find(|older| older.id == verdict.id) {
            *older = verdict;
            self.counts.replaced += 1;
            return;
        }
        if self.waiting.len() >= self.limits.waiting {
            self.waiting.pop_front();
            self.counts.dropped += 1;
        }
        self.waiting.push_back(verdict);
    }

    pub(super) fn offer_start(&mut self, report: StartReport) {
        self.starts.offer(report);
    }

    /// Whether `next_batch` has one.
    pub(super) fn can_send(&self) -> bool {
        self.can_send_verdicts() || self.starts.can_send(self.starts_in_flight())
    }

    fn can_send_verdicts(&self) -> bool {
        !self.waiting.is_empty() && self.in_flight_len() < self.limits.in_flight
    }

    /// Moves what waits into flight, as much as one batch holds.
    pub(super) fn next_batch(&mut self) -> Option<VerdictBatch> {
        if !self.can_send() {
            return None;
        }
        let (verdicts, bytes) = self.next_verdicts();
        let starts = if self.starts.can_send(self.starts_in_flight()) {
            self.starts.take(BATCH_BYTES.saturating_sub(bytes), verdicts.is_empty())
        } else {
            Vec::new()
        };
        self.last_sequence += 1;
        let batch = self.with_drops(VerdictBatch { sequence: self.last_sequence, verdicts, starts, ..VerdictBatch::default() });
        self.in_flight.push_back(batch.clone());
        self.fill();
        Some(batch)
    }

    /// The verdicts of the next batch, and their size.
    fn next_verdicts(&mut self) -> (Vec<Verdict>, usize) {
        let (mut verdicts, mut bytes) = (Vec::new(), 0);
        while self.can_send_verdicts() && verdicts.len() < self.limits.batch.max(1) {
            let Some(size) = self.waiting.front().map(Verdict::encoded_len) else { break };
            if bytes + size > BATCH_BYTES && !verdicts.is_empty() {
                break;
            }
            bytes += size;
            verdicts.extend(self.waiting.pop_front());
        }
        (verdicts, bytes)
    }

    /// With what was given up until now.
    fn with_drops(&self, batch: VerdictBatch) -> VerdictBatch {
        VerdictBatch { dropped: self.counts.dropped, dropped_starts: self.starts.counts().dropped, ..batch }
    }

    /// Everything in flight, for a new connection. A count that is smaller than one the collector has heard would mean a new agent.
    pub(super) fn unacknowledged(&self) -> Vec<VerdictBatch> {
        self.in_flight.iter().map(|batch| self.with_drops(batch.clone())).collect()
    }

    /// All batches up to `sequence` are committed.
    pub(super) fn acknowledge(&mut self, sequence: u64) {
        while let Some(batch) = self.in_flight.pop_front_if(|batch| batch.sequence <= sequence) {
            self.counts.acknowledged += batch.verdicts.len() as u64;
            self.starts.acknowledged(batch.starts.len());
            batch.verdicts.into_iter().for_each(|verdict| self.remember(verdict));
        }
    }

    fn remember(&mut self, verdict: Verdict) {
        for kept in [&mut self.told, &mut self.again] {
            kept.retain(|older| older.id != verdict.id);
        }
        if verdict.resolved_at.is_none() {
            self.told.push_back(verdict);
        }
        if self.told.len() > TOLD_MAX {
            self.told.pop_front();
        }
    }

    /// What is still so waits again, at once or as soon as there is room, unless a newer word of it is on its way: for a new
    /// connection, at whose other end may be a collector that knows nothing. To one that knows it all, it says nothing new.
    pub(super) fn tell_again(&mut self) {
        self.again.append(&mut self.told);
        let surplus = self.again.len().saturating_sub(TOLD_MAX);
        self.again.drain(..surplus);
        self.fill();
    }

    /// What is told again waits, and leaves room for news, which would drop the oldest that waits.
    fn fill(&mut self) {
        while self.waiting.len() < self.limits.waiting.div_ceil(2) {
            let Some(verdict) = self.again.pop_front() else { break };
            if self.is_on_its_way(&verdict.id) {
                self.told.push_back(verdict);
            } else {
                self.offer(verdict);
            }
        }
    }

    fn is_on_its_way(&self, id: &str) -> bool {
        self.in_flight.iter().flat_map(|batch| &batch.verdicts).chain(&self.waiting).any(|verdict| verdict.id == id)
    }

    /// The node's clock was set by so many nanoseconds. The collector may have what is in flight by the old clock, and keeps the
    /// earliest and the latest date that it is told.
    pub(super) fn clock_set(&mut self, by: i64) {
        let kept = self.waiting.iter_mut().chain(&mut self.told).chain(&mut self.again);
        kept.chain(self.in_flight.iter_mut().flat_map(|batch| &mut batch.verdicts)).for_each(|verdict| dates::shift(verdict, by));
        self.in_flight.iter_mut().flat_map(|batch| &mut batch.starts).for_each(|start| dates::shift_start(start, by));
        self.starts.clock_set(by);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty() && self.starts.len() == 0
    }

    pub(super) fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn in_flight_len(&self) -> usize {
        self.in_flight.iter().map(|batch| batch.verdicts.len()).sum()
    }

    pub(super) fn starts_in_flight(&self) -> usize {
        self.in_flight.iter().map(|batch| batch.starts.len()).sum()
    }

    pub(super) const fn starts(&self) -> &Starts {
        &self.starts
    }

    /// Everything that is not acknowledged; nothing is left.
    pub(super) fn take_all(&mut self) -> Left {
        let starts = self.starts_in_flight() + self.starts.clear();
        let sent = std::mem::take(&mut self.in_flight).into_iter().flat_map(|batch| batch.verdicts);
        let verdicts = sent.chain(std::mem::take(&mut self.waiting)).chain(std::mem::take(&mut self.again)).collect();
        Left { verdicts, starts }
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    fn verdict(id: &str, count: u32) -> Verdict {
        Verdict { id: id.to_owned(), count, ..Verdict::default() }
    }

    fn small() -> Outbox {
        Outbox::new(Limits { waiting: 3, in_flight: 2, batch: 2, starts: 9 })
    }

    fn ids(verdicts: &[Verdict]) -> Vec<&str> {
        verdicts.iter().map(|v| v.id.as_str()).collect()
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts() {
        let mut outbox = small();
        for id in ["a", "b", "c", "d", "e"] {
            outbox.offer(verdict(id, 1));
        }
        let batch = outbox.next_batch().expect("three wait");
        assert_eq!(ids(&batch.verdicts), ["c", "d"]);
        assert_eq!(batch.dropped, 2, "the collector is told");
        assert_eq!(outbox.counts(), Counts { offered: 5, dropped: 2, ..Counts::default() });
    }

    #[test]
    fn a_later_version_takes_the_place_of_one_that_waits() {
        let mut outbox = small();
        for (id, count) in [("a", 1), ("b", 1), ("a", 2), ("a", 3)] {
            outbox.offer(verdict(id, count));
        }
        let batch = outbox.next_batch().expect("two wait");
        assert_eq!(ids(&batch.verdicts), ["a", "b"]);
        assert_eq!(batch.verdicts[0].count, 3);
        assert_eq!(outbox.counts(), Counts { offered: 4, replaced: 2, ..Counts::default() });
    }

    #[test]
    fn what_is_in_flight_is_neither_replaced_nor_dropped() {
        let mut outbox = small();
        outbox.offer(verdict("a", 1));
        let first = outbox.next_batch().expect("one waits");
        for (id, count) in [("a", 2), ("b", 1), ("c", 1), ("d", 1)] {
            outbox.offer(verdict(id, count));
        }
        assert_eq!(outbox.counts().dropped, 1, "the later a, which waited");
        let again = outbox.unacknowledged();
        assert_eq!(again, [VerdictBatch { dropped: 1, ..first }], "the count is that of now");
    }

    #[test]
    fn the_window_closes_and_acknowledgements_open_it() {
        let mut outbox = small();
        for id in ["a", "b", "c"] {
            outbox.offer(verdict(id, 1));
        }
        let first = outbox.next_batch().expect("three wait");
        assert_eq!(outbox.next_batch(), None, "two are in flight");
        outbox.acknowledge(first.sequence);
        let second = outbox.next_batch().expect("the window is open");
        assert_eq!(second.sequence, first.sequence + 1);
        assert!(!outbox.is_empty());
        outbox.acknowledge(second.sequence);
        assert!(outbox.is_empty());
        assert_eq!(outbox.counts().acknowledged, 3);
    }

    #[test]
    fn acknowledgements_are_cumulative_and_repeats_harmless() {
        let mut outbox = Outbox::new(Limits { waiting: 9, in_flight: 9, batch: 1, starts: 9 });
        for id in ["a", "b", "c"] {
            outbox.offer(verdict(id, 1));
        }
        while outbox.next_batch().is_some() {}
        outbox.acknowledge(2);
        outbox.acknowledge(1);
        assert_eq!(outbox.unacknowledged().iter().map(|b| b.sequence).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn what_is_still_so_is_told_again_and_nothing_else() {
        let mut outbox = Outbox::new(Limits { waiting: 9, in_flight: 9, batch: 9, starts: 9 });
        for id in ["lasting", "resolved", "newer"] {
            outbox.offer(verdict(id, 1));
        }
        let batch = outbox.next_batch().expect("three wait");
        outbox.acknowledge(batch.sequence);
        outbox.offer(Verdict { resolved_at: Some(unready_proto::time::timestamp(1)), ..verdict("resolved", 1) });
        let batch = outbox.next_batch().expect("one waits");
        outbox.acknowledge(batch.sequence);
        outbox.offer(verdict("newer", 2));
        outbox.tell_again();
        let again = outbox.next_batch().expect("two wait");
        assert_eq!(ids(&again.verdicts), ["newer", "lasting"]);
        assert_eq!(again.verdicts[0].count, 2);
        outbox.tell_again();
        assert_eq!(outbox.next_batch(), None, "all of it is on its way");
    }

    #[test]
    fn what_is_remembered_has_a_limit() {
        let mut outbox = Outbox::new(Limits { waiting: 2 * TOLD_MAX, in_flight: 2 * TOLD_MAX, batch: 64, starts: 9 });
        for id in 0..=TOLD_MAX {
            outbox.offer(verdict(&id.to_string(), 1));
        }
        while let Some(batch) = outbox.next_batch() {
            outbox.acknowledge(batch.sequence);
        }
        outbox.tell_again();
        assert_eq!(outbox.waiting_len(), TOLD_MAX);
    }

    /// Sends and acknowledges until nothing waits: the ids, in order.
    fn delivered(outbox: &mut Outbox) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(batch) = outbox.next_batch() {
            outbox.acknowledge(batch.sequence);
            told.extend(batch.verdicts.into_iter().map(|verdict| verdict.id));
        }
        told
    }

    #[test]
    fn what_finds_no_room_is_told_again_as_soon_as_there_is() {
        let mut outbox = Outbox::new(Limits { waiting: 4, in_flight: 2, batch: 2, starts: 9 });
        let lasting = ["a", "b", "c", "d", "e", "f"];
        for id in lasting {
            outbox.offer(verdict(id, 1));
            delivered(&mut outbox);
        }
        for id in ["new-1", "new-2", "new-3"] {
            outbox.offer(verdict(id, 1));
        }
        outbox.tell_again();
        outbox.offer(verdict("new-4", 1));
        assert_eq!(outbox.counts().dropped, 0, "news finds room");
        assert_eq!(delivered(&mut outbox), ["new-1", "new-2", "new-3", "new-4", "a", "b", "c", "d", "e", "f"]);
        assert!(outbox.is_empty());
        outbox.tell_again();
        assert_eq!(delivered(&mut outbox).len(), 10, "all of it is remembered for the next one");
    }

    #[test]
    fn what_waits_to_be_told_again_never_overtakes_a_newer_word() {
        let mut outbox = Outbox::new(Limits { waiting: 2, in_flight: 9, batch: 1, starts: 9 });
        for id in ["a", "b"] {
            outbox.offer(verdict(id, 1));
        }
        delivered(&mut outbox);
        outbox.offer(verdict("new", 1));
        outbox.tell_again();
        let resolved = Verdict { resolved_at: Some(unready_proto::time::timestamp(1)), ..verdict("b", 1) };
        outbox.offer(resolved);
        assert_eq!(delivered(&mut outbox), ["new", "b", "a"]);
        outbox.tell_again();
        assert_eq!(delivered(&mut outbox), ["new", "a"], "b is not so any more");
    }

    #[test]
    fn what_a_clock_dated_that_was_set_is_dated_anew() {
        let mut outbox = Outbox::new(Limits { waiting: 9, in_flight: 9, batch: 1, starts: 9 });
        let of = |id: &str, seconds: u64| {
            let date = unready_proto::time::timestamp(seconds * 1_000_000_000);
            Verdict { first_seen: Some(date), ..verdict(id, 1) }
        };
        outbox.offer(of("told", 100));
        delivered(&mut outbox);
        outbox.offer(of("sent", 100));
        outbox.next_batch();
        outbox.offer(of("waits", 100));
        outbox.clock_set(-40_000_000_000);
        outbox.tell_again();
        assert_eq!(outbox.take_all().verdicts, [of("sent", 60), of("waits", 60), of("told", 60)]);
    }

    #[test]
    fn a_batch_stays_below_the_message_limit() {
        let mut outbox = Outbox::new(Limits { waiting: 9, in_flight: 9, batch: 9, starts: 9 });
        for id in ["a", "b", "c"] {
            outbox.offer(Verdict { summary: "x".repeat(BATCH_BYTES / 2), ..verdict(id, 1) });
        }
        let sizes: Vec<_> = std::iter::from_fn(|| outbox.next_batch()).map(|batch| batch.verdicts.len()).collect();
        assert_eq!(sizes, [1, 1, 1]);
    }

    fn start(id: &str) -> StartReport {
        StartReport { id: id.to_owned(), ..StartReport::default() }
    }

    #[test]
    fn a_flood_of_starts_pushes_no_verdict_out_and_holds_none_up() {
        let mut outbox = Outbox::new(Limits { waiting: 3, in_flight: 2, batch: 2, starts: 100 });
        for number in 0..1000 {
            outbox.offer_start(start(&number.to_string()));
            while outbox.next_batch().is_some() {}
        }
        assert!(!outbox.can_send(), "the window of starts is closed");
        outbox.offer(verdict("a", 1));
        let batch = outbox.next_batch().expect("that of verdicts is open");
        assert_eq!((ids(&batch.verdicts), batch.starts.len()), (vec!["a"], 0));
        assert_eq!((batch.dropped, batch.dropped_starts > 0), (0, true));
        assert_eq!(outbox.counts().dropped, 0);
    }

    #[test]
    fn both_go_in_one_batch_and_one_acknowledgement_stands_for_both() {
        let mut outbox = small();
        outbox.offer_start(start("s"));
        outbox.offer(verdict("a", 1));
        let batch = outbox.next_batch().expect("both wait");
        assert_eq!((batch.verdicts.len(), batch.starts.len()), (1, 1));
        assert!(!outbox.is_empty());
        outbox.acknowledge(batch.sequence);
        assert!(outbox.is_empty());
        assert_eq!((outbox.counts().acknowledged, outbox.starts().counts().acknowledged), (1, 1));
        outbox.tell_again();
        assert_eq!(outbox.next_batch().map(|batch| batch.starts), Some(vec![]), "a start is told once");
    }

    #[test]
    fn verdicts_that_wait_for_their_window_hold_no_start_up() {
        let mut outbox = small();
        for id in ["a", "b", "c"] {
            outbox.offer(verdict(id, 1));
        }
        outbox.next_batch();
        outbox.offer_start(start("s"));
        let batch = outbox.next_batch().expect("the window of starts is open");
        assert_eq!((batch.verdicts, batch.starts), (vec![], vec![start("s")]));
        assert_eq!(outbox.take_all().starts, 1, "it is not acknowledged");
    }
}
