//! What the engine may ask about the world, and the answers. `agent/src/investigate/` answers them.
//!
//! A question is a value; an answer always comes, also when the thing asked about is gone ([`Answer::Gone`]). The answers are in [`crate::answer`].

pub use crate::answer::*;
use crate::{
    record::FileId,
    units::{CgroupId, Process},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Ties an answer to its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QuestionId(pub u64);

/// Whose view of the file system, network and limits is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scope {
    pub cgroup: CgroupId,
    /// The process; it may be gone, then another of the container or what was held of its root answers.
    pub process: Process,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Look at every component of a path, as the process would resolve it.
    WalkPath {
        /// Whose view.
        scope: Scope,
        /// The path as it was given.
        path: String,
        /// The directory descriptor that a relative path starts from.
        dirfd: Option<i32>,
        /// The directory that a relative path starts from, should the process be gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<FileId>,
        /// Whether a symbolic link as the last component is followed.
        follow: bool,
    },
    /// Find the file of a descriptor's device and inode: which mount, and its path if the process still has it open.
    FindMount {
        /// Whose view.
        scope: Scope,
        /// Device major and minor.
        device: (u32, u32),
        /// The descriptor, should the process still be there.
        fd: i32,
        /// Inode number of the file, should it not; 0 is none.
        #[serde(default)]
        inode: u64,
        /// The file's own name.
        #[serde(default)]
        name: String,
    },
    /// Read what kind of executable a file is and what it needs.
    ReadExecutable {
        /// Whose view.
        scope: Scope,
        /// Path of the file.
        path: String,
        /// The directory that a relative path starts from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<FileId>,
    },
    /// Wait for a file to appear, at most `for_millis`; answered by [`Answer::Appeared`].
    AwaitPath {
        /// Whose view.
        scope: Scope,
        /// The path, absolute.
        path: String,
        /// How long, milliseconds.
        for_millis: u64,
    },
    /// Who listens on a port in the process's network namespace.
    FindListener {
        /// Whose view.
        scope: Scope,
        port: u16,
    },
    /// Which addresses the process's network namespace has.
    LocalAddresses {
        /// Whose view.
        scope: Scope,
    },
    /// The lowest port that needs no capability (`net.ipv4.ip_unprivileged_port_start`).
    UnprivilegedPort {
        /// Whose view.
        scope: Scope,
    },
    /// Memory limit, peak and OOM count of a container's cgroup.
    Memory { cgroup: CgroupId },
    /// Size and use of the file system that holds a path.
    Usage {
        /// Whose view.
        scope: Scope,
        /// A path on it.
        path: String,
        /// The directory that a relative path starts from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<FileId>,
    },
    /// Limits of a process: open files, file size; and the system's.
    Limits { scope: Scope },
    /// Limits of processes and threads, and how many there are: of the cgroup, of a user, of the node.
    ProcessLimits {
        scope: Scope,
        /// The user, of the initial user namespace.
        uid: u32,
    },
    /// What the runtime was told to run in a container that never executed its command.
    RuntimeSpec {
        cgroup: CgroupId,
        /// Its id, the last part of the cgroup's path.
        container_id: String,
    },
    /// Which container of which pod it is, from what the runtime keeps on this node: known before the API server says it,
    /// and when it does not answer.
    Identify {
        cgroup: CgroupId,
        /// Its id, the last part of the cgroup's path.
        container_id: String,
    },
    /// Whether an account is in the container's `/etc/passwd`.
    Account {
        /// Whose view.
        scope: Scope,
        /// The uid, as the container sees it.
        uid: u32,
    },
}

impl Question {
    /// How long an answer holds for a judgement that comes later: what others do, and how much is used, changes by itself. `None`: what
    /// was found is the evidence, or does not change.
    pub const fn fresh_for(&self) -> Option<Duration> {
        match self {
            Self::FindListener { .. } | Self::Memory { .. } | Self::Usage { .. } | Self::Limits { .. } | Self::ProcessLimits { .. } => {
                Some(Duration::from_secs(2))
            }
            Self::WalkPath { .. }
            | Self::FindMount { .. }
            | Self::ReadExecutable { .. }
            | Self::AwaitPath { .. }
            | Self::LocalAddresses { .. }
            | Self::UnprivilegedPort { .. }
            | Self::RuntimeSpec { .. }
            | Self::Identify { .. }
            | Self::Account { .. } => None,
        }
    }

    /// The container asked about.
    pub const fn cgroup(&self) -> CgroupId {
        match self {
            Self::WalkPath { scope, .. }
            | Self::FindMount { scope, .. }
            | Self::ReadExecutable { scope, .. }
            | Self::AwaitPath { scope, .. }
            | Self::FindListener { scope, .. }
            | Self::LocalAddresses { scope }
            | Self::UnprivilegedPort { scope }
            | Self::Usage { scope, .. }
            | Self::Limits { scope }
            | Self::ProcessLimits { scope, .. }
            | Self::Account { scope, .. } => scope.cgroup,
            Self::Memory { cgroup } | Self::RuntimeSpec { cgroup, .. } | Self::Identify { cgroup, .. } => *cgroup,
        }
    }
}
