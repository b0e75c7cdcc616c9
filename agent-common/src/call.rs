//! Which failing system calls are of interest, and how the kernel half finds their arguments.
//!
//! One program on the exit of every system call serves them all: user space fills an array map with one [`CallRule`] a
//! system call number, so that a new call is a new row and no new program.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

wire_enum! {
    /// What a failing call tried to do. Variants of one call (open, openat, creat …) are one value.
    pub enum Call: u16 {
        /// open, openat, openat2, creat; `arg` holds the open flags
        Open = 1,
        /// access, faccessat, faccessat2; `arg` holds the mode asked for
        Access = 2,
        /// execve, execveat
        Exec = 3,
        /// mkdir, mkdirat
        Mkdir = 4,
        /// unlink, unlinkat
        Unlink = 5,
        /// rmdir
        Rmdir = 6,
        /// rename, renameat, renameat2
        Rename = 7,
        /// link, linkat
        Link = 8,
        /// symlink, symlinkat; `path` is the new link, `other` what it points to
        Symlink = 9,
        /// chmod, fchmod, fchmodat, fchmodat2; `arg` holds the mode
        Chmod = 10,
        /// chown, lchown, fchown, fchownat; `arg` holds uid in the high and gid in the low 32 bits
        Chown = 11,
        /// truncate, ftruncate
        Truncate = 12,
        /// chdir, fchdir
        Chdir = 13,
        /// mknod, mknodat; `arg` holds the mode
        Mknod = 14,
        /// readlink, readlinkat
        Readlink = 15,
        /// stat, lstat, newfstatat, statx: the runtime looks at the command so, loaders search so
        Stat = 16,
        /// setuid, setreuid, setresuid, setfsuid; `arg` holds the first id
        Setuid = 17,
        /// setgid, setregid, setresgid, setfsgid; `arg` holds the first id
        Setgid = 18,
        /// setgroups; `arg` holds the number of groups
        Setgroups = 19,
        /// write, writev, pwrite64, pwritev, pwritev2, fallocate
        Write = 20,
        /// fsync, fdatasync
        Sync = 21,
        /// bind; `path` holds the raw socket address
        Bind = 22,
        /// connect, of unix sockets only; `path` holds the raw socket address
        Connect = 23,
        /// read, readv, pread64: EISDIR only, of a directory where a file was meant
        Read = 24,
        /// getdents64, refused on a directory
        Readdir = 25,
        /// socket; `arg` holds the domain. Refused by EMFILE/ENFILE, seccomp or a missing capability
        Socket = 26,
        /// accept, accept4 with EMFILE/ENFILE
        Accept = 27,
        /// clone, clone3, fork, vfork with EAGAIN; `arg` holds the clone flags
        Clone = 28,
    }
}

wire_enum! {
    /// How the arguments of a call are laid out.
    pub enum Shape: u8 {
        /// No rule for this system call number.
        None = 0,
        /// One path.
        Path = 1,
        /// Two paths.
        TwoPaths = 2,
        /// A file descriptor: device, inode and name of its file are sent instead of a path.
        Fd = 3,
        /// A socket address of `len_arg` bytes at `path_arg`.
        SockAddr = 4,
        /// Numbers only.
        Plain = 5,
    }
}

/// `*_arg` that means "this call has none".
pub const NO_ARG: u8 = 0xff;
/// [`CallRule::low_value_arg`] that means "`value_arg` is an address, and the eight bytes there are the value" (openat2).
pub const POINTED: u8 = 0xfe;
/// [`CallRule::low_value_arg`] that means "the call has no flags argument, it is `O_WRONLY | O_CREAT | O_TRUNC`" (creat).
pub const CREATES: u8 = 0xfd;
/// Those flags; their values are the same on x86-64 and arm64.
pub const CREATE_FLAGS: u64 = 0o1101;

/// A row of the call table, indexed by system call number.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct CallRule {
    /// Bit n of the 128 set: errno n is of interest.
    pub errnos: [u64; 2],
    /// A [`Call`].
    pub call: u16,
    /// A [`Shape`].
    pub shape: u8,
    /// Which argument is the path, the descriptor ([`Shape::Fd`]) or the address ([`Shape::SockAddr`]).
    pub path_arg: u8,
    /// Which argument is the directory descriptor of the path.
    pub dirfd_arg: u8,
    /// Which argument is the second path, or the length of the address.
    pub other_arg: u8,
    /// Which argument is the directory descriptor of the second path.
    pub other_dirfd_arg: u8,
    /// Which argument is sent as `arg` (flags, mode, id).
    pub value_arg: u8,
    /// Which argument fills the low half of `arg` when the call has two (chown); else [`NO_ARG`], [`POINTED`] or [`CREATES`].
    pub low_value_arg: u8,
    pub reserved: [u8; 7],
}

impl CallRule {
    /// No rule: the call is not of interest.
    pub const NONE: Self = Self {
        errnos: [0; 2],
        call: 0,
        shape: Shape::None as u8,
        path_arg: NO_ARG,
        dirfd_arg: NO_ARG,
        other_arg: NO_ARG,
        other_dirfd_arg: NO_ARG,
        value_arg: NO_ARG,
        low_value_arg: NO_ARG,
        reserved: [0; 7],
    };

    /// Whether this errno (positive) is of interest.
    pub const fn wants(&self, errno: u16) -> bool {
        errno < 128 && self.errnos[(errno / 64) as usize] & (1 << (errno % 64)) != 0
    }
}

const _: () = assert!(size_of::<CallRule>() == 32);
