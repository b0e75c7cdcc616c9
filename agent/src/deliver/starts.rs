//! Start reports that wait for the collector. Pure.
//!
//! They share the stream and the batches with verdicts, and nothing else: a queue of their own, with bounds of their own, and a window of
//! their own, so that they never push a verdict out or hold one up. A later report of a start takes the place of the one that waits.
//! Where there are too many the one that has waited longest goes, and is counted. What was acknowledged is not told again, to another
//! collector either: it is history, and the next report of the same start says all of it again.

use super::{counts::Counts, dates};
use std::collections::VecDeque;
use unready_proto::{prost::Message as _, v1::StartReport};

/// Encoded bytes that wait at most: some 2 KiB each, but what a container executes and listens on is its own choice.
const BYTES: usize = 4 << 20;
/// Sent and not acknowledged, above which no further one is sent.
const IN_FLIGHT: usize = 64;
/// In one batch.
const BATCH: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Starts {
    /// Reports that wait at most.
    room: usize,
    /// The collector would acknowledge and forget them: they wait for one that keeps them.
    is_held: bool,
    /// With their sizes.
    waiting: VecDeque<(usize, StartReport)>,
    bytes: usize,
    counts: Counts,
}

impl Starts {
    pub(super) fn new(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    pub(super) fn offer(&mut self, report: StartReport) {
        self.counts.offered += 1;
        let size = report.encoded_len();
        self.bytes += size;
        if let Some((older_size, older)) = self.waiting.iter_mut().find(|(_, older)| older.id == report.id) {
            self.bytes -= *older_size;
            (*older_size, *older) = (size, report);
            self.counts.replaced += 1;
        } else {
            self.waiting.push_back((size, report));
        }
        self.bound();
    }

    fn bound(&mut self) {
        while self.waiting.len() > self.room.max(1) || (self.bytes > BYTES && self.waiting.len() > 1) {
            self.pop();
            self.counts.dropped += 1;
        }
    }

    /// Whether there is a collector that keeps them.
    pub(super) const fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// What was sent in vain waits again, before all others, unless a later report of the same start does.
    pub(super) fn take_back(&mut self, sent: impl DoubleEndedIterator<Item = StartReport>) {
        for report in sent.rev() {
            if self.waiting.iter().any(|(_, later)| later.id == report.id) {
                self.counts.replaced += 1;
                continue;
            }
            let size = report.encoded_len();
            self.bytes += size;
            self.waiting.push_front((size, report));
        }
        self.bound();
    }

    fn pop(&mut self) -> Option<StartReport> {
        let (size, report) = self.waiting.pop_front()?;
        self.bytes -= size;
        Some(report)
    }

    /// None waits for the collector that there is.
    pub(super) fn is_empty(&self) -> bool {
        self.is_held || self.waiting.is_empty()
    }

    /// Some wait, and so many in flight leave room for them.
    pub(super) fn can_send(&self, in_flight: usize) -> bool {
        !self.is_empty() && in_flight < IN_FLIGHT
    }

    /// The next ones, in order, with so many bytes at most; one that has more comes alone, in a batch with nothing else.
    pub(super) fn take(&mut self, bytes: usize, is_alone: bool) -> Vec<StartReport> {
        let (mut taken, mut used) = (Vec::new(), 0);
        while let Some((size, _)) = self.waiting.front().filter(|_| taken.len() < BATCH) {
            used += size;
            if used > bytes && !(is_alone && taken.is_empty()) {
                break;
            }
            taken.extend(self.pop());
        }
        taken
    }

    pub(super) const fn acknowledged(&mut self, number: usize) {
        self.counts.acknowledged += number as u64;
    }

    /// The node's clock was set by so many nanoseconds.
    pub(super) fn clock_set(&mut self, by: i64) {
        self.waiting.iter_mut().for_each(|(_, report)| dates::shift_start(report, by));
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Nothing waits any more; the answer is what did.
    pub(super) fn clear(&mut self) -> usize {
        self.bytes = 0;
        std::mem::take(&mut self.waiting).len()
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(id: &str, note: &str) -> StartReport {
        StartReport { id: id.to_owned(), note: note.to_owned(), ..StartReport::default() }
    }

    fn ids(reports: &[StartReport]) -> Vec<&str> {
        reports.iter().map(|report| report.id.as_str()).collect()
    }

    #[test]
    fn the_one_that_waited_longest_goes_and_a_later_word_takes_the_earlier_ones_place() {
        let mut starts = Starts::new(3);
        for (id, note) in [("a", ""), ("b", ""), ("c", ""), ("b", "later"), ("d", "")] {
            starts.offer(report(id, note));
        }
        assert_eq!(starts.counts(), Counts { offered: 5, replaced: 1, dropped: 1, acknowledged: 0 });
        let taken = starts.take(BYTES, true);
        assert_eq!(ids(&taken), ["b", "c", "d"]);
        assert_eq!((taken[0].note.as_str(), starts.len(), starts.bytes), ("later", 0, 0));
    }

    #[test]
    fn many_bytes_are_as_bad_as_many_reports() {
        let mut starts = Starts::new(1000);
        let large = "x".repeat(BYTES / 4);
        for id in ["a", "b", "c", "d", "e"] {
            starts.offer(report(id, &large));
        }
        assert_eq!((starts.len(), starts.counts().dropped), (3, 2));
        assert!(starts.bytes <= BYTES);
        starts.offer(report("huge", &"x".repeat(2 * BYTES)));
        assert_eq!(starts.len(), 1, "the newest stays, whatever its size");
    }

    #[test]
    fn a_batch_has_its_bounds() {
        let mut starts = Starts::new(1000);
        starts.offer(report("large", &"x".repeat(100)));
        for number in 0..2 * BATCH {
            starts.offer(report(&number.to_string(), ""));
        }
        assert_eq!(starts.take(50, false), [], "there is no room beside the verdicts");
        assert_eq!(ids(&starts.take(50, true)), ["large"], "or it would never go");
        assert_eq!(starts.take(usize::MAX, false).len(), BATCH);
        assert!(starts.can_send(IN_FLIGHT - 1) && !starts.can_send(IN_FLIGHT));
        assert_eq!((starts.clear(), starts.can_send(0)), (BATCH, false));
    }
}
