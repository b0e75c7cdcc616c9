//! A case: one suspect of one start, with all that may be looked at to judge it. Everything is borrowed; a rule keeps no state.
//!
//! - [`look`]: what was found when the world was looked at for this suspect.
//! - [`end`]: how a process ended.
//! - [`finding`]: what a suspect means.

pub mod end;
pub mod finding;
pub mod look;

use crate::{
    knowledge::runtime_files::RuntimeFile,
    pod::{Claim, Container, ContainerKind, Pod, RestartPolicy},
    question::{Answer, Question, Scope},
    record::ExitStatus,
    story::{failure::Failure, process::ProcessView},
    units::{BootNanos, CgroupId, ClockAnchor, Process},
    verdict::Workload,
};

/// Something that may be the reason.
#[derive(Clone, Copy, Debug)]
pub enum Suspect<'a> {
    /// A call failed.
    Call(&'a Failure),
    /// The kernel ended a process for lack of memory.
    OutOfMemory { at: BootNanos, victim: Process },
    /// The container's processes ended without its command having been executed.
    NeverStarted {
        /// When that was clear.
        at: BootNanos,
    },
    /// A process ended, and what it said or how it ended is all that is known.
    Exit { at: BootNanos, status: ExitStatus, process: Process },
}

impl Suspect<'_> {
    /// The process that it is about.
    pub const fn process(&self) -> Option<Process> {
        match self {
            Self::Call(failure) => Some(failure.call.task.process),
            Self::OutOfMemory { victim, .. } => Some(*victim),
            Self::Exit { process, .. } => Some(*process),
            Self::NeverStarted { .. } => None,
        }
    }
}

/// A question and its answer.
pub type Known<'a> = (&'a Question, &'a Answer);

/// What may be looked at beside the suspect.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub cgroup: CgroupId,
    /// Whose start.
    pub workload: &'a Workload,
    /// The process of the suspect, when it is known.
    pub process: Option<&'a ProcessView>,
    /// All processes of the container that are known, the main one first.
    pub processes: &'a [ProcessView],
    /// All failures of the container.
    pub failures: &'a [Failure],
    /// The last lines that the program wrote to stderr, oldest first (local runs only).
    pub output: &'a [String],
    /// Questions asked about this suspect and answered so far.
    pub answers: &'a [Known<'a>],
    /// The probe that a local run must answer.
    pub probe: Option<&'a str>,
    /// The container became ready before.
    pub was_ready: bool,
    /// To compare the dates of files with kernel times.
    pub clock: ClockAnchor,
    /// The pod and the container's part of it, when the API server has told.
    pub manifest: Option<Manifest<'a>>,
}

/// What the manifest says of a container.
#[derive(Clone, Copy, Debug)]
pub struct Manifest<'a> {
    pub pod: &'a Pod,
    pub container: &'a Container,
    /// Its claims, as far as they were asked about and answered.
    pub claims: &'a [Claim],
}

impl Manifest<'_> {
    /// Its end is wrong by itself, whatever the exit code: the kubelet would start it again for ever.
    pub fn must_stay(&self) -> bool {
        match self.container.kind {
            ContainerKind::Sidecar => true,
            ContainerKind::App => self.pod.restart_policy == RestartPolicy::Always,
            ContainerKind::Init | ContainerKind::Ephemeral => false,
        }
    }

    /// The kubelet waits for it to answer a readiness probe.
    pub const fn is_probed(&self) -> bool {
        self.container.readiness.is_some()
    }
}

impl<'a> Case<'a> {
    /// A server is expected: exit code 0 is no success.
    pub fn must_stay(&self) -> bool {
        self.probe.is_some() || self.manifest.is_some_and(|manifest| manifest.must_stay())
    }

    /// Whose view a question about the suspect's process takes.
    pub const fn scope(&self, process: Process) -> Scope {
        Scope { cgroup: self.cgroup, process }
    }

    /// The process of a failure; a forked child that executed nothing is seen as its parent's program.
    pub fn process_of(&self, failure: &Failure) -> Option<&'a ProcessView> {
        let pid = failure.call.task.process.pid;
        self.processes.iter().find(|process| process.process.pid == pid)
    }

    /// The program complains on stderr of what this path stands for: programs speak of certificates and time zones, seldom of the file.
    pub fn complains_of(&self, file: &RuntimeFile, path: &str) -> bool {
        self.output.iter().any(|line| {
            let line = line.to_lowercase();
            line.contains(path) || file.complaints.iter().any(|complaint| line.contains(complaint))
        })
    }

    /// Who can change what is at fault.
    pub fn setting(&self) -> Setting {
        Setting::of(self.workload)
    }
}

/// Who reads the remedy: what can be changed differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The spec of a pod.
    Pod,
    /// A container without Kubernetes: the command line or configuration of its runtime.
    Container,
    /// `unready run`.
    Local,
}

impl Setting {
    /// Where this workload runs.
    pub fn of(workload: &Workload) -> Self {
        if workload.runtime == crate::attribution::Runtime::UnreadyRun.word() {
            Self::Local
        } else if workload.pod_uid.is_empty() && workload.pod.is_empty() {
            Self::Container
        } else {
            Self::Pod
        }
    }
}
