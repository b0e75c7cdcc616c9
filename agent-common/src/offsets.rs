//! Where the running kernel keeps what the programs read, and how its tracepoints speak: looked up in its BTF at load (Rust
//! emits no CO-RE relocations).

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The offset could not be found; what needs it is off, with a sentence in the preflight.
pub const ABSENT: u16 = u16::MAX;

/// Byte offsets. Sixteen bits each: no structure is larger, and a bounded offset keeps the verifier content.
/// Each field is named `structure_member` after the kernel's own names.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
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
    pub task_pid: u16,
    pub task_comm: u16,
    pub task_signal: u16,
    pub task_exit_code: u16,
    pub task_mm: u16,
    pub task_files: u16,
    pub task_fs: u16,
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
    /// `fs_struct.pwd.dentry`: the working directory.
    pub fs_pwd: u16,
    pub file_dentry: u16,
    pub file_inode: u16,
    pub dentry_name: u16,
    pub dentry_inode: u16,
    pub inode_ino: u16,
    pub inode_sb: u16,
    pub super_block_dev: u16,
    pub cgroup_node: u16,
    pub cgroup_root: u16,
    pub cgroup_level: u16,
    /// `kernfs_node.id`: what `bpf_get_current_cgroup_id` returns and the directory's inode number is.
    pub node_id: u16,
    pub cgroup_root_hierarchy: u16,
    pub binprm_filename: u16,
    pub sock_family: u16,
    /// `inet_sport`, network byte order: unlike `skc_num` it outlives the end of listening.
    pub sock_port: u16,
    pub sock_protocol: u16,
    pub sock_address: u16,
    pub sock_address_v6: u16,
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
        task_pid: ABSENT,
        task_comm: ABSENT,
        task_signal: ABSENT,
        task_exit_code: ABSENT,
        task_mm: ABSENT,
        task_files: ABSENT,
        task_fs: ABSENT,
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
        fs_pwd: ABSENT,
        file_dentry: ABSENT,
        file_inode: ABSENT,
        dentry_name: ABSENT,
        dentry_inode: ABSENT,
        inode_ino: ABSENT,
        inode_sb: ABSENT,
        super_block_dev: ABSENT,
        cgroup_node: ABSENT,
        cgroup_root: ABSENT,
        cgroup_level: ABSENT,
        node_id: ABSENT,
        cgroup_root_hierarchy: ABSENT,
        binprm_filename: ABSENT,
        sock_family: ABSENT,
        sock_port: ABSENT,
        sock_protocol: ABSENT,
        sock_address: ABSENT,
        sock_address_v6: ABSENT,
    };
}

/// In which of their forms this kernel's tracepoints hand over their arguments. Each is 0 or 1.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Dialect {
    /// `sched_process_exit` says as its second argument whether the last thread ends (since 6.16).
    pub exit_tells_group_dead: u32,
    /// `mark_victim` hands over the task (newer kernels), not its process id.
    pub victim_is_task: u32,
}
