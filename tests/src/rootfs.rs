//! A container's root file system, and volumes, from static programs and a few files.

use anyhow::{Context, Result};
use rustix::fs::{Gid, Uid, chown};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

/// Directories that every root file system has: mount points of the runtime, and what programs expect.
const DIRECTORIES: [&str; 9] = ["bin", "dev", "etc", "proc", "sys", "tmp", "usr/local/bin", "var/log", "run"];
/// The applets of busybox that the demo's scripts use.
const APPLETS: [&str; 10] = ["sh", "cat", "ls", "sleep", "date", "id", "grep", "mkdir", "test", "true"];
/// Where Debian's package `busybox-static` puts it.
const BUSYBOX: &str = "/bin/busybox";

/// A directory that becomes a root file system or a volume.
#[derive(Clone, Debug)]
pub struct Tree {
    path: PathBuf,
}

/// Owner and permission bits.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    pub uid: u32,
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl Access {
    /// An owner, a group and permission bits.
    pub const fn new(uid: u32, gid: u32, mode: u32) -> Self {
        Self { uid, gid, mode }
    }

    /// Owned by root, for all to read and enter.
    pub const fn root() -> Self {
        Self::new(0, 0, 0o755)
    }

    fn apply(self, path: &Path) -> Result<()> {
        chown(path, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid))).with_context(|| format!("chown {}", path.display()))?;
        fs::set_permissions(path, Permissions::from_mode(self.mode)).with_context(|| format!("chmod {}", path.display()))
    }
}

impl Tree {
    /// An empty directory at `path`, with these rights.
    pub fn new(path: impl Into<PathBuf>, access: Access) -> Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        access.apply(&path)?;
        Ok(Self { path })
    }

    /// A root file system with busybox, its applets, and the usual empty directories.
    pub fn root(path: impl Into<PathBuf>) -> Result<Self> {
        let tree = Self::new(path, Access::root())?;
        for directory in DIRECTORIES {
            tree.directory(directory, Access::root())?;
        }
        tree.directory("tmp", Access::new(0, 0, 0o1777))?;
        tree.file("etc/passwd", "root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/:/bin/sh\n", Access::new(0, 0, 0o644))?;
        tree.copy(Path::new(BUSYBOX), "bin/busybox").context("install Debian's package busybox-static (`cargo xtask setup`)")?;
        for applet in APPLETS {
            tree.link("busybox", &format!("bin/{applet}"))?;
        }
        Ok(tree)
    }

    /// Where it is on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside as a path of the host.
    pub fn join(&self, inside: &str) -> PathBuf {
        self.path.join(inside.trim_start_matches('/'))
    }

    /// Makes a directory, and those above it.
    pub fn directory(&self, inside: &str, access: Access) -> Result<()> {
        let path = self.join(inside);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        access.apply(&path)
    }

    /// Writes a file.
    pub fn file(&self, inside: &str, text: &str, access: Access) -> Result<()> {
        let path = self.join(inside);
        self.parents_of(&path)?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        access.apply(&path)
    }

    /// Copies a file of the host, permissions included.
    pub fn copy(&self, from: &Path, inside: &str) -> Result<()> {
        let to = self.join(inside);
        self.parents_of(&to)?;
        fs::copy(from, &to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
        Ok(())
    }

    /// Makes a symbolic link.
    pub fn link(&self, points_to: &str, inside: &str) -> Result<()> {
        let path = self.join(inside);
        symlink(points_to, &path).with_context(|| format!("cannot make link {}", path.display()))
    }

    fn parents_of(&self, path: &Path) -> Result<()> {
        let parent = path.parent().unwrap_or(&self.path);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))
    }
}
