//! A node with one pod whose containers start one after the other, and the API server's word on them.

use super::{
    play::CLOCK,
    step::{Reader, START, duration},
};
use std::collections::BTreeMap;
use unready_diagnosis::{
    Config, Engine, Input, Output,
    answer::PodAnnotations,
    cluster::{ClusterAnswer, ClusterQuestion, PodChange},
    pod::{Condition, Container, ContainerState, ContainerStatus, Owner, Pod, PodEvent, Probe},
    question::{Answer, Question, QuestionId},
    record::Record,
    units::{BootNanos, CgroupId, ClockAnchor},
    verdict::Verdict,
};

pub const UID: &str = "8a0c7b64-53f2-4d1e-9a57-0b1c2d3e4f50";

/// A node with one engine: every container is a start of `app` unless told otherwise.
pub struct Node {
    pub engine: Engine,
    readers: BTreeMap<u32, Reader>,
    /// The last word on each id, in the order of the first.
    pub verdicts: Vec<Verdict>,
    /// Every word.
    pub said: Vec<Verdict>,
    /// How many starts were told.
    pub starts: usize,
    /// Whether it is looked at closely.
    pub attention: BTreeMap<CgroupId, bool>,
    /// What is on the kernel's map, and who made it.
    pub levels: BTreeMap<CgroupId, Option<CgroupId>>,
    /// Questions about files that are to appear stay open.
    pub slow_files: bool,
    pub open: Vec<QuestionId>,
    /// What the runtime wrote down; `None`: nothing.
    pub who: Option<PodAnnotations>,
    /// The pod's events, as the API server would tell them.
    pub events: Vec<PodEvent>,
    /// The wall clock.
    pub clock: ClockAnchor,
    now: BootNanos,
}

impl Node {
    pub fn new() -> Self {
        Self::with(&Config::default())
    }

    /// Without the kernel's evidence.
    pub fn without_kernel() -> Self {
        Self::with(&Config { kernel: false, ..Config::default() })
    }

    fn with(config: &Config) -> Self {
        let who = PodAnnotations { container: "app".into(), pod: "orders-7d9f".into(), namespace: "shop".into(), ..Default::default() };
        Self {
            engine: Engine::new(Config { clock: CLOCK, pods: 8, ..*config }),
            readers: BTreeMap::new(),
            verdicts: Vec::new(),
            said: Vec::new(),
            starts: 0,
            attention: BTreeMap::new(),
            levels: BTreeMap::new(),
            slow_files: false,
            open: Vec::new(),
            who: Some(who),
            events: Vec::new(),
            clock: CLOCK,
            now: START,
        }
    }

    pub fn feed(&mut self, input: Input, at: BootNanos) {
        self.run_until(at);
        self.now = self.now.max(at);
        self.engine.handle(input, at);
        self.drain();
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Verdict(verdict) => {
                    self.said.push((*verdict).clone());
                    match self.verdicts.iter_mut().find(|known| known.id == verdict.id) {
                        Some(known) => *known = *verdict,
                        None => self.verdicts.push(*verdict),
                    }
                }
                Output::AskCluster(id, ClusterQuestion::PodEvents { .. }) => {
                    let answer = ClusterAnswer::PodEvents(self.events.clone());
                    self.engine.handle(Input::ClusterAnswer { id, answer }, self.now);
                }
                Output::Ask(id, Question::WalkPath { .. }) if self.slow_files => self.open.push(id),
                Output::Ask(id, question) => {
                    let answer = match (&question, &self.who) {
                        (Question::Identify { .. }, Some(who)) => Answer::Identity(who.clone()),
                        _ => Answer::Gone { reason: "nobody looks".into() },
                    };
                    self.engine.handle(Input::Answer { id, answer }, self.now);
                }
                Output::Attention(new) => {
                    match (new.level, new.maker) {
                        (None, None) => self.levels.remove(&new.cgroup),
                        (_, maker) => self.levels.insert(new.cgroup, maker),
                    };
                    self.attention.insert(new.cgroup, new.level == Some(unready_agent_common::watch::Level::Starting));
                }
                Output::Start(_) => self.starts += 1,
                Output::AskCluster(..) | Output::Release(_) => {}
            }
        }
    }

    pub fn run_until(&mut self, until: BootNanos) {
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.engine.handle(Input::Timeout, due);
            self.drain();
        }
    }

    /// `TIME step` lines about the start with this number; the first makes its cgroup.
    pub fn start(&mut self, number: u32, lines: &[&str]) {
        self.begin(number, lines[0], false);
        for line in lines {
            self.step(number, line);
        }
    }

    pub fn begin(&mut self, number: u32, line: &str, existing: bool) {
        let at = START.after(duration(line.split(' ').next().unwrap()));
        let path = format!("/kubepods/burstable/pod{UID}/{}", id(number));
        self.readers.insert(number, Reader::new(cgroup(number), START, number * 1000, Some("1000:1000"), 0));
        self.feed(Input::Record(Record::CgroupCreated { id: cgroup(number), path, existing }), at);
    }

    pub fn step(&mut self, number: u32, line: &str) {
        let inputs = self.readers.get_mut(&number).unwrap().read(line);
        for (at, input) in inputs {
            self.feed(input, at);
        }
    }

    pub fn tell(&mut self, at: &str, pod: Pod) {
        self.feed(Input::Pods(PodChange::Apply(Box::new(pod))), START.after(duration(at)));
    }

    /// Somebody sets the wall clock, so many seconds on or back.
    pub fn set_clock(&mut self, at: &str, by: i64) {
        let at = START.after(duration(at));
        let wall = self.clock.wall_nanos(at).saturating_add_signed(by * 1_000_000_000);
        self.clock = ClockAnchor { boot: at, wall };
        self.feed(Input::Clock(self.clock), at);
    }

    /// The date of a moment by the clock as it runs now, cut to seconds as the API server does.
    pub fn date(&self, at: &str) -> u64 {
        let wall = self.clock.wall_nanos(START.after(duration(at)));
        wall - wall % 1_000_000_000
    }

    pub fn wait(&mut self, until: &str) {
        self.run_until(START.after(duration(until)));
    }

    pub fn only(&self) -> &Verdict {
        assert_eq!(self.verdicts.len(), 1, "{:#?}", self.verdicts);
        &self.verdicts[0]
    }
}

pub const fn cgroup(number: u32) -> CgroupId {
    CgroupId(500 + number as u64)
}

pub fn id(number: u32) -> String {
    format!("{number:064x}")
}

/// A Deployment's pod whose container `app` is described by `change`.
pub fn pod(status: ContainerStatus, change: impl FnOnce(&mut Pod)) -> Pod {
    let owner = Owner { api_version: "apps/v1".into(), kind: "Deployment".into(), name: "orders".into(), ..Owner::default() };
    let mut pod = Pod {
        uid: UID.into(),
        api_uid: UID.into(),
        namespace: "shop".into(),
        name: "orders-7d9f".into(),
        node: "node-1".into(),
        owner: Some(owner),
        containers: vec![Container { name: "app".into(), image: "orders:1".into(), ..Container::default() }],
        ..Pod::default()
    };
    pod.status.phase = "Running".into();
    pod.status.containers = vec![status];
    change(&mut pod);
    pod
}

pub fn running(number: u32, restarts: u32, is_ready: bool) -> ContainerStatus {
    let state = ContainerState::Running { since: CLOCK.wall_nanos(START) };
    ContainerStatus { name: "app".into(), id: id(number), restarts, is_ready, is_started: true, state, ..ContainerStatus::default() }
}

pub fn creating() -> ContainerStatus {
    let state = ContainerState::Waiting { reason: "ContainerCreating".into(), message: String::new() };
    ContainerStatus { name: "app".into(), state, ..ContainerStatus::default() }
}

pub fn probed(pod: &mut Pod) {
    pod.containers[0].readiness = Some(Probe { action: "GET http://:8080/readyz".into(), period: 10, failures: 3, ..Probe::default() });
}

pub const DENIED: [&str; 4] = ["100ms enter", "110ms exec /app", "120ms fails open /data/x O_RDWR = EACCES", "121ms exit 1"];

/// The pod is ready.
pub fn ready(pod: &mut Pod) {
    pod.status.conditions.push(Condition { kind: "Ready".into(), status: "True".into(), ..Condition::default() });
}
