//! Path resolution inside a container's root, one component at a time.
//!
//! The kernel would resolve a path by itself, but it would not tell what it passed, and a link could lead it out of the
//! container. Here each name is opened relative to its directory with `O_PATH | O_NOFOLLOW`; links are read and resolved
//! against the container's root, `..` stops there. States: a stack of the directories entered, and the names still to do.
//!
//! The magic links of `/proc` name objects of whoever asks, not of the container: `self` is translated to the process of
//! the question, a link below `fd` leads to what that process has open (looked at, never opened), any other is resolved by
//! its text inside the container.

use super::{bundle::Source, reach, view::View};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags, fstatfs, openat, readlinkat, statx},
    io,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use unready_diagnosis::record::Errno;

/// Links followed before ELOOP: the kernel's own limit (`path_resolution(7)`).
const MAX_LINKS: u32 = 40;
/// Names entered before ENAMETOOLONG; bounds the descriptors held by one walk.
const MAX_NAMES: u32 = 256;
/// Longest path, bytes (`PATH_MAX`).
const MAX_PATH: usize = 4096;
/// `PROC_SUPER_MAGIC` of linux/magic.h.
const PROC_MAGIC: u64 = 0x9fa0;

/// A file or directory passed on the way.
pub(super) struct Seen<'a> {
    pub(super) file: BorrowedFd<'a>,
    pub(super) path: &'a str,
    pub(super) stat: &'a Statx,
    /// Where it points, if it is a symbolic link.
    pub(super) link: Option<&'a str>,
}

/// What the path leads to.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: OwnedFd,
    pub(super) path: String,
    pub(super) stat: Statx,
}

/// Where resolution ended early.
#[derive(Debug)]
pub(super) struct Halt {
    /// Full path of what could not be entered.
    pub(super) path: String,
    pub(super) errno: Errno,
    /// The directory that it was looked for in, with the name.
    pub(super) missing: Option<(OwnedFd, String)>,
    /// The answer depends on a process that is gone (`/proc/self`), or a mount: the errno is ours, not the container's.
    pub(super) unknowable: bool,
}

impl Halt {
    fn new(path: impl Into<String>, errno: Errno) -> Self {
        Self { path: path.into(), errno, missing: None, unknowable: false }
    }
}

impl Halt {
    /// Why nothing can be said of the path any more.
    pub(super) fn why_unknowable(&self) -> String {
        format!("what {} was depends on processes of the container that have ended", self.path)
    }
}

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

/// The type bits of a file's mode.
pub(super) fn file_type(stat: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(stat.stx_mode))
}

/// Resolves an absolute path in the container; `visit` is told of everything passed, the root first.
pub(super) fn resolve(view: &View, path: &str, follow: bool, visit: impl FnMut(&Seen<'_>)) -> Result<Found, Halt> {
    if path.len() >= MAX_PATH {
        return Err(Halt::new(path, Errno::ENAMETOOLONG));
    }
    let mut walker = Walker::start(view, visit)?;
    walker.push_todo(path);
    let follow = follow || path.ends_with('/');
    while let Some(name) = walker.todo.pop() {
        walker.step(&name, follow)?;
    }
    walker.finish()
}

/// Resolves a path that is only to be opened.
pub(super) fn find(view: &View, path: &str) -> Result<Found, Halt> {
    resolve(view, path, true, |_| ())
}

struct Walker<'v, V> {
    view: &'v View,
    visit: V,
    /// What was entered, each with the length of its parent's path; the first is the root.
    stack: Vec<(OwnedFd, Statx, usize)>,
    /// Path of the last of `stack`, empty for the root.
    here: String,
    /// Names still to enter, the next one last. An empty name at the very end demands a directory.
    todo: Vec<String>,
    links: u32,
    names: u32,
    /// Path of what was visited last.
    visited: String,
}

impl<'v, V: FnMut(&Seen<'_>)> Walker<'v, V> {
    fn start(view: &'v View, visit: V) -> Result<Self, Halt> {
        let mut walker =
            Self { view, visit, stack: Vec::new(), here: String::new(), todo: Vec::new(), links: 0, names: 0, visited: String::new() };
        let failed = |error| Halt::new("/", errno(error));
        let root = view.root().try_clone_to_owned().map_err(|_| Halt::new("/", Errno::EMFILE))?;
        let stat = stat(root.as_fd()).map_err(failed)?;
        walker.tell(root.as_fd(), "/", &stat, None);
        walker.stack.push((root, stat, 0));
        Ok(walker)
    }

    fn push_todo(&mut self, path: &str) {
        self.todo.extend(path.split('/').rev().map(str::to_owned));
    }

    fn tell(&mut self, file: BorrowedFd<'_>, path: &str, stat: &Statx, link: Option<&str>) {
        (self.visit)(&Seen { file, path, stat, link });
        path.clone_into(&mut self.visited);
    }

    /// Path of where we are.
    fn path(&self) -> &str {
        if self.here.is_empty() { "/" } else { &self.here }
    }

    fn step(&mut self, name: &str, follow: bool) -> Result<(), Halt> {
        if !self.is_directory() {
            // The last, empty name of a trailing slash comes here too, as it does in the kernel.
            return Err(Halt::new(self.path(), Errno::ENOTDIR));
        }
        match name {
            "" | "." => Ok(()),
            ".." => {
                self.leave();
                Ok(())
            }
            name => self.enter(name, follow),
        }
    }

    fn is_directory(&self) -> bool {
        self.stack.last().is_some_and(|(_, stat, _)| file_type(stat) == FileType::Directory)
    }

    /// `..`: the root is its own parent.
    fn leave(&mut self) {
        if self.stack.len() > 1
            && let Some((.., parent)) = self.stack.pop()
        {
            self.here.truncate(parent);
        }
    }

    fn enter(&mut self, name: &str, follow: bool) -> Result<(), Halt> {
        let path = format!("{}/{name}", self.here);
        if !reach::may_enter() {
            return Err(Halt { unknowable: true, ..Halt::new(path, Errno::ENAMETOOLONG) });
        }
        self.names += 1;
        if self.names > MAX_NAMES || path.len() >= MAX_PATH {
            return Err(Halt::new(path, Errno::ENAMETOOLONG));
        }
        let file = match self.view.volumes.as_ref().and_then(|volumes| volumes.source(&path)) {
            Some(Source::Host(file)) => file,
            Some(Source::Lost) => return Err(Halt { unknowable: true, ..Halt::new(path, Errno::ENOENT) }),
            None => self.open(name, OFlags::NOFOLLOW).map_err(|error| self.missing(&path, name, error))?,
        };
        let stat = stat(file.as_fd()).map_err(|error| Halt::new(path.as_str(), errno(error)))?;
        let is_last = self.todo.iter().all(|name| name.is_empty() || name == ".");
        if file_type(&stat) == FileType::Symlink && (follow || !is_last) {
            return self.follow(&file, &stat, name, path, is_last);
        }
        self.tell(file.as_fd(), &path, &stat, link_text(&file, &stat).as_deref());
        self.push(file, stat, path);
        Ok(())
    }

    fn push(&mut self, file: OwnedFd, stat: Statx, path: String) {
        self.stack.push((file, stat, self.here.len()));
        self.here = path;
    }

    /// Opens a name of the directory that we are in.
    fn open(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let (directory, ..) = self.stack.last().ok_or(io::Errno::NOENT)?;
        openat(directory, name, OFlags::PATH | OFlags::CLOEXEC | flags, Mode::empty())
    }

    fn missing(&self, path: &str, name: &str, error: io::Errno) -> Halt {
        let directory = self.stack.last().and_then(|(directory, ..)| directory.try_clone().ok());
        Halt { missing: directory.map(|directory| (directory, name.to_owned())), ..Halt::new(path, errno(error)) }
    }

    fn follow(&mut self, file: &OwnedFd, stat: &Statx, name: &str, path: String, is_last: bool) -> Result<(), Halt> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Halt::new(path, Errno::ELOOP));
        }
        let in_proc = fstatfs(file).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(PROC_MAGIC));
        let target =
            if in_proc && matches!(name, "self" | "thread-self") { Some(self.own_directory(name, &path)?) } else { link_text(file, stat) };
        let Some(target) = target else {
            return Err(Halt { unknowable: in_proc, ..Halt::new(path, Errno::ENOENT) });
        };
        self.tell(file.as_fd(), &path, stat, Some(&target));
        if in_proc && is_last && self.here.ends_with("/fd") {
            return self.look_at_open_file(name, target);
        }
        if target.starts_with('/') {
            self.stack.truncate(1);
            self.here.clear();
        } else if in_proc && target.contains(":[") {
            return Err(Halt::new(path, Errno::ENOTDIR)); // a namespace or a pipe leads no further
        }
        self.push_todo(&target);
        Ok(())
    }

    /// What `/proc/self` is for the process of the question.
    fn own_directory(&self, name: &str, path: &str) -> Result<String, Halt> {
        let unknowable = || Halt { unknowable: true, ..Halt::new(path, Errno::ENOENT) };
        let pid = self.view.inner_pid().ok_or_else(unknowable)?;
        Ok(if name == "self" { pid.to_string() } else { format!("{pid}/task/{pid}") })
    }

    /// The file behind `/proc/PID/fd/N`: `/dev/stdout` of a container ends at a pipe that has no path.
    fn look_at_open_file(&mut self, name: &str, target: String) -> Result<(), Halt> {
        let path = format!("{}/{name}", self.here);
        let halt = |error| Halt { unknowable: true, ..Halt::new(path.as_str(), errno(error)) };
        let file = self.open(name, OFlags::empty()).map_err(halt)?;
        let stat = stat(file.as_fd()).map_err(halt)?;
        self.tell(file.as_fd(), &target, &stat, None);
        self.push(file, stat, target);
        Ok(())
    }

    fn finish(mut self) -> Result<Found, Halt> {
        let path = self.path().to_owned();
        let Some((file, stat, _)) = self.stack.pop() else {
            return Err(Halt::new(path, Errno::ENOENT));
        };
        if self.visited != path {
            self.tell(file.as_fd(), &path, &stat, None); // reached by `..` or by a link to `/`
        }
        Ok(Found { file, path, stat })
    }
}

/// Text of a symbolic link; `None` for anything else.
fn link_text(file: &OwnedFd, stat: &Statx) -> Option<String> {
    if file_type(stat) != FileType::Symlink {
        return None;
    }
    let text = readlinkat(file, c"", Vec::new()).ok()?;
    Some(text.to_string_lossy().into_owned())
}
