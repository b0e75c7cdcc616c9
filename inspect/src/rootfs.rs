//! What must be possible with a container's files, and no more: hold what a name means in a directory, tell what it is, read
//! the text of a link, list names, read a regular file in pieces.
//!
//! Whoever implements [`Rootfs`] keeps three promises, on which the rest of the crate relies:
//!
//! - To hold something ([`Rootfs::root`], [`Rootfs::entry`]) opens nothing: a pipe does not block, a device does nothing.
//! - [`Rootfs::entry`] never follows a link: links are followed by [`crate::resolve`], which stays in the root.
//! - What may take for ever is given up by the implementation, which says so ([`Refusal::Unknowable`], [`Rootfs::part`]).

use unready_diagnosis::{question::FileKind, record::Errno};

/// A container's file system, as it is looked at from outside.
pub trait Rootfs {
    /// Something of it that is held without being opened: a file, a directory, a link.
    type Node;
    /// A regular file that is open for reading.
    type File: Contents;

    /// The root directory.
    fn root(&self) -> Result<Self::Node, Errno>;

    /// Takes hold of what a name means in a directory. The name is a plain one: not empty, no `.` or `..`, without `/`.
    /// `path` is what it is called from the root.
    fn entry(&self, directory: &Self::Node, name: &str, path: &str) -> Result<Self::Node, Refusal>;

    /// What is known of it.
    fn stat(&self, node: &Self::Node) -> Stat;

    /// Text of a symbolic link; `None` for anything else.
    fn link(&self, node: &Self::Node) -> Option<String>;

    /// Where a link leads that is followed: what its text says. Another answer is only for links whose text does not say it.
    fn target(&self, link: &Link<'_, Self::Node>) -> Target<Self::Node> {
        self.link(link.node).map_or(Target::Unreadable, Target::Text)
    }

    /// The first names of a directory, at most `limit`; none if it cannot be read.
    fn names(&self, directory: &Self::Node, limit: usize) -> Vec<String>;

    /// Opens a file for reading. Only called for regular ones: see [`open`].
    fn open(&self, file: &Self::Node) -> Result<Self::File, Errno>;

    /// Does a part of a look without which there still is an answer. `None`: it was broken off, for it would have cost more
    /// than one look may.
    fn part<T>(&self, part: impl FnOnce() -> T) -> Option<T> {
        Some(part())
    }
}

/// Bytes that can be read at an offset.
pub trait Contents {
    /// Fills `bytes` from an offset on, as far as there are any, and tells how many.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, Errno>;
}

/// Why a name could not be taken hold of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The directory does not have it, or does not let one in.
    NoEntry(Errno),
    /// It is there, and what it is cannot be told.
    Broken(Errno),
    /// What it was for the container is not known any more. The errno is ours, not the container's.
    Unknowable(Errno),
}

/// What is known of something that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Its permission bits.
    pub mode: u32,
}

/// A link that is to be followed.
#[derive(Debug)]
pub struct Link<'a, N> {
    /// The link itself.
    pub node: &'a N,
    /// The directory that it is in.
    pub directory: &'a N,
    /// Path of that directory; empty for the root.
    pub place: &'a str,
    /// Its name there.
    pub name: &'a str,
    /// Nothing comes after it in the path.
    pub is_last: bool,
}

/// Where a link leads.
#[derive(Debug)]
pub enum Target<N> {
    /// To a path in the container.
    Text(String),
    /// To something that its text only describes: what a process has open. It is looked at under that text.
    Open(String, Result<N, Errno>),
    /// To something that no path goes through.
    Nowhere(String),
    /// Its text could not be read.
    Unreadable,
    /// To something of a process that is gone.
    Unknowable,
}

/// Whether something of this kind may be opened for reading: regular files only, for opening a pipe or device could block or
/// have effects. The errno is what execve(2) says.
pub const fn may_be_read(kind: FileKind) -> Result<(), Errno> {
    match kind {
        FileKind::File => Ok(()),
        FileKind::Directory => Err(Errno::EISDIR),
        FileKind::Link | FileKind::Socket | FileKind::Fifo | FileKind::CharDevice | FileKind::BlockDevice | FileKind::Other => {
            Err(Errno::EACCES)
        }
    }
}

/// Opens something for reading, if it is a regular file.
pub fn open<R: Rootfs>(rootfs: &R, node: &R::Node) -> Result<R::File, Errno> {
    may_be_read(rootfs.stat(node).kind)?;
    rootfs.open(node)
}
