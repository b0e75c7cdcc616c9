//! What is in a file. Refused: to open what is not a regular file, for opening a pipe or device could block or have effects.

use super::{
    metadata::{errno, kind, stat},
    proc,
};
use rustix::fs::{Mode, OFlags, Statx, open};
use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::Path,
};
use unready_diagnosis::record::Errno;
use unready_inspect::rootfs::{Contents, may_be_read};

/// A file of a container that is open for reading.
#[derive(Debug)]
pub(super) struct Open(pub(super) File);

impl Contents for Open {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let mut length = 0;
        while length < bytes.len() {
            match self.0.read_at(&mut bytes[length..], offset.saturating_add(length as u64)) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(errno_of(&error)),
            }
        }
        Ok(length)
    }
}

fn errno_of(error: &io::Error) -> Errno {
    rustix::io::Errno::from_io_error(error).map_or(Errno::EIO, errno)
}

/// Opens for reading what was opened by `O_PATH`, if it is a regular file.
pub(super) fn reopen_regular(file: &OwnedFd, stat: &Statx) -> Result<File, Errno> {
    may_be_read(kind(stat))?;
    // The magic link leads to the inode that was looked at, whatever has become of its name.
    let path = format!("{}/self/fd/{}", proc::PROC, file.as_raw_fd());
    open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).map(File::from).map_err(errno)
}

/// At most `limit` bytes of a regular file of the node: users have directories of their own among the runtimes'.
pub(super) fn read_ours(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let file = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let stat = stat(file.as_fd()).ok()?;
    let mut bytes = Vec::new();
    reopen_regular(&file, &stat).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
