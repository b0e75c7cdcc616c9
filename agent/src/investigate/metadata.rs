//! What the kernel says of a file that is held by a descriptor, and of a directory its names.

use super::reach;
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, Statx, StatxFlags, openat, statx},
    io,
};
use std::os::fd::{BorrowedFd, OwnedFd};
use unready_diagnosis::{question::FileKind, record::Errno};

/// The errno of a failed call.
pub(super) fn errno(error: io::Errno) -> Errno {
    Errno(u16::try_from(error.raw_os_error()).unwrap_or(Errno::EIO.0))
}

/// Type, mode, owner, times and mount of a file. Not of one whose file system keeps others waiting.
pub(super) fn stat(file: BorrowedFd<'_>) -> io::Result<Statx> {
    // Which file system it is the kernel knows by itself; for the rest it may have to ask a server.
    let known = statx(file, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::empty());
    if known.is_ok_and(|stat| !reach::may_ask((stat.stx_dev_major, stat.stx_dev_minor))) {
        return Err(io::Errno::TIMEDOUT);
    }
    statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID)
}

/// What a file is, by the type bits of its mode.
pub(super) fn kind(stat: &Statx) -> FileKind {
    match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
        FileType::Directory => FileKind::Directory,
        FileType::RegularFile => FileKind::File,
        FileType::Symlink => FileKind::Link,
        FileType::Socket => FileKind::Socket,
        FileType::Fifo => FileKind::Fifo,
        FileType::CharacterDevice => FileKind::CharDevice,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::Unknown => FileKind::Other,
    }
}

/// The permission bits of a file's mode.
pub(super) fn mode(stat: &Statx) -> u32 {
    u32::from(stat.stx_mode) & 0o7777
}

/// Opens a directory that is held for reading its names.
pub(super) fn list(directory: &OwnedFd) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    openat(directory, c".", flags, Mode::empty()).and_then(Dir::new)
}
