//! Cgroups that are made and removed by us: the parent of a run's containers, and cgroups without any container.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Mount points of all cgroup hierarchies, and which of them is the unified one.
#[derive(Clone, Debug)]
pub struct Hierarchies {
    unified: PathBuf,
    all: Vec<PathBuf>,
}

impl Hierarchies {
    /// Finds them in `/proc/self/mountinfo`, field 5, by the file system type after the separator (proc(5)).
    pub fn find() -> Result<Self> {
        let text = fs::read_to_string("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
        let (mut unified, mut all) = (None, Vec::new());
        for line in text.lines() {
            let Some((mount, rest)) = line.split_once(" - ") else { continue };
            let Some(point) = mount.split(' ').nth(4).map(PathBuf::from) else { continue };
            match rest.split(' ').next() {
                Some("cgroup2") => unified = unified.or(Some(point.clone())),
                Some("cgroup") => {}
                _ => continue,
            }
            all.push(point);
        }
        let Some(unified) = unified else {
            bail!("no cgroup2 hierarchy is mounted: mount one (`mount -t cgroup2 none /sys/fs/cgroup/unified`)")
        };
        Ok(Self { unified, all })
    }

    /// Roots of all hierarchies.
    pub fn all(&self) -> &[PathBuf] {
        &self.all
    }

    /// Root of the unified hierarchy.
    pub fn unified(&self) -> &Path {
        &self.unified
    }
}

/// A cgroup of the unified hierarchy, and its namesakes that a runtime may make in the others; removed on drop, with
/// what is left below them.
#[derive(Debug)]
pub struct Cgroup {
    hierarchies: Hierarchies,
    path: String,
}

impl Cgroup {
    /// Makes a cgroup; `path` begins with `/`.
    pub fn new(hierarchies: &Hierarchies, path: impl Into<String>) -> Result<Self> {
        let made = Self { hierarchies: hierarchies.clone(), path: path.into() };
        let directory = made.directory();
        fs::create_dir_all(&directory).with_context(|| format!("cannot make cgroup {}", directory.display()))?;
        Ok(made)
    }

    /// Path below the hierarchy's root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its directory in the unified hierarchy.
    pub fn directory(&self) -> PathBuf {
        self.hierarchies.unified.join(self.path.trim_start_matches('/'))
    }

    /// Moves a process into it.
    pub fn attach(&self, pid: u32) -> Result<()> {
        let procs = self.directory().join("cgroup.procs");
        fs::write(&procs, pid.to_string()).with_context(|| format!("cannot move process {pid} into {}", procs.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for hierarchy in &self.hierarchies.all {
            remove(&hierarchy.join(self.path.trim_start_matches('/')));
        }
    }
}

/// Removes a cgroup and those below it; a process that has just ended may keep it busy for a moment.
fn remove(directory: &Path) {
    for child in fs::read_dir(directory).into_iter().flatten().flatten() {
        if child.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&child.path());
        }
    }
    for _ in 0..100 {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => thread::sleep(Duration::from_millis(10)),
            _ => return,
        }
    }
}
