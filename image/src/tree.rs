//! What a layer's file system holds.

use crate::error::Error;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// What an overlay file system's layers say deletions with.
const WHITEOUT: &str = ".wh.";

/// Owner and permission bits of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub uid: u32,
    pub gid: u32,
    /// Permission bits, the set-user-id, set-group-id and sticky ones included.
    pub mode: u32,
}

impl Access {
    /// Root's, to read for all.
    pub const FILE: Self = Self::new(0, 0, 0o644);
    /// Root's, to run or to enter for all.
    pub const PROGRAM: Self = Self::new(0, 0, 0o755);
    /// As `/tmp`: for all to write, and to delete what is theirs.
    pub const SHARED: Self = Self::new(0, 0, 0o1777);

    /// Owner, group and permission bits.
    pub const fn new(uid: u32, gid: u32, mode: u32) -> Self {
        Self { uid, gid, mode: mode & 0o7777 }
    }
}

/// Where a file's bytes are until the layer is made.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl Content {
    pub(crate) fn read(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(path) => fs::read(path).map_err(|source| unreadable(path, source)),
        }
    }
}

/// One name.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Directory(Access),
    File(Access, Content),
    Link(String),
}

/// Files, directories and symbolic links by their path. Directories above an entry come by themselves, root's and 0755,
/// unless they are named.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// Holds nothing but the root.
    pub fn new() -> Self {
        Self::default()
    }

    /// A directory. Named again, it gets the later access.
    pub fn directory(&mut self, path: &str, access: Access) -> Result<(), Error> {
        let path = inside(path)?;
        self.parents(&path)?;
        match self.entries.get_mut(&path) {
            Some(Entry::Directory(before)) => *before = access,
            Some(Entry::File(..) | Entry::Link(_)) => return Err(Error::Twice(path)),
            None => drop(self.entries.insert(path, Entry::Directory(access))),
        }
        Ok(())
    }

    /// A file with these bytes.
    pub fn file(&mut self, path: &str, bytes: impl Into<Vec<u8>>, access: Access) -> Result<(), Error> {
        self.add(path, Entry::File(access, Content::Bytes(bytes.into())))
    }

    /// A file of the machine, of which the bytes alone count. They are read when the layer is made.
    pub fn copy(&mut self, path: &str, from: &Path, access: Access) -> Result<(), Error> {
        let meta = fs::metadata(from).map_err(|source| unreadable(from, source))?;
        if !meta.is_file() {
            return Err(Error::Kind(from.display().to_string()));
        }
        self.add(path, Entry::File(access, Content::File(from.to_owned())))
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, points_to: &str) -> Result<(), Error> {
        if points_to.is_empty() || points_to.contains('\0') {
            return Err(Error::Path { path: points_to.to_owned(), reason: "a link has to point somewhere" });
        }
        self.add(path, Entry::Link(points_to.to_owned()))
    }

    /// All that is in a directory of the machine, below `path` (`""` is the root). Everything gets the one owner; of the
    /// permission bits only the owner's x bit of a file counts (0755, else 0644), because the others are the umask's.
    pub fn folder(&mut self, path: &str, from: &Path, uid: u32, gid: u32) -> Result<(), Error> {
        for entry in fs::read_dir(from).map_err(|source| unreadable(from, source))? {
            let entry = entry.map_err(|source| unreadable(from, source))?;
            let host = entry.path();
            let name = entry
                .file_name()
                .into_string()
                .map_err(|name| Error::Path { path: name.to_string_lossy().into_owned(), reason: "it is not UTF-8" })?;
            let inside = format!("{path}/{name}");
            let meta = fs::symlink_metadata(&host).map_err(|source| unreadable(&host, source))?;
            if meta.is_dir() {
                self.directory(&inside, Access::new(uid, gid, 0o755))?;
                self.folder(&inside, &host, uid, gid)?;
            } else if meta.is_file() {
                let mode = if meta.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
                self.copy(&inside, &host, Access::new(uid, gid, mode))?;
            } else if meta.is_symlink() {
                let target = fs::read_link(&host).map_err(|source| unreadable(&host, source))?;
                self.link(&inside, &target.to_string_lossy())?;
            } else {
                return Err(Error::Kind(host.display().to_string()));
            }
        }
        Ok(())
    }

    /// What a tar archive holds, with the owners and permission bits that the archive gives. `place` says where in the image
    /// an entry goes, or that it is left out; it is asked for the targets of hard links too.
    pub fn unpack(&mut self, archive: impl Read, place: impl Fn(&str) -> Option<String>) -> Result<(), Error> {
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries().map_err(Error::Unpack)? {
            let mut entry = entry.map_err(Error::Unpack)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if let Some(path) = place(name.trim_start_matches("./").trim_end_matches('/')).filter(|path| !path.is_empty()) {
                self.unpack_entry(&path, &mut entry, &place)?;
            }
        }
        Ok(())
    }

    fn unpack_entry(
        &mut self,
        path: &str,
        entry: &mut tar::Entry<'_, impl Read>,
        place: impl Fn(&str) -> Option<String>,
    ) -> Result<(), Error> {
        let access = access_of(entry.header()).map_err(Error::Unpack)?;
        let kind = entry.header().entry_type();
        let target = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default();
        if kind.is_dir() {
            self.directory(path, access)
        } else if kind.is_symlink() {
            self.link(path, &target)
        } else if kind.is_hard_link() {
            let original = place(target.trim_start_matches("./")).and_then(|target| self.entries.get(&target).cloned());
            let original = original.ok_or_else(|| Error::NoTarget { path: path.to_owned(), target })?;
            self.add(path, original)
        } else if kind.is_file() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(Error::Unpack)?;
            self.file(path, bytes, access)
        } else {
            Err(Error::Kind(path.to_owned()))
        }
    }

    /// Is there an entry of this name?
    pub fn contains(&self, path: &str) -> bool {
        inside(path).is_ok_and(|path| self.entries.contains_key(&path))
    }

    /// Parents before what is in them, otherwise by name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    fn add(&mut self, path: &str, entry: Entry) -> Result<(), Error> {
        let path = inside(path)?;
        self.parents(&path)?;
        if self.entries.contains_key(&path) {
            return Err(Error::Twice(path));
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    fn parents(&mut self, path: &str) -> Result<(), Error> {
        for (end, _) in path.match_indices('/') {
            let parent = path.get(..end).unwrap_or_default();
            match self.entries.get(parent) {
                Some(Entry::Directory(_)) => {}
                Some(Entry::File(..) | Entry::Link(_)) => {
                    return Err(Error::NotADirectory { path: path.to_owned(), parent: parent.to_owned() });
                }
                None => drop(self.entries.insert(parent.to_owned(), Entry::Directory(Access::PROGRAM))),
            }
        }
        Ok(())
    }
}

/// A path from the image's root without a leading slash.
fn inside(path: &str) -> Result<String, Error> {
    let refuse = |reason| Err(Error::Path { path: path.to_owned(), reason });
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() {
        return refuse("it names nothing but the root");
    }
    if parts.contains(&"..") {
        return refuse("`..` leaves it");
    }
    if path.contains('\0') {
        return refuse("it holds a zero byte");
    }
    if parts.iter().any(|part| part.starts_with(WHITEOUT)) {
        return refuse("in a layer, names that start with .wh. delete something");
    }
    Ok(parts.join("/"))
}

fn access_of(header: &tar::Header) -> io::Result<Access> {
    let id = |id: u64| u32::try_from(id).map_err(|_| io::Error::other("an owner's number is larger than 32 bits"));
    Ok(Access::new(id(header.uid()?)?, id(header.gid()?)?, header.mode()?))
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::Read { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::os::unix::{fs::symlink, net::UnixListener};

    fn names(tree: &Tree) -> Vec<&str> {
        tree.entries().map(|(path, _)| path).collect()
    }

    #[test]
    fn parents_come_by_themselves_and_before_their_children() {
        let mut tree = Tree::new();
        tree.file("/usr/bin/app", "x", Access::PROGRAM).unwrap();
        tree.file("usr-old", "x", Access::FILE).unwrap();
        tree.directory("./usr/", Access::SHARED).unwrap();
        assert_eq!(names(&tree), ["usr", "usr-old", "usr/bin", "usr/bin/app"]);
        assert!(matches!(tree.entries().next(), Some((_, Entry::Directory(Access::SHARED)))));
        assert!(tree.contains("/usr/bin/app") && !tree.contains("app"));
    }

    #[test]
    fn what_cannot_be_in_an_image_is_refused() {
        let mut tree = Tree::new();
        tree.file("etc/passwd", "x", Access::FILE).unwrap();
        tree.link("bin", "usr/bin").unwrap();
        for path in ["", "/", "../etc", "a/../b", "a\0b", "a/.wh.b", ".wh..wh..opq"] {
            assert!(matches!(tree.file(path, "x", Access::FILE), Err(Error::Path { .. })), "{path:?}");
        }
        assert!(matches!(tree.file("/etc/passwd", "y", Access::FILE), Err(Error::Twice(_))));
        assert!(matches!(tree.directory("etc/passwd", Access::FILE), Err(Error::Twice(_))));
        assert!(matches!(tree.file("etc/passwd/x", "y", Access::FILE), Err(Error::NotADirectory { .. })));
        assert!(matches!(tree.file("bin/x", "y", Access::FILE), Err(Error::NotADirectory { .. })));
        assert!(matches!(tree.link("x", ""), Err(Error::Path { .. })));
        assert!(matches!(tree.copy("x", Path::new("/nowhere/x"), Access::FILE), Err(Error::Read { .. })));
        assert!(matches!(tree.copy("x", Path::new("/"), Access::FILE), Err(Error::Kind(_))));
    }

    #[test]
    fn a_folder_brings_its_links_and_no_sockets() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::write(folder.path().join("bin/app"), "x").unwrap();
        symlink("app", folder.path().join("bin/alias")).unwrap();
        let mut tree = Tree::new();
        tree.folder("", folder.path(), 7, 8).unwrap();
        assert_eq!(names(&tree), ["bin", "bin/alias", "bin/app"]);
        let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        assert!(matches!(Tree::new().folder("", folder.path(), 0, 0), Err(Error::Kind(_))));
    }

    fn archive(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        fill(&mut builder);
        builder.into_inner().unwrap()
    }

    fn header(kind: tar::EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o4750);
        header.set_uid(33);
        header.set_gid(44);
        header
    }

    #[test]
    fn an_archive_keeps_its_owners_and_goes_where_it_is_told() {
        let bytes = archive(|builder| {
            builder.append_data(&mut header(tar::EntryType::Directory, 0), "./bin/", io::empty()).unwrap();
            builder.append_data(&mut header(tar::EntryType::Regular, 3), "./bin/app", b"app".as_slice()).unwrap();
            builder.append_link(&mut header(tar::EntryType::Link, 0), "./bin/same", "./bin/app").unwrap();
            builder.append_link(&mut header(tar::EntryType::Symlink, 0), "./bin/alias", "app").unwrap();
            builder.append_data(&mut header(tar::EntryType::Regular, 0), "./doc", io::empty()).unwrap();
        });
        let mut tree = Tree::new();
        tree.unpack(bytes.as_slice(), |path| (path != "doc").then(|| format!("usr/{path}"))).unwrap();
        assert_eq!(names(&tree), ["usr", "usr/bin", "usr/bin/alias", "usr/bin/app", "usr/bin/same"]);
        let Some(Entry::File(access, content)) = tree.entries.get("usr/bin/same") else { panic!("no file") };
        assert_eq!((*access, content.read().unwrap()), (Access::new(33, 44, 0o4750), b"app".to_vec()));
    }

    #[test]
    fn an_archive_without_a_links_target_or_with_a_device_is_refused() {
        let dangling = archive(|builder| builder.append_link(&mut header(tar::EntryType::Link, 0), "a", "b").unwrap());
        let unpack = |bytes: &[u8]| Tree::new().unpack(bytes, |path| Some(path.to_owned()));
        assert!(matches!(unpack(&dangling), Err(Error::NoTarget { .. })));
        let device = archive(|builder| builder.append_data(&mut header(tar::EntryType::Char, 0), "null", io::empty()).unwrap());
        assert!(matches!(unpack(&device), Err(Error::Kind(_))));
        assert!(matches!(unpack(&[7; 600]), Err(Error::Unpack(_))));
    }
}
