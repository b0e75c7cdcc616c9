//! A crew: order, bounds, and what becomes of what is stuck.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use std::{panic, sync::mpsc};

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
        crew.submit(lane(container), Box::new(|| panic::resume_unwind(Box::new(())))).unwrap();
    }
    let (done, is_done) = mpsc::channel();
    crew.submit(lane(0), Box::new(move || done.send(()).unwrap())).unwrap();
    is_done.recv_timeout(Duration::from_secs(10)).unwrap();
}
