//! Waits until CMD is ready, exits, or the time is up, and says what was found.
//!
//! ```text
//!              answered, and by CMD; or listens and lives on for a second
//!   Watching ────────────────────────────────────────────────────────────► Ready ──► concluded
//!      │ exit (with 0 and a probe: only when no process is left)            ──► Exited ──►  "
//!      └ time up, Ctrl-C                                                    ──► GaveUp ──►  "
//! ```
//!
//! Concluding tells the engine, waits until CMD's last line has gone out and a bounded time for the
//! engine's last words, prints them and makes the exit status.

use super::{
    args::RunArgs,
    cgroup::RunCgroup,
    child::{self, Running},
    interrupt,
    listeners::{self, Owner},
    probe::{self, Attempt},
    progress::Progress,
    words::{Seen, seconds, signal_name},
};
use crate::{
    outcome::{self, Findings, Outcome},
    output,
    status::Status,
};
use anyhow::Context;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time};
use unready_agent::pipeline::{Event, Events, Handle};
use unready_diagnosis::{
    input::{Input, RunChange},
    record::{ExitStatus, Record},
    units::CgroupId,
};

/// How long a program that listens has to live on to be ready, without a probe.
const LIVES_ON: Duration = Duration::from_secs(1);
/// How long the engine may take for its last words when CMD has ended by itself.
const LAST_WORDS: Duration = Duration::from_millis(150);
/// The same when we gave up: nobody has waited for an exit.
const LAST_WORDS_OF_A_LIVING: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// A run from CMD's exec on.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    args: &'a RunArgs,
    handle: &'a Handle,
    cgroup: &'a RunCgroup,
    running: Running,
    events: Events,
    started: Instant,
    /// Where CMD listens, and since when.
    listening: BTreeMap<(String, u16), Instant>,
    exited: Option<ExitStatus>,
    interrupted: bool,
    /// CMD ended of the same Ctrl-C.
    ended_by_us: bool,
    /// What the last attempt of the probe came to.
    attempt: Option<Seen>,
    /// The answer that made it ready.
    answer: String,
    findings: Findings,
    progress: Progress,
}

impl<'a> Session<'a> {
    /// CMD has just been executed.
    pub(crate) fn new(args: &'a RunArgs, handle: &'a Handle, cgroup: &'a RunCgroup, running: Running, events: Events) -> Self {
        Self {
            args,
            handle,
            cgroup,
            progress: Progress::new(running.output.clone()),
            running,
            events,
            started: Instant::now(),
            listening: BTreeMap::new(),
            exited: None,
            interrupted: false,
            ended_by_us: false,
            attempt: None,
            answer: String::new(),
            findings: Findings::default(),
        }
    }

    /// Waits for the outcome.
    pub(crate) async fn watch(&mut self, interrupts: &mut mpsc::Receiver<()>) -> anyhow::Result<Outcome> {
        let mut attempts = match &self.args.probe {
            Some(probe) => probe::start(probe, self.args.probe_period, self.args.probe_timeout)?,
            None => mpsc::channel(1).1,
        };
        let output = self.running.output.clone();
        let mut ticks = time::interval(TICK);
        loop {
            tokio::select! {
                biased;
                _ = interrupts.recv() => self.interrupted = true,
                event = self.events.recv() => self.note_event(event.context("the watching ended before CMD did")?),
                () = output.changed() => self.pass_lines_on().await,
                status = self.running.wait(), if self.exited.is_none() => {
                    let status = exit_status(status.context("cannot wait for CMD")?);
                    self.exited = Some(status);
                    // Ctrl-C on a terminal reaches CMD too, and its end may be known before our own signal.
                    self.interrupted |= time::timeout(interrupt::patience(status), interrupts.recv()).await.is_ok();
                    self.ended_by_us = self.interrupted;
                }
                Some(attempt) = attempts.recv() => {
                    self.note_attempt(attempt);
                    self.tell_attempt().await;
                }
                _ = ticks.tick() => self.show_progress(),
            }
            if let Some(outcome) = self.outcome() {
                self.progress.clear();
                return Ok(outcome);
            }
        }
    }
    /// What the state amounts to.
    fn outcome(&self) -> Option<Outcome> {
        let now = Instant::now();
        if self.interrupted {
            return Some(Outcome::GaveUp);
        }
        if self.attempt == Some(Seen::Ready) || self.lives_on_listening(now) {
            return Some(Outcome::Ready);
        }
        match self.exited {
            Some(status) if self.is_over(status) => Some(Outcome::Exited(status)),
            _ => (now.duration_since(self.started) >= self.args.time()).then_some(Outcome::GaveUp),
        }
    }

    /// A program that exits with 0 may have gone into the background; that matters while a probe may still be answered.
    fn is_over(&self, status: ExitStatus) -> bool {
        !(status.is_success() && self.args.probe.is_some() && self.cgroup.is_populated())
    }

    fn lives_on_listening(&self, now: Instant) -> bool {
        let lives = self.exited.is_none() && self.args.probe.is_none();
        lives && self.listening.values().any(|since| now.duration_since(*since) >= LIVES_ON)
    }

    fn note_event(&mut self, event: Event) {
        match event {
            Event::Verdict(verdict) if verdict.cgroup == self.cgroup.id() => self.findings.add(*verdict),
            Event::Listening { cgroup, address, port, open } if cgroup == self.cgroup.id() => {
                if open {
                    self.listening.entry((address, port)).or_insert_with(Instant::now);
                } else {
                    self.listening.remove(&(address, port));
                }
            }
            Event::Verdict(_) | Event::Start(_) | Event::AskCluster(..) | Event::Listening { .. } | Event::ClockSet => {}
        }
    }

    /// An answer counts only if it is CMD's own.
    fn note_attempt(&mut self, attempt: Attempt) {
        self.attempt = Some(match attempt {
            Attempt::Failure(reason) => Seen::Failed(reason),
            Attempt::Success { peer, answer } => match peer.map_or(Owner::Unknown, |peer| self.owner(peer)) {
                Owner::Ours => {
                    self.answer = answer;
                    Seen::Ready
                }
                Owner::Other(who) => Seen::Foreign(who),
                Owner::Unknown => Seen::Foreign("a listener outside this network namespace".into()),
            },
        });
    }

    /// Attempts are part of the start's story.
    async fn tell_attempt(&self) {
        let Some(seen) = &self.attempt else { return };
        let outcome = match seen {
            Seen::Ready => self.answer.clone(),
            Seen::Foreign(who) => format!("answered by {who}"),
            Seen::Failed(reason) => reason.clone(),
        };
        let passed = *seen == Seen::Ready;
        self.handle.input(Input::Run(RunChange::Probed { cgroup: self.cgroup.id(), passed, outcome })).await;
    }

    fn owner(&self, peer: SocketAddr) -> Owner {
        listeners::owner(peer, &self.cgroup.pids())
    }

    async fn pass_lines_on(&self) {
        for line in self.running.output.take() {
            self.handle.input(Input::Record(Record::Output { cgroup: self.cgroup.id(), line })).await;
        }
    }

    fn show_progress(&mut self) {
        let waiting_for = match &self.attempt {
            Some(Seen::Failed(reason)) => reason.clone(),
            Some(seen) => seen.sentence(),
            None if self.args.probe.is_some() => "the first probe".into(),
            None if self.listening.is_empty() => "no listener yet".into(),
            None => format!("listens on {}", self.ports()),
        };
        self.progress.show(self.started.elapsed(), &waiting_for);
    }

    fn ports(&self) -> String {
        let name = |(address, port): &(String, u16)| {
            if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
        };
        self.listening.keys().map(name).collect::<Vec<_>>().join(", ")
    }

    /// Waits until all that CMD has written to stderr until now has gone out, and to the engine: its last line may be the
    /// one that says why. Whoever reads our stderr may take the time that they need, until the user has enough.
    async fn catch_up(&mut self, interrupts: &mut mpsc::Receiver<()>) {
        let output = self.running.output.clone();
        let written = output.written();
        while !output.has_passed(written) {
            self.pass_lines_on().await;
            tokio::select! {
                biased;
                _ = interrupts.recv() => break,
                Some(event) = self.events.recv() => self.note_event(event),
                () = output.changed() => {}
            }
        }
        self.pass_lines_on().await;
    }

    /// The same when everything of CMD has ended and the engine has had its say.
    pub(crate) async fn last_output(&self) {
        let output = &self.running.output;
        let written = output.written();
        while !output.has_passed(written) {
            output.changed().await;
        }
    }

    /// Tells the engine, waits for its last words, prints.
    pub(crate) async fn conclude(&mut self, outcome: Outcome, interrupts: &mut mpsc::Receiver<()>) -> anyhow::Result<Status> {
        let elapsed = self.started.elapsed();
        let interrupted_at = unready_agent::clock::now();
        let id = self.cgroup.id();
        let patience = match outcome {
            Outcome::Ready => {
                self.handle.input(Input::Run(RunChange::Ready { cgroup: id })).await;
                LAST_WORDS
            }
            Outcome::GaveUp => {
                self.handle.input(Input::Run(RunChange::GiveUp { cgroup: id })).await;
                LAST_WORDS_OF_A_LIVING
            }
            Outcome::Exited(_) => LAST_WORDS,
        };
        self.catch_up(interrupts).await;
        settle(self.handle, id, patience).await;
        while let Some(event) = self.events.try_recv() {
            self.note_event(event);
        }
        if self.interrupted {
            self.findings.forget_the_end(interrupt::before(interrupted_at));
        }
        self.findings.settle(outcome);
        let status = outcome.status(self.args.probe.is_some(), self.findings.iter());
        let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let facts = crate::render::Facts::asked(self.args.evidence);
        outcome::print(&self.findings, self.handle.anchor(), &node, self.args.output, facts)?;
        self.say(outcome, status, elapsed);
        Ok(status)
    }

    /// What is left to say beside the verdicts.
    fn say(&self, outcome: Outcome, status: Status, elapsed: Duration) {
        let time = seconds(elapsed);
        let interrupted = if self.interrupted { "interrupted, " } else { "" };
        match (outcome, status) {
            (Outcome::Ready, _) => output::note(&format!("ready after {time}: {}{}", self.why_ready(), self.what_next())),
            (Outcome::GaveUp, Status::Healthy) => output::note(&format!(
                "{interrupted}still running after {time}, and nothing wrong was seen{}{}",
                if self.listening.is_empty() { String::new() } else { format!("; it listens on {}", self.ports()) },
                self.what_next(),
            )),
            (Outcome::GaveUp, Status::Blocked) => output::note(&format!("{interrupted}not ready after {time}")),
            (_, Status::Unexplained) => {
                output::note(&format!("{interrupted}not ready after {time}, and no cause was found. What was seen:"));
                self.what_was_seen().iter().for_each(|fact| output::note(&format!("  {fact}")));
            }
            (Outcome::Exited(_) | Outcome::GaveUp, _) => {}
        }
    }

    fn why_ready(&self) -> String {
        match &self.args.probe {
            Some(probe) => format!("{} answers {}", probe.as_str(), self.answer),
            None => format!("it listens on {} and lives on", self.ports()),
        }
    }

    fn what_next(&self) -> &'static str {
        match (self.exited, self.args.keep, self.interrupted) {
            (None, true, false) => "; it runs on until it exits or you press Ctrl-C",
            (None, false, false) => "; it is ended now (--keep lets it run on)",
            _ => "",
        }
    }

    fn what_was_seen(&self) -> Vec<String> {
        let command = child::display(&self.args.command);
        let mut facts = vec![match self.exited {
            Some(_) if self.ended_by_us => format!("{command} was running"),
            Some(ExitStatus::Code(code)) => format!("{command} exited with status {code}"),
            Some(ExitStatus::Signal(signal)) => format!("{command} was ended by {}", signal_name(signal)),
            None => format!("{command} was running"),
        }];
        facts.push(if self.listening.is_empty() {
            "nothing of it listens on a TCP port".into()
        } else {
            format!("it listens on {}", self.ports())
        });
        if let Some(seen) = &self.attempt {
            facts.push(seen.sentence());
        }
        facts
    }

    /// Lets CMD run on: until it and all that it started has ended, or the user has enough.
    pub(crate) async fn keep(&mut self, interrupts: &mut mpsc::Receiver<()>) {
        let output = self.running.output.clone();
        let mut ticks = time::interval(TICK);
        while self.exited.is_none() || self.cgroup.is_populated() {
            tokio::select! {
                biased;
                _ = interrupts.recv() => break,
                status = self.running.wait(), if self.exited.is_none() => self.exited = status.ok().map(exit_status),
                Some(_) = self.events.recv() => {}
                () = output.changed() => self.pass_lines_on().await,
                _ = ticks.tick() => {}
            }
        }
    }
}

fn exit_status(status: std::process::ExitStatus) -> ExitStatus {
    ExitStatus::from_wait(status.into_raw().cast_unsigned())
}

/// Waits until the engine has judged what it has heard, but no longer than that.
pub(crate) async fn settle(handle: &Handle, cgroup: CgroupId, patience: Duration) {
    if time::timeout(patience, handle.settle(cgroup)).await.is_err() {
        tracing::debug!("the engine was still waiting for answers after {patience:?}");
    }
}
