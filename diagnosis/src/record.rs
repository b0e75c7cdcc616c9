//! What the kernel told, decoded: owned, checked, and serialisable for recordings and scenarios.

use crate::units::{BootNanos, CgroupId, Process};
use serde::{Deserialize, Serialize};
pub use unready_agent_common::call::Call as WireCall;

/// One thing that happened in the kernel (or, for [`Record::Output`], on a pipe that `unready run` holds).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// A cgroup was made, or found by the walk at start.
    CgroupCreated {
        id: CgroupId,
        /// Path below the unified hierarchy's root.
        path: String,
        /// It was there before us: its start was not seen.
        #[serde(default)]
        existing: bool,
    },
    /// A cgroup was removed.
    CgroupRemoved { id: CgroupId },
    /// A process was moved into a cgroup.
    CgroupAttached { id: CgroupId, pid: u32, comm: String },
    /// A program was executed.
    Exec {
        /// Who, with its new name.
        task: Task,
        /// Real uid, initial user namespace.
        uid: u32,
        /// Real gid.
        gid: u32,
        /// The file named to execve.
        path: String,
        /// The arguments as far as they were captured.
        #[serde(default)]
        args: Vec<String>,
    },
    /// A process ended.
    Exit { task: Task, status: ExitStatus },
    /// The kernel chose this process to end for lack of memory.
    OomVictim {
        pid: u32,
        /// Cgroup of the task that asked for memory.
        asker: CgroupId,
    },
    /// A system call failed.
    CallFailed(Box<CallFailed>),
    /// A runtime entered the container's file system.
    RootChanged { task: Task },
    /// A TCP socket began (or ceased) to listen.
    Listening {
        task: Task,
        /// Address as text, `0.0.0.0` and `::` included.
        address: String,
        port: u16,
        /// False: it ceased.
        open: bool,
    },
    /// A failure that was sent before has happened again (from the kernel's counters).
    Repeated {
        cgroup: CgroupId,
        /// Its hash, with call and errno what makes it the same.
        hash: u64,
        /// What failed.
        call: Call,
        errno: Errno,
        /// How often by now, the first included.
        count: u64,
        /// When it last happened.
        last: BootNanos,
        /// Which process did it last.
        pid: u32,
    },
    /// A line that the program wrote to stderr (`unready run` only).
    Output {
        /// Cgroup of the program.
        cgroup: CgroupId,
        /// The line, without its end, at most 512 bytes.
        line: String,
    },
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub cgroup: CgroupId,
    #[serde(flatten)]
    pub process: Process,
    #[serde(default)]
    pub tid: u32,
    /// Parent process id; 0 unknown.
    #[serde(default)]
    pub parent: u32,
    /// Name of the thread.
    #[serde(default)]
    pub comm: String,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitStatus {
    /// exit(2) with this code.
    Code(u8),
    /// Ended by this signal.
    Signal(u8),
}

impl ExitStatus {
    /// From the kernel's word, as wait(2) has it.
    pub const fn from_wait(code: u32) -> Self {
        match code & 0x7f {
            0 => Self::Code((code >> 8 & 0xff) as u8),
            signal => Self::Signal(signal as u8),
        }
    }

    /// Exit code 0.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

/// A failing system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFailed {
    pub task: Task,
    /// With whose rights at that moment.
    #[serde(default)]
    pub creds: Creds,
    /// What it tried.
    pub call: Call,
    /// Why it failed.
    pub errno: Errno,
    /// Open flags, access mode, file mode or id: see [`WireCall`].
    #[serde(default)]
    pub arg: u64,
    /// On what.
    pub target: Target,
    /// Kernel-side hash of target and argument; identifies repetitions.
    #[serde(default)]
    pub hash: u64,
}

impl CallFailed {
    /// The path that it is about: of a pair the one to be made.
    pub const fn path(&self) -> Option<&PathArg> {
        match &self.target {
            Target::Path(path) | Target::Unix(path) | Target::Paths { to: path, .. } => Some(path),
            Target::File { .. } | Target::Inet { .. } | Target::Nothing => None,
        }
    }
}

/// What a failing call was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A path as the process gave it.
    Path(PathArg),
    /// Two paths (rename, link, symlink): the existing one, and the one to make. For symlink `from` is the text of the link.
    Paths {
        /// Existing file.
        from: PathArg,
        /// New name.
        to: PathArg,
    },
    /// A descriptor's file.
    File {
        fd: i32,
        /// Device major and minor number.
        device: (u32, u32),
        inode: u64,
        /// The file's own name, without its directory.
        name: String,
    },
    /// An internet socket address.
    Inet {
        /// Address as text.
        address: String,
        port: u16,
    },
    /// A unix socket's path (an abstract one begins with `@`).
    Unix(PathArg),
    /// The call has no target, or it could not be read.
    Nothing,
}

/// A path argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathArg {
    /// The text, lossy when it is no UTF-8.
    pub path: String,
    /// The directory descriptor that a relative path starts from; `None` is the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirfd: Option<i32>,
    /// The directory that a relative path starts from, as the kernel saw it at that moment; `None` for absolute paths, and
    /// where it was not told (older recordings).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<FileId>,
    /// The path was longer than what was captured.
    #[serde(default)]
    pub cut: bool,
}

/// Which file, whatever its path. Bind mounts of one directory share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// Device of its super block, major and minor number, as mountinfo has it: stat(2) of btrfs tells another.
    pub device: (u32, u32),
    pub inode: u64,
}

impl PathArg {
    /// A path relative to the working directory, or absolute.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), dirfd: None, start: None, cut: false }
    }

    /// Whether it needs no directory to start from.
    pub fn is_absolute(&self) -> bool {
        self.path.starts_with('/')
    }
}

/// Credentials, ids of the initial user namespace. The names of credentials(7).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Creds {
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub egid: u32,
    pub fsuid: u32,
    pub fsgid: u32,
    /// Bit n is capability n.
    pub cap_effective: u64,
    /// Inode number of the user namespace; 0 unknown.
    pub user_ns: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// There were more groups than were captured.
    pub groups_cut: bool,
}

/// What a failing call tried: the wire enum, under a name that serialises. The system calls' own names; families are listed at the wire enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    Open,
    Access,
    Exec,
    Mkdir,
    Unlink,
    Rmdir,
    Rename,
    Link,
    Symlink,
    Chmod,
    Chown,
    Truncate,
    Chdir,
    Mknod,
    Readlink,
    Stat,
    Setuid,
    Setgid,
    Setgroups,
    Write,
    Sync,
    Bind,
    Connect,
    Read,
    Readdir,
    Socket,
    Accept,
    Clone,
}

/// A positive errno. Serialises as its name (`EACCES`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub u16);

macro_rules! errnos {
    ($($name:ident = $number:literal: $text:literal),+ $(,)?) => {
        /// The names of errno(3).
        impl Errno {
            $(pub const $name: Self = Self($number);)+

            /// Its name, e.g. `EACCES`.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($number => Some(stringify!($name)),)+ _ => None }
            }

            /// What strerror(3) says, e.g. `Permission denied`: programs write it to stderr.
            pub const fn text(self) -> Option<&'static str> {
                match self.0 { $($number => Some($text),)+ _ => None }
            }

            /// The errno of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $(stringify!($name) => Some(Self($number)),)+ _ => None }
            }
        }
    };
}

// Numbers of include/uapi/asm-generic/errno*.h, the same on x86-64 and arm64.
errnos! {
    EPERM = 1: "Operation not permitted",
    ENOENT = 2: "No such file or directory",
    EIO = 5: "Input/output error",
    ENXIO = 6: "No such device or address",
    ENOEXEC = 8: "Exec format error",
    EAGAIN = 11: "Resource temporarily unavailable",
    EACCES = 13: "Permission denied",
    ENOTDIR = 20: "Not a directory",
    EISDIR = 21: "Is a directory",
    EINVAL = 22: "Invalid argument",
    ENFILE = 23: "Too many open files in system",
    EMFILE = 24: "Too many open files",
    ETXTBSY = 26: "Text file busy",
    ENOSPC = 28: "No space left on device",
    EROFS = 30: "Read-only file system",
    ENAMETOOLONG = 36: "File name too long",
    ELOOP = 40: "Too many levels of symbolic links",
    ELIBBAD = 80: "Accessing a corrupted shared library",
    EADDRINUSE = 98: "Address already in use",
    EADDRNOTAVAIL = 99: "Cannot assign requested address",
    ECONNREFUSED = 111: "Connection refused",
    EDQUOT = 122: "Disk quota exceeded",
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl Serialize for Errno {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Errno {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_name(&text)
            .or_else(|| text.strip_prefix("errno ").and_then(|n| n.parse().ok()).map(Self))
            .ok_or_else(|| serde::de::Error::custom(format!("unknown errno {text:?}")))
    }
}
