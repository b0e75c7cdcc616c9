//! What the ring buffer carries: one struct a kind, each beginning with a [`Header`].
//!
//! Every struct is `repr(C)`, a multiple of 8 bytes, without padding (asserted below; zerocopy's `IntoBytes` refuses
//! padding too). Times are nanoseconds since boot, suspend included (`bpf_ktime_get_boot_ns`, Linux 5.8).

use crate::limits::{ARGS_CAP, COMM_CAP, GROUPS_CAP, PATH_CAP};
#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

wire_enum! {
    /// Tells the structs apart; [`Header::kind`].
    pub enum Kind: u32 {
        /// [`CgroupCreated`]
        CgroupCreated = 1,
        /// [`CgroupRemoved`]
        CgroupRemoved = 2,
        /// [`CgroupAttached`]
        CgroupAttached = 3,
        /// [`Exec`]
        Exec = 4,
        /// [`Exit`]
        Exit = 5,
        /// [`OomVictim`]
        OomVictim = 6,
        /// [`CallFailed`]
        CallFailed = 7,
        /// [`RootChanged`]
        RootChanged = 8,
        /// [`Listening`]
        Listening = 9,
    }
}

/// First bytes of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Header {
    /// A [`Kind`].
    pub kind: u32,
    /// Size of the whole record in bytes.
    pub size: u32,
    /// Nanoseconds since boot.
    pub at: u64,
}

/// Who did it. A process is the pair (tgid, start): numbers are used again, pairs are not.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Task {
    /// Id of its cgroup in the unified hierarchy: the inode number of the cgroup's directory.
    pub cgroup: u64,
    /// When the thread group's leader started, nanoseconds since boot; 0 when the kernel could not be read.
    pub start: u64,
    /// Process id (thread group), in the initial pid namespace.
    pub tgid: u32,
    pub tid: u32,
    /// Process id of the parent; 0 when unknown.
    pub parent: u32,
    pub reserved: u32,
    /// Name of the thread, NUL-padded.
    pub comm: [u8; COMM_CAP],
}

/// With whose rights. All ids are those of the initial user namespace (`kuid_t`). The names of credentials(7).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Creds {
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub egid: u32,
    pub fsuid: u32,
    pub fsgid: u32,
    /// Bit n is capability n of capabilities(7).
    pub cap_effective: u64,
    /// Inode number of the user namespace, as `readlink /proc/PID/ns/user` shows it.
    pub user_ns: u32,
    /// Number of supplementary groups; only the first [`GROUPS_CAP`] are in `groups`.
    pub ngroups: u32,
    pub groups: [u32; GROUPS_CAP],
}

/// A cgroup of the unified hierarchy was made.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct CgroupCreated {
    /// Kind [`Kind::CgroupCreated`].
    pub header: Header,
    pub id: u64,
    /// Depth below the root.
    pub level: u32,
    /// Bytes of `path`; equal to [`PATH_CAP`] when cut.
    pub path_len: u32,
    /// Path below the hierarchy's root, beginning with `/`.
    pub path: [u8; PATH_CAP],
}

/// A cgroup was removed.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct CgroupRemoved {
    /// Kind [`Kind::CgroupRemoved`].
    pub header: Header,
    pub id: u64,
}

/// A process was moved into a cgroup by a write to `cgroup.procs`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct CgroupAttached {
    /// Kind [`Kind::CgroupAttached`].
    pub header: Header,
    /// Cgroup id of the destination.
    pub id: u64,
    /// The process moved.
    pub pid: u32,
    pub reserved: u32,
    /// Its name, NUL-padded.
    pub comm: [u8; COMM_CAP],
}

/// A program was executed.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Exec {
    /// Kind [`Kind::Exec`].
    pub header: Header,
    /// Who, with the new name.
    pub task: Task,
    /// Real user and group id, initial user namespace.
    pub uid: u32,
    /// See `uid`.
    pub gid: u32,
    /// Bytes of `path`.
    pub path_len: u16,
    /// Bytes of `args`.
    pub args_len: u16,
    pub reserved: u32,
    /// The file as it was named to execve; for a script the script itself, while `args` begins with its interpreter.
    pub path: [u8; PATH_CAP],
    /// The arguments, NUL-separated, cut at [`ARGS_CAP`].
    pub args: [u8; ARGS_CAP],
}

/// The last thread of a process ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Exit {
    /// Kind [`Kind::Exit`].
    pub header: Header,
    pub task: Task,
    /// As wait(2) reports it: exit status in bits 8 to 15, or the signal in bits 0 to 6 (bit 7: core dumped).
    pub code: u32,
    pub reserved: u32,
}

/// The kernel chose a process to end for lack of memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct OomVictim {
    /// Kind [`Kind::OomVictim`].
    pub header: Header,
    /// Cgroup of the task that asked for memory; the victim's own is that of its exit record.
    pub asker_cgroup: u64,
    pub pid: u32,
    pub reserved: u32,
}

/// `path` was longer than [`PATH_CAP`] and is cut.
pub const PATH_CUT: u32 = 1;
/// The path could not be read from the process's memory.
pub const PATH_UNREADABLE: u32 = 1 << 1;
/// `path` holds only the file's own name; `dev` and `ino` identify it (calls on descriptors).
pub const PATH_IS_NAME: u32 = 1 << 2;
/// `path` holds a raw `struct sockaddr`.
pub const PATH_IS_ADDRESS: u32 = 1 << 3;
/// `other` holds the second path.
pub const OTHER_PRESENT: u32 = 1 << 4;
/// `other` is cut.
pub const OTHER_CUT: u32 = 1 << 5;
/// `path` is relative, and `dev` and `ino` are those of the directory that it starts from.
pub const PATH_STARTS: u32 = 1 << 6;
/// The same for `other`.
pub const OTHER_STARTS: u32 = 1 << 7;

/// A system call failed.
///
/// Sent without `other` ([`CallFailed::SHORT_SIZE`] bytes) unless [`OTHER_PRESENT`] is set.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct CallFailed {
    /// Kind [`Kind::CallFailed`].
    pub header: Header,
    pub task: Task,
    /// With whose rights, at the moment of the failure.
    pub creds: Creds,
    /// What makes it the same failure again, with cgroup, call and errno: made of paths, `arg`, device, inode, `fsuid`, and
    /// the directory descriptor of a relative path.
    pub hash: u64,
    /// Flags, mode or id: see [`crate::call::Call`].
    pub arg: u64,
    /// Inode number of the descriptor's file ([`PATH_IS_NAME`]), or of the directory that a relative path starts from
    /// ([`PATH_STARTS`], [`OTHER_STARTS`]): the process is often gone before user space can look where it worked.
    pub ino: u64,
    /// A [`crate::call::Call`].
    pub call: u16,
    /// The positive errno.
    pub errno: u16,
    /// `PATH_*` and `OTHER_*` bits.
    pub flags: u32,
    /// Directory descriptor of `path`; `AT_FDCWD` (-100) for the working directory. For calls on descriptors, it.
    pub dirfd: i32,
    /// Directory descriptor of `other`.
    pub other_dirfd: i32,
    /// Device of the file of `ino` (`s_dev`: major in the upper 12 bits, minor in the lower 20).
    pub dev: u32,
    /// Bytes of `path`.
    pub path_len: u16,
    /// Bytes of `other`.
    pub other_len: u16,
    /// The path as the process gave it.
    pub path: [u8; PATH_CAP],
    /// The second path.
    pub other: [u8; PATH_CAP],
}

impl CallFailed {
    /// Bytes of a record without its second path.
    pub const SHORT_SIZE: usize = size_of::<Self>() - PATH_CAP;
}

/// A process of a watched cgroup changed its root: the runtime entered the container's file system. User space takes
/// hold of the root now, some milliseconds before the container's own program runs.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct RootChanged {
    /// Kind [`Kind::RootChanged`].
    pub header: Header,
    pub task: Task,
}

/// A TCP socket began or ceased to listen.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Listening {
    /// Kind [`Kind::Listening`].
    pub header: Header,
    pub task: Task,
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// Port, host byte order.
    pub port: u16,
    /// 1: listens now; 0: no longer.
    pub open: u32,
    /// Address in network byte order; IPv4 in the first four bytes.
    pub address: [u8; 16],
}

macro_rules! assert_layout {
    ($($name:ident = $size:literal),+ $(,)?) => {
        $(const _: () = assert!(size_of::<$name>() == $size && align_of::<$name>() == 8, concat!("layout of ", stringify!($name)));)+
    };
}

assert_layout!(
    Header = 16,
    Task = 48,
    Creds = 104,
    CgroupCreated = 288,
    CgroupRemoved = 24,
    CgroupAttached = 48,
    Exec = 592,
    Exit = 72,
    OomVictim = 32,
    CallFailed = 728,
    RootChanged = 64,
    Listening = 88,
);
