//! A container's files in memory. It fails a test that opens what is not a regular file or looks up what is not a plain name.

use std::{cell::Cell, collections::BTreeMap, rc::Rc};
use unready_diagnosis::{question::FileKind, record::Errno};
use unready_inspect::rootfs::{Contents, Link, Refusal, Rootfs, Stat, Target};

/// What a file is.
enum Content {
    Directory(BTreeMap<String, usize>),
    File(Rc<[u8]>),
    Link(String),
    /// A link as those of `/proc/PID/fd`: its text only describes what is behind it.
    Magic(String, usize),
    Special(FileKind),
}

pub(crate) struct Tree {
    files: Vec<(Content, u32)>,
    /// Names that may still be looked up, as the agent bounds a look.
    names: Cell<usize>,
    is_broken_off: Cell<bool>,
    /// The most that one read asked for, bytes.
    pub(crate) longest_read: Rc<Cell<usize>>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let root = (Content::Directory(BTreeMap::new()), 0o755);
        Self { files: vec![root], names: Cell::new(usize::MAX), is_broken_off: Cell::new(false), longest_read: Rc::default() }
    }

    pub(crate) fn file(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.with(path, Content::File(bytes.into().into()), 0o755)
    }

    pub(crate) fn plain(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.with(path, Content::File(bytes.into().into()), 0o644)
    }

    pub(crate) fn directory(self, path: &str) -> Self {
        self.with(path, Content::Directory(BTreeMap::new()), 0o755)
    }

    pub(crate) fn link(self, path: &str, text: &str) -> Self {
        self.with(path, Content::Link(text.to_owned()), 0o777)
    }

    pub(crate) fn special(self, path: &str, kind: FileKind) -> Self {
        self.with(path, Content::Special(kind), 0o666)
    }

    /// A link that leads to a pipe, whatever its text says.
    pub(crate) fn open_pipe(mut self, path: &str, text: &str) -> Self {
        self.files.push((Content::Special(FileKind::Fifo), 0o600));
        let pipe = self.files.len() - 1;
        self.with(path, Content::Magic(text.to_owned(), pipe), 0o777)
    }

    /// The same, looked at by someone who may look up so many names.
    pub(crate) fn within(self, names: usize) -> Self {
        self.names.set(names);
        self
    }

    fn with(mut self, path: &str, content: Content, mode: u32) -> Self {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = parent.split('/').filter(|name| !name.is_empty()).fold(0, |at, name| self.directory_in(at, name));
        self.add(parent, name, content, mode);
        self
    }

    fn directory_in(&mut self, at: usize, name: &str) -> usize {
        let Content::Directory(entries) = &self.files[at].0 else { panic!("{name} is to be in what is not a directory") };
        let known = entries.get(name).copied();
        known.unwrap_or_else(|| self.add(at, name, Content::Directory(BTreeMap::new()), 0o755))
    }

    fn add(&mut self, parent: usize, name: &str, content: Content, mode: u32) -> usize {
        self.files.push((content, mode));
        let new = self.files.len() - 1;
        let Content::Directory(entries) = &mut self.files[parent].0 else { panic!("{name} is to be in what is not a directory") };
        assert_eq!(entries.insert(name.to_owned(), new), None, "{name} is there twice");
        new
    }
}

/// A file that was opened.
pub(crate) struct Open {
    content: Rc<[u8]>,
    longest_read: Rc<Cell<usize>>,
}

impl Contents for Open {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, Errno> {
        self.longest_read.set(self.longest_read.get().max(bytes.len()));
        let rest = self.content.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let length = rest.len().min(bytes.len());
        bytes[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

impl Rootfs for Tree {
    type Node = usize;
    type File = Open;

    fn root(&self) -> Result<usize, Errno> {
        Ok(0)
    }

    fn entry(&self, directory: &usize, name: &str, path: &str) -> Result<usize, Refusal> {
        assert!(!matches!(name, "" | "." | "..") && !name.contains('/'), "{name:?} is not a plain name");
        assert!(path.starts_with('/') && path.ends_with(&format!("/{name}")), "{path} is not a path of {name}");
        let Some(left) = self.names.get().checked_sub(1) else {
            self.is_broken_off.set(true);
            return Err(Refusal::Unknowable(Errno::ENAMETOOLONG));
        };
        self.names.set(left);
        let Content::Directory(entries) = &self.files[*directory].0 else { panic!("{name} is looked up in what is not a directory") };
        entries.get(name).copied().ok_or(Refusal::NoEntry(Errno::ENOENT))
    }

    fn stat(&self, node: &usize) -> Stat {
        let (content, mode) = &self.files[*node];
        let kind = match content {
            Content::Directory(_) => FileKind::Directory,
            Content::File(_) => FileKind::File,
            Content::Link(_) | Content::Magic(..) => FileKind::Link,
            Content::Special(kind) => *kind,
        };
        Stat { kind, mode: *mode }
    }

    fn link(&self, node: &usize) -> Option<String> {
        match &self.files[*node].0 {
            Content::Link(text) | Content::Magic(text, _) => Some(text.clone()),
            Content::Directory(_) | Content::File(_) | Content::Special(_) => None,
        }
    }

    fn target(&self, link: &Link<'_, usize>) -> Target<usize> {
        match &self.files[*link.node].0 {
            Content::Magic(text, behind) if link.is_last => Target::Open(text.clone(), Ok(*behind)),
            Content::Magic(text, _) => Target::Nowhere(text.clone()),
            Content::Directory(_) | Content::File(_) | Content::Link(_) | Content::Special(_) => {
                self.link(link.node).map_or(Target::Unreadable, Target::Text)
            }
        }
    }

    fn names(&self, directory: &usize, limit: usize) -> Vec<String> {
        let Content::Directory(entries) = &self.files[*directory].0 else { panic!("names of what is not a directory") };
        entries.keys().take(limit).cloned().collect()
    }

    fn open(&self, file: &usize) -> Result<Open, Errno> {
        let Content::File(content) = &self.files[*file].0 else { panic!("what is not a regular file is opened") };
        Ok(Open { content: Rc::clone(content), longest_read: Rc::clone(&self.longest_read) })
    }

    fn part<T>(&self, part: impl FnOnce() -> T) -> Option<T> {
        let before = self.is_broken_off.replace(false);
        let done = part();
        (!self.is_broken_off.replace(before)).then_some(done)
    }
}
