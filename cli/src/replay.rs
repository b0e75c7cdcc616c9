//! `unready replay`: the inputs of a recorded start into the engine again, without a kernel.
//!
//! The engine is deterministic: it asks the same questions in the same order, and the recording holds the answers and
//! the moments at which its timers fired. What it asks here is therefore dropped. Only a recording that was interrupted
//! has no end: then the timers fire until nothing is due.
//!
//! Refused with status 1: what cannot be read, is no recording, or of a newer format.

use crate::{
    outcome::{self, Findings, Format, Outcome},
    output,
    render::Facts,
    run::interrupt,
    status::Status,
};
use clap::{Args, ValueHint};
use std::{path::PathBuf, time::Duration};
use unready_agent::recording::{Header, Reader};
use unready_diagnosis::{
    Config, Engine, Input, Output,
    input::RunChange,
    record::Record,
    units::{BootNanos, CgroupId, ClockAnchor},
};

/// `unready replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A file that `--record` wrote
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// With text: the facts behind each verdict, too
    #[arg(long)]
    evidence: bool,
    /// How verdicts are printed
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// Replays a file.
pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<Status> {
    let mut reader = Reader::open(&args.file)?;
    let header = reader.header().clone();
    let mut replay = Replay::new(&header);
    for timed in reader.by_ref() {
        replay.feed(timed.input, timed.at);
    }
    if !reader.is_closed() {
        replay.run_out();
    }
    for warning in reader.warnings() {
        output::note(&warning);
    }
    let status = replay.conclude(reader.is_closed());
    // What the program wrote stood above the verdict when it ran; here it is part of it.
    let facts = if args.evidence { Facts::All } else { Facts::Output };
    outcome::print(&replay.findings, replay.clock, &header.node, args.output, facts)?;
    Ok(status)
}

/// The engine, and what a recorded `unready run` was about.
struct Replay {
    engine: Engine,
    /// The wall clock as it ran at the end.
    clock: ClockAnchor,
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
    /// When CMD ended.
    exited: Option<BootNanos>,
    /// The launcher had said its last word: what followed was its own doing.
    concluded: bool,
    /// CMD ended of the Ctrl-C that made the launcher give up then.
    ended_by_user: Option<BootNanos>,
}

impl Replay {
    fn new(header: &Header) -> Self {
        let config = Config { clock: header.anchor, kernel: header.ebpf, ..Config::default() };
        Self { engine: Engine::new(config), clock: header.anchor, findings: Findings::default(), run: None, now: BootNanos(0) }
    }

    fn feed(&mut self, input: Input, at: BootNanos) {
        self.now = at;
        self.follow(&input);
        let concluded = self.run.as_ref().is_some_and(|run| run.concluded);
        self.engine.handle(input, at);
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Verdict(verdict) if !concluded => self.findings.add(*verdict),
                Output::Verdict(_)
                | Output::Start(_)
                | Output::Ask(..)
                | Output::AskCluster(..)
                | Output::Attention(..)
                | Output::Release(_) => {}
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
                *run = Some(Run {
                    cgroup: *cgroup,
                    has_probe: probe.is_some(),
                    pid: None,
                    outcome: None,
                    exited: None,
                    concluded: false,
                    ended_by_user: None,
                });
            }
            (Input::Clock(anchor), _) => self.clock = *anchor,
            (Input::Run(change), Some(run)) => run.change(change, self.now),
            (Input::Record(record), Some(run)) => run.record(record, self.now),
            _ => {}
        }
    }

    /// As `run` would have ended; a recording of an agent has findings, or has not. One that breaks off before the outcome
    /// says nothing of health.
    fn conclude(&mut self, is_closed: bool) -> Status {
        let Some(run) = &self.run else {
            return Outcome::GaveUp.status(false, self.findings.iter());
        };
        let cgroup = run.cgroup;
        self.findings.retain(|verdict| verdict.cgroup == cgroup);
        if let Some(at) = run.ended_by_user {
            self.findings.forget_the_end(interrupt::before(at));
        }
        let outcome = run.outcome.unwrap_or(Outcome::GaveUp);
        self.findings.settle(outcome);
        let status = outcome.status(run.has_probe, self.findings.iter());
        if run.outcome.is_none() && !is_closed && status != Status::Blocked {
            output::note("the recording breaks off before the program became ready or ended, and shows no cause until then");
            return Status::Unexplained;
        }
        status
    }
}

impl Run {
    /// The launcher's word comes last: it knows whether the probe was answered.
    fn change(&mut self, change: &RunChange, now: BootNanos) {
        /// A launcher that gives up so soon after CMD's end was interrupted together with it.
        const TOGETHER: Duration = Duration::from_millis(200);
        match change {
            RunChange::Ready { cgroup } if *cgroup == self.cgroup => self.outcome = Some(Outcome::Ready),
            RunChange::GiveUp { cgroup } if *cgroup == self.cgroup => {
                self.outcome = Some(Outcome::GaveUp);
                self.ended_by_user = self.exited.filter(|exited| now.since(*exited) < TOGETHER).map(|_| now);
            }
            RunChange::Started { .. } | RunChange::Probed { .. } | RunChange::Ready { .. } | RunChange::GiveUp { .. } => {}
        }
    }

    fn record(&mut self, record: &Record, now: BootNanos) {
        if let Record::Exec { task, .. } = record
            && task.cgroup == self.cgroup
        {
            self.pid.get_or_insert(task.process.pid);
        }
        if let Record::Exit { task, status } = record
            && task.cgroup == self.cgroup
        {
            self.concluded |= matches!(self.outcome, Some(Outcome::Ready | Outcome::GaveUp));
            // A launcher that found nothing to execute has no exec record.
            if self.pid.is_none_or(|pid| pid == task.process.pid) {
                self.outcome.get_or_insert(Outcome::Exited(*status));
                self.exited.get_or_insert(now);
            }
        }
        self.concluded |= matches!(record, Record::CgroupRemoved { id } if *id == self.cgroup);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use unready_diagnosis::{
        catalogue::Cause,
        cluster::PodChange,
        pod::{Container, ContainerState, ContainerStatus, Pod},
    };

    const ANCHOR: ClockAnchor = ClockAnchor { boot: BootNanos(0), wall: 1_700_000_000_000_000_000 };

    fn crashed() -> Input {
        let date = ANCHOR.wall;
        let state = ContainerState::Terminated {
            code: 3,
            signal: 0,
            reason: "Error".into(),
            message: String::new(),
            started: date,
            finished: date,
        };
        let mut pod = Pod {
            uid: "u".into(),
            node: "n".into(),
            containers: vec![Container { name: "app".into(), ..Default::default() }],
            ..Pod::default()
        };
        pod.status.containers = vec![ContainerStatus { name: "app".into(), id: "c".into(), state, ..ContainerStatus::default() }];
        Input::Pods(PodChange::Apply(Box::new(pod)))
    }

    fn replayed(ebpf: bool) -> Vec<Cause> {
        let mut replay = Replay::new(&Header::here(ANCHOR, ebpf));
        replay.feed(crashed(), BootNanos(1_000_000_000));
        replay.run_out();
        replay.findings.iter().map(|verdict| verdict.cause).collect()
    }

    #[test]
    fn without_the_programs_the_api_servers_word_is_all_there_is() {
        assert_eq!(replayed(false), [Cause::Crashed]);
        assert_eq!(replayed(true), [], "the kernel's evidence would have told");
    }

    #[test]
    fn dates_are_by_the_clock_as_it_ran_at_the_end() {
        let mut replay = Replay::new(&Header::here(ANCHOR, true));
        let set = ClockAnchor { boot: BootNanos(5), wall: ANCHOR.wall + 3_600_000_000_000 };
        replay.feed(Input::Clock(set), BootNanos(5));
        assert_eq!(replay.clock, set);
    }
}
