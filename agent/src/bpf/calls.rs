//! Which failing system calls are of interest, with which errors, and where their arguments are: the rows of the table that
//! `call_failed` goes by. A new call is a new row here.
//!
//! The numbers are libc's for the architecture that this is compiled for. arm64 has only the `…at` forms.

use libc::{
    EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EDQUOT, EINVAL, EISDIR, ELIBBAD, ELOOP, EMFILE, ENAMETOOLONG, ENFILE, ENOENT, ENOEXEC,
    ENOSPC, ENOTDIR, ENXIO, EPERM, EROFS, ETXTBSY, c_int, c_long,
};
#[cfg(target_arch = "x86_64")]
use unready_agent_common::call::CREATES;
use unready_agent_common::call::{Call, CallRule, POINTED, Shape};

/// Newer than the libc crate's oldest supported list, and the same on every architecture.
const SYS_FCHMODAT2: c_long = 452;

const NAMES: &[c_int] = &[EACCES, EPERM, ENOENT, EROFS, EISDIR, ENOTDIR, ELOOP, ENXIO, ENAMETOOLONG];
const FILES: &[c_int] =
    &[EACCES, EPERM, ENOENT, EROFS, EISDIR, ENOTDIR, ELOOP, ENXIO, ENAMETOOLONG, EMFILE, ENFILE, ENOSPC, EDQUOT, ETXTBSY];
const EXECS: &[c_int] = &[EACCES, EPERM, ENOENT, EISDIR, ENOTDIR, ELOOP, ENAMETOOLONG, EMFILE, ENFILE, ETXTBSY, ENOEXEC, ELIBBAD, EINVAL];
/// Looking is no harm: EPERM and the rest do not happen, and ENOENT is common.
const LOOKS: &[c_int] = &[EACCES, ENOENT, ENOTDIR, ELOOP];
const SPACE: &[c_int] = &[ENOSPC, EDQUOT, EROFS];
const RIGHTS: &[c_int] = &[EACCES, EPERM];
/// EINVAL: the id has no mapping in the user namespace.
const IDS: &[c_int] = &[EPERM, EINVAL];
const BINDS: &[c_int] = &[EADDRINUSE, EADDRNOTAVAIL, EACCES, EPERM, EROFS, ENOENT, ENOTDIR];
const CONNECTS: &[c_int] = &[EACCES, EPERM, ENOENT, ENOTDIR, ELOOP];
const DESCRIPTORS: &[c_int] = &[EMFILE, ENFILE];
const SOCKETS: &[c_int] = &[EMFILE, ENFILE, EPERM, EACCES];
/// A limit of processes is reached (clone(2)); a lack of memory says ENOMEM.
const FORKS: &[c_int] = &[EAGAIN];

/// Calls that change a process's root. `u32` is what the programs compare with; every number fits.
pub(super) const ROOT_CALLS: [u32; 2] = [libc::SYS_pivot_root.cast_unsigned() as u32, libc::SYS_chroot.cast_unsigned() as u32];

/// A rule in the making.
#[derive(Clone, Copy)]
struct Rule(CallRule);

impl Rule {
    const fn new(call: Call, shape: Shape, errnos: &[c_int]) -> Self {
        let mut rule = CallRule { call: call as u16, shape: shape as u8, ..CallRule::NONE };
        let mut index = 0;
        while index < errnos.len() {
            let errno = errnos[index].cast_unsigned() as usize;
            rule.errnos[errno / 64] |= 1 << (errno % 64);
            index += 1;
        }
        Self(rule)
    }

    /// The path is this argument, relative to the working directory.
    const fn path(call: Call, argument: u8, errnos: &[c_int]) -> Self {
        let mut rule = Self::new(call, Shape::Path, errnos);
        rule.0.path_arg = argument;
        rule
    }

    /// A directory descriptor, then the path.
    const fn at(call: Call, dirfd: u8, errnos: &[c_int]) -> Self {
        let mut rule = Self::path(call, dirfd + 1, errnos);
        rule.0.dirfd_arg = dirfd;
        rule
    }

    /// Two paths, one after the other.
    #[cfg(target_arch = "x86_64")]
    const fn two(call: Call, errnos: &[c_int]) -> Self {
        Self::path(call, 0, errnos).and(1)
    }

    /// Two pairs of directory descriptor and path.
    const fn two_at(call: Call, errnos: &[c_int]) -> Self {
        let mut rule = Self::at(call, 0, errnos).and(3);
        rule.0.other_dirfd_arg = 2;
        rule
    }

    /// A second path.
    const fn and(mut self, other: u8) -> Self {
        self.0.shape = Shape::TwoPaths as u8;
        self.0.other_arg = other;
        self
    }

    /// An open descriptor.
    const fn fd(call: Call, argument: u8, errnos: &[c_int]) -> Self {
        let mut rule = Self::new(call, Shape::Fd, errnos);
        rule.0.path_arg = argument;
        rule
    }

    /// A socket address as second and its length as third argument.
    const fn address(call: Call, errnos: &[c_int]) -> Self {
        let mut rule = Self::new(call, Shape::SockAddr, errnos);
        rule.0.path_arg = 1;
        rule.0.other_arg = 2;
        rule
    }

    /// Numbers only, of which the first is sent.
    const fn plain(call: Call, errnos: &[c_int]) -> Self {
        Self::new(call, Shape::Plain, errnos).value(0)
    }

    /// Flags, mode or id.
    const fn value(mut self, argument: u8) -> Self {
        self.0.value_arg = argument;
        self
    }

    /// What fills the low half of the value, or how it is found.
    const fn low(mut self, how: u8) -> Self {
        self.0.low_value_arg = how;
        self
    }
}

/// What every architecture has.
const COMMON: &[(c_long, Rule)] = &[
    (libc::SYS_openat, Rule::at(Call::Open, 0, FILES).value(2)),
    (libc::SYS_openat2, Rule::at(Call::Open, 0, FILES).value(2).low(POINTED)),
    (libc::SYS_faccessat, Rule::at(Call::Access, 0, NAMES).value(2)),
    (libc::SYS_faccessat2, Rule::at(Call::Access, 0, NAMES).value(2)),
    (libc::SYS_execve, Rule::path(Call::Exec, 0, EXECS)),
    (libc::SYS_execveat, Rule::at(Call::Exec, 0, EXECS)),
    (libc::SYS_mkdirat, Rule::at(Call::Mkdir, 0, FILES).value(2)),
    (libc::SYS_unlinkat, Rule::at(Call::Unlink, 0, NAMES).value(2)),
    (libc::SYS_renameat2, Rule::two_at(Call::Rename, FILES).value(4)),
    (libc::SYS_linkat, Rule::two_at(Call::Link, FILES).value(4)),
    (libc::SYS_symlinkat, Rule::at(Call::Symlink, 1, FILES).and(0)),
    (libc::SYS_fchmod, Rule::fd(Call::Chmod, 0, NAMES).value(1)),
    (libc::SYS_fchmodat, Rule::at(Call::Chmod, 0, NAMES).value(2)),
    (SYS_FCHMODAT2, Rule::at(Call::Chmod, 0, NAMES).value(2)),
    (libc::SYS_fchown, Rule::fd(Call::Chown, 0, FILES).value(1).low(2)),
    (libc::SYS_fchownat, Rule::at(Call::Chown, 0, FILES).value(2).low(3)),
    (libc::SYS_truncate, Rule::path(Call::Truncate, 0, FILES).value(1)),
    (libc::SYS_ftruncate, Rule::fd(Call::Truncate, 0, FILES).value(1)),
    (libc::SYS_chdir, Rule::path(Call::Chdir, 0, NAMES)),
    (libc::SYS_fchdir, Rule::fd(Call::Chdir, 0, NAMES)),
    (libc::SYS_mknodat, Rule::at(Call::Mknod, 0, FILES).value(2)),
    (libc::SYS_readlinkat, Rule::at(Call::Readlink, 0, LOOKS)),
    (libc::SYS_newfstatat, Rule::at(Call::Stat, 0, LOOKS)),
    (libc::SYS_statx, Rule::at(Call::Stat, 0, LOOKS)),
    (libc::SYS_setuid, Rule::plain(Call::Setuid, IDS)),
    (libc::SYS_setreuid, Rule::plain(Call::Setuid, IDS)),
    (libc::SYS_setresuid, Rule::plain(Call::Setuid, IDS)),
    (libc::SYS_setgid, Rule::plain(Call::Setgid, IDS)),
    (libc::SYS_setregid, Rule::plain(Call::Setgid, IDS)),
    (libc::SYS_setresgid, Rule::plain(Call::Setgid, IDS)),
    (libc::SYS_setgroups, Rule::plain(Call::Setgroups, IDS)),
    (libc::SYS_write, Rule::fd(Call::Write, 0, SPACE)),
    (libc::SYS_writev, Rule::fd(Call::Write, 0, SPACE)),
    (libc::SYS_pwrite64, Rule::fd(Call::Write, 0, SPACE)),
    (libc::SYS_pwritev, Rule::fd(Call::Write, 0, SPACE)),
    (libc::SYS_pwritev2, Rule::fd(Call::Write, 0, SPACE)),
    (libc::SYS_fallocate, Rule::fd(Call::Write, 0, SPACE)),
    (libc::SYS_sendfile, Rule::fd(Call::Write, 0, SPACE)),
    (libc::SYS_copy_file_range, Rule::fd(Call::Write, 2, SPACE)),
    (libc::SYS_fsync, Rule::fd(Call::Sync, 0, SPACE)),
    (libc::SYS_fdatasync, Rule::fd(Call::Sync, 0, SPACE)),
    (libc::SYS_read, Rule::fd(Call::Read, 0, &[EISDIR])),
    (libc::SYS_readv, Rule::fd(Call::Read, 0, &[EISDIR])),
    (libc::SYS_pread64, Rule::fd(Call::Read, 0, &[EISDIR])),
    (libc::SYS_preadv, Rule::fd(Call::Read, 0, &[EISDIR])),
    (libc::SYS_preadv2, Rule::fd(Call::Read, 0, &[EISDIR])),
    (libc::SYS_getdents64, Rule::fd(Call::Readdir, 0, RIGHTS)),
    (libc::SYS_bind, Rule::address(Call::Bind, BINDS)),
    (libc::SYS_connect, Rule::address(Call::Connect, CONNECTS)),
    (libc::SYS_socket, Rule::plain(Call::Socket, SOCKETS)),
    (libc::SYS_accept, Rule::plain(Call::Accept, DESCRIPTORS)),
    (libc::SYS_accept4, Rule::plain(Call::Accept, DESCRIPTORS)),
    (libc::SYS_clone, Rule::plain(Call::Clone, FORKS)),
    (libc::SYS_clone3, Rule::plain(Call::Clone, FORKS).low(POINTED)),
];

/// The older forms, without a directory descriptor.
#[cfg(target_arch = "x86_64")]
const MACHINE: &[(c_long, Rule)] = &[
    (libc::SYS_open, Rule::path(Call::Open, 0, FILES).value(1)),
    (libc::SYS_creat, Rule::path(Call::Open, 0, FILES).low(CREATES)),
    (libc::SYS_access, Rule::path(Call::Access, 0, NAMES).value(1)),
    (libc::SYS_mkdir, Rule::path(Call::Mkdir, 0, FILES).value(1)),
    (libc::SYS_unlink, Rule::path(Call::Unlink, 0, NAMES)),
    (libc::SYS_rmdir, Rule::path(Call::Rmdir, 0, NAMES)),
    (libc::SYS_rename, Rule::two(Call::Rename, FILES)),
    (libc::SYS_renameat, Rule::two_at(Call::Rename, FILES)),
    (libc::SYS_link, Rule::two(Call::Link, FILES)),
    (libc::SYS_symlink, Rule::path(Call::Symlink, 1, FILES).and(0)),
    (libc::SYS_chmod, Rule::path(Call::Chmod, 0, NAMES).value(1)),
    (libc::SYS_chown, Rule::path(Call::Chown, 0, FILES).value(1).low(2)),
    (libc::SYS_lchown, Rule::path(Call::Chown, 0, FILES).value(1).low(2)),
    (libc::SYS_mknod, Rule::path(Call::Mknod, 0, FILES).value(1)),
    (libc::SYS_readlink, Rule::path(Call::Readlink, 0, LOOKS)),
    (libc::SYS_stat, Rule::path(Call::Stat, 0, LOOKS)),
    (libc::SYS_lstat, Rule::path(Call::Stat, 0, LOOKS)),
    (libc::SYS_fork, Rule::new(Call::Clone, Shape::Plain, FORKS)),
    (libc::SYS_vfork, Rule::new(Call::Clone, Shape::Plain, FORKS)),
];
/// Of the older forms arm64 has this one (`__ARCH_WANT_RENAMEAT`), which the libc crate does not name.
#[cfg(target_arch = "aarch64")]
const MACHINE: &[(c_long, Rule)] = &[(38, Rule::two_at(Call::Rename, FILES))];

/// All rows: system call number and rule.
pub(super) fn rules() -> impl Iterator<Item = (u32, CallRule)> {
    COMMON.iter().chain(MACHINE).filter_map(|(number, rule)| Some((u32::try_from(*number).ok()?, rule.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use unready_agent_common::{call::NO_ARG, limits::CALLS_MAX};

    #[test]
    fn each_number_has_one_rule_and_fits_the_table() {
        let mut numbers = BTreeSet::new();
        for (number, _) in rules() {
            assert!(number < CALLS_MAX, "{number}");
            assert!(numbers.insert(number), "{number} has two rules");
        }
        assert_eq!(numbers.len(), COMMON.len() + MACHINE.len());
    }

    #[test]
    fn each_rule_names_arguments_that_calls_have() {
        for (number, rule) in rules() {
            let arguments = [rule.path_arg, rule.dirfd_arg, rule.other_arg, rule.other_dirfd_arg, rule.value_arg];
            assert!(arguments.iter().all(|argument| *argument < 6 || *argument == NO_ARG), "{number}");
            assert!(Call::try_from(rule.call).is_ok() && Shape::try_from(rule.shape).is_ok(), "{number}");
            assert_ne!(rule.errnos, [0; 2], "{number} wants no errno");
        }
    }

    #[test]
    fn every_kind_of_call_has_a_row() {
        let with_rows: BTreeSet<u16> = rules().map(|(_, rule)| rule.call).collect();
        for call in Call::ALL {
            let is_older_form = cfg!(target_arch = "aarch64") && *call == Call::Rmdir; // unlinkat with AT_REMOVEDIR
            assert!(is_older_form || with_rows.contains(&(*call as u16)), "{call:?}");
        }
    }

    #[test]
    fn errnos_are_told_apart() {
        let rule = Rule::new(Call::Bind, Shape::SockAddr, BINDS).0;
        for errno in 0..200_u8 {
            assert_eq!(rule.wants(errno.into()), BINDS.contains(&c_int::from(errno)), "{errno}");
        }
    }
}
