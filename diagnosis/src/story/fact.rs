//! Facts: what a piece of evidence says, for programs. Its text says the same for people, and is made from it, never the reverse.

use crate::{
    answer::FileKind,
    outside::text,
    record::{Call, Errno, ExitStatus},
    units::BootNanos,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// A call failed.
    Call(FailedCall),
    /// A file or directory was looked at.
    File(File),
    Mount(Mount),
    /// A program was executed, or was to be.
    Exec(Exec),
    /// A process ended.
    Exit(Exit),
    /// Somebody listens.
    Socket(Socket),
    /// A limit, and how much of it is used.
    Resource(Resource),
}

/// A call that failed, once or again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCall {
    /// What was tried.
    pub call: Call,
    /// On what: a path, an address; empty: nothing that has a name.
    pub target: String,
    /// Why it failed.
    pub errno: Errno,
    /// How often.
    pub count: u64,
    /// When it last failed.
    pub last: BootNanos,
    /// The process that did it last.
    pub pid: u32,
}

/// A file or directory as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Full path inside the container.
    pub path: String,
    /// `None`: it does not exist.
    pub found: Option<Inode>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inode {
    /// What sort of file.
    pub kind: FileKind,
    /// Permission bits, set-id and sticky included.
    pub mode: u32,
    /// Owner, of the initial user namespace.
    pub uid: u32,
    /// Group, of the initial user namespace.
    pub gid: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it is mounted inside the container.
    pub point: String,
    /// File system type.
    pub fstype: String,
    /// It is read-only.
    pub read_only: bool,
}

/// A program that was executed, or was to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Its file, or its name.
    pub path: String,
    /// Process id; 0 unknown.
    pub pid: u32,
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub status: ExitStatus,
    /// Process id; 0 unknown.
    pub pid: u32,
}

/// A socket that somebody listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// Address as text.
    pub address: String,
    pub port: u16,
    /// Process id of the listener; 0 unknown.
    pub pid: u32,
}

/// A limit, and how much of it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Of what: `memory`, `storage`, `inodes`, `open files`, `processes`.
    pub name: String,
    /// What counts it: `bytes`, or the things themselves.
    pub unit: String,
    /// Where the limit lies: a mount point, `RLIMIT_NPROC`; empty: the container.
    pub scope: String,
    /// The limit; `None`: there is none, or it is not known.
    pub limit: Option<u64>,
    /// How much is used; `None`: not known.
    pub used: Option<u64>,
}

impl Fact {
    /// As it is told: whatever came from outside is spelt out where it cannot be seen.
    pub(crate) fn escaped(self) -> Self {
        match self {
            Self::Call(call) => Self::Call(FailedCall { target: text(call.target), ..call }),
            Self::File(file) => Self::File(File { path: text(file.path), ..file }),
            Self::Mount(Mount { point, fstype, read_only }) => Self::Mount(Mount { point: text(point), fstype: text(fstype), read_only }),
            Self::Exec(exec) => Self::Exec(Exec { path: text(exec.path), ..exec }),
            Self::Exit(exit) => Self::Exit(exit),
            Self::Socket(socket) => Self::Socket(Socket { address: text(socket.address), ..socket }),
            Self::Resource(resource) => Self::Resource(Resource { scope: text(resource.scope), ..resource }),
        }
    }
}
