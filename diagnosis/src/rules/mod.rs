//! From what was seen to what it means.
//!
//! The engine notices [`Symptom`]s and decides *whether* one explains the start ([`weight`]); a rule says *what* it
//! means: which questions must be answered first ([`questions`]), and then the finding in words ([`explain`]). A rule
//! keeps no state: it is called again whenever another answer has come, and says more each time.

pub mod exec;
pub mod exits;
pub mod files;
pub mod network;
pub mod spec;
pub mod weight;
pub mod words;

use crate::{
    cause::Cause,
    pod::{Claim, Container, ContainerKind, Pod, RestartPolicy},
    question::{Answer, Question, Scope},
    record::{CallFailed, ExitStatus},
    units::{BootNanos, CgroupId, ClockAnchor, Process},
    verdict::{Evidence, Remedy, Severity, Subject, Workload},
};

/// A failing call as the engine keeps it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The first occurrence.
    pub call: CallFailed,
    /// When it first happened.
    pub first: BootNanos,
    /// When it last happened.
    pub last: BootNanos,
    /// How often.
    pub count: u64,
    /// It was the runtime's helper, before the container's own program ran.
    pub by_runtime: bool,
}

/// A process of the container.
#[derive(Clone, Debug)]
pub struct ProcessView {
    /// Which.
    pub process: Process,
    /// Parent process id; 0 unknown.
    pub parent: u32,
    /// Thread name.
    pub comm: String,
    /// File of its last exec; empty before the first.
    pub path: String,
    /// Its arguments, as far as captured.
    pub args: Vec<String>,
    /// Real uid and gid at exec.
    pub ids: (u32, u32),
    /// Real uid at its first exec: an entry script that executes the server as another user is the same process.
    pub began: u32,
    /// When it executed.
    pub executed: BootNanos,
    /// When and how it ended.
    pub exited: Option<(BootNanos, ExitStatus)>,
}

/// Something that may be the reason.
#[derive(Clone, Copy, Debug)]
pub enum Symptom<'a> {
    /// A call failed.
    Call(&'a Failure),
    /// The kernel ended a process for lack of memory.
    OutOfMemory {
        /// When.
        at: BootNanos,
        /// Whom.
        victim: Process,
    },
    /// The container's processes ended without its command having been executed.
    NeverStarted {
        /// When that was clear.
        at: BootNanos,
    },
    /// A process ended, and what it said or how it ended is all that is known.
    Exit {
        /// When.
        at: BootNanos,
        /// How.
        status: ExitStatus,
        /// Which.
        process: Process,
    },
}

/// What a rule may look at beside the symptom.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The container.
    pub cgroup: CgroupId,
    /// Whose start.
    pub workload: &'a Workload,
    /// The process of the symptom, when it is known.
    pub process: Option<&'a ProcessView>,
    /// All processes of the container that are known.
    pub processes: &'a [ProcessView],
    /// All failures of the container.
    pub failures: &'a [Failure],
    /// The last lines that the program wrote to stderr, oldest first (local runs only).
    pub output: &'a [String],
    /// Questions asked about this symptom and answered so far.
    pub answers: &'a [(Question, Answer)],
    /// The probe that a local run must answer.
    pub probe: Option<&'a str>,
    /// The container became ready before the symptom.
    pub was_ready: bool,
    /// To compare the dates of files with kernel times.
    pub clock: ClockAnchor,
    /// The pod and the container's part of it, when the API server has told.
    pub spec: Option<Spec<'a>>,
}

/// What the manifest says of a container.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// The container.
    pub container: &'a Container,
    /// Its claims, as far as they were asked about and answered.
    pub claims: &'a [Claim],
}

impl Spec<'_> {
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

impl Context<'_> {
    /// A server is expected: exit code 0 is no success.
    pub fn must_stay(&self) -> bool {
        self.probe.is_some() || self.spec.is_some_and(|spec| spec.must_stay())
    }

    /// Whose view a question about the symptom's process takes.
    pub fn scope(&self, process: Process) -> Scope {
        Scope { cgroup: self.cgroup, process }
    }
}

/// What a symptom means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The code.
    pub cause: Cause,
    /// Which rule of the cause; see [`crate::verdict::Verdict::layer`].
    pub layer: String,
    /// The thing.
    pub subject: Subject,
    /// One sentence.
    pub summary: String,
    /// The chain of reasons.
    pub explanation: Vec<String>,
    /// What to do.
    pub remedy: Remedy,
    /// Facts beyond the failing call itself.
    pub evidence: Vec<Evidence>,
    /// What it means for the start, if it is the reason.
    pub severity: Severity,
    /// The condition was checked again and explains the failure: needed for `Certain`.
    pub proved: bool,
}

/// What has to be known before (or while) this symptom is explained. Called when the symptom is considered and again
/// after each answer; a question that was asked before is not asked again.
pub fn questions(symptom: Symptom<'_>, context: &Context<'_>) -> Vec<Question> {
    match symptom {
        Symptom::Call(failure) => {
            let mut all = files::questions(failure, context);
            all.extend(exec::questions(failure, context));
            all.extend(network::questions(failure, context));
            all
        }
        Symptom::OutOfMemory { .. } | Symptom::Exit { .. } => exits::questions(symptom, context),
        Symptom::NeverStarted { .. } => exec::never_started_questions(context),
    }
}

/// What the symptom means, as far as the answers tell; `None`: it is harmless, or nothing can be said of it.
pub fn explain(symptom: Symptom<'_>, context: &Context<'_>) -> Option<Finding> {
    match symptom {
        Symptom::Call(failure) => {
            exec::explain(failure, context).or_else(|| network::explain(failure, context)).or_else(|| files::explain(failure, context))
        }
        Symptom::OutOfMemory { at, victim } => exits::out_of_memory(at, victim, context),
        Symptom::Exit { at, status, process } => exits::exit(at, status, process, context),
        Symptom::NeverStarted { at } => exec::never_started(at, context),
    }
}
