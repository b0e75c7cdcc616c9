//! What the world was found to be like: the answers to the engine's questions, as plain facts.

use crate::units::BootNanos;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Question::WalkPath`](crate::question::Question::WalkPath).
    Walk(Walk),
    /// To [`Question::FindMount`](crate::question::Question::FindMount).
    Mount {
        /// The mount, if one of the container's has that device.
        mount: Option<Mount>,
        /// Full path of the file, when the process still had it open.
        path: Option<String>,
    },
    /// To [`Question::ReadExecutable`](crate::question::Question::ReadExecutable).
    Executable(Executable),
    /// To [`Question::AwaitPath`](crate::question::Question::AwaitPath).
    Appeared {
        /// When it was there; `None`: not within the time.
        at: Option<BootNanos>,
    },
    /// To [`Question::FindListener`](crate::question::Question::FindListener).
    Listener(Option<Listener>),
    /// To [`Question::LocalAddresses`](crate::question::Question::LocalAddresses), as text.
    Addresses(Vec<String>),
    /// To [`Question::UnprivilegedPort`](crate::question::Question::UnprivilegedPort).
    UnprivilegedPort(u16),
    /// To [`Question::Memory`](crate::question::Question::Memory).
    Memory(Memory),
    /// To [`Question::Usage`](crate::question::Question::Usage).
    Usage(Usage),
    /// To [`Question::Limits`](crate::question::Question::Limits).
    Limits(Limits),
    /// To [`Question::ProcessLimits`](crate::question::Question::ProcessLimits).
    ProcessLimits(ProcessLimits),
    /// To [`Question::RuntimeSpec`](crate::question::Question::RuntimeSpec).
    RuntimeSpec(RuntimeSpec),
    /// To [`Question::Identify`](crate::question::Question::Identify).
    Identity(PodAnnotations),
    /// To [`Question::Account`](crate::question::Question::Account): whether there is an entry, and whether the file exists.
    Account {
        /// `/etc/passwd` exists.
        file: bool,
        /// It has the uid.
        entry: bool,
    },
    /// It can no longer be answered.
    Gone {
        /// Why, as a clause: "the process ended and its root was not held".
        reason: String,
    },
}

/// A path, component by component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Walk {
    /// The absolute path that was walked, inside the container; `None` when a relative path's start is unknown.
    pub resolved: Option<String>,
    /// Each directory and file passed, in order, `/` first; symbolic links are listed and then what they lead to.
    pub components: Vec<Component>,
    /// Where the walk ended early.
    pub stopped: Option<Stop>,
    /// Maps of the process's user namespace (`/proc/PID/uid_map`); empty: the initial one.
    pub uid_map: Vec<IdRange>,
    /// See `uid_map`.
    pub gid_map: Vec<IdRange>,
    /// `Seccomp:` of `/proc/PID/status` is not 0.
    pub seccomp: Option<bool>,
    /// The security module's label of the process (`/proc/PID/attr/current`), when it confines.
    pub lsm: Option<String>,
    /// What gave the view: the process itself, another of the container, or what was held of its root.
    pub view: View,
    /// When it was looked at.
    pub at: BootNanos,
}

/// Through what a container's file system was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// The process itself.
    #[default]
    Process,
    /// Another process of the container.
    Sibling,
    /// A descriptor of its root, opened when the container was first seen.
    Held,
    /// The runtime's description of the container (bundle), on the host.
    Bundle,
}

/// Why a walk ended before the last component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The component that could not be entered: full path.
    pub path: String,
    /// ENOENT, ENOTDIR, ELOOP …
    pub errno: crate::record::Errno,
    /// Names that are there instead, when they are much alike (a misspelt key); at most 5.
    #[serde(default)]
    pub alike: Vec<String>,
}

/// One component of a walk. Ids are the initial user namespace's, as the agent sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Full path inside the container.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, set-id and sticky included (`st_mode & 0o7777`).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// POSIX ACL, when there is one beyond the mode bits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acl: Vec<AclEntry>,
    /// Immutable flag (chattr +i).
    #[serde(default)]
    pub immutable: bool,
    /// Append-only flag.
    #[serde(default)]
    pub append_only: bool,
    /// Where a symbolic link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The mount that it lies on.
    pub mount: Mount,
    /// When it was made, wall-clock nanoseconds, if the file system tells.
    #[serde(default)]
    pub born: Option<u64>,
    /// When its inode last changed, wall-clock nanoseconds.
    #[serde(default)]
    pub changed: Option<u64>,
}

/// Type of a file, inode(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    Directory,
    File,
    Link,
    Socket,
    Fifo,
    CharDevice,
    BlockDevice,
    Other,
}

/// An entry of a POSIX ACL, acl(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclEntry {
    pub tag: AclTag,
    /// rwx as 4, 2, 1.
    pub perm: u8,
}

/// Whom an ACL entry speaks of, acl(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AclTag {
    UserObj,
    User(u32),
    GroupObj,
    Group(u32),
    Mask,
    Other,
}

/// A mount of the container, from `/proc/PID/mountinfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Where it is mounted inside the container; `/` is the root file system.
    pub point: String,
    /// File system type.
    pub fstype: String,
    /// Which directory of its file system is mounted (field 4); a kubelet's volume shows its path here.
    pub root: String,
    /// Source (field 10).
    pub source: String,
    /// Mount and super block options, joined by commas.
    pub options: String,
    /// The mount, or its super block, is read-only.
    pub read_only: bool,
    /// Programs may not be executed from it.
    pub noexec: bool,
    /// Owners are mapped by the mount (idmapped).
    pub idmapped: bool,
}

/// `inside` to `inside + count` of the namespace are `outside` to … of the initial one: the columns of `user_namespaces(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

/// What a file is as an executable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executable {
    /// The path looked at, absolute inside the container.
    pub path: String,
    /// The file's own permissions, `None` when it does not exist.
    pub file: Option<Component>,
    pub format: ExecFormat,
}

/// The format of an executable, read from its first bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecFormat {
    /// An ELF file.
    Elf {
        /// `x86-64`, `aarch64` … of `e_machine`.
        machine: String,
        /// The machine of this node.
        host: String,
        /// `PT_INTERP`, with whether it exists in the container.
        interpreter: Option<(String, bool)>,
        /// `DT_NEEDED`, with where each was found (default search path, RPATH, RUNPATH, `/etc/ld.so.cache` directories).
        libraries: Vec<(String, Option<String>)>,
    },
    /// A `#!` script.
    Script {
        /// The interpreter exactly as written, a trailing `\r` shown as such.
        interpreter: String,
        /// Whether it exists in the container.
        exists: bool,
        /// The line ends in CR LF.
        crlf: bool,
    },
    /// Neither: an empty file, text without `#!`, another system's format.
    Unknown {
        /// In words: "empty", "text without #!", "PE (Windows)", "Mach-O (macOS)", "a UTF-8 byte order mark before #!".
        what: String,
    },
    /// It could not be read.
    Unreadable { errno: crate::record::Errno },
}

/// Who has a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Process, when it could be found.
    pub pid: Option<u32>,
    pub comm: Option<String>,
    /// Its cgroup's path.
    pub cgroup_path: Option<String>,
    /// Address that it is bound to.
    pub address: String,
    /// When the process started.
    pub since: Option<BootNanos>,
}

/// Memory of a cgroup, bytes: memory.max, memory.peak, memory.current and memory.events of cgroup v2, or their v1 kin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    pub limit: Option<u64>,
    pub peak: Option<u64>,
    pub current: Option<u64>,
    pub oom_kills: Option<u64>,
}

/// Use of a file system, statvfs(3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub mount: Mount,
    pub bytes: u64,
    pub bytes_available: u64,
    pub inodes: u64,
    pub inodes_available: u64,
}

/// Limits of a process: `RLIMIT_NOFILE` soft and hard, descriptors open, `fs.file-max`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub open_files_soft: Option<u64>,
    pub open_files_hard: Option<u64>,
    pub open_files: Option<u64>,
    pub system_files: Option<u64>,
}

/// Limits of processes and threads, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessLimits {
    /// `RLIMIT_NPROC` of the process, soft; `u64::MAX`: unlimited; `None`: it is not there any more.
    pub user_limit: Option<u64>,
    /// Threads of that user on the node.
    pub user_now: Option<u64>,
    /// The smallest `pids.max` of the container's cgroup and those above it; `None`: there is none.
    pub pids_limit: Option<u64>,
    /// `pids.current` of that cgroup, or of the container's where there is no limit.
    pub pids_now: Option<u64>,
    /// How often a fork of the container was refused (`max` of its own `pids.events`).
    pub pids_refused: Option<u64>,
    /// How often a fork was refused below the cgroup whose limit it is, where that is another one.
    pub pids_refused_above: Option<u64>,
    /// It is not the container's own limit, but one above it: the pod's.
    pub pids_above: bool,
    /// The smaller of `kernel.threads-max` and `kernel.pid_max`.
    pub node_limit: Option<u64>,
    /// Threads of the node.
    pub node_now: Option<u64>,
}

/// What the runtime was told to run (OCI `config.json`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuntimeSpec {
    /// `process.args`.
    pub args: Vec<String>,
    /// `process.cwd`.
    pub cwd: String,
    /// `PATH` of `process.env`.
    pub path: Option<String>,
    /// What the command is in the container's file system; `None`: not found on `PATH`.
    pub command: Option<Executable>,
}

/// Which container of which pod it is: what containerd (`io.kubernetes.cri.*`, `internal/cri/annotations`) and CRI-O
/// (`io.kubernetes.cri-o.*`, `pkg/annotations`) write into `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodAnnotations {
    /// It is the pod's sandbox, not one of its containers.
    pub is_sandbox: bool,
    /// Name of the container in the pod's spec.
    pub container: String,
    /// Name of the pod.
    pub pod: String,
    pub namespace: String,
    /// Image, as the pod names it.
    pub image: String,
}
