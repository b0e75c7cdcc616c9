//! `unready replay`: the inputs of a recorded start into the engine again, without a kernel.
//!
//! The engine is deterministic: it asks the same questions in the same order, and the recording holds the answers and
//! the moments at which its timers fired. What it asks here is therefore dropped. Only a recording that was interrupted
//! has no end: then the timers fire until nothing is due.
//!
//! Refused with status 1: what cannot be read, is no recording, or of a newer format.

use crate::{
    args::ReplayArgs,
    output,
    status::{Findings, Outcome, Status},
};
use unready_agent::recording::Reader;
use unready_diagnosis::{
    Engine, Input, Output,
    engine::Config,
    input::RunChange,
    record::Record,
    units::{BootNanos, CgroupId},
};

/// Replays a file.
pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<Status> {
    let mut reader = Reader::open(&args.file)?;
    let header = reader.header().clone();
    let mut replay = Replay::new(Config { clock: header.anchor, ..Config::default() });
    for timed in reader.by_ref() {
        replay.feed(timed.input, timed.at);
    }
    if !reader.is_closed() {
        replay.run_out();
    }
    for warning in reader.warnings() {
        output::note(&warning);
    }
    output::findings(&replay.findings, header.anchor, &header.node, args.output)?;
    Ok(replay.status())
}

/// The engine, and what a recorded `unready run` was about.
struct Replay {
    engine: Engine,
    findings: Findings,
    run: Option<Run>,
    now: BootNanos,
}

struct Run {
    cgroup: CgroupId,
    has_probe: bool,
    /// The first process that was executed there: CMD.
    pid: Option<u32>,
    outcome: Option<Outcome>,
}

impl Replay {
    fn new(config: Config) -> Self {
        Self { engine: Engine::new(config), findings: Findings::default(), run: None, now: BootNanos(0) }
    }

    fn feed(&mut self, input: Input, at: BootNanos) {
        self.follow(&input);
        self.now = at;
        self.engine.handle(input, at);
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Verdict(verdict) => self.findings.add(*verdict),
                Output::Ask(..) | Output::Attention(..) | Output::Release(_) => {}
            }
        }
    }

    /// Lets the timers fire that the recorder did not live to see.
    fn run_out(&mut self) {
        const MOST: usize = 10_000;
        for _ in 0..MOST {
            let Some(at) = self.engine.poll_timeout() else { break };
            self.feed(Input::Timeout, at.max(self.now));
        }
    }

    fn follow(&mut self, input: &Input) {
        match (input, &mut self.run) {
            (Input::Run(RunChange::Started { cgroup, probe, .. }), run) => {
                *run = Some(Run { cgroup: *cgroup, has_probe: probe.is_some(), pid: None, outcome: None });
            }
            (Input::Run(change), Some(run)) => run.change(change),
            (Input::Record(record), Some(run)) => run.record(record),
            _ => {}
        }
    }

    /// As `run` would have ended; a recording of an agent has findings, or has not.
    fn status(&mut self) -> Status {
        let Some(run) = &self.run else {
            return Outcome::GaveUp.status(false, self.findings.iter());
        };
        let cgroup = run.cgroup;
        self.findings.retain(|verdict| verdict.cgroup == cgroup);
        run.outcome.unwrap_or(Outcome::GaveUp).status(run.has_probe, self.findings.iter())
    }
}

impl Run {
    /// The launcher's word comes last: it knows whether the probe was answered.
    fn change(&mut self, change: &RunChange) {
        match change {
            RunChange::Ready { cgroup } if *cgroup == self.cgroup => self.outcome = Some(Outcome::Ready),
            RunChange::GiveUp { cgroup } if *cgroup == self.cgroup => self.outcome = Some(Outcome::GaveUp),
            RunChange::Started { .. } | RunChange::Ready { .. } | RunChange::GiveUp { .. } => {}
        }
    }

    fn record(&mut self, record: &Record) {
        if let Record::Exec { task, .. } = record
            && task.cgroup == self.cgroup
        {
            self.pid.get_or_insert(task.process.pid);
        }
        // A launcher that found nothing to execute has no exec record.
        if let Record::Exit { task, status } = record
            && task.cgroup == self.cgroup
            && self.pid.is_none_or(|pid| pid == task.process.pid)
        {
            self.outcome.get_or_insert(Outcome::Exited(*status));
        }
    }
}
