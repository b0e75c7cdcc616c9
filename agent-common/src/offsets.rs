//! Where the running kernel keeps what the programs read: the members of its structures, looked up in its BTF at load
//! (Rust emits no CO-RE relocations), and the fields of its tracepoints, looked up in tracefs.

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
    /// The first six arguments of a system call (on arm64 the first is `pt_regs.orig_x0`); two rows are never set, so that
    /// an index masked with 7 stays inside.
    pub regs_arg: [u16; 8],
    /// The word of `task_struct.thread_info` that tells a 32-bit call: `status` (x86-64), `flags` (arm64).
    pub task_compat: u16,
    /// Which bit of it: 1 (`TS_COMPAT`) on x86-64, 22 (`TIF_32BIT`) on arm64.
    pub compat_bit: u16,
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
        regs_arg: [ABSENT; 8],
        task_compat: ABSENT,
        compat_bit: 0,
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

/// Byte offsets of the tracepoints' fields, from `events/GROUP/NAME/format`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[allow(missing_docs, reason = "each field is named `tracepoint_field` after the kernel's own names")]
pub struct Fields {
    pub mkdir_root: u16,
    pub mkdir_level: u16,
    pub mkdir_id: u16,
    pub mkdir_path: u16,
    pub rmdir_root: u16,
    pub rmdir_id: u16,
    pub attach_root: u16,
    pub attach_id: u16,
    pub attach_pid: u16,
    pub attach_comm: u16,
    pub exec_filename: u16,
    /// Whether the last thread ends; kernels before 6.16 do not tell.
    pub exit_group_dead: u16,
    pub victim_pid: u16,
    pub pivot_root_ret: u16,
    pub chroot_ret: u16,
    pub sock_oldstate: u16,
    pub sock_newstate: u16,
    pub sock_sport: u16,
    pub sock_family: u16,
    pub sock_protocol: u16,
    pub sock_saddr: u16,
    pub sock_saddr_v6: u16,
}

impl Fields {
    /// Nothing known.
    pub const NONE: Self = Self {
        mkdir_root: ABSENT,
        mkdir_level: ABSENT,
        mkdir_id: ABSENT,
        mkdir_path: ABSENT,
        rmdir_root: ABSENT,
        rmdir_id: ABSENT,
        attach_root: ABSENT,
        attach_id: ABSENT,
        attach_pid: ABSENT,
        attach_comm: ABSENT,
        exec_filename: ABSENT,
        exit_group_dead: ABSENT,
        victim_pid: ABSENT,
        pivot_root_ret: ABSENT,
        chroot_ret: ABSENT,
        sock_oldstate: ABSENT,
        sock_newstate: ABSENT,
        sock_sport: ABSENT,
        sock_family: ABSENT,
        sock_protocol: ABSENT,
        sock_saddr: ABSENT,
        sock_saddr_v6: ABSENT,
    };
}
