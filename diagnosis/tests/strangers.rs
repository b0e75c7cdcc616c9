//! What is not a container: nothing is said of it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;
use unready_diagnosis::{
    Config, Engine, Input, Output,
    record::{ExitStatus, Record, Task},
    units::{BootNanos, CgroupId, Process},
};

const CGROUP: CgroupId = CgroupId(7);
const START: BootNanos = BootNanos(1_000_000_000);

fn task(pid: u32) -> Task {
    Task { cgroup: CGROUP, process: Process { pid, start: u64::from(pid) }, tid: pid, parent: 1, comm: "agetty".into() }
}

fn exec(pid: u32) -> Record {
    Record::Exec { task: task(pid), uid: 0, gid: 0, path: "/usr/sbin/agetty".into(), args: vec!["agetty".into()] }
}

fn created(path: &str) -> Record {
    Record::CgroupCreated { id: CGROUP, path: path.to_owned(), existing: false }
}

/// All that is said until a minute has passed.
fn said(records: Vec<(u64, Record)>) -> Vec<Output> {
    let mut engine = Engine::new(Config::default());
    let mut said = Vec::new();
    let mut due = |engine: &mut Engine, until: BootNanos| {
        while let Some(at) = engine.poll_timeout().filter(|at| *at <= until) {
            engine.handle(Input::Timeout, at);
        }
        said.extend(std::iter::from_fn(|| engine.poll_output()));
    };
    for (millis, record) in records {
        let at = START.after(Duration::from_millis(millis));
        due(&mut engine, at);
        engine.handle(Input::Record(record), at);
    }
    due(&mut engine, START.after(Duration::from_mins(1)));
    said.retain(|output| matches!(output, Output::Verdict(_) | Output::Start(_) | Output::Ask(..)));
    said
}

#[test]
fn a_service_of_the_host_is_no_container() {
    let unit = || created("/system.slice/getty@tty1.service");
    let ends = |at| (at, Record::Exit { task: task(100), status: ExitStatus::Code(1) });
    let runs_on = vec![(0, unit()), (10, exec(100)), (20, exec(101))];
    assert_eq!(said(runs_on.clone()), []);
    let fails = [runs_on.clone(), vec![ends(4_400), (9_000, exec(102))]].concat();
    assert_eq!(said(fails), []);
    let is_removed = [runs_on, vec![ends(30), (900, Record::CgroupRemoved { id: CGROUP })]].concat();
    assert_eq!(said(is_removed), []);
}
