//! Where the running kernel keeps what the programs read: looked up in its BTF at load (Rust emits no CO-RE relocations).

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The offset could not be found; what needs it is off, with a sentence in the preflight.
pub const ABSENT: u16 = u16::MAX;

/// Byte offsets. Sixteen bits each: no structure is larger, and a bounded offset keeps the verifier content.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[allow(missing_docs, reason = "each field is named `structure_member` after the kernel's own names")]
pub struct Offsets {
    /// The number of the system call: `pt_regs.orig_ax` (x86-64), `pt_regs.syscallno` (arm64).
    pub regs_nr: u16,
    /// The first six arguments of a system call. On arm64 the first is `pt_regs.orig_x0`.
    pub regs_arg: [u16; 6],
    pub task_cred: u16,
    pub task_group_leader: u16,
    /// `start_boottime`, nanoseconds.
    pub task_start: u16,
    pub task_real_parent: u16,
    pub task_tgid: u16,
    pub task_signal: u16,
    pub task_exit_code: u16,
    pub task_mm: u16,
    pub task_files: u16,
    pub signal_live: u16,
    pub mm_arg_start: u16,
    pub mm_arg_end: u16,
    pub cred_uid: u16,
    pub cred_gid: u16,
    pub cred_euid: u16,
    pub cred_egid: u16,
    pub cred_fsuid: u16,
    pub cred_fsgid: u16,
    pub cred_cap_effective: u16,
    pub cred_group_info: u16,
    pub cred_user_ns: u16,
    pub group_info_ngroups: u16,
    pub group_info_gid: u16,
    /// `user_namespace.ns.inum`.
    pub user_ns_inum: u16,
    pub files_fdt: u16,
    pub fdtable_max_fds: u16,
    pub fdtable_fd: u16,
    pub file_dentry: u16,
    pub file_inode: u16,
    pub dentry_name: u16,
    pub inode_ino: u16,
    pub inode_sb: u16,
    pub super_block_dev: u16,
}

impl Offsets {
    /// Nothing known.
    pub const NONE: Self = Self {
        regs_nr: ABSENT,
        regs_arg: [ABSENT; 6],
        task_cred: ABSENT,
        task_group_leader: ABSENT,
        task_start: ABSENT,
        task_real_parent: ABSENT,
        task_tgid: ABSENT,
        task_signal: ABSENT,
        task_exit_code: ABSENT,
        task_mm: ABSENT,
        task_files: ABSENT,
        signal_live: ABSENT,
        mm_arg_start: ABSENT,
        mm_arg_end: ABSENT,
        cred_uid: ABSENT,
        cred_gid: ABSENT,
        cred_euid: ABSENT,
        cred_egid: ABSENT,
        cred_fsuid: ABSENT,
        cred_fsgid: ABSENT,
        cred_cap_effective: ABSENT,
        cred_group_info: ABSENT,
        cred_user_ns: ABSENT,
        group_info_ngroups: ABSENT,
        group_info_gid: ABSENT,
        user_ns_inum: ABSENT,
        files_fdt: ABSENT,
        fdtable_max_fds: ABSENT,
        fdtable_fd: ABSENT,
        file_dentry: ABSENT,
        file_inode: ABSENT,
        dentry_name: ABSENT,
        inode_ino: ABSENT,
        inode_sb: ABSENT,
        super_block_dev: ABSENT,
    };
}
