//! A start as the judge sees it: borrowed, and without a state of its own.

use super::{questions::SuspectId, weights::Weights};
use crate::{
    case::{Case, Known, Manifest, Suspect},
    record::ExitStatus,
    story::Story,
    units::{BootNanos, CgroupId, ClockAnchor, Process},
    verdict::{Completeness, Workload},
};

/// What a judgement is made for.
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

/// See the module's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start<'a> {
    pub(crate) cgroup: CgroupId,
    pub(crate) workload: &'a Workload,
    pub(crate) story: &'a Story,
    pub(crate) manifest: Option<Manifest<'a>>,
    /// The probe that a local run must answer.
    pub(crate) probe: Option<&'a str>,
    pub(crate) created: BootNanos,
    pub(crate) main: Option<Process>,
    pub(crate) end: Option<(BootNanos, ExitStatus)>,
    /// It ended from outside: a stop, not a failure of its own.
    pub(crate) was_stopped: bool,
    /// The pod was waited for in vain.
    pub(crate) lacks_pod: bool,
    pub(crate) completeness: Completeness,
    pub(crate) clock: ClockAnchor,
    pub(crate) weights: &'a Weights,
}

impl<'a> Start<'a> {
    /// The kubelet probes it and has had no answer yet.
    pub(super) fn is_unready(&self) -> bool {
        self.story.ready.is_none() && self.manifest.is_some_and(|manifest| manifest.is_probed())
    }

    /// A server is expected: exit code 0 is no success.
    pub(super) fn must_stay(&self) -> bool {
        self.probe.is_some() || self.manifest.is_some_and(|manifest| manifest.must_stay())
    }

    /// `None`: there is no such suspect.
    pub(super) fn suspect(&self, id: SuspectId) -> Option<Suspect<'a>> {
        match id {
            SuspectId::Call(index) => self.story.failures.get(index).map(Suspect::Call),
            SuspectId::OutOfMemory => self.story.victim.map(|(at, victim)| Suspect::OutOfMemory { at, victim }),
            SuspectId::NeverStarted => Some(Suspect::NeverStarted { at: self.end.map_or(self.created, |(at, _)| at) }),
            SuspectId::Exit => {
                let ((at, status), process) = (self.end?, self.main?);
                Some(Suspect::Exit { at, status, process })
            }
        }
    }

    /// A suspect with all that may be looked at.
    pub(super) fn case(&self, suspect: Option<Suspect<'_>>, answers: &'a [Known<'a>]) -> Case<'a> {
        let process = suspect.and_then(|suspect| suspect.process());
        Case {
            cgroup: self.cgroup,
            workload: self.workload,
            process: self.story.processes.iter().find(|known| Some(known.process) == process),
            processes: &self.story.processes,
            failures: &self.story.failures,
            output: &self.story.output,
            answers,
            probe: self.probe,
            was_ready: self.story.ready.is_some(),
            clock: self.clock,
            manifest: self.manifest,
        }
    }
}
