//! What is on its way to the collector: waiting, then in flight until it is acknowledged. Pure.
//!
//! ```text
//!   offer ─► waiting ─ next_batch ─► in flight ─ acknowledge ─► gone
//!              │                       │
//!              └─ full: oldest dropped └─ connection lost: sent again, same number, same order
//! ```
//!
//! Start reports go in the same batches, with bounds of their own ([`super::starts`]).
//!
//! What is acknowledged and still so is remembered, for a collector that has moved without its database: it is told again, as
//! room for it comes up, and never takes more than half of what may wait.
//!
//! Dates are those of the node's clock. When it is set, what is kept here is dated anew ([`Outbox::clock_set`]).
//!
//! Bounded by [`Limits`], some 2 KiB a verdict. A verdict that is offered again takes the place of its older self if that
//! still waits: a failure that repeats while the collector is down needs one place. What is in flight is never dropped,
//! because the collector may have it already.

use super::{counts::Counts, dates, starts::Starts};
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
    /// Start reports that wait.
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

/// What was not acknowledged at the end.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// Verdicts, oldest first. They may arrive twice, which their ids make harmless.
    pub verdicts: Vec<Verdict>,
    /// How many start reports.
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

    /// Whether the collector that there is now keeps starts. From one that does not, those in flight are taken back: it may
    /// acknowledge them, and would forget them.
    pub(super) fn starts_are_kept(&mut self, are_kept: bool) {
        self.starts.hold(!are_kept);
        if !are_kept {
            let in_flight: Vec<StartReport> = self.in_flight.iter_mut().flat_map(|batch| std::mem::take(&mut batch.starts)).collect();
            self.starts.take_back(in_flight.into_iter());
        }
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
        self.waiting.is_empty() && self.in_flight.is_empty() && self.starts.is_empty()
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
#[path = "outbox_tests.rs"]
mod tests;
