//! What judging costs while a container is busy: a start with as many failures and processes as are kept, whose judgement waits for answers
//! that do not come, while thousands of further records do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::disallowed_types,
    reason = "what the crate may not do, its tests must"
)]

use std::time::{Duration, Instant};
use unready_diagnosis::{
    Config, Engine, Input, Output,
    record::{Call, CallFailed, Creds, Errno, ExitStatus, PathArg, Record, Target, Task},
    units::{BootNanos, CgroupId, Process},
};

const CGROUP: CgroupId = CgroupId(7);
const INPUTS: usize = 10_000;
const FAILURES: u64 = 512;
const PROCESSES: u32 = 128;
/// Ten times of what is promised of a release build (50 ms on an idle machine): this one is built for tests, and others run beside it.
const PATIENCE: Duration = Duration::from_millis(500);

fn task(pid: u32) -> Task {
    let process = Process { pid, start: u64::from(pid) };
    Task { cgroup: CGROUP, process, tid: pid, parent: 100, comm: "app".into() }
}

fn exec(pid: u32) -> Record {
    Record::Exec { task: task(pid), uid: 1000, gid: 1000, path: "/app/worker".into(), args: vec!["/app/worker".into()] }
}

fn failed(number: u64, pid: u32) -> Record {
    Record::CallFailed(Box::new(CallFailed {
        task: task(pid),
        creds: Creds::default(),
        call: if number.is_multiple_of(2) { Call::Open } else { Call::Stat },
        errno: if number.is_multiple_of(3) { Errno::EACCES } else { Errno::ENOENT },
        arg: 0,
        target: Target::Path(PathArg::new(format!("/srv/data/part-{number}/file"))),
        hash: number,
    }))
}

/// A start that fails at everything, and goes on failing after a child was killed for lack of memory, which is to be judged.
fn inputs() -> Vec<(BootNanos, Record)> {
    let path = format!("/kubepods/pod11111111-2222-3333-4444-555555555555/{:064x}", 7);
    let mut all = vec![Record::CgroupCreated { id: CGROUP, path, existing: false }, exec(100)];
    all.extend((1..PROCESSES).map(|number| exec(100 + number)));
    all.extend((0..FAILURES).map(|number| failed(number, 100 + (number % u64::from(PROCESSES)) as u32)));
    all.push(Record::OomVictim { pid: 101, asker: CGROUP });
    all.push(Record::Exit { task: task(101), status: ExitStatus::Signal(9) });
    let more = INPUTS - all.len();
    all.extend((0..more as u64).map(|number| failed(number % (2 * FAILURES), 102 + (number % 20) as u32)));
    all.into_iter().enumerate().map(|(index, record)| (BootNanos(1_000_000_000 + index as u64 * 20_000), record)).collect()
}

/// How long the engine takes for all of it, and how many questions it asked.
fn play(inputs: Vec<(BootNanos, Record)>) -> (Duration, usize) {
    let mut engine = Engine::new(Config::default());
    let mut questions = 0;
    let began = Instant::now();
    for (at, record) in inputs {
        engine.handle(Input::Record(record), at);
        while engine.poll_timeout().is_some_and(|due| due <= at) {
            engine.handle(Input::Timeout, at);
        }
        while let Some(output) = engine.poll_output() {
            questions += usize::from(matches!(output, Output::Ask(..)));
        }
    }
    (began.elapsed(), questions)
}

#[test]
fn a_busy_start_costs_little_while_its_judgement_waits() {
    let runs: Vec<(Duration, usize)> = (0..3).map(|_| play(inputs())).collect();
    let (best, questions) = *runs.iter().min().unwrap();
    println!("{INPUTS} records, {FAILURES} failures: {best:?}, {questions} questions");
    assert!(questions > 4, "it was judged: {questions} questions");
    assert!(best < PATIENCE, "{best:?}");
}
