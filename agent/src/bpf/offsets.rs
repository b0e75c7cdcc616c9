//! Fills in where this kernel keeps the members that the programs read.
//!
//! The rows are the table: structure, member, where it goes, and what is lost when a kernel has none.

use super::btf::{Btf, Kind, TypeId};
use unready_agent_common::offsets::{ABSENT, Offsets};

const CALLS: &str = "failing calls cannot be seen";
const RIGHTS: &str = "the rights at the moment of a failure are incomplete";
const PROCESS: &str = "processes are told apart by their number only";
const DESCRIPTOR: &str = "the file of a failing call on a descriptor is not named";
const START: &str = "where a relative path started is not known once its process is gone";
const CGROUPS: &str = "new cgroups, and with them all starts, are not seen";
const LISTENERS: &str = "it is not seen when a program begins to listen";
const EXIT: &str = "the end of a process cannot be told on kernels without group_dead";

struct Row {
    structure: &'static str,
    member: &'static str,
    /// Added to the member's offset: the place of an element in an array.
    plus: u16,
    place: fn(&mut Offsets) -> &mut u16,
    lost: &'static str,
}

/// `row!(task_struct . cred => task_cred, RIGHTS)`
macro_rules! rows {
    ($($structure:literal $member:literal $(+ $plus:literal)? => $($place:ident)+ $([$index:literal])?, $lost:expr;)+) => {
        &[$(Row { structure: $structure, member: $member, plus: 0 $(+ $plus)?, place: |offsets| &mut offsets.$($place)+ $([$index])?, lost: $lost }),+]
    };
}

const COMMON: &[Row] = rows! {
    "task_struct" "cred" => task_cred, CALLS;
    "task_struct" "group_leader" => task_group_leader, PROCESS;
    "task_struct" "start_boottime" => task_start, PROCESS;
    "task_struct" "real_parent" => task_real_parent, "the parent of a process is unknown";
    "task_struct" "pid" => task_pid, "processes that enter a cgroup cannot be told";
    "task_struct" "comm" => task_comm, "processes that enter a cgroup cannot be told";
    "task_struct" "tgid" => task_tgid, "the parent of a process is unknown";
    "task_struct" "signal" => task_signal, EXIT;
    "task_struct" "exit_code" => task_exit_code, "the end of a process cannot be told";
    "task_struct" "mm" => task_mm, "the arguments of a program are unknown";
    "task_struct" "files" => task_files, DESCRIPTOR;
    "task_struct" "fs" => task_fs, START;
    "signal_struct" "live" => signal_live, EXIT;
    "mm_struct" "arg_start" => mm_arg_start, "the arguments of a program are unknown";
    "mm_struct" "arg_end" => mm_arg_end, "the arguments of a program are unknown";
    "cred" "uid" => cred_uid, RIGHTS;
    "cred" "gid" => cred_gid, RIGHTS;
    "cred" "euid" => cred_euid, RIGHTS;
    "cred" "egid" => cred_egid, RIGHTS;
    "cred" "fsuid" => cred_fsuid, CALLS;
    "cred" "fsgid" => cred_fsgid, RIGHTS;
    "cred" "cap_effective" => cred_cap_effective, RIGHTS;
    "cred" "group_info" => cred_group_info, RIGHTS;
    "cred" "user_ns" => cred_user_ns, RIGHTS;
    "group_info" "ngroups" => group_info_ngroups, RIGHTS;
    "group_info" "gid" => group_info_gid, RIGHTS;
    "user_namespace" "ns.inum" => user_ns_inum, RIGHTS;
    "files_struct" "fdt" => files_fdt, DESCRIPTOR;
    "fdtable" "max_fds" => fdtable_max_fds, DESCRIPTOR;
    "fdtable" "fd" => fdtable_fd, DESCRIPTOR;
    "fs_struct" "pwd.dentry" => fs_pwd, START;
    "file" "f_path.dentry" => file_dentry, DESCRIPTOR;
    "file" "f_inode" => file_inode, DESCRIPTOR;
    "dentry" "d_name.name" => dentry_name, DESCRIPTOR;
    "dentry" "d_inode" => dentry_inode, START;
    "inode" "i_ino" => inode_ino, DESCRIPTOR;
    "inode" "i_sb" => inode_sb, DESCRIPTOR;
    "super_block" "s_dev" => super_block_dev, DESCRIPTOR;
    "cgroup" "kn" => cgroup_node, CGROUPS;
    "cgroup" "root" => cgroup_root, CGROUPS;
    "cgroup" "level" => cgroup_level, CGROUPS;
    "kernfs_node" "id" => node_id, CGROUPS;
    "cgroup_root" "hierarchy_id" => cgroup_root_hierarchy, CGROUPS;
    "linux_binprm" "filename" => binprm_filename, "the start of a program cannot be told";
    "sock" "__sk_common.skc_family" => sock_family, LISTENERS;
    "inet_sock" "inet_sport" => sock_port, LISTENERS;
    "sock" "__sk_common.skc_rcv_saddr" => sock_address, LISTENERS;
    "sock" "__sk_common.skc_v6_rcv_saddr" => sock_address_v6, LISTENERS;
    "sock" "sk_protocol" => sock_protocol, LISTENERS;
};

/// `TS_COMPAT` of `arch/x86/include/asm/thread_info.h` is bit 1 of the status.
#[cfg(target_arch = "x86_64")]
const COMPAT_BIT: u16 = 1;
#[cfg(target_arch = "x86_64")]
const MACHINE: &[Row] = rows! {
    "pt_regs" "orig_ax" => regs_nr, CALLS;
    "pt_regs" "di" => regs_arg[0], CALLS;
    "pt_regs" "si" => regs_arg[1], CALLS;
    "pt_regs" "dx" => regs_arg[2], CALLS;
    "pt_regs" "r10" => regs_arg[3], CALLS;
    "pt_regs" "r8" => regs_arg[4], CALLS;
    "pt_regs" "r9" => regs_arg[5], CALLS;
    "task_struct" "thread_info.status" => task_compat, "calls of 32-bit programs are misread";
};

/// `TIF_32BIT` of `arch/arm64/include/asm/thread_info.h`.
#[cfg(target_arch = "aarch64")]
const COMPAT_BIT: u16 = 22;
/// `regs[0]` holds the result by the time of the exit; the argument is kept in `orig_x0`.
#[cfg(target_arch = "aarch64")]
const MACHINE: &[Row] = rows! {
    "pt_regs" "syscallno" => regs_nr, CALLS;
    "pt_regs" "orig_x0" => regs_arg[0], CALLS;
    "pt_regs" "regs" + 8 => regs_arg[1], CALLS;
    "pt_regs" "regs" + 16 => regs_arg[2], CALLS;
    "pt_regs" "regs" + 24 => regs_arg[3], CALLS;
    "pt_regs" "regs" + 32 => regs_arg[4], CALLS;
    "pt_regs" "regs" + 40 => regs_arg[5], CALLS;
    "task_struct" "thread_info.flags" => task_compat, "calls of 32-bit programs are misread";
};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the saved registers of this architecture are not described: add its rows here");

/// The structures that the rows name.
const STRUCTURES: [&str; 20] = [
    "cgroup",
    "cgroup_root",
    "cred",
    "dentry",
    "fdtable",
    "file",
    "files_struct",
    "fs_struct",
    "group_info",
    "inet_sock",
    "inode",
    "kernfs_node",
    "linux_binprm",
    "mm_struct",
    "pt_regs",
    "signal_struct",
    "sock",
    "super_block",
    "task_struct",
    "user_namespace",
];

/// Looks everything up. The second value says what this kernel does not tell, a sentence each.
pub(super) fn of_kernel(btf: &Btf) -> (Offsets, Vec<String>) {
    let mut offsets = Offsets { compat_bit: COMPAT_BIT, ..Offsets::NONE };
    let mut degraded = Vec::new();
    let structures = btf.find(Kind::Structure, STRUCTURES);
    for row in COMMON.iter().chain(MACHINE) {
        let structure = STRUCTURES.iter().position(|name| *name == row.structure).and_then(|index| structures[index]);
        match structure.and_then(|structure| offset(btf, structure, row)) {
            Some(offset) => *(row.place)(&mut offsets) = offset,
            None => degraded.push(format!("the kernel's BTF has no {}.{}: {}", row.structure, row.member, row.lost)),
        }
    }
    (offsets, degraded)
}

fn offset(btf: &Btf, structure: TypeId, row: &Row) -> Option<u16> {
    let offset = u16::try_from(btf.offset(structure, row.member)?).ok()?.checked_add(row.plus)?;
    (offset != ABSENT).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_structure_is_looked_for() {
        for row in COMMON.iter().chain(MACHINE) {
            assert!(STRUCTURES.contains(&row.structure), "{}", row.structure);
        }
    }

    #[test]
    fn every_row_has_a_place_of_its_own() {
        let mut offsets = Offsets::NONE;
        for (index, row) in (0..).zip(COMMON.iter().chain(MACHINE)) {
            let place = (row.place)(&mut offsets);
            assert_eq!(*place, ABSENT, "{}.{} shares its place with another row", row.structure, row.member);
            *place = index;
        }
    }
}
