//! What happened in one start of one container, as typed facts with their times. Bounded; what is dropped is counted.
//!
//! - [`failure`], [`process`]: failing calls, and the processes that made them.
//! - [`milestones`]: what happened once, and which probes were tried.
//! - [`fact`]: what a piece of evidence says, for programs.
//! - [`report`]: a start as it is told to the outside, healthy ones too.

pub mod fact;
pub mod failure;
pub(crate) mod milestones;
pub mod process;
pub mod report;

use crate::{
    record::{Call, CallFailed, Errno, ExitStatus, Task},
    units::{BootNanos, Process},
};
use failure::Failure;
use milestones::Milestones;
use process::ProcessView;

/// Lines of stderr that are kept.
const OUTPUT_LINES: usize = 20;
/// Processes that are kept.
const PROCESSES: usize = 128;
/// Sockets that are kept.
const LISTENERS: usize = 64;

/// What happened in one start.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// Processes that executed something, the first first.
    pub(crate) processes: Vec<ProcessView>,
    pub(crate) failures: Vec<Failure>,
    /// The last lines of stderr (local runs).
    pub(crate) output: Vec<String>,
    /// Ports that are listened on, and since when.
    pub(crate) listeners: Vec<(u16, BootNanos)>,
    /// The last process that the kernel ended for lack of memory.
    pub(crate) victim: Option<(BootNanos, Process)>,
    /// When it became ready for the last time; 0: before it was looked at.
    pub(crate) ready: Option<BootNanos>,
    pub(crate) milestones: Milestones,
    /// Something was added since a judgement looked.
    pub(crate) has_news: bool,
}

impl Story {
    pub(crate) fn footprint(&self) -> usize {
        self.processes.len() + self.failures.len() + self.output.len() + self.milestones.footprint()
    }

    /// A process executed a program.
    pub(crate) fn executed(&mut self, task: &Task, ids: (u32, u32), path: String, args: Vec<String>, now: BootNanos) {
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
        match known {
            Some(known) => *known = view,
            None => self.remember(view),
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

    /// A process ended. `has_main`: the container's own program runs, or ran; before, it is a helper of the runtime.
    pub(crate) fn ended(&mut self, task: &Task, status: ExitStatus, has_main: bool, now: BootNanos) {
        let has_failed = self.failures.iter().any(|failure| failure.call.task.process == task.process);
        if !self.note_exit(task.process, now, status) && has_failed && has_main {
            self.remember_forked(task, status, now);
        }
    }

    /// Notes the end of a process that is known; `false`: it is not.
    pub(crate) fn note_exit(&mut self, process: Process, at: BootNanos, status: ExitStatus) -> bool {
        let known = self.processes.iter_mut().find(|known| known.process == process);
        known.map(|known| known.exited = Some((at, status))).is_some()
    }

    /// A child that failed and ended without an exec of its own runs its parent's program.
    fn remember_forked(&mut self, task: &Task, status: ExitStatus, now: BootNanos) {
        let parent = self.processes.iter().find(|known| known.process.pid == task.parent);
        let (path, args, ids) = parent.map(|parent| (parent.path.clone(), parent.args.clone(), parent.ids)).unwrap_or_default();
        self.remember(ProcessView {
            process: task.process,
            parent: task.parent,
            comm: task.comm.clone(),
            path,
            args,
            ids,
            began: ids.0,
            executed: BootNanos(task.process.start),
            exited: Some((now, status)),
        });
    }

    /// A call failed; `false`: there was no room for it.
    pub(crate) fn call_failed(&mut self, call: CallFailed, by_runtime: bool, limit: usize, now: BootNanos) -> bool {
        let key = |call: &CallFailed| (call.hash, call.call, call.errno);
        if let Some(failure) = self.failures.iter_mut().find(|failure| key(&failure.call) == key(&call)) {
            // The kernel forgot it and sent it anew; or a scenario repeats itself.
            failure.count = failure.count.saturating_add(1);
            failure.last = now;
            failure.call.task = call.task;
            return true;
        }
        let has_room = self.failures.len() < limit;
        if has_room {
            self.failures.push(Failure::new(call, now, by_runtime));
        }
        has_room
    }

    /// The kernel counted repetitions of a failure.
    pub(crate) fn repeated(&mut self, key: (u64, Call, Errno), count: u64, last: BootNanos, pid: u32) {
        let known = |failure: &&mut Failure| (failure.call.hash, failure.call.call, failure.call.errno) == key;
        let Some(failure) = self.failures.iter_mut().find(known) else { return };
        failure.count = failure.count.max(count);
        failure.last = failure.last.max(last);
        if pid != failure.call.task.process.pid
            && let Some(again) = self.processes.iter().find(|process| process.process.pid == pid)
        {
            failure.call.task.process = again.process;
        }
    }

    /// The program wrote a line to stderr.
    pub(crate) fn said(&mut self, line: String) {
        if self.output.len() == OUTPUT_LINES {
            self.output.remove(0);
        }
        self.output.push(line);
    }

    /// A port is listened on, or no longer.
    pub(crate) fn listening(&mut self, address: &str, (port, open): (u16, bool), now: BootNanos) {
        self.listeners.retain(|(known, _)| *known != port);
        if open && self.listeners.len() < LISTENERS {
            self.listeners.push((port, now));
            self.milestones.listening(address, port, now);
        }
    }
}
