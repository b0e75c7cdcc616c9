//! The player: feeds the engine in the order of time, answers its questions from the world, and lets its clock run.
//! Several scenarios may be cast at once, each as a container of its own.

use super::{
    clock::Step,
    mask::{Mask, bare},
    pod::{self, Story},
    scenario::Scenario,
    step::{Reader, START},
    world::Moment,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc,
    time::Duration,
};
use unready_agent_common::watch::Level;
use unready_diagnosis::{
    Config, Engine, Input, Output,
    cluster::ClusterAnswer,
    input::RunChange,
    judge::weights::Weights,
    of_owner, platform,
    question::{Answer, PodAnnotations, Question, QuestionId},
    record::Record,
    story::report::StartReport,
    units::{BootNanos, CgroupId, ClockAnchor},
    verdict::Verdict,
};

/// How the world answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// Within 2 ms.
    Prompt,
    /// After 700 ms: the engine has said what it could before.
    Late,
    /// That it can no longer be told.
    Gone,
}

impl Answering {
    pub const ALL: [Self; 3] = [Self::Prompt, Self::Late, Self::Gone];

    const fn delay(self) -> Duration {
        match self {
            Self::Prompt | Self::Gone => Duration::from_millis(2),
            Self::Late => Duration::from_millis(700),
        }
    }
}

/// What came out about one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// The last word on each id, in the order of the first.
    pub verdicts: Vec<Verdict>,
    /// The container was released.
    pub released: bool,
    /// How often a verdict was given, news of known ones included.
    pub said: usize,
    /// The last word on how closely its cgroup is looked at.
    pub level: Option<Level>,
    /// How its start was told.
    pub starts: Vec<StartReport>,
}

/// A scenario as one of several containers.
#[derive(Clone, Copy, Debug)]
pub struct Cast<'a> {
    pub scenario: &'a Scenario,
    /// Tells the containers apart: cgroup id, path and process ids follow from it.
    pub number: u32,
    /// When its steps' time begins, after that of the first.
    pub offset: Duration,
}

/// How long the clock runs on after the last step.
const AFTERWARDS: Duration = Duration::from_mins(3);
/// How long a player may take: far more than it needs, unless the engine never comes back.
const PATIENCE: Duration = Duration::from_secs(30);

/// The clock of scenarios: boot time 0 is this wall-clock time.
pub const CLOCK: ClockAnchor = ClockAnchor { boot: BootNanos(0), wall: 1_700_000_000_000_000_000 };

/// An engine with default limits and the scenarios' clock.
pub fn engine() -> Engine {
    Engine::new(Config { clock: CLOCK, ..Config::default() })
}

impl Cast<'_> {
    pub const fn cgroup(&self) -> CgroupId {
        CgroupId(4242 + self.number as u64)
    }

    fn annotations(&self) -> PodAnnotations {
        let pod = self.scenario.pod.clone().unwrap_or_default();
        PodAnnotations {
            container: self.scenario.is_container.clone(),
            pod: pod.name,
            namespace: pod.namespace,
            ..PodAnnotations::default()
        }
    }

    fn start(&self) -> BootNanos {
        START.after(self.offset)
    }

    pub fn path(&self) -> String {
        match (&self.scenario.container, &self.scenario.run) {
            (Some(path), None) => path.clone(),
            (None, Some(_)) => format!("/unready/run-{}", self.number),
            (None, None) => format!("/kubepods/burstable/pod{}/{}", pod::uid(self.number), pod::container_id(self.number)),
            (Some(_), Some(_)) => panic!("{}: container and run exclude each other", self.scenario.name()),
        }
    }

    /// What the API server tells of its pod.
    pub fn story(&self) -> Option<Story> {
        Story::of(self.scenario, self.number, self.start())
    }

    /// Its inputs in the order of time, without answers.
    pub fn inputs(&self) -> Vec<(BootNanos, Input)> {
        let (cgroup, start) = (self.cgroup(), self.start());
        let mut reader = Reader::new(cgroup, start, self.number * 100_000, self.scenario.creds.as_deref(), self.scenario.world.user_ns());
        let story = self.story();
        let mut all: Vec<(BootNanos, Input)> = story.map(|story| story.changes).unwrap_or_default();
        let own: Vec<&String> = self.scenario.steps.iter().filter(|line| !pod::is_step(line)).collect();
        if self.scenario.pod.is_none() || !own.is_empty() {
            let created = (start, Input::Record(Record::CgroupCreated { id: cgroup, path: self.path(), existing: false }));
            all.insert(usize::from(self.scenario.pod.is_some()), created);
        }
        if let Some(run) = &self.scenario.run {
            let started = RunChange::Started { cgroup, command: run.command.clone(), probe: run.probe.clone() };
            all.push((start, Input::Run(started)));
        }
        all.extend(own.into_iter().flat_map(|line| reader.read(line)));
        all.sort_by_key(|(at, _)| *at);
        let removed = all.iter().any(|(_, input)| matches!(input, Input::Record(Record::CgroupRemoved { .. })));
        if reader.all_ended() && !self.scenario.stays && !removed {
            let last = all.last().map_or(start, |(at, _)| *at);
            all.push((last.after(Duration::from_millis(40)), Input::Record(Record::CgroupRemoved { id: cgroup })));
        }
        all
    }
}

/// The inputs of a scenario that is alone.
pub fn inputs(scenario: &Scenario) -> Vec<(BootNanos, Input)> {
    alone(scenario).inputs()
}

const fn alone(scenario: &Scenario) -> Cast<'_> {
    Cast { scenario, number: 0, offset: Duration::ZERO }
}

/// Plays a scenario.
pub fn play(scenario: &Scenario, answering: Answering) -> Played {
    if let Some(owner) = &scenario.owner {
        let found = platform::owner(owner, CLOCK.wall_nanos(START));
        let verdicts: Vec<_> = found.iter().map(|found| of_owner(owner, found, CLOCK)).collect();
        return Played { said: verdicts.len(), verdicts, ..Played::default() };
    }
    let cast = alone(scenario);
    play_together(&[cast], answering, cast.inputs()).remove(&cast.cgroup()).unwrap_or_default()
}

/// Plays a scenario that knows an engine, on a node whose clock is set meanwhile.
pub fn play_stepped(scenario: &Scenario, answering: Answering, step: Step) -> Played {
    let cast = alone(scenario);
    let mut inputs: Vec<_> = cast.inputs().into_iter().map(|(at, input)| (at, step.dates(input))).collect();
    let end = inputs.last().map_or(START, |(at, _)| *at);
    inputs.insert(inputs.partition_point(|(at, _)| *at <= step.at), step.input());
    let casts = [cast];
    let player = Player { step: Some(step), ..Player::new(&casts, answering) };
    player.play_until(inputs, end.after(AFTERWARDS)).remove(&cast.cgroup()).unwrap_or_default()
}

/// Plays a scenario that knows an engine, in hostile words.
pub fn play_masked(scenario: &Scenario, answering: Answering, mask: &Mask) -> Vec<Verdict> {
    let cast = alone(scenario);
    let casts = [cast];
    let player = Player { mask: Some(mask), ..Player::new(&casts, answering) };
    player.play(cast.inputs()).remove(&cast.cgroup()).unwrap_or_default().verdicts
}

/// Plays a scenario, and so long after: how its starts were told.
pub fn play_starts(scenario: &Scenario, afterwards: Duration) -> Vec<StartReport> {
    let cast = alone(scenario);
    let casts = [cast];
    let inputs = cast.inputs();
    let end = inputs.iter().map(|(at, _)| *at).max().unwrap_or(START).after(afterwards);
    Player::new(&casts, Answering::Prompt).play_until(inputs, end).remove(&cast.cgroup()).unwrap_or_default().starts
}

/// Plays a scenario with other numbers of the judge.
pub fn play_weighed(scenario: &Scenario, weights: Weights) -> Played {
    let cast = alone(scenario);
    let casts = [cast];
    let config = Config { clock: CLOCK, kernel: scenario.kernel, weights, ..Config::default() };
    let player = Player { engine: Engine::new(config), ..Player::new(&casts, Answering::Prompt) };
    player.play(cast.inputs()).remove(&cast.cgroup()).unwrap_or_default()
}

/// Plays several at once; `inputs` are theirs, in the order in which they reach the engine.
pub fn play_together(casts: &[Cast<'_>], answering: Answering, inputs: Vec<(BootNanos, Input)>) -> BTreeMap<CgroupId, Played> {
    Player::new(casts, answering).play(inputs)
}

/// Does something that must come to an end. If it does not, the whole test program ends: a thread cannot be stopped, and
/// would take its processor from the tests that follow.
pub fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let worker = std::thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            eprintln!("{what}: the engine does not come back");
            std::process::exit(101);
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("the worker sends before it ends"),
        },
    }
}

pub(super) struct Player<'a> {
    pub(super) engine: Engine,
    casts: &'a [Cast<'a>],
    answering: Answering,
    alive: BTreeSet<u32>,
    answers: BTreeMap<(BootNanos, QuestionId), Input>,
    asked: BTreeSet<QuestionId>,
    now: BootNanos,
    pub(super) played: BTreeMap<CgroupId, Played>,
    step: Option<Step>,
    mask: Option<&'a Mask>,
}

impl<'a> Player<'a> {
    pub(super) fn new(casts: &'a [Cast<'a>], answering: Answering) -> Self {
        Self {
            engine: Engine::new(Config { clock: CLOCK, kernel: casts.iter().all(|cast| cast.scenario.kernel), ..Config::default() }),
            casts,
            answering,
            alive: BTreeSet::new(),
            answers: BTreeMap::new(),
            asked: BTreeSet::new(),
            now: START,
            played: casts.iter().map(|cast| (cast.cgroup(), Played::default())).collect(),
            step: None,
            mask: None,
        }
    }

    fn play(self, inputs: Vec<(BootNanos, Input)>) -> BTreeMap<CgroupId, Played> {
        let end = inputs.iter().map(|(at, _)| *at).max().unwrap_or(START).after(AFTERWARDS);
        self.play_until(inputs, end)
    }

    fn play_until(mut self, inputs: Vec<(BootNanos, Input)>, end: BootNanos) -> BTreeMap<CgroupId, Played> {
        for (at, input) in inputs {
            self.run_until(at);
            self.note(&input);
            self.feed(input, at);
        }
        self.run_until(end);
        self.played
    }

    /// Lets timers and answers come that are due before `until`.
    pub(super) fn run_until(&mut self, until: BootNanos) {
        let mut idle = 0;
        loop {
            let timer = self.engine.poll_timeout();
            let answer = self.answers.keys().next().copied();
            let next = timer.into_iter().chain(answer.map(|(at, _)| at)).min().filter(|at| *at < until);
            let Some(at) = next else { break };
            idle = if at > self.now { 0 } else { idle + 1 };
            assert!(idle < 1000, "the engine's timer stands still at {at:?}");
            match answer.filter(|(due, _)| *due <= at) {
                Some(key) => {
                    let input = self.answers.remove(&key).expect("just seen");
                    let input = self.step.map_or(input.clone(), |step| step.dates(input));
                    self.feed(input, key.0);
                }
                None => self.feed(Input::Timeout, at),
            }
        }
    }

    pub(super) fn note(&mut self, input: &Input) {
        match input {
            Input::Record(Record::Exec { task, .. }) => {
                self.alive.insert(task.process.pid);
            }
            Input::Record(Record::Exit { task, .. }) => {
                self.alive.remove(&task.process.pid);
            }
            _ => {}
        }
    }

    pub(super) fn feed(&mut self, input: Input, at: BootNanos) {
        self.now = self.now.max(at);
        let input = match self.mask {
            Some(mask) => mask.wear(&input),
            None => input,
        };
        self.engine.handle(input, at);
        while let Some(output) = self.engine.poll_output() {
            self.take(output, at);
        }
    }

    fn take(&mut self, output: Output, at: BootNanos) {
        match output {
            Output::Verdict(verdict) => {
                let cgroup = self.cgroup_of(&verdict);
                let played = self.played.get_mut(&cgroup).expect("a verdict about a container of the cast");
                played.said += 1;
                match played.verdicts.iter_mut().find(|known| known.id == verdict.id) {
                    Some(known) => *known = *verdict,
                    None => played.verdicts.push(*verdict),
                }
            }
            Output::Ask(id, question) => {
                assert!(self.asked.insert(id), "the question id {id:?} was used twice");
                let question = self.mask.map_or(question.clone(), |_| bare(&question));
                let (due, answer) = self.answer(&question, at.after(self.answering.delay()));
                self.answers.insert((due, id), Input::Answer { id, answer });
            }
            Output::AskCluster(id, question) => {
                assert!(self.asked.insert(id), "the question id {id:?} was used twice");
                let question = self.mask.map_or(question.clone(), |_| bare(&question));
                let due = at.after(self.answering.delay());
                let story = self
                    .casts
                    .iter()
                    .filter_map(Cast::story)
                    .find(|story| story.is_asked(&question))
                    .expect("a question about a pod of the cast");
                let answer = match self.answering {
                    Answering::Gone => ClusterAnswer::Unknown { reason: "the API server does not answer".to_owned() },
                    Answering::Prompt | Answering::Late => story.answer(&question, at),
                };
                self.answers.insert((due, id), Input::ClusterAnswer { id, answer });
            }
            Output::Start(report) => {
                self.played.get_mut(&report.cgroup).expect("a container of the cast").starts.push(*report);
            }
            Output::Release(cgroup) => self.played.get_mut(&cgroup).expect("a container of the cast").released = true,
            Output::Attention(attention) => {
                if let Some(played) = self.played.get_mut(&attention.cgroup) {
                    played.level = attention.level;
                }
            }
        }
    }

    /// A verdict on a pod as a whole is filed under its container.
    fn cgroup_of(&self, verdict: &Verdict) -> CgroupId {
        let of_pod = |cast: &&Cast<'_>| pod::uid(cast.number) == verdict.workload.pod_uid;
        if verdict.cgroup == CgroupId(0) { self.casts.iter().find(of_pod).map_or(verdict.cgroup, Cast::cgroup) } else { verdict.cgroup }
    }

    fn answer(&self, question: &Question, asked: BootNanos) -> (BootNanos, Answer) {
        let cast = self.casts.iter().find(|cast| cast.cgroup() == question.cgroup()).expect("a question about a container of the cast");
        let first_pid = cast.number * 100_000;
        let alive = self.alive.iter().copied().filter(|pid| (first_pid..first_pid + 100_000).contains(pid)).collect();
        match self.answering {
            Answering::Gone => (asked, Answer::Gone { reason: "the process ended and its root was not held".to_owned() }),
            Answering::Prompt | Answering::Late if matches!(question, Question::Identify { .. }) => {
                (asked, Answer::Identity(cast.annotations()))
            }
            Answering::Prompt | Answering::Late => {
                cast.scenario.world.answer(question, Moment { asked, start: cast.start(), alive: &alive })
            }
        }
    }
}
