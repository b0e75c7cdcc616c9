//! One start of one container: what is known of it, bounded.

use super::{Config, judging::LAST_WORD, membership, presence::Presence};
use crate::{
    attribution::{self, Place, Runtime},
    input::Output,
    judge::questions::{Questions, SuspectId},
    record::{Call, CallFailed, Errno, ExitStatus, Task},
    snapshot::is_runtime_helper,
    story::{failure::Failure, process::ProcessView},
    units::{BootNanos, CgroupId, Process},
    verdict::{Completeness, Verdict, Workload},
};
use unready_agent_common::watch::Level;

/// How far a start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The cgroup exists; at most the runtime's helpers run in it.
    Created,
    /// The container's own program was executed.
    Started,
    /// Ready, or quiet for long: failing calls are no longer looked at.
    Settled,
    /// Its main process ended, or it was never executed.
    Ended,
}

/// What a judgement is about to be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The main process ended.
    Exit,
    /// The runtime gave up before the command was executed.
    NeverStarted,
    /// The kernel ended a process for lack of memory.
    OutOfMemory,
    /// A call fails again and again.
    Retry,
    /// The launcher waits no longer.
    GiveUp,
}

/// A judgement that waits for answers.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) trigger: Trigger,
    pub(crate) since: BootNanos,
    /// Nothing can be said without the answers: it waits longer.
    pub(crate) patient: bool,
}

impl Pending {
    /// Until when the judgement waits for its answers.
    pub(crate) fn deadline(&self, config: &Config) -> BootNanos {
        self.since.after(if self.patient { LAST_WORD } else { config.answer_within })
    }
}

/// A verdict that was given, and for what.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) suspect: SuspectId,
    pub(crate) score: i32,
    pub(crate) rival: bool,
    pub(crate) verdict: Verdict,
}

pub(super) const SIGKILL: u8 = 9;
/// Lines of stderr that are kept.
const OUTPUT_LINES: usize = 20;
/// Processes that are kept.
const PROCESSES: usize = 128;
/// Ports that are kept.
const LISTENERS: usize = 64;

#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: CgroupId,
    pub(crate) path: String,
    /// Path of the container that it lies below, the outermost, which may have made it.
    pub(super) around: Option<String>,
    pub(crate) workload: Workload,
    pub(super) confirmed: bool,
    pub(crate) phase: Phase,
    pub(crate) created: BootNanos,
    pub(super) quiet_since: BootNanos,
    pub(crate) main: Option<Process>,
    /// Processes of the runtime that were moved in and have executed nothing yet.
    pub(super) runtime: Vec<u32>,
    pub(crate) presence: Presence,
    pub(crate) processes: Vec<ProcessView>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) output: Vec<String>,
    pub(super) listeners: Vec<(u16, BootNanos)>,
    pub(crate) probe: Option<String>,
    pub(crate) was_ready: bool,
    pub(crate) gave_up: bool,
    pub(crate) victim: Option<(BootNanos, Process)>,
    pub(crate) end: Option<(BootNanos, ExitStatus)>,
    pub(crate) asked: Questions,
    pub(crate) completeness: Completeness,
    pub(crate) pending: Option<Pending>,
    pub(crate) spoken: Vec<Spoken>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) scheduled: Option<BootNanos>,
    pub(super) removed: bool,
    pub(super) dropped: bool,
    pub(crate) membership: membership::Membership,
}

impl Container {
    /// `None` for a cgroup that can be no container: a pod's own, or one of unknown pattern that was there before us.
    pub(crate) fn new(id: CgroupId, path: &str, place: Place, existing: bool, now: BootNanos) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let mut of_pod = membership::Membership { existing, ..membership::Membership::default() };
        let (workload, confirmed) = match place {
            Place::Container { runtime, pod_uid, container_id } => {
                of_pod.pod_uid = pod_uid.clone().unwrap_or_default();
                let container = if pod_uid.is_some() { String::new() } else { container_id.clone() };
                (workload(runtime, pod_uid.unwrap_or_default(), container, container_id), true)
            }
            Place::Run { name } => (workload(Runtime::UnreadyRun, String::new(), name.clone(), name), false),
            Place::Other if !existing => (workload(Runtime::Runc, String::new(), name.clone(), name), false),
            Place::Other | Place::Pod { .. } | Place::Nested { .. } => return None,
        };
        Some(Self {
            id,
            path: path.to_owned(),
            around: attribution::around(path).map(str::to_owned),
            workload,
            confirmed,
            phase: if existing { Phase::Settled } else { Phase::Created },
            created: now,
            quiet_since: now,
            main: None,
            runtime: Vec::new(),
            presence: Presence::default(),
            processes: Vec::new(),
            failures: Vec::new(),
            output: Vec::new(),
            listeners: Vec::new(),
            probe: None,
            was_ready: existing,
            gave_up: false,
            victim: None,
            end: None,
            asked: Questions::default(),
            completeness: Completeness::default(),
            pending: None,
            spoken: Vec::new(),
            outputs: Vec::new(),
            scheduled: None,
            removed: false,
            dropped: false,
            membership: of_pod,
        })
    }

    pub(crate) fn is_local_run(&self) -> bool {
        self.workload.runtime == Runtime::UnreadyRun.word()
    }

    pub(crate) const fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Created | Phase::Started)
    }

    /// How closely the kernel half should look.
    pub(crate) const fn level(&self) -> Level {
        if self.is_starting() { Level::Starting } else { Level::Rest }
    }

    /// Nothing is waited for.
    pub(crate) fn is_quiet(&self) -> bool {
        self.pending.is_none() && !self.asked.any_open()
    }

    /// It can be dropped from memory.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.dropped || (self.removed && self.is_quiet())
    }

    pub(crate) fn footprint(&self) -> usize {
        1 + self.processes.len() + self.failures.len() + self.output.len() + self.asked.len() + self.spoken.len() + self.runtime.len()
    }

    pub(crate) fn attached(&mut self, pid: u32, comm: &str) {
        self.confirmed |= is_runtime_helper(comm);
        if self.runtime.len() < 16 && !self.runtime.contains(&pid) {
            self.runtime.push(pid);
        }
    }

    pub(crate) fn run_started(&mut self, command: Vec<String>, probe: Option<String>) {
        self.confirmed = true;
        self.workload.command = command;
        self.probe = probe;
    }

    pub(crate) fn executed(&mut self, task: &Task, ids: (u32, u32), path: String, args: Vec<String>, now: BootNanos) {
        let is_waiting = self.phase == Phase::Created || self.phase == Phase::Settled;
        if is_waiting && self.main.is_none() && self.presence.entered.is_none() && executes_itself(&task.comm, &path) {
            return;
        }
        self.wake();
        self.notice_survivor(task, now);
        if self.phase == Phase::Created {
            self.began(task.process);
        }
        self.runtime.retain(|pid| *pid != task.process.pid);
        if self.is_main(task.process) {
            self.main = Some(task.process);
            self.quiet_since = now; // not for exec probes and workers: they never cease
        }
        let known = self.processes.iter_mut().find(|known| known.process == task.process);
        let view = ProcessView {
            process: task.process,
            parent: task.parent,
            comm: task.comm.clone(),
            path,
            args,
            ids,
            began: known.as_ref().map_or(ids.0, |known| known.began),
            executed: now,
            exited: None,
        };
        if let Some(known) = known {
            *known = view;
        } else {
            self.remember(view);
        }
    }

    /// Keeps a process; when there are too many, the oldest that ended well gives way.
    fn remember(&mut self, view: ProcessView) {
        if self.processes.len() >= PROCESSES {
            let ended_well = |known: &ProcessView| known.exited.is_some_and(|(_, status)| status.is_success());
            let index = self.processes.iter().position(ended_well).unwrap_or(1);
            self.processes.remove(index);
        }
        self.processes.push(view);
    }

    pub(crate) fn process_ended(&mut self, task: &Task, status: ExitStatus, victim: Option<BootNanos>, now: BootNanos) {
        self.notice_program(task);
        if !matches!(status, ExitStatus::Signal(SIGKILL)) {
            self.notice_survivor(task, now); // the end of the main process kills the others
        }
        if let Some(known) = self.processes.iter_mut().find(|known| known.process == task.process) {
            known.exited = Some((now, status));
        } else if self.failures.iter().any(|failure| failure.call.task.process == task.process) {
            self.remember_forked(task, status, now);
        }
        if let Some(at) = victim {
            self.victim = Some((at, task.process));
            self.consider(Trigger::OutOfMemory, now);
        }
        if self.is_main(task.process) {
            self.main = Some(task.process);
            self.end = Some((now, status));
            self.phase = Phase::Ended;
            self.presence.end_is_unseen = false;
            self.note_good_end();
            self.consider(Trigger::Exit, now);
        } else if self.main.is_none() && self.phase == Phase::Created && !status.is_success() {
            self.end = Some((now, status));
            self.phase = Phase::Ended;
            self.gave_up_as(task);
            self.consider(Trigger::NeverStarted, now);
        } else if self.phase == Phase::Created && self.presence.entered == Some(task.process) {
            self.presence.entered = None; // a hook of the runtime
        }
    }

    pub(super) fn note_exit(&mut self, process: Process, at: BootNanos, status: ExitStatus) {
        if let Some(known) = self.processes.iter_mut().find(|known| known.process == process) {
            known.exited = Some((at, status));
        }
    }

    /// A child that failed and ended without an exec of its own runs its parent's program.
    fn remember_forked(&mut self, task: &Task, status: ExitStatus, now: BootNanos) {
        if self.main.is_none() {
            return; // a helper of the runtime
        }
        let parent = self.processes.iter().find(|known| known.process.pid == task.parent);
        let (path, args, ids) = parent.map(|parent| (parent.path.clone(), parent.args.clone(), parent.ids)).unwrap_or_default();
        let executed = BootNanos(task.process.start);
        self.remember(ProcessView {
            process: task.process,
            parent: task.parent,
            comm: task.comm.clone(),
            path,
            args,
            ids,
            began: ids.0,
            executed,
            exited: Some((now, status)),
        });
    }

    pub(crate) fn call_failed(&mut self, call: CallFailed, limit: usize, now: BootNanos) {
        self.notice_program(&call.task);
        self.notice_survivor(&call.task, now);
        if !self.is_starting() {
            return;
        }
        let known =
            |failure: &&mut Failure| failure.call.hash == call.hash && failure.call.call == call.call && failure.call.errno == call.errno;
        if let Some(failure) = self.failures.iter_mut().find(known) {
            // The kernel forgot it and sent it anew; or a scenario repeats itself.
            failure.count = failure.count.saturating_add(1);
            failure.last = now;
            failure.call.task = call.task;
            return;
        }
        if self.failures.len() >= limit {
            self.completeness.suppressed = self.completeness.suppressed.saturating_add(1);
            return;
        }
        let by_runtime = self.phase == Phase::Created;
        self.failures.push(Failure::new(call, now, by_runtime));
    }

    pub(crate) fn repeated(&mut self, key: (u64, Call, Errno), count: u64, last: BootNanos, pid: u32) {
        let known = |failure: &&mut Failure| (failure.call.hash, failure.call.call, failure.call.errno) == key;
        if let Some(failure) = self.failures.iter_mut().find(known) {
            failure.count = failure.count.max(count);
            failure.last = failure.last.max(last);
            if pid != failure.call.task.process.pid
                && let Some(again) = self.processes.iter().find(|process| process.process.pid == pid)
            {
                failure.call.task.process = again.process;
            }
        }
    }

    pub(crate) fn said(&mut self, line: String) {
        if self.output.len() == OUTPUT_LINES {
            self.output.remove(0);
        }
        self.output.push(line);
    }

    pub(crate) fn listening(&mut self, task: &Task, (port, open): (u16, bool), now: BootNanos) {
        if self.phase == Phase::Created {
            self.began_unseen(); // no helper of a runtime serves
        }
        self.notice_survivor(task, now);
        self.listeners.retain(|(known, _)| *known != port);
        if open && self.listeners.len() < LISTENERS {
            self.listeners.push((port, now));
        }
    }

    /// Healthy from here on: what was said of this start is over.
    pub(crate) fn became_ready(&mut self, now: BootNanos) {
        self.was_ready = true;
        self.membership.got_well = true;
        self.settle();
        for spoken in &mut self.spoken {
            if spoken.verdict.resolved_at.is_none() {
                spoken.verdict.resolved_at = Some(now);
                self.outputs.push(Output::Verdict(Box::new(spoken.verdict.clone())));
            }
        }
    }

    pub(crate) fn settle(&mut self) {
        if self.is_starting() {
            self.phase = Phase::Settled;
            self.pending = None;
            self.failures.clear();
        }
    }

    pub(crate) fn give_up(&mut self, now: BootNanos) {
        self.gave_up = true;
        if self.phase != Phase::Ended {
            self.consider(Trigger::GiveUp, now);
        }
    }

    pub(crate) fn removed(&mut self, now: BootNanos) {
        self.removed = true;
        let started_by_runtime = self.presence.entered.is_some() || self.failures.iter().any(|failure| failure.by_runtime);
        if self.confirmed && self.phase == Phase::Created && started_by_runtime {
            self.phase = Phase::Ended;
            self.consider(Trigger::NeverStarted, now);
        }
    }

    pub(super) fn consider(&mut self, trigger: Trigger, now: BootNanos) {
        let outranked = matches!(&self.pending, Some(pending) if pending.trigger != Trigger::Retry && trigger == Trigger::Retry);
        if !outranked {
            self.pending = Some(Pending { trigger, since: now, patient: false });
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
