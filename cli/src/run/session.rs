//! Waits until CMD is ready, exits, or the time is up, and says what was found.
//!
//! ```text
//!              answered, and by CMD; or listens and lives on for a second
//!   Watching ────────────────────────────────────────────────────────────► Ready ──► concluded
//!      │ exit (with 0 and a probe: only when no process is left)            ──► Exited ──►  "
//!      └ time up, Ctrl-C                                                    ──► GaveUp ──►  "
//! ```
//!
//! Concluding tells the engine, waits a bounded time for its last words, prints them and makes the exit status.

use super::{
    cgroup::RunCgroup,
    child::{self, Running},
    listeners::{self, Owner},
    probe::{self, Attempt},
    progress::Progress,
    waiting_events,
};
use crate::{
    args::RunArgs,
    output,
    status::{Findings, Outcome, Status},
};
use anyhow::Context;
use nix::sys::signal::Signal;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time,
};
use unready_agent::pipeline::{Event, Handle};
use unready_diagnosis::{
    input::{Input, RunChange},
    record::{ExitStatus, Record},
    units::{BootNanos, CgroupId, ClockAnchor},
};

/// How long a program that listens has to live on to be ready, without a probe.
const LIVES_ON: Duration = Duration::from_secs(1);
/// How long the engine may take for its last words when CMD has ended by itself.
const LAST_WORDS: Duration = Duration::from_millis(150);
/// The same when we gave up: nobody has waited for an exit.
const LAST_WORDS_OF_A_LIVING: Duration = Duration::from_secs(1);
/// How much later than CMD's end we may learn of the Ctrl-C that caused it, on a busy machine.
const OUR_SIGNAL: Duration = Duration::from_millis(100);
/// The same for an end that does not look like it.
const OUR_SIGNAL_UNLIKELY: Duration = Duration::from_millis(10);
const TICK: Duration = Duration::from_millis(100);

/// A run from CMD's exec on.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    args: &'a RunArgs,
    handle: &'a Handle,
    cgroup: &'a RunCgroup,
    running: Running,
    events: mpsc::Receiver<Event>,
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
    pub(crate) fn new(
        args: &'a RunArgs,
        handle: &'a Handle,
        cgroup: &'a RunCgroup,
        running: Running,
        events: mpsc::Receiver<Event>,
    ) -> Self {
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
                    let patience = if looks_interrupted(status) { OUR_SIGNAL } else { OUR_SIGNAL_UNLIKELY };
                    self.interrupted |= time::timeout(patience, interrupts.recv()).await.is_ok();
                    self.ended_by_us = self.interrupted;
                }
                Some(attempt) = attempts.recv() => self.note_attempt(attempt),
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
            Event::Verdict(_) | Event::Listening { .. } | Event::Exec { .. } | Event::Exit { .. } => {}
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

    /// Tells the engine, waits for its last words, prints.
    pub(crate) async fn conclude(&mut self, outcome: Outcome) -> anyhow::Result<Status> {
        let elapsed = self.started.elapsed();
        let interrupted_at = now(self.handle.anchor());
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
            Outcome::Exited(_) => {
                let _ = time::timeout(Duration::from_millis(20), self.running.output.ended()).await;
                LAST_WORDS
            }
        };
        self.pass_lines_on().await;
        settle(self.handle, id, patience).await;
        for event in waiting_events(&mut self.events) {
            self.note_event(event);
        }
        if self.interrupted {
            self.findings.forget_the_end(before(interrupted_at));
        }
        let status = outcome.status(self.args.probe.is_some(), self.findings.iter());
        let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
        output::findings(&self.findings, self.handle.anchor(), &node, self.args.output)?;
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

/// What an attempt of the probe came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Ready,
    Foreign(String),
    Failed(String),
}

impl Seen {
    fn sentence(&self) -> String {
        match self {
            Self::Ready => "the probe is answered".into(),
            Self::Foreign(who) => format!("the probe is answered, but not by CMD: {who} has the port"),
            Self::Failed(reason) => format!("the probe fails: {reason}"),
        }
    }
}

/// An end so shortly before an interrupt was noticed comes from it.
pub(crate) fn before(interrupted_at: BootNanos) -> BootNanos {
    const SHORTLY: Duration = Duration::from_millis(300);
    BootNanos(interrupted_at.0.saturating_sub(SHORTLY.as_nanos() as u64))
}

fn now(anchor: ClockAnchor) -> BootNanos {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    anchor.boot.after(wall.saturating_sub(Duration::from_nanos(anchor.wall)))
}

/// Ended by a signal that users send, or exited as shells report one: 128 and its number.
fn looks_interrupted(status: ExitStatus) -> bool {
    const SIGNALS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];
    let number = match status {
        ExitStatus::Signal(signal) => signal,
        ExitStatus::Code(code) => code.wrapping_sub(128),
    };
    SIGNALS.into_iter().any(|signal| signal as i32 == i32::from(number))
}

/// `340 ms`, `1.23 s`.
fn seconds(elapsed: Duration) -> String {
    match elapsed.as_millis() {
        millis @ ..1000 => format!("{millis} ms"),
        _ => format!("{:.2} s", elapsed.as_secs_f64()),
    }
}

fn exit_status(status: std::process::ExitStatus) -> ExitStatus {
    ExitStatus::from_wait(status.into_raw().cast_unsigned())
}

fn signal_name(signal: u8) -> String {
    Signal::try_from(i32::from(signal)).map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string())
}

/// Waits until the engine has judged what it has heard, but no longer than that.
pub(crate) async fn settle(handle: &Handle, cgroup: CgroupId, patience: Duration) {
    if time::timeout(patience, handle.settle(cgroup)).await.is_err() {
        tracing::debug!("the engine was still waiting for answers after {patience:?}");
    }
}

/// Ctrl-C, SIGTERM and SIGHUP, from now on.
pub(crate) fn interrupts() -> anyhow::Result<mpsc::Receiver<()>> {
    let (sender, receiver) = mpsc::channel(4);
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut signals = signal(kind).context("cannot wait for signals")?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let _ = sender.try_send(());
            }
        });
    }
    Ok(receiver)
}
