//! A container's file system as `unready-inspect` looks at it: through the descriptors of a [`View`].
//!
//! Names are opened relative to their directory with `O_PATH | O_NOFOLLOW`, which opens nothing and follows nothing. Before
//! a name is looked up, and before a file system is asked, [`reach`] says whether this look may.
//!
//! The magic links of `/proc` name objects of whoever asks, not of the container: `self` is translated to the process of
//! the question, a link below `fd` leads to what that process has open (looked at, never opened), any other is resolved by
//! its text inside the container.

use super::{
    bundle::Source,
    contents::{self, Open},
    metadata::{errno, kind, list, mode, stat},
    reach,
    view::View,
};
use rustix::{
    fs::{Mode, OFlags, Statx, fstatfs, openat, readlinkat},
    io,
};
use std::os::fd::{AsFd, OwnedFd};
use unready_diagnosis::{question::FileKind, record::Errno};
use unready_inspect::rootfs::{Link, Refusal, Rootfs, Stat, Target};

/// `PROC_SUPER_MAGIC` of linux/magic.h.
const PROC_MAGIC: u64 = 0x9fa0;

/// Something of a container that is held, and what was read of it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) file: OwnedFd,
    pub(super) stat: Statx,
}

impl Node {
    fn of(file: OwnedFd) -> io::Result<Self> {
        Ok(Self { stat: stat(file.as_fd())?, file })
    }

    pub(super) fn kind(&self) -> FileKind {
        kind(&self.stat)
    }
}

impl Rootfs for View {
    type Node = Node;
    type File = Open;

    fn root(&self) -> Result<Node, Errno> {
        let root = self.root_fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
        Node::of(root).map_err(errno)
    }

    fn entry(&self, directory: &Node, name: &str, path: &str) -> Result<Node, Refusal> {
        if !reach::may_enter() {
            return Err(Refusal::Unknowable(Errno::ENAMETOOLONG));
        }
        let file = match self.volumes.as_ref().and_then(|volumes| volumes.source(path)) {
            Some(Source::Host(file)) => file,
            Some(Source::Lost) => return Err(Refusal::Unknowable(Errno::ENOENT)),
            None => hold(directory, name, OFlags::NOFOLLOW).map_err(|error| Refusal::NoEntry(errno(error)))?,
        };
        Node::of(file).map_err(|error| Refusal::Broken(errno(error)))
    }

    fn stat(&self, node: &Node) -> Stat {
        Stat { kind: node.kind(), mode: mode(&node.stat) }
    }

    fn link(&self, node: &Node) -> Option<String> {
        if node.kind() != FileKind::Link {
            return None;
        }
        let text = readlinkat(&node.file, c"", Vec::new()).ok()?;
        Some(text.to_string_lossy().into_owned())
    }

    fn target(&self, link: &Link<'_, Node>) -> Target<Node> {
        if !fstatfs(&link.node.file).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(PROC_MAGIC)) {
            return self.link(link.node).map_or(Target::Unreadable, Target::Text);
        }
        if matches!(link.name, "self" | "thread-self") {
            return self.own_directory(link.name).map_or(Target::Unknowable, Target::Text);
        }
        match self.link(link.node) {
            None => Target::Unknowable,
            Some(text) if link.is_last && link.place.ends_with("/fd") => {
                Target::Open(text, hold(link.directory, link.name, OFlags::empty()).and_then(Node::of).map_err(errno))
            }
            // A namespace or a pipe leads no further.
            Some(text) if !text.starts_with('/') && text.contains(":[") => Target::Nowhere(text),
            Some(text) => Target::Text(text),
        }
    }

    fn names(&self, directory: &Node, limit: usize) -> Vec<String> {
        let entries = list(&directory.file).into_iter().flatten().take(limit).flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn open(&self, file: &Node) -> Result<Open, Errno> {
        contents::reopen_regular(&file.file, &file.stat).map(Open)
    }

    fn part<T>(&self, part: impl FnOnce() -> T) -> Option<T> {
        reach::part(part).ok()
    }
}

impl View {
    /// What `/proc/self` is for the process of the question.
    fn own_directory(&self, name: &str) -> Option<String> {
        let pid = self.inner_pid()?;
        Some(if name == "self" { pid.to_string() } else { format!("{pid}/task/{pid}") })
    }
}

/// Takes hold of a name of a directory.
fn hold(directory: &Node, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
    openat(&directory.file, name, OFlags::PATH | OFlags::CLOEXEC | flags, Mode::empty())
}
