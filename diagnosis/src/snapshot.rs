//! Which cgroups exist, and what runs in the containers among them: what the engine compares its knowledge with, because
//! records get lost.
//!
//! A snapshot is bounded. Where it was cut, absence proves nothing.

use crate::units::{BootNanos, CgroupId, Process};
use serde::{Deserialize, Serialize};

/// One walk through the hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When the walk began: what happened since need not show in it.
    pub walked: BootNanos,
    /// Not every cgroup was looked at: one that is absent may exist.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cut: bool,
    /// Those that exist, parents before children.
    pub cgroups: Vec<Existing>,
}

/// A cgroup that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Existing {
    pub id: CgroupId,
    /// Path below the unified hierarchy's root.
    pub path: String,
    /// What runs in it and below it; `None`: it was not looked at, because it is not a container by its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Processes>,
}

/// The processes of a container, those in its nested cgroups included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processes {
    /// There are more processes, or more nested cgroups, than were looked at: what is absent may exist.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cut: bool,
    /// Younger processes that were looked at and are not told of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u32,
    /// Those that run, the oldest first.
    pub all: Vec<Running>,
}

/// A process that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Which. Its start is exact to a tick of 10 ms only, and never too late.
    #[serde(flatten)]
    pub process: Process,
    #[serde(default)]
    pub parent: u32,
    #[serde(default)]
    pub comm: String,
    /// It has executed a program since it was forked.
    #[serde(default)]
    pub executed: bool,
}

/// What the start of a process in a snapshot is exact to, in nanoseconds: a tick of `/proc/PID/stat`.
pub const TICK: u64 = 10_000_000;

impl Processes {
    /// The process that runs the container's program: the oldest that has executed something and is no helper of the
    /// runtime. Of two that began within the same tick, it is the other's parent.
    pub fn program(&self) -> Option<&Running> {
        let is_helper = |comm: &str| is_runtime_helper(comm) || is_copy(comm);
        let programs = || self.all.iter().filter(|running| running.executed && !is_helper(&running.comm));
        let oldest = programs().map(|running| running.process.start).min()?;
        let first = || programs().filter(|running| running.process.start <= oldest.saturating_add(TICK));
        first().find(|one| !first().any(|other| other.process.pid == one.parent))
    }

    /// Whether this process surely runs no more.
    pub fn lacks(&self, process: Process) -> bool {
        let covered = self.left_out == 0 || self.all.last().is_some_and(|youngest| process.start <= youngest.process.start);
        !self.cut && covered && !self.has(process)
    }

    /// Whether this process runs.
    pub fn has(&self, process: Process) -> bool {
        self.all.iter().any(|running| running.is(process))
    }
}

impl Running {
    /// Whether it is this process, as a record has it.
    pub const fn is(&self, process: Process) -> bool {
        let (one, other) = (self.process.start, process.start);
        self.process.pid == process.pid && (one == 0 || other == 0 || one.abs_diff(other) <= TICK)
    }
}

/// Names that runtimes give their helpers before the container's program runs: `runc:[2:INIT]`, `crun`, `youki:[INIT]`. Not
/// those of programs that only begin like one.
pub fn is_runtime_helper(comm: &str) -> bool {
    let rest = ["runc", "crun", "youki"].iter().find_map(|runtime| comm.strip_prefix(runtime));
    rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// What the kernel calls a program that was executed by `/proc/self/exe`, `/dev/fd/6` or a memfd: so runc executes a sealed copy of
/// itself, before it takes a helper's name.
fn is_copy(comm: &str) -> bool {
    comm == "exe" || comm.starts_with("memfd:") || comm.bytes().all(|byte| byte.is_ascii_digit())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}
