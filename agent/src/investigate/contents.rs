//! What is in a container's files. Refused: to open what is no regular file, for opening a pipe or device could block or
//! have effects.

use super::{
    proc,
    resolve::{Found, errno, file_type, find, stat},
    view::View,
};
use rustix::fs::{FileType, Mode, OFlags, Statx, open};
use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};
use unready_diagnosis::record::Errno;

/// Opens what was found for reading, if it is a regular file.
pub(super) fn open_regular(found: &Found) -> Result<File, Errno> {
    reopen_regular(&found.file, &found.stat)
}

/// Opens for reading what was opened by `O_PATH`, if it is a regular file.
pub(super) fn reopen_regular(file: &OwnedFd, stat: &Statx) -> Result<File, Errno> {
    match file_type(stat) {
        FileType::RegularFile => {
            // The magic link leads to the inode that was looked at, whatever has become of its name.
            let path = format!("{}/self/fd/{}", proc::PROC, file.as_raw_fd());
            open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).map(File::from).map_err(errno)
        }
        FileType::Directory => Err(Errno::EISDIR),
        FileType::Symlink | FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            Err(Errno::EACCES)
        } // what execve says
    }
}

/// At most `limit` bytes of a regular file of the node: users have directories of their own among the runtimes'.
pub(super) fn read_ours(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let file = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let stat = stat(file.as_fd()).ok()?;
    let mut bytes = Vec::new();
    reopen_regular(&file, &stat).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// At most `limit` bytes of a regular file of the container.
pub(super) fn read(view: &View, path: &str, limit: u64) -> Option<Vec<u8>> {
    let file = open_regular(&find(view, path).ok()?).ok()?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
