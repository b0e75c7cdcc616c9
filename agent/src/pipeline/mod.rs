//! The one task that owns the engine.
//!
//! Everything that the engine hears passes through [`Pipeline::feed`], in one order, so that a recording of those inputs
//! is a complete account. Everything that it says is carried out by [`Pipeline::carry_out`].
//!
//! ```text
//!   ring ──► decode ─┐
//!   answers ─────────┼─► feed ─► Engine ─► carry_out ─┬─► events: verdicts, questions about the cluster, starts, listeners
//!   commands ────────┤                                ├─► questions, answered off this task
//!   timers, counters,│                                └─► attention: cgroups to watch, level 1 on or off
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
mod half;
mod handle;
mod kernel_counts;
mod latest;
mod walks;

use crate::{
    bpf::{KernelHalf, LoadError, Observer},
    cgroupfs::{CgroupRoot, Limits},
    clock,
    investigate::LookCounts,
    recording::{Header, Recorder, Summary},
};
use anyhow::Context as _;
use attention::Attention;
use events::EventSender;
pub use events::Events;
pub use gauges::{Gauges, QueueFill};
use half::Half;
pub use half::WITHOUT;
use handle::Command;
pub use handle::{Ebpf, Event, Handle, Options};
use kernel_counts::KernelCounts;
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};
use unready_agent_common::watch::Level;
use unready_diagnosis::{
    Config, Engine, Input, Output,
    cluster::{ClusterAnswer, ClusterQuestion},
    decode,
    input::{self, Loss, RunChange},
    question::{Answer, Question, QuestionId},
    record::{Record, Task},
    snapshot::{Existing, Snapshot},
    units::{BootNanos, CgroupId, ClockAnchor},
};
use walks::Walks;

/// Commands and answers that may wait for the pipeline; their senders wait.
const COMMANDS: usize = 1024;
/// Answers, and commands, heard in one turn beside a batch of records.
const TURN: usize = 64;

/// See the module's head.
pub struct Pipeline {
    engine: Engine,
    half: Option<Half>,
    recorder: Option<Recorder>,
    attention: Attention,
    counts: KernelCounts,
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
    /// Loads the programs, attaches level 0 (and level 1 for a local run), and learns which cgroups exist.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(options: &Options) -> anyhow::Result<(Self, Handle, Events)> {
        let mut half = Half::if_wanted(options)?;
        let mut attention = Attention::new(options.linger);
        if let Some(half) = half.as_mut().filter(|_| options.starting_at_once) {
            attention.hold(&mut half.kernel)?;
        }
        let clock = clock::Watch::start().context("watch the wall clock")?; // before the first look at it
        let anchor = clock::anchor();
        anyhow::ensure!(anchor.wall > 0, "the wall clock stands before 1970: set it");
        let recorder = options.record.as_deref().map(|path| Recorder::create(path, &Header::here(anchor, half.is_some()))).transpose()?;
        let (commands_in, commands) = mpsc::channel(COMMANDS);
        let (answers_in, answers) = mpsc::channel(COMMANDS);
        let (sender, events) = events::channel();
        let (verdicts, questions, starts) = (sender.verdicts(), sender.questions(), sender.starts());
        let gauges = Gauges { commands: commands_in.downgrade(), verdicts, questions, starts, refused_pods: Arc::default() };
        let (anchor_in, anchor_out) = watch::channel(anchor);
        let mut pipeline = Self {
            engine: Engine::new(Config { clock: anchor, kernel: half.is_some(), ..Config::default() }),
            half,
            recorder,
            attention,
            counts: KernelCounts::default(),
            walks: Walks::new(clock::now()),
            commands,
            answers_in,
            answers,
            asked: BTreeSet::new(),
            sender,
            tell_listeners: options.tell_listeners,
            unasked: Vec::new(),
            leaving: Vec::new(),
            settling: Vec::new(),
            clock,
            anchor: anchor_in,
            gauges,
        };
        pipeline.meet_what_exists();
        Ok((pipeline, Handle { commands: commands_in, anchor: anchor_out }, events))
    }

    /// The kernel half is loaded.
    pub const fn has_kernel(&self) -> bool {
        self.half.is_some()
    }

    /// How its queues stand, also while it runs.
    pub fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    /// What the kernel half does and costs, to be looked at also while the pipeline runs. `None`: it is not loaded.
    pub fn observer(&self) -> Result<Option<Observer>, LoadError> {
        self.half.as_ref().map(|half| half.kernel.observer()).transpose()
    }

    /// What could not be looked at, to be asked also while the pipeline runs. `None`: nothing is looked at.
    pub fn look_counts(&self) -> Option<impl Fn() -> LookCounts + Send + Sync + use<>> {
        self.half.as_ref().map(|half| half.investigator.observe())
    }

    /// Runs until every handle is gone, or [`Handle::end`].
    pub async fn run(mut self) -> anyhow::Result<()> {
        loop {
            let wake = self.next_wake();
            tokio::select! {
                biased;
                () = self.clock.set() => self.follow_clock(),
                ready = half::ready(&mut self.half) => {
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
        if let Some(summary) = self.recorder.take().map(Recorder::finish) {
            report(&summary);
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
        let counts = self.attention.is_attached().then_some(KernelCounts::PERIOD);
        let attention = self.attention.due(now);
        let walk = self.half.as_ref().and_then(|_| self.walks.due(now));
        [engine, counts, attention, walk].into_iter().flatten().min().unwrap_or(IDLE)
    }

    /// What was there before us. What runs in it does not matter here.
    fn meet_what_exists(&mut self) {
        let limits = Limits { looked_at: 0, ..Limits::default() };
        let Some(found) = self.half.as_ref().map(|half| half.root.snapshot(&limits)) else { return };
        for Existing { id, path, .. } in found.cgroups {
            let record = Record::CgroupCreated { id, path, existing: true };
            self.note(&record);
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
            self.feed_all(now, |counts, kernel| counts.read_one(kernel, cgroup));
            self.counts.forget(cgroup);
        }
        if self.attention.is_attached() && self.counts.is_due(now) {
            self.read_counts(now);
        }
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.feed(Input::Timeout, now);
        }
        if let Some(half) = &self.half
            && self.walks.tick(&half.root, now)
        {
            self.feed_all(now, |counts, kernel| counts.read_losses(kernel, now).into_iter().collect());
        }
        if let Some(half) = &mut self.half {
            self.attention.tick(&mut half.kernel, now);
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
        let Some(Half { root, reader, investigator, .. }) = &mut self.half else { return };
        let (mut batch, mut undecodable) = (Vec::new(), 0);
        let counts = &mut self.counts;
        reader.drain(|bytes| match decode::decode(bytes) {
            Ok((at, record)) => {
                let record = with_whole_path(record, root);
                investigator.note(&record); // first: a process that failed may be gone within a millisecond
                if let Some(key) = decode::repeat_key(bytes) {
                    counts.follow(key);
                }
                batch.push((at, record));
            }
            Err(error) => {
                undecodable += 1;
                tracing::debug!("a record could not be decoded: {error}");
            }
        });
        for (at, record) in batch {
            self.record(record, at);
        }
        if undecodable > 0 {
            self.feed(Input::Loss(Loss { undecodable, ..Loss::default() }), clock::now());
        }
    }

    fn record(&mut self, record: Record, at: BootNanos) {
        self.tell(&record);
        let mut executed = None;
        match &record {
            // The counts belong into what is said of the exit.
            Record::Exit { task, .. } if self.decides(task) => self.feed_all(at, |counts, kernel| counts.read_one(kernel, task.cgroup)),
            Record::Exec { task, .. } => executed = Some(task.cgroup),
            Record::CgroupRemoved { id } => self.counts.forget(*id),
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

    /// The kernel half always tells of the main process.
    fn tell_main(&mut self, cgroup: CgroupId) {
        let (Some(half), Some(main)) = (&mut self.half, self.engine.main_process(cgroup)) else { return };
        if let Err(error) = half.kernel.set_main(cgroup, main.pid) {
            tracing::warn!("process {} of cgroup {cgroup} cannot be followed closely: {error:#}", main.pid);
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

    fn read_counts(&mut self, now: BootNanos) {
        let starting: Vec<CgroupId> = self.attention.starting().collect();
        self.feed_all(now, |counts, kernel| counts.read(kernel, starting.into_iter(), now));
    }

    fn feed_all(&mut self, now: BootNanos, read: impl FnOnce(&mut KernelCounts, &KernelHalf) -> Vec<Input>) {
        let Some(half) = &self.half else { return };
        for input in read(&mut self.counts, &half.kernel) {
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
                if let Some(half) = &self.half {
                    half.investigator.release(cgroup);
                }
            }
        }
    }

    fn attend(&mut self, new: input::Attention) {
        let Some(half) = &mut self.half else { return };
        match new.level {
            Some(Level::Rest) if self.attention.is_starting(new.cgroup) => self.leaving.push(new.cgroup),
            Some(_) => {}
            None => self.counts.forget(new.cgroup),
        }
        if let Err(error) = self.attention.set(&mut half.kernel, new) {
            tracing::warn!("cgroup {} cannot be watched: {error:#}", new.cgroup);
        }
    }

    fn ask(&mut self, id: QuestionId, question: Question) {
        if !matches!(question, Question::AwaitPath { .. }) {
            self.asked.insert(id); // that one takes seconds, and the end does not wait for it
        }
        let (investigator, answers) = (self.half.as_ref().map(|half| half.investigator.clone()), self.answers_in.clone());
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

    fn note(&self, record: &Record) {
        if let Some(half) = &self.half {
            half.investigator.note(record);
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

/// A cgroup's path that was too long for its record is looked up in the file system.
fn with_whole_path(mut record: Record, root: &CgroupRoot) -> Record {
    if let Record::CgroupCreated { id, path, .. } = &mut record
        && decode::cgroup_path_may_be_cut(path)
        && let Some(whole) = root.whole_path(*id, path)
    {
        *path = whole;
    }
    record
}

fn report(summary: &Summary) {
    match &summary.failed {
        Some(error) => tracing::warn!("the recording ends early, {} inputs are missing from it: {error}", summary.missing),
        None if summary.missing > 0 => {
            tracing::warn!("the disk was too slow for the recording: {} inputs are missing from it", summary.missing);
        }
        None => tracing::debug!("{} inputs recorded", summary.written),
    }
}

/// How long the end waits for answers.
const LAST_ANSWERS: Duration = Duration::from_millis(200);
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_hours(1);
