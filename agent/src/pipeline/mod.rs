//! The one task that owns the engine.
//!
//! Everything that the engine hears passes through [`Pipeline::feed`], in one order, so that a recording of those inputs
//! is a complete account. Everything that it says is carried out by [`Pipeline::carry_out`].
//!
//! ```text
//!   sources ─────────┐
//!   answers ─────────┼─► feed ─► Engine ─► carry_out ─┬─► events: verdicts, questions about the cluster, starts, listeners
//!   commands ────────┤                                ├─► questions, answered off this task
//!   timers, ─────────┘                                └─► attention: cgroups to watch, level 1 on or off
//!   a clock that was set
//! ```
//!
//! Whatever comes in crowds, nothing else waits for it: a turn takes a batch of records at most, then what waits of answers and
//! commands, and then lets the other tasks of its thread run.
//!
//! It ends when every [`Handle`] is gone, or one says so. Where the kernel half may not be loaded ([`Ebpf`]), everything but the ring and
//! attention goes on as before.

mod attention;
mod events;
mod gauges;
mod handle;
mod latest;
mod start;

pub use crate::sources::kernel::{Ebpf, WITHOUT};
use crate::{
    clock,
    recording::Recorder,
    sources::{
        kernel::{self, Drained, KernelSource},
        walks::Walks,
    },
};
use anyhow::Context as _;
use attention::Attention;
use events::EventSender;
pub use events::Events;
pub use gauges::{Gauges, QueueFill};
use handle::Command;
pub use handle::{Event, Handle, Options};
use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};
use unready_agent_common::watch::Level;
use unready_diagnosis::{
    Engine, Input, Output,
    cluster::{ClusterAnswer, ClusterQuestion},
    input::{self, RunChange},
    question::{Answer, Question, QuestionId},
    record::{Record, Task},
    snapshot::Snapshot,
    units::{BootNanos, CgroupId, ClockAnchor},
};

/// Commands and answers that may wait for the pipeline; their senders wait.
const COMMANDS: usize = 1024;
/// Answers, and commands, heard in one turn beside a batch of records.
const TURN: usize = 64;

/// See the module's head.
pub struct Pipeline {
    engine: Engine,
    kernel: Option<KernelSource>,
    recorder: Option<Recorder>,
    attention: Attention,
    walks: Walks,
    commands: mpsc::Receiver<Command>,
    answers_in: mpsc::Sender<(QuestionId, Answer)>,
    answers: mpsc::Receiver<(QuestionId, Answer)>,
    /// Questions whose answer is still to come, and soon.
    asked: BTreeSet<QuestionId>,
    sender: EventSender,
    tell_listeners: bool,
    /// Questions about the cluster that could not be asked, with what is to be heard instead.
    unasked: Vec<(QuestionId, ClusterAnswer)>,
    /// Cgroups that are no longer looked at closely: what they did not tell is read a last time.
    leaving: Vec<CgroupId>,
    settling: Vec<(CgroupId, oneshot::Sender<()>)>,
    clock: clock::Watch,
    anchor: watch::Sender<ClockAnchor>,
    gauges: Gauges,
}

impl Pipeline {
    /// Runs until every handle is gone, or [`Handle::end`].
    pub async fn run(mut self) -> anyhow::Result<()> {
        loop {
            let wake = self.next_wake();
            tokio::select! {
                biased;
                () = self.clock.set() => self.follow_clock(),
                ready = kernel::ready(&mut self.kernel) => {
                    ready.context("wait for the ring buffer")?;
                    self.drain_ring();
                }
                Some((id, answer)) = self.answers.recv() => self.answered(id, answer),
                snapshot = self.walks.found() => self.compare(snapshot),
                command = self.commands.recv() => if !command.is_some_and(|command| self.obey(command)) {
                    break;
                },
                () = tokio::time::sleep(wake) => {}
            }
            if !self.hear_what_waits() {
                break;
            }
            self.tick();
            tokio::task::yield_now().await;
        }
        self.drain_ring();
        self.hear_what_is_asked().await;
        if let Some(recorder) = self.recorder.take() {
            recorder.finish().report();
        }
        Ok(())
    }

    /// What waits behind a batch of records has its turn too; `false`: the end.
    fn hear_what_waits(&mut self) -> bool {
        for _ in 0..TURN {
            let Ok((id, answer)) = self.answers.try_recv() else { break };
            self.answered(id, answer);
        }
        for _ in 0..TURN {
            let Ok(command) = self.commands.try_recv() else { break };
            if !self.obey(command) {
                return false;
            }
        }
        true
    }

    /// `false`: the end.
    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Input(input) => self.input(*input),
            Command::Settle(cgroup, done) => self.settle(cgroup, done),
            Command::End => return false,
        }
        true
    }

    /// The last questions are worth a short wait: without their answers something known would not be said.
    async fn hear_what_is_asked(&mut self) {
        let deadline = tokio::time::Instant::now() + LAST_ANSWERS;
        while !self.asked.is_empty() {
            let Ok(Some((id, answer))) = tokio::time::timeout_at(deadline, self.answers.recv()).await else { break };
            self.answered(id, answer);
        }
        self.feed(Input::Timeout, clock::now());
    }

    fn answered(&mut self, id: QuestionId, answer: Answer) {
        self.asked.remove(&id);
        self.feed(Input::Answer { id, answer }, clock::now());
    }

    /// Somebody set the wall clock: what is dated from here on is dated by it.
    fn follow_clock(&mut self) {
        let known = *self.anchor.borrow();
        let Some(anchor) = clock::stepped(known, clock::anchor()) else { return };
        tracing::info!("the wall clock was set by {:+} ms; dates follow it", anchor.ahead_of(known) / 1_000_000);
        self.anchor.send_replace(anchor);
        self.feed(Input::Clock(anchor), clock::now());
        self.sender.clock_set();
    }

    fn next_wake(&self) -> Duration {
        let now = clock::now();
        let engine = self.engine.poll_timeout().map(|at| at.since(now));
        let counts = self.attention.is_attached().then_some(kernel::PERIOD);
        let attention = self.attention.due(now);
        let walk = self.kernel.as_ref().and_then(|_| self.walks.due(now));
        [engine, counts, attention, walk].into_iter().flatten().min().unwrap_or(IDLE)
    }

    /// What was there before us.
    fn meet_what_exists(&mut self) {
        for record in self.kernel.as_ref().map(KernelSource::existing).unwrap_or_default() {
            self.record(record, clock::now());
        }
    }

    /// What is due by the clock.
    fn tick(&mut self) {
        let now = clock::now();
        for (id, answer) in std::mem::take(&mut self.unasked) {
            self.feed(Input::ClusterAnswer { id, answer }, now);
        }
        for cgroup in std::mem::take(&mut self.leaving) {
            self.feed_from_kernel(now, |kernel| kernel.counts_of(cgroup));
            self.forget(cgroup);
        }
        if self.attention.is_attached() && self.kernel.as_ref().is_some_and(|kernel| kernel.is_count_due(now)) {
            let starting: Vec<CgroupId> = self.attention.starting().collect();
            self.feed_from_kernel(now, |kernel| kernel.counts(starting.into_iter(), now));
        }
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.feed(Input::Timeout, now);
        }
        if self.kernel.as_ref().is_some_and(|kernel| self.walks.tick(&kernel.root, now)) {
            self.feed_from_kernel(now, |kernel| kernel.losses(now));
        }
        if let Some(kernel) = &mut self.kernel {
            self.attention.tick(&mut kernel.half, now);
        }
        let engine = &self.engine;
        for (_, done) in self.settling.extract_if(.., |(cgroup, _)| engine.is_settled(*cgroup)) {
            let _ = done.send(());
        }
    }

    fn input(&mut self, input: Input) {
        if matches!(input, Input::Run(RunChange::Started { .. })) {
            self.drain_ring(); // the cgroup's own record must come before what the launcher says of it
        }
        self.feed(input, clock::now());
    }

    fn settle(&mut self, cgroup: CgroupId, done: oneshot::Sender<()>) {
        self.drain_ring();
        self.settling.push((cgroup, done));
    }

    fn drain_ring(&mut self) {
        let Some(kernel) = &mut self.kernel else { return };
        let Drained { records, loss } = kernel.drain();
        for (at, record) in records {
            self.record(record, at);
        }
        if let Some(loss) = loss {
            self.feed(loss, clock::now());
        }
    }

    fn record(&mut self, record: Record, at: BootNanos) {
        self.tell(&record);
        let mut executed = None;
        match &record {
            // The counts belong into what is said of the exit.
            Record::Exit { task, .. } if self.decides(task) => self.feed_from_kernel(at, |kernel| kernel.counts_of(task.cgroup)),
            Record::Exec { task, .. } => executed = Some(task.cgroup),
            Record::CgroupRemoved { id } => self.forget(*id),
            Record::CgroupCreated { .. }
            | Record::CgroupAttached { .. }
            | Record::Exit { .. }
            | Record::OomVictim { .. }
            | Record::CallFailed(_)
            | Record::RootChanged { .. }
            | Record::Listening { .. }
            | Record::Repeated { .. }
            | Record::Output { .. } => {}
        }
        self.feed(Input::Record(record), at);
        if let Some(cgroup) = executed {
            self.tell_main(cgroup);
        }
    }

    /// Whether a start is judged by the end of this process.
    fn decides(&self, task: &Task) -> bool {
        self.attention.is_starting(task.cgroup) && self.engine.main_process(task.cgroup).is_none_or(|main| main == task.process)
    }

    fn tell_main(&mut self, cgroup: CgroupId) {
        if let (Some(kernel), Some(main)) = (&mut self.kernel, self.engine.main_process(cgroup)) {
            kernel.follow_main(cgroup, main);
        }
    }

    fn forget(&mut self, cgroup: CgroupId) {
        if let Some(kernel) = &mut self.kernel {
            kernel.forget(cgroup);
        }
    }

    /// What exists, beside what is known.
    fn compare(&mut self, snapshot: Snapshot) {
        self.drain_ring(); // what was told before it is better known before it
        self.feed(Input::Cgroups(snapshot), clock::now());
        let starting: Vec<CgroupId> = self.attention.starting().collect();
        for cgroup in starting {
            self.tell_main(cgroup);
        }
    }

    fn feed_from_kernel<I: IntoIterator<Item = Input>>(&mut self, now: BootNanos, read: impl FnOnce(&mut KernelSource) -> I) {
        for input in self.kernel.as_mut().map(read).into_iter().flatten() {
            self.feed(input, now);
        }
    }

    /// The only way into the engine.
    fn feed(&mut self, input: Input, now: BootNanos) {
        if matches!(&input, Input::Loss(loss) if loss.lost > 0 || loss.undecodable > 0) {
            self.walks.hasten(now);
        }
        if let Some(recorder) = &self.recorder {
            recorder.write(now, &input);
        }
        self.engine.handle(input, now);
        self.gauges.refused_pods.store(self.engine.refused_pods(), Ordering::Relaxed);
        while let Some(output) = self.engine.poll_output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Verdict(verdict) => self.sender.verdict(verdict),
            Output::Start(report) => self.sender.start(report),
            Output::Attention(attention) => self.attend(attention),
            Output::Ask(id, question) => self.ask(id, question),
            Output::AskCluster(id, question) => self.ask_cluster(id, question),
            Output::Release(cgroup) => {
                if let Some(kernel) = &self.kernel {
                    kernel.investigator.release(cgroup);
                }
            }
        }
    }

    fn attend(&mut self, new: input::Attention) {
        match new.level {
            Some(Level::Rest) if self.attention.is_starting(new.cgroup) => self.leaving.push(new.cgroup),
            Some(_) => {}
            None => self.forget(new.cgroup),
        }
        if let Some(kernel) = &mut self.kernel
            && let Err(error) = self.attention.set(&mut kernel.half, new)
        {
            tracing::warn!("cgroup {} cannot be watched: {error:#}", new.cgroup);
        }
    }

    fn ask(&mut self, id: QuestionId, question: Question) {
        if !matches!(question, Question::AwaitPath { .. }) {
            self.asked.insert(id); // that one takes seconds, and the end does not wait for it
        }
        let (investigator, answers) = (self.kernel.as_ref().map(|kernel| kernel.investigator.clone()), self.answers_in.clone());
        tokio::spawn(async move {
            let answer = match investigator {
                Some(investigator) => investigator.answer(question).await,
                None => Answer::Gone { reason: "the agent works without the kernel's evidence".to_owned() },
            };
            let _ = answers.send((id, answer)).await;
        });
    }

    /// A question that finds no room is answered by the next turn: every question is.
    fn ask_cluster(&mut self, id: QuestionId, question: ClusterQuestion) {
        if !self.sender.ask(id, question) {
            let reason = "too many questions about the cluster wait for an answer".to_owned();
            self.unasked.push((id, ClusterAnswer::Unknown { reason }));
        }
    }

    fn tell(&self, record: &Record) {
        if let Record::Listening { task, address, port, open } = record
            && self.tell_listeners
        {
            let (cgroup, address) = (task.cgroup, address.clone());
            self.sender.listener(Event::Listening { cgroup, address, port: *port, open: *open });
        }
    }
}

/// How long the end waits for answers.
const LAST_ANSWERS: Duration = Duration::from_millis(200);
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_hours(1);
