//! The engine: one state machine a container, driven from outside ([`super::state`]).
//!
//! Failing calls are kept, bounded, while a container starts. When something ends or time is up, the start is judged ([`super::judging`],
//! [`crate::judge`]); a later answer (a file that appeared after all) makes it say the same verdict again, with more in it. How each start
//! goes is told as well ([`super::telling`]).
//!
//! Everything is bounded by [`Config`]; what is dropped is counted in the verdicts' completeness.

mod clock;
mod pods;
mod reconcile;

use super::{
    clock::Clocks,
    config::Config,
    container::{Container, Fate, SIGKILL},
    judging::advance,
    pods::Pods,
    state::{End, State},
};
use crate::{
    attribution::{self, Place},
    input::{Attention, Input, Output, RunChange},
    question::{Answer, QuestionId},
    record::{ExitStatus, Record},
    units::{BootNanos, CgroupId, Process},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use unready_agent_common::watch::Level;

/// The engine. Feed it with [`Engine::handle`], then drain [`Engine::poll_output`]; call it again with
/// [`Input::Timeout`] when [`Engine::poll_timeout`] has come.
#[derive(Debug, Default)]
pub struct Engine {
    config: Config,
    clocks: Clocks,
    containers: BTreeMap<CgroupId, Container>,
    /// Cgroups below a container's own: to which container they belong.
    nested: BTreeMap<CgroupId, Nested>,
    /// Containers by path, to find the owner of a nested cgroup.
    by_path: BTreeMap<String, CgroupId>,
    /// Cgroups that were removed lately: a walk that met them before does not bring them back.
    gone: VecDeque<CgroupId>,
    /// Process ids that the kernel chose to end, until their exit tells the cgroup.
    victims: VecDeque<(u32, BootNanos, CgroupId)>,
    pods: Pods,
    questions: BTreeMap<QuestionId, CgroupId>,
    next_question: u64,
    timers: BTreeSet<(BootNanos, CgroupId)>,
    outputs: VecDeque<Output>,
    /// Cgroups that have a container's path and are none of a workload: a pod's sandbox.
    passed: BTreeSet<CgroupId>,
    /// Records were lost since cgroups were last compared.
    lacks_records: bool,
}

/// A cgroup below a container's own.
#[derive(Clone, Copy, Debug)]
struct Nested {
    owner: CgroupId,
    created: BootNanos,
}

/// Shortest time between two looks at a container by the clock.
const TICK: Duration = Duration::from_millis(1);
/// Victims remembered at once: each waits only for its own exit.
const VICTIMS: usize = 64;
/// Cgroups remembered after their removal: more than are removed during a walk.
const GONE: usize = 1024;

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(config: Config) -> Self {
        Self { config, clocks: Clocks::new(config.clock), ..Self::default() }
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, now: BootNanos) {
        match input {
            Input::Record(record) => self.handle_record(record, now),
            Input::Run(change) => self.handle_run(change, now),
            Input::Pods(change) => self.handle_pods(change, now),
            Input::ClusterAnswer { id, answer } => self.handle_cluster_answer(id, answer, now),
            Input::Answer { id, answer } => self.handle_answer(id, answer, now),
            Input::Loss(loss) => self.handle_loss(loss, now),
            Input::Cgroups(snapshot) => self.handle_cgroups(&snapshot, now),
            Input::Clock(anchor) => self.handle_clock(anchor, now),
            Input::Timeout => self.handle_timeout(now),
        }
    }

    /// When [`Engine::handle_timeout`] is next due.
    pub fn poll_timeout(&self) -> Option<BootNanos> {
        self.timers.first().map(|(at, _)| *at).into_iter().chain(self.pods.poll_timeout()).min()
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How many things are remembered: bounded whatever comes in.
    pub fn footprint(&self) -> usize {
        self.clocks.footprint()
            + self.nested.len()
            + self.passed.len()
            + self.victims.len()
            + self.questions.len()
            + self.timers.len()
            + self.pods.footprint()
            + self.outputs.len()
            + self.containers.values().map(Container::footprint).sum::<usize>()
    }

    /// Changes of pods that were ignored, because there were more pods than [`Config::pods`].
    pub const fn refused_pods(&self) -> u64 {
        self.pods.refused
    }

    /// Whether no judgement about this container is due. (An answer that takes its time may still come.)
    pub fn is_settled(&self, cgroup: CgroupId) -> bool {
        self.containers.get(&cgroup).is_none_or(Container::is_settled)
    }

    /// The main process of a container, as far as it is known.
    pub fn main_process(&self, cgroup: CgroupId) -> Option<Process> {
        self.containers.get(&cgroup)?.main.process()
    }

    /// Something happened in the kernel.
    pub fn handle_record(&mut self, record: Record, now: BootNanos) {
        match record {
            Record::CgroupCreated { id, path, existing } => self.cgroup_created(id, &path, existing, now),
            Record::CgroupRemoved { id } => self.cgroup_removed(id, now),
            Record::CgroupAttached { id, pid, comm } => self.record_of(id, now, |container, _| container.attached(pid, &comm)),
            Record::RootChanged { task } => self.record_of(task.cgroup, now, |container, now| container.root_changed(&task, now)),
            Record::Exec { task, uid, gid, path, args } => {
                self.record_of(task.cgroup, now, |container, now| container.executed(&task, (uid, gid), path, args, now));
            }
            Record::Exit { task, status } => {
                let victim = self.take_victim(task.process, status);
                self.record_of(task.cgroup, now, |container, now| container.process_ended(&task, status, victim, now));
            }
            Record::OomVictim { pid, asker } => {
                if self.victims.len() == VICTIMS {
                    self.victims.pop_front();
                }
                self.victims.push_back((pid, now, asker));
            }
            Record::CallFailed(call) => {
                let limit = self.config.failures;
                self.record_of(call.task.cgroup, now, |container, now| container.call_failed(*call, limit, now));
            }
            Record::Listening { task, address, port, open } => {
                self.record_of(task.cgroup, now, |container, now| container.listening(&task, &address, (port, open), now));
            }
            Record::Repeated { cgroup, hash, call, errno, count, last, pid } => {
                self.word_of(cgroup, now, |container| container.story.repeated((hash, call, errno), count, last, pid));
            }
            Record::Output { cgroup, line } => self.word_of(cgroup, now, |container| container.story.said(line)),
        }
    }

    /// What the launcher of a local run knows.
    pub fn handle_run(&mut self, change: RunChange, now: BootNanos) {
        match change {
            RunChange::Started { cgroup, command, probe } => {
                self.with(cgroup, now, |container, _| container.run_started(command, probe));
            }
            RunChange::Probed { cgroup, passed, outcome } => {
                self.with(cgroup, now, |container, now| container.probed(passed, &outcome, now));
            }
            RunChange::Ready { cgroup } => self.with(cgroup, now, Container::became_ready),
            RunChange::GiveUp { cgroup } => self.with(cgroup, now, Container::give_up),
        }
    }

    /// An answer has come; one to a question that nobody waits for any more is ignored.
    pub fn handle_answer(&mut self, id: QuestionId, mut answer: Answer, now: BootNanos) {
        if let Some(cgroup) = self.questions.remove(&id) {
            self.read_answer(&mut answer, now);
            if let Answer::Identity(who) = &answer {
                let who = who.clone();
                self.with(cgroup, now, |container, _| container.identified(who));
                self.introduce(cgroup, now);
            }
            self.with(cgroup, now, |container, now| container.docket.asked.answered(id, answer, now));
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: BootNanos) {
        while let Some((at, cgroup)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, cgroup));
            self.with(cgroup, now, |_, _| ());
        }
        self.pod_timeouts(now);
    }

    fn next_question_id(&mut self) -> QuestionId {
        self.next_question += 1;
        QuestionId(self.next_question)
    }

    fn owner(&self, cgroup: CgroupId) -> CgroupId {
        self.nested.get(&cgroup).map_or(cgroup, |part| part.owner)
    }

    /// When the kernel chose this process to end. Of another one that had the same number later, it did not.
    fn take_victim(&mut self, process: Process, status: ExitStatus) -> Option<BootNanos> {
        let is_it = |pid: u32, at: BootNanos| pid == process.pid && process.start <= at.0;
        let index = self.victims.iter().position(|(pid, at, _)| is_it(*pid, *at))?;
        let (_, at, _) = self.victims.remove(index)?;
        matches!(status, ExitStatus::Signal(SIGKILL)).then_some(at)
    }

    /// Applies a record to the container of its cgroup.
    fn record_of(&mut self, cgroup: CgroupId, now: BootNanos, change: impl FnOnce(&mut Container, BootNanos)) {
        self.act(cgroup, true, now, |container, now| {
            container.touch(now);
            change(container, now);
        });
    }

    /// The same for what is told of it from elsewhere, and comes in crowds too.
    fn word_of(&mut self, cgroup: CgroupId, now: BootNanos, change: impl FnOnce(&mut Container)) {
        self.act(cgroup, true, now, |container, _| change(container));
    }

    /// Applies a change to the container of a cgroup, then lets it act at once.
    fn with(&mut self, cgroup: CgroupId, now: BootNanos, change: impl FnOnce(&mut Container, BootNanos)) {
        self.act(cgroup, false, now, change);
    }

    /// Applies a change to the container of a cgroup, then lets it act: judge, ask, settle, end.
    fn act(&mut self, cgroup: CgroupId, by_record: bool, now: BootNanos, change: impl FnOnce(&mut Container, BootNanos)) {
        let id = self.owner(cgroup);
        let Some(container) = self.containers.get_mut(&id) else { return };
        if let Some(due) = container.scheduled.take() {
            self.timers.remove(&(due, id));
        }
        let before = container.level();
        change(container, now);
        advance(container, &self.config, by_record, now);
        container.note_phase(now);
        container.tell_start(now);
        if container.level() != before {
            let level = Some(container.level());
            let maker = container.around.as_ref().and_then(|around| self.by_path.get(around)).copied();
            let parts = self.nested.iter().filter(|(_, part)| part.owner == id).map(|(part, _)| (*part, maker.or(Some(id))));
            let all = std::iter::once((id, maker)).chain(parts);
            self.outputs.extend(all.map(|(cgroup, maker)| Output::Attention(Attention { cgroup, level, maker })));
        }
        for question in container.docket.asked.take_new() {
            self.next_question += 1;
            let question_id = QuestionId(self.next_question);
            container.docket.asked.sent(question_id, &question);
            self.questions.insert(question_id, id);
            self.outputs.push_back(Output::Ask(question_id, question));
        }
        let (outputs, uid) = (std::mem::take(&mut container.outputs), container.membership.pod_uid.clone());
        let is_seen = matches!(container.state, State::Ended(End::Main(..) | End::Refused { .. }));
        let ended = is_seen.then(|| container.workload.container_id.clone());
        let well = std::mem::take(&mut container.membership.got_well).then(|| container.workload.container.clone());
        let wants_claims = container.membership.manifest.is_some() && (container.docket.pending.is_some() || container.docket.has_spoken());
        if container.is_forgotten() {
            if container.fate == Fate::Sandbox && self.passed.len() < self.config.containers {
                self.passed.insert(id); // a sandbox
            }
            self.forget(id);
        } else if let Some(due) = container.due(&self.config, now) {
            let due = due.max(now.after(TICK)); // whatever a container claims: time must pass between two looks at it
            container.scheduled = Some(due);
            self.timers.insert((due, id));
        }
        if uid.is_empty() {
            self.outputs.extend(outputs);
        } else {
            if let Some(id) = ended {
                self.pods.note_end(&uid, id);
            }
            self.speak_for_pod(&uid, outputs, well, now);
            if wants_claims {
                self.want_claims(&uid, now);
            }
        }
    }

    fn cgroup_created(&mut self, id: CgroupId, path: &str, existing: bool, now: BootNanos) {
        if existing && (self.containers.contains_key(&id) || self.nested.contains_key(&id)) {
            return; // the walk at start came after the kernel's own word
        }
        self.forget(id); // ids are inode numbers: a stale one that was never removed gives way
        self.nested.remove(&id);
        self.passed.remove(&id);
        let place = attribution::place(path);
        let is_kept = match place {
            Place::Nested { container } => self.part_of(id, &container, now),
            place @ (Place::Pod { .. } | Place::Container { .. } | Place::Run { .. } | Place::Other) => {
                Container::new(id, path, place, existing, now).is_some_and(|container| self.insert(container, now))
            }
        };
        if !is_kept {
            self.pass_over(id, path);
        }
    }

    /// It is not followed. What a container has made stays on the kernel's map all the same: what is done from within it is charged to
    /// that container there.
    fn pass_over(&mut self, id: CgroupId, path: &str) {
        let maker = attribution::around(path).and_then(|around| self.by_path.get(around)).copied();
        self.attend(id, None, maker);
    }

    fn ignore(&mut self, id: CgroupId) {
        self.attend(id, None, None);
    }

    fn attend(&mut self, cgroup: CgroupId, level: Option<Level>, maker: Option<CgroupId>) {
        self.outputs.push_back(Output::Attention(Attention { cgroup, level, maker }));
    }

    fn cgroup_removed(&mut self, id: CgroupId, now: BootNanos) {
        if self.gone.len() == GONE {
            self.gone.pop_front();
        }
        self.gone.push_back(id);
        self.ignore(id);
        self.passed.remove(&id);
        if self.nested.remove(&id).is_none() {
            self.with(id, now, Container::removed);
        }
    }

    fn forget(&mut self, id: CgroupId) {
        let Some(container) = self.containers.remove(&id) else { return };
        if let Some(due) = container.scheduled {
            self.timers.remove(&(due, id));
        }
        if self.by_path.get(&container.path) == Some(&id) {
            self.by_path.remove(&container.path);
        }
        let parts: Vec<CgroupId> = self.nested.extract_if(.., |_, part| part.owner == id).map(|(part, _)| part).collect();
        for part in parts {
            self.ignore(part);
        }
        self.questions.retain(|_, owner| *owner != id);
        if matches!(container.fate, Fate::Removed | Fate::Vanished) || self.gone.contains(&id) {
            self.ignore(id);
        } else {
            self.pass_over(id, &container.path);
        }
        self.outputs.push_back(Output::Release(id));
    }
}
