//! What a failing call was about: its arguments, from the registers that the kernel saved at its entry, and what they point to.

use crate::{
    globals::{OFFSETS, member, read},
    peek::{KernelAddress, User},
    tally::Unreadable,
};
use unready_agent_common::{
    call::{CREATE_FLAGS, CREATES, Call, CallRule, NO_ARG, POINTED, Shape},
    limits::PATH_CAP,
    record::{CallFailed, OTHER_CUT, OTHER_PRESENT, OTHER_STARTS, PATH_CUT, PATH_IS_ADDRESS, PATH_IS_NAME, PATH_STARTS, PATH_UNREADABLE},
};

/// `AT_FDCWD` of fcntl.h.
const AT_FDCWD: i32 = -100;
/// `sizeof(struct sockaddr_storage)`: no address is longer.
const ADDRESS_MAX: usize = 128;
const AF_UNIX: u16 = 1;
/// Words of eight bytes in a path.
const PATH_WORDS: usize = PATH_CAP / 8;

/// The arguments of the call that is ending.
#[derive(Clone, Copy)]
pub(crate) struct Arguments {
    /// The saved registers.
    pub(crate) regs: KernelAddress,
}

impl Arguments {
    /// Argument `index`.
    #[inline(always)]
    fn get(self, index: u8) -> Result<u64, Unreadable> {
        self.regs.get(read!(OFFSETS.regs_arg[(index & 7) as usize]))
    }

    /// Argument `index` if the call has it.
    #[inline(always)]
    fn optional(self, index: u8) -> Result<Option<u64>, Unreadable> {
        if index == NO_ARG { Ok(None) } else { self.get(index).map(Some) }
    }

    /// A directory descriptor; the working directory for calls that take none.
    #[inline(always)]
    fn directory(self, index: u8) -> Result<i32, Unreadable> {
        Ok(self.optional(index)?.map_or(AT_FDCWD, |raw| raw as i32))
    }
}

/// Fills in what the rule says of the call; false if the call is of no interest after all.
#[inline(always)]
pub(crate) fn fill(arguments: Arguments, rule: &CallRule, record: &mut CallFailed) -> Result<bool, Unreadable> {
    record.arg = value(arguments, rule)?;
    record.dirfd = AT_FDCWD;
    record.other_dirfd = AT_FDCWD;
    if rule.shape == Shape::Fd as u8 {
        record.dirfd = arguments.get(rule.path_arg)? as i32;
        // A descriptor that is not open (EBADF is of no interest, but it may be closed by now) leaves the call itself to tell.
        let _ = file(record.dirfd.cast_unsigned(), record);
        return Ok(true);
    }
    if rule.shape == Shape::SockAddr as u8 {
        return address(arguments, rule, record);
    }
    if rule.shape == Shape::Path as u8 || rule.shape == Shape::TwoPaths as u8 {
        path(arguments, rule, record)?;
        if rule.shape == Shape::TwoPaths as u8 {
            other_path(arguments, rule, record)?;
        }
        // What cannot be read leaves the start unknown; the failure itself is told all the same.
        let _ = start(record);
    }
    Ok(true)
}

/// Flags, mode or id; two halves for calls that have two of them.
#[inline(always)]
fn value(arguments: Arguments, rule: &CallRule) -> Result<u64, Unreadable> {
    let Some(value) = arguments.optional(rule.value_arg)? else {
        return Ok(if rule.low_value_arg == CREATES { CREATE_FLAGS } else { 0 });
    };
    match rule.low_value_arg {
        NO_ARG => Ok(value),
        POINTED => User(value).word(),
        low => Ok(value << 32 | arguments.get(low)? & 0xffff_ffff),
    }
}

#[inline(always)]
fn path(arguments: Arguments, rule: &CallRule, record: &mut CallFailed) -> Result<(), Unreadable> {
    record.dirfd = arguments.directory(rule.dirfd_arg)?;
    match User(arguments.get(rule.path_arg)?).string(&raw mut record.path) {
        Ok((length, cut)) => {
            record.path_len = length as u16;
            record.flags |= if cut { PATH_CUT } else { 0 };
        }
        Err(Unreadable) => record.flags |= PATH_UNREADABLE,
    }
    Ok(())
}

#[inline(always)]
fn other_path(arguments: Arguments, rule: &CallRule, record: &mut CallFailed) -> Result<(), Unreadable> {
    record.other_dirfd = arguments.directory(rule.other_dirfd_arg)?;
    if let Ok((length, cut)) = User(arguments.get(rule.other_arg)?).string(&raw mut record.other) {
        record.other_len = length as u16;
        record.flags |= OTHER_PRESENT | if cut { OTHER_CUT } else { 0 };
    }
    Ok(())
}

/// A socket address as it is. Of connects only those to unix sockets are of interest: a refused dependency is found otherwise.
#[inline(always)]
fn address(arguments: Arguments, rule: &CallRule, record: &mut CallFailed) -> Result<bool, Unreadable> {
    let length = (arguments.get(rule.other_arg)? as usize & 0xffff_ffff).min(ADDRESS_MAX);
    let user = User(arguments.get(rule.path_arg)?);
    record.flags |= PATH_IS_ADDRESS;
    if user.bytes(length, (&raw mut record.path).cast::<[u8; ADDRESS_MAX]>()).is_err() {
        record.flags |= PATH_UNREADABLE;
        return Ok(true);
    }
    record.path_len = length as u16;
    let family = u16::from_ne_bytes([record.path[0], record.path[1]]);
    if family == AF_UNIX && !matches!(record.path[2], 0 | b'/') && identify(working_directory(), record).is_ok() {
        record.flags |= PATH_STARTS;
    }
    Ok(rule.call != Call::Connect as u16 || family == AF_UNIX)
}

/// Identifies the directory that a relative path starts from. There is room for one: two relative paths of different
/// directories (`renameat`) have the first one's.
#[inline(always)]
fn start(record: &mut CallFailed) -> Result<(), Unreadable> {
    let path = record.flags & PATH_UNREADABLE == 0 && record.path[0] != b'/';
    let other = record.flags & OTHER_PRESENT != 0 && record.other[0] != b'/';
    if !path && !other {
        return Ok(());
    }
    let directory = if path { record.dirfd } else { record.other_dirfd };
    let inode = if directory == AT_FDCWD { working_directory() } else { opened(directory.cast_unsigned())?.follow(member!(file_inode)) };
    identify(inode, record)?;
    record.flags |= if path { PATH_STARTS } else { 0 } | if other && record.other_dirfd == directory { OTHER_STARTS } else { 0 };
    Ok(())
}

/// The inode of the running thread's working directory.
#[inline(always)]
fn working_directory() -> Result<KernelAddress, Unreadable> {
    let directory = KernelAddress::current_task().follow(member!(task_fs))?.follow(member!(fs_pwd))?;
    directory.follow(member!(dentry_inode))
}

/// Device and number of an inode.
#[inline(always)]
fn identify(inode: Result<KernelAddress, Unreadable>, record: &mut CallFailed) -> Result<(), Unreadable> {
    let inode = inode?;
    let device = inode.follow(member!(inode_sb))?.get(member!(super_block_dev))?;
    record.ino = inode.get(member!(inode_ino))?;
    record.dev = device;
    Ok(())
}

/// The open file of a descriptor.
#[inline(always)]
fn opened(descriptor: u32) -> Result<KernelAddress, Unreadable> {
    let table = KernelAddress::current_task().follow(member!(task_files))?.follow(member!(files_fdt))?;
    if descriptor >= table.get::<u32>(member!(fdtable_max_fds))? {
        return Err(Unreadable);
    }
    table.follow(member!(fdtable_fd))?.pointer(descriptor)
}

/// The file of a descriptor: device, inode, and the name that it was opened by.
#[inline(always)]
fn file(descriptor: u32, record: &mut CallFailed) -> Result<(), Unreadable> {
    let file = opened(descriptor)?;
    identify(file.follow(member!(file_inode)), record)?;
    record.flags |= PATH_IS_NAME;
    let name = file.follow(member!(file_dentry))?.follow(member!(dentry_name))?;
    record.path_len = name.string(&raw mut record.path)? as u16;
    Ok(())
}

/// What makes it the same failure again. `fsuid` is part of it, for a file that root may not have is another finding than one
/// that a worker may not have; so is the directory that a relative path starts from.
#[inline(always)]
pub(crate) fn hash(record: &CallFailed, fsuid: u32) -> u64 {
    let mut hash = mix(0xcbf2_9ce4_8422_2325, record.arg);
    hash = mix(hash, u64::from(fsuid));
    hash = mix(hash, record.ino);
    hash = mix(hash, u64::from(record.dev));
    let relative = record.flags & (PATH_IS_NAME | PATH_IS_ADDRESS) == 0 && record.path[0] != b'/';
    if relative {
        hash = mix(hash, u64::from(record.dirfd.cast_unsigned()));
    }
    hash = mix_path(hash, &record.path, record.path_len);
    if record.flags & OTHER_PRESENT != 0 {
        hash = mix_path(hash, &record.other, record.other_len);
    }
    hash
}

/// Mixes in a path, whose buffer is zero after its end.
#[inline(always)]
fn mix_path(mut hash: u64, path: &[u8; PATH_CAP], length: u16) -> u64 {
    // SAFETY: the paths of a record lie at multiples of 8 (asserted below), and `PATH_WORDS` words are `PATH_CAP` bytes.
    let words: &[u64; PATH_WORDS] = unsafe { &*(&raw const *path).cast() };
    let mut index = 0;
    while index < PATH_WORDS && index * 8 < length as usize {
        hash = mix(hash, words[index]);
        index += 1;
    }
    hash
}

const _: () = assert!(core::mem::offset_of!(CallFailed, path) % 8 == 0 && core::mem::offset_of!(CallFailed, other) % 8 == 0);

/// One round of a multiplicative hash (the multiplier of splitmix64); keyed by nothing, for a program that makes its own
/// failures collide only hides them from itself.
#[inline(always)]
fn mix(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 29
}
