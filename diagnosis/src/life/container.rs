//! One start of one container: who it is, what happened in it, how far it is, and what is thought of it.

use super::{
    parts::{Membership, Origin, Presence, Telling},
    state::{End, Entered, Made, Main, Rest, State},
};
use crate::{
    attribution::{self, Place, Runtime},
    input::Output,
    judge::{docket::Docket, start::Trigger},
    record::{CallFailed, ExitStatus, Task},
    snapshot::is_runtime_helper,
    story::{Story, report::Step},
    units::{BootNanos, CgroupId},
    verdict::{Completeness, Workload},
};
use unready_agent_common::watch::Level;

pub(super) const SIGKILL: u8 = 9;
/// Processes of the runtime that are kept.
const HELPERS: usize = 16;

#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: CgroupId,
    pub(crate) path: String,
    /// Path of the container that it lies below, the outermost, which may have made it.
    pub(super) around: Option<String>,
    pub(crate) workload: Workload,
    pub(crate) membership: Membership,
    /// Of a local run, what its launcher knows.
    pub(super) run: Run,
    pub(crate) created: BootNanos,
    pub(crate) state: State,
    pub(crate) main: Main,
    pub(crate) presence: Presence,
    pub(crate) story: Story,
    pub(crate) docket: Docket,
    pub(super) telling: Telling,
    pub(crate) completeness: Completeness,
    /// Processes of the runtime that were moved in and have executed nothing yet.
    pub(super) runtime: Vec<u32>,
    pub(super) fate: Fate,
    pub(crate) outputs: Vec<Output>,
    pub(crate) scheduled: Option<BootNanos>,
}

/// What the launcher of a local run knows.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// The probe that it must answer.
    pub(super) probe: Option<String>,
    /// It waits no longer.
    pub(super) gave_up: bool,
}

/// What is to become of what is kept of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It may be no container at all: a runtime has to show itself.
    Candidate,
    /// It is a container.
    Kept,
    /// Its cgroup is gone.
    Removed,
    /// Its cgroup is gone, and it never showed to be a container.
    Vanished,
    /// It was none.
    Dropped,
    /// It is a pod's sandbox.
    Sandbox,
}

impl Container {
    /// `None` for a cgroup that can be no container: a pod's own, or one of unknown pattern that was there before us.
    pub(crate) fn new(id: CgroupId, path: &str, place: Place, existing: bool, now: BootNanos) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let (workload, fate) = match place {
            Place::Container { runtime, pod_uid, container_id } => {
                let container = if pod_uid.is_some() { String::new() } else { container_id.clone() };
                (workload(runtime, pod_uid.unwrap_or_default(), container, container_id), Fate::Kept)
            }
            Place::Run { name } => (workload(Runtime::UnreadyRun, String::new(), name.clone(), name), Fate::Candidate),
            Place::Other if !existing => (workload(Runtime::Runc, String::new(), name.clone(), name), Fate::Candidate),
            Place::Other | Place::Pod { .. } | Place::Nested { .. } => return None,
        };
        let origin = if existing { Origin::Before } else { Origin::Seen };
        let mut story = Story { ready: existing.then_some(now), ..Story::default() };
        if !existing {
            story.milestones.reach(Step::Created, now);
        }
        Some(Self {
            id,
            path: path.to_owned(),
            around: attribution::around(path).map(str::to_owned),
            membership: Membership { pod_uid: workload.pod_uid.clone(), origin, ..Membership::default() },
            workload,
            run: Run::default(),
            created: now,
            state: if existing { State::Resting(Rest::Existing) } else { State::Created(Made::default()) },
            main: Main::Unknown,
            presence: Presence::default(),
            story,
            docket: Docket::default(),
            telling: Telling::default(),
            completeness: Completeness::default(),
            runtime: Vec::new(),
            fate,
            outputs: Vec::new(),
            scheduled: None,
        })
    }

    pub(crate) fn is_local_run(&self) -> bool {
        self.workload.runtime == Runtime::UnreadyRun.word()
    }

    pub(crate) const fn is_starting(&self) -> bool {
        self.state.is_starting()
    }

    /// How closely the kernel half should look.
    pub(crate) const fn level(&self) -> Level {
        if self.is_starting() { Level::Starting } else { Level::Rest }
    }

    /// It is, or was, a container: what is not known to be one is not judged.
    pub(super) const fn is_confirmed(&self) -> bool {
        matches!(self.fate, Fate::Kept | Fate::Removed)
    }

    pub(super) fn confirm(&mut self) {
        if self.fate == Fate::Candidate {
            self.fate = Fate::Kept;
        }
    }

    /// What came was judged, also what changes a word of what was said.
    pub(super) const fn is_settled(&self) -> bool {
        let has_to_say_more = self.story.has_news && self.docket.has_spoken();
        self.docket.pending.is_none() && !has_to_say_more
    }

    /// It can be dropped from memory.
    pub(crate) fn is_forgotten(&self) -> bool {
        match self.fate {
            Fate::Vanished | Fate::Dropped | Fate::Sandbox => true,
            Fate::Removed => self.docket.pending.is_none() && !self.docket.asked.any_open(),
            Fate::Candidate | Fate::Kept => false,
        }
    }

    pub(crate) fn footprint(&self) -> usize {
        1 + self.story.footprint() + self.docket.footprint() + self.telling.footprint() + self.runtime.len()
    }

    pub(crate) fn attached(&mut self, pid: u32, comm: &str) {
        if is_runtime_helper(comm) {
            self.confirm();
        }
        if self.runtime.len() < HELPERS && !self.runtime.contains(&pid) {
            self.runtime.push(pid);
        }
    }

    pub(crate) fn run_started(&mut self, command: Vec<String>, probe: Option<String>) {
        self.confirm();
        self.workload.command = command;
        self.run.probe = probe;
    }

    /// The launcher of a local run tried the probe.
    pub(crate) fn probed(&mut self, passed: bool, outcome: &str, now: BootNanos) {
        let target = self.run.probe.as_deref().unwrap_or_default();
        self.story.milestones.tried(target, passed, outcome, now);
    }

    pub(crate) fn root_changed(&mut self, task: &Task, now: BootNanos) {
        self.confirm();
        if let State::Created(made) = &mut self.state {
            made.entered = Some(Entered { process: task.process, as_helper: is_runtime_helper(&task.comm) });
            self.story.milestones.reach(Step::Entered, now);
        }
    }

    pub(crate) fn executed(&mut self, task: &Task, ids: (u32, u32), path: String, args: Vec<String>, now: BootNanos) {
        let is_waiting = self.state.is_created() || self.state.is_left_alone();
        let has_begun = self.main.process().is_some() || self.state.entered().is_some();
        if is_waiting && !has_begun && executes_itself(&task.comm, &path) {
            return;
        }
        self.wake();
        self.notice_survivor(task, now);
        if self.state.is_created() {
            self.began(task.process, now);
        }
        self.runtime.retain(|pid| *pid != task.process.pid);
        if self.is_main(task.process) {
            self.main = self.main.as_process(task.process);
            if let State::Attending(attending) = &mut self.state {
                attending.quiet_since = now; // not for exec probes and workers: they never cease
            }
            self.story.milestones.reach(Step::Executed { path: path.clone(), pid: task.process.pid }, now);
        }
        self.story.executed(task, ids, path, args, now);
    }

    pub(crate) fn process_ended(&mut self, task: &Task, status: ExitStatus, victim: Option<BootNanos>, now: BootNanos) {
        self.notice_program(task);
        if !matches!(status, ExitStatus::Signal(SIGKILL)) {
            self.notice_survivor(task, now); // the end of the main process kills the others
        }
        self.story.ended(task, status, self.main.process().is_some(), now);
        if let Some(at) = victim {
            self.story.victim = Some((at, task.process));
            self.story.milestones.reach(Step::OutOfMemory { pid: task.process.pid }, at);
            self.docket.consider(Trigger::OutOfMemory, now);
        }
        if self.is_main(task.process) {
            self.main = self.main.as_process(task.process);
            self.ended(End::Main(now, status), Trigger::Exit, now);
        } else if self.main == Main::Unknown && self.state.is_created() && !status.is_success() {
            let is_sure = self.is_of_runtime(task);
            self.ended(End::Refused { by: Some((now, status)), is_sure }, Trigger::NeverStarted, now);
        } else if let State::Created(made) = &mut self.state
            && made.entered.is_some_and(|entered| entered.process == task.process)
        {
            made.entered = None; // a hook of the runtime
        }
    }

    /// It has ended, and that is to be judged.
    pub(super) fn ended(&mut self, end: End, trigger: Trigger, now: BootNanos) {
        self.state = State::Ended(end);
        if let Some((at, status)) = self.state.end() {
            self.story.milestones.reach(Step::Ended { status }, at);
        }
        self.note_good_end();
        self.docket.consider(trigger, now);
    }

    pub(crate) fn call_failed(&mut self, call: CallFailed, limit: usize, now: BootNanos) {
        self.notice_program(&call.task);
        self.notice_survivor(&call.task, now);
        if self.is_starting() && !self.story.call_failed(call, self.state.is_created(), limit, now) {
            self.completeness.suppressed = self.completeness.suppressed.saturating_add(1);
        }
    }

    pub(crate) fn listening(&mut self, task: &Task, address: &str, change: (u16, bool), now: BootNanos) {
        if self.state.is_created() {
            self.began_unseen(); // no helper of a runtime serves
        }
        self.notice_survivor(task, now);
        self.story.listening(address, change, now);
    }

    /// Healthy from here on: what was said of this start is over.
    pub(crate) fn became_ready(&mut self, now: BootNanos) {
        if !self.state.is_ended() && self.state != State::Ready {
            self.story.milestones.reach(Step::Ready, now);
        }
        self.story.ready.get_or_insert(now);
        self.membership.got_well = true;
        self.leave_alone(State::Ready);
        let resolved = self.docket.resolve(now);
        self.outputs.extend(resolved.into_iter().map(|verdict| Output::Verdict(Box::new(verdict))));
    }

    /// It is no longer looked at closely.
    pub(super) fn leave_alone(&mut self, state: State) {
        if self.is_starting() {
            self.docket.pending = None;
            self.keep_waits();
            self.story.failures.clear();
        }
        if !self.state.is_ended() {
            self.state = state;
        }
    }

    pub(crate) fn give_up(&mut self, now: BootNanos) {
        self.run.gave_up = true;
        if !self.state.is_ended() {
            self.docket.consider(Trigger::GiveUp, now);
        }
    }

    pub(crate) fn removed(&mut self, now: BootNanos) {
        if !self.is_confirmed() {
            self.fate = Fate::Vanished;
            return;
        }
        self.fate = Fate::Removed;
        let by_runtime = self.state.entered().is_some() || self.story.failures.iter().any(|failure| failure.by_runtime);
        if self.state.is_created() && by_runtime {
            self.ended(End::Refused { by: None, is_sure: false }, Trigger::NeverStarted, now);
        }
    }
}

/// runc executes a sealed copy of itself (`/dev/fd/6`, `/proc/self/exe`), now and then when its parent has put it into the
/// cgroup already: that is not the container's program.
fn executes_itself(comm: &str, path: &str) -> bool {
    is_runtime_helper(comm) || path.starts_with("/dev/fd/") || path.starts_with("/proc/self/")
}

fn workload(runtime: Runtime, pod_uid: String, container: String, container_id: String) -> Workload {
    Workload { runtime: runtime.word().to_owned(), pod_uid, container, container_id, ..Workload::default() }
}
