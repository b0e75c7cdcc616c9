//! A start as it is told to the outside: what happened when, healthy starts too. Measured starts are what probe budgets are
//! calculated from.
//!
//! Everything is bounded; what did not fit is counted in [`StartReport::dropped`]. A report replaces the one before of the same id.

use crate::{
    outside::text,
    record::ExitStatus,
    units::{BootNanos, CgroupId},
    verdict::{Completeness, Workload},
};
use serde::{Deserialize, Serialize};

/// Milestones of a start that are kept.
pub const MILESTONES: usize = 48;
/// Attempts of a start that are kept.
pub const ATTEMPTS: usize = 32;
/// Waits of a start that are kept.
pub const WAITS: usize = 32;

/// One start of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartReport {
    /// Stable over the reports of one start: a hash of the cgroup and the container's id. 16 hexadecimal digits.
    pub id: String,
    /// Whose start.
    pub workload: Workload,
    /// Cgroup of the container.
    pub cgroup: CgroupId,
    /// How far it is.
    pub stage: Stage,
    /// Why it is looked at no longer although it is not ready, a sentence; empty otherwise.
    pub note: String,
    /// When its cgroup was made.
    pub began: BootNanos,
    /// When this report was made.
    pub told: BootNanos,
    /// What happened, oldest first.
    pub milestones: Vec<Milestone>,
    /// Probes that were tried, oldest first.
    pub attempts: Vec<Attempt>,
    /// What it waited for, oldest first.
    pub waits: Vec<Wait>,
    /// Milestones, attempts and waits that were left out.
    pub dropped: u32,
    /// What may be missing.
    pub completeness: Completeness,
}

/// How far a start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The container is made; its program has not been executed.
    Created,
    /// Its program runs and is not known to be ready.
    Starting,
    /// The same, and it is late.
    Stalled,
    /// It is ready, as far as one can tell.
    Ready,
    /// It is not known to be ready, and is looked at no longer: [`StartReport::note`] says why.
    Unwatched,
    /// Its main process ended, or was never executed.
    Ended,
}

/// Something that happened once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milestone {
    pub at: BootNanos,
    pub step: Step,
}

/// What a milestone is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The container's cgroup was made.
    Created,
    /// The runtime entered the container's root.
    Entered,
    /// The main process executed a program: the entry point, then what it execs.
    Executed {
        /// File of the program.
        path: String,
        /// Process id.
        pid: u32,
    },
    /// A TCP socket began to listen.
    Listening {
        /// Address as text.
        address: String,
        port: u16,
    },
    /// It became ready.
    Ready,
    /// The kernel ended one of its processes for lack of memory.
    OutOfMemory {
        /// Process id of the victim.
        pid: u32,
    },
    /// The main process ended.
    Ended { status: ExitStatus },
}

/// Probes that had the same outcome, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When the first was made.
    pub first: BootNanos,
    /// When the last was made.
    pub last: BootNanos,
    /// How many.
    pub count: u64,
    /// What was probed: `http://127.0.0.1:8080/readyz`, `readiness`.
    pub target: String,
    /// It was answered as it should be.
    pub passed: bool,
    /// The outcome in words: `connection refused`, `200`.
    pub outcome: String,
}

/// Something that was waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Since when.
    pub from: BootNanos,
    /// Until when; `None`: still.
    pub until: Option<BootNanos>,
    /// For what: a path, an address.
    pub target: String,
    /// How it was waited, in words: `open("/run/ready") = ENOENT, 14 times in 3.2 s`.
    pub text: String,
}

impl Stage {
    /// The word that outputs use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Starting => "Starting",
            Self::Stalled => "Stalled",
            Self::Ready => "Ready",
            Self::Unwatched => "Unwatched",
            Self::Ended => "Ended",
        }
    }
}

impl StartReport {
    /// As it is told: whatever came from outside is spelt out where it cannot be seen.
    pub(crate) fn escaped(self) -> Self {
        let milestones = self.milestones.into_iter().map(|milestone| Milestone { step: milestone.step.escaped(), ..milestone });
        let attempts = self.attempts.into_iter().map(|one| Attempt { target: text(one.target), outcome: text(one.outcome), ..one });
        let waits = self.waits.into_iter().map(|wait| Wait { target: text(wait.target), text: text(wait.text), ..wait });
        Self {
            workload: self.workload.escaped(),
            note: text(self.note),
            milestones: milestones.collect(),
            attempts: attempts.collect(),
            waits: waits.collect(),
            ..self
        }
    }
}

impl Step {
    fn escaped(self) -> Self {
        match self {
            Self::Executed { path, pid } => Self::Executed { path: text(path), pid },
            Self::Listening { address, port } => Self::Listening { address: text(address), port },
            Self::Created | Self::Entered | Self::Ready | Self::OutOfMemory { .. } | Self::Ended { .. } => self,
        }
    }
}
