//! What waits, what is in flight, what is dropped and what is told again.
#![allow(clippy::expect_used, reason = "tests")]

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

#[test]
fn starts_wait_for_a_collector_that_keeps_them() {
    let mut outbox = small();
    outbox.offer_start(start("a"));
    outbox.offer_start(start("b"));
    let sent = outbox.next_batch().expect("to a collector that keeps them");
    assert_eq!(sent.starts.len(), 2);
    outbox.offer_start(StartReport { note: "later".into(), ..start("b") });

    outbox.starts_are_kept(false);
    assert_eq!(outbox.unacknowledged().iter().map(|batch| batch.starts.len()).sum::<usize>(), 0, "it would forget them");
    assert!(!outbox.can_send());
    outbox.acknowledge(sent.sequence);
    assert_eq!((outbox.starts().counts().acknowledged, outbox.starts().counts().replaced), (0, 1), "b is told by the later one");
    assert!(outbox.is_empty(), "for this collector there is nothing");

    outbox.starts_are_kept(true);
    let batch = outbox.next_batch().expect("they waited");
    assert_eq!(batch.starts, [start("a"), StartReport { note: "later".into(), ..start("b") }]);
}
