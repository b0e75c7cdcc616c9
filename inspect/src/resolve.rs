//! Path resolution inside a container's root, one component at a time.
//!
//! The kernel would resolve a path by itself, but it would not tell what it passed, and a link could lead it out of the
//! container. Here each name is looked up in its directory without following it; links are read and resolved against the
//! container's root, `..` stops there. States: a stack of the directories entered, and the names still to do.
//!
//! Where a link's text does not say where it leads (those of `/proc`), whoever holds the files knows: [`Rootfs::target`].

use crate::rootfs::{self, Contents, Link, Refusal, Rootfs, Target};
use unready_diagnosis::{question::FileKind, record::Errno};

/// Links followed before ELOOP: the kernel's own limit (`path_resolution(7)`).
const MAX_LINKS: u32 = 40;
/// What one read of a file asks for at most, bytes: lengths come from files that nobody trusts.
const PIECE: usize = 64 * 1024;
/// Names entered before ENAMETOOLONG; bounds what is held by one resolution.
const MAX_NAMES: u32 = 256;
/// Longest path, bytes (`PATH_MAX`).
const MAX_PATH: usize = 4096;

/// A file or directory passed on the way.
#[derive(Debug)]
pub struct Seen<'a, N> {
    /// What it is held by.
    pub node: &'a N,
    /// Its path from the root.
    pub path: &'a str,
    /// Where it points, if it is a symbolic link.
    pub link: Option<&'a str>,
}

/// What the path leads to.
#[derive(Debug)]
pub struct Found<N> {
    /// What it is held by.
    pub node: N,
    /// Its path without links, from the root.
    pub path: String,
}

/// Where resolution ended early.
#[derive(Debug)]
pub struct Halt<N> {
    /// Full path of what could not be entered.
    pub path: String,
    /// As the call would fail.
    pub errno: Errno,
    /// The directory that it was looked for in, with the name.
    pub missing: Option<(N, String)>,
    /// The answer depends on a process that is gone (`/proc/self`), or a mount: the errno is ours, not the container's.
    pub unknowable: bool,
}

impl<N> Halt<N> {
    fn new(path: impl Into<String>, errno: Errno) -> Self {
        Self { path: path.into(), errno, missing: None, unknowable: false }
    }

    fn unknowable(path: impl Into<String>, errno: Errno) -> Self {
        Self { unknowable: true, ..Self::new(path, errno) }
    }

    /// Why nothing can be said of the path any more.
    pub fn why_unknowable(&self) -> String {
        format!("what {} was depends on processes of the container that have ended", self.path)
    }
}

/// Resolves an absolute path in the container; `visit` is told of everything passed, the root first.
pub fn resolve<R: Rootfs>(
    rootfs: &R,
    path: &str,
    follow: bool,
    visit: impl FnMut(&Seen<'_, R::Node>),
) -> Result<Found<R::Node>, Halt<R::Node>> {
    if path.len() >= MAX_PATH {
        return Err(Halt::new(path, Errno::ENAMETOOLONG));
    }
    let mut walker = Walker::start(rootfs, visit)?;
    walker.push_todo(path);
    let follow = follow || path.ends_with('/');
    while let Some(name) = walker.todo.pop() {
        walker.step(&name, follow)?;
    }
    walker.finish()
}

/// Resolves a path that is only to be opened.
pub fn find<R: Rootfs>(rootfs: &R, path: &str) -> Result<Found<R::Node>, Halt<R::Node>> {
    resolve(rootfs, path, true, |_| ())
}

/// A path without empty and `.` components; without `..` as well where no link can change what that means.
pub fn tidy(path: &str, without_parents: bool) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if without_parents => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

struct Walker<'r, R: Rootfs, V> {
    rootfs: &'r R,
    visit: V,
    /// What was entered, each with the length of its parent's path; the first is the root.
    stack: Vec<(R::Node, usize)>,
    /// Path of the last of `stack`, empty for the root.
    here: String,
    /// Names still to enter, the next one last. An empty name at the very end demands a directory.
    todo: Vec<String>,
    links: u32,
    names: u32,
    /// Path of what was visited last.
    visited: String,
}

impl<'r, R: Rootfs, V: FnMut(&Seen<'_, R::Node>)> Walker<'r, R, V> {
    fn start(rootfs: &'r R, visit: V) -> Result<Self, Halt<R::Node>> {
        let (stack, todo) = (Vec::new(), Vec::new());
        let mut walker = Self { rootfs, visit, stack, here: String::new(), todo, links: 0, names: 0, visited: String::new() };
        let root = rootfs.root().map_err(|errno| Halt::new("/", errno))?;
        walker.tell(&root, "/", None);
        walker.stack.push((root, 0));
        Ok(walker)
    }

    fn push_todo(&mut self, path: &str) {
        self.todo.extend(path.split('/').rev().map(str::to_owned));
    }

    fn tell(&mut self, node: &R::Node, path: &str, link: Option<&str>) {
        (self.visit)(&Seen { node, path, link });
        path.clone_into(&mut self.visited);
    }

    fn kind(&self, node: &R::Node) -> FileKind {
        self.rootfs.stat(node).kind
    }

    /// Path of where we are.
    fn path(&self) -> &str {
        if self.here.is_empty() { "/" } else { &self.here }
    }

    fn step(&mut self, name: &str, follow: bool) -> Result<(), Halt<R::Node>> {
        if !self.stack.last().is_some_and(|(node, _)| self.kind(node) == FileKind::Directory) {
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

    /// `..`: the root is its own parent.
    fn leave(&mut self) {
        if self.stack.len() > 1
            && let Some((_, parent)) = self.stack.pop()
        {
            self.here.truncate(parent);
        }
    }

    fn enter(&mut self, name: &str, follow: bool) -> Result<(), Halt<R::Node>> {
        let path = format!("{}/{name}", self.here);
        self.names += 1;
        if self.names > MAX_NAMES || path.len() >= MAX_PATH {
            return Err(Halt::new(path, Errno::ENAMETOOLONG));
        }
        let node = self.entry(name, &path)?;
        if self.kind(&node) != FileKind::Link {
            self.tell(&node, &path, None);
        } else if follow || !self.is_last() {
            return self.follow(&node, name, path);
        } else {
            let text = self.rootfs.link(&node);
            self.tell(&node, &path, text.as_deref());
        }
        self.push(node, path);
        Ok(())
    }

    /// Whether nothing that changes the place is left to do.
    fn is_last(&self) -> bool {
        self.todo.iter().all(|name| name.is_empty() || name == ".")
    }

    fn push(&mut self, node: R::Node, path: String) {
        self.stack.push((node, self.here.len()));
        self.here = path;
    }

    /// What a name means in the directory that we are in. If nothing, that directory goes with the answer: we are done.
    fn entry(&mut self, name: &str, path: &str) -> Result<R::Node, Halt<R::Node>> {
        let Some((directory, _)) = self.stack.last() else {
            return Err(Halt::new(path, Errno::ENOENT));
        };
        self.rootfs.entry(directory, name, path).map_err(|refusal| match refusal {
            Refusal::NoEntry(errno) => {
                let missing = self.stack.pop().map(|(directory, _)| (directory, name.to_owned()));
                Halt { missing, ..Halt::new(path, errno) }
            }
            Refusal::Broken(errno) => Halt::new(path, errno),
            Refusal::Unknowable(errno) => Halt::unknowable(path, errno),
        })
    }

    fn follow(&mut self, node: &R::Node, name: &str, path: String) -> Result<(), Halt<R::Node>> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Halt::new(path, Errno::ELOOP));
        }
        let Some((directory, _)) = self.stack.last() else {
            return Err(Halt::new(path, Errno::ENOENT));
        };
        match self.rootfs.target(&Link { node, directory, place: &self.here, name, is_last: self.is_last() }) {
            Target::Text(text) => {
                self.tell(node, &path, Some(&text));
                if text.starts_with('/') {
                    self.stack.truncate(1);
                    self.here.clear();
                }
                self.push_todo(&text);
                Ok(())
            }
            Target::Open(text, opened) => {
                self.tell(node, &path, Some(&text));
                let opened = opened.map_err(|errno| Halt::unknowable(path, errno))?;
                self.tell(&opened, &text, None);
                self.push(opened, text);
                Ok(())
            }
            Target::Nowhere(text) => {
                self.tell(node, &path, Some(&text));
                Err(Halt::new(path, Errno::ENOTDIR))
            }
            Target::Unreadable => Err(Halt::new(path, Errno::ENOENT)),
            Target::Unknowable => Err(Halt::unknowable(path, Errno::ENOENT)),
        }
    }

    fn finish(mut self) -> Result<Found<R::Node>, Halt<R::Node>> {
        let path = self.path().to_owned();
        let Some((node, _)) = self.stack.pop() else {
            return Err(Halt::new(path, Errno::ENOENT));
        };
        if self.visited != path {
            self.tell(&node, &path, None); // reached by `..` or by a link to `/`
        }
        Ok(Found { node, path })
    }
}

/// At most `limit` bytes of the regular file at a path.
pub fn read<R: Rootfs>(rootfs: &R, path: &str, limit: usize) -> Option<Vec<u8>> {
    let file = rootfs::open(rootfs, &find(rootfs, path).ok()?.node).ok()?;
    let mut bytes = Vec::new();
    while bytes.len() < limit {
        let (start, piece) = (bytes.len(), PIECE.min(limit - bytes.len()));
        bytes.resize(start + piece, 0);
        let length = file.read_at(&mut bytes[start..], start as u64).ok()?.min(piece);
        bytes.truncate(start + length);
        if length < piece {
            break;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidied_paths() {
        assert_eq!(tidy("/app//./../data/x", true), "/data/x");
        assert_eq!(tidy("/app/../data", false), "/app/../data");
        assert_eq!(tidy("/../..", true), "/");
    }
}
