//! The cgroup of a run: `/unready/run-PID-N` below the unified hierarchy, and with `--memory` on a hybrid machine the
//! same path below the v1 memory hierarchy.
//!
//! States: made → joined by the launcher → ended (all its processes gone) → removed. Removal happens in `Drop`, so that
//! it happens on every way out; what a killed Unready left behind is removed by the next one.

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use unready_agent::cgroupfs::CgroupRoot;
use unready_diagnosis::units::CgroupId;

/// The common parent of all runs, below each hierarchy's root.
const PARENT: &str = "unready";

/// How long a process that was killed may take to be gone.
const LETTING_GO: Duration = Duration::from_secs(2);

/// The directories of a run; gone with it.
#[derive(Debug)]
pub(crate) struct RunCgroup {
    /// In the unified hierarchy.
    unified: PathBuf,
    /// In the v1 memory hierarchy, if the limit is kept there.
    memory: Option<PathBuf>,
    id: CgroupId,
    /// Held as long as we live, see [`lock`].
    _lock: File,
}

impl RunCgroup {
    /// Makes the directories and sets the limit.
    pub(crate) fn make(root: &CgroupRoot, limit: Option<u64>) -> anyhow::Result<Self> {
        remove_stale(root);
        let unified = make_directory(root.path())
            .with_context(|| format!("cannot make a cgroup below {}; is it writable for you?", root.path().display()))?;
        let id = CgroupId(fs::metadata(&unified).context("cannot read the new cgroup's id")?.ino());
        let lock = lock(&unified).context("the new cgroup is locked by another process")?;
        let mut run = Self { unified, memory: None, id, _lock: lock };
        if let Some(limit) = limit {
            run.limit_memory(root, limit)?;
        }
        Ok(run)
    }

    /// Its id, by which the kernel half knows it.
    pub(crate) fn id(&self) -> CgroupId {
        self.id
    }

    fn limit_memory(&mut self, root: &CgroupRoot, limit: u64) -> anyhow::Result<()> {
        let unsettable = || format!("cannot set the memory limit of {limit} bytes");
        if has_controller(root.path()) {
            fs::write(root.path().join("cgroup.subtree_control"), "+memory").with_context(unsettable)?;
            fs::write(root.path().join(PARENT).join("cgroup.subtree_control"), "+memory").with_context(unsettable)?;
            fs::write(self.unified.join("memory.max"), limit.to_string()).with_context(unsettable)?;
            return write_if_present(&self.unified.join("memory.swap.max"), "0").with_context(unsettable);
        }
        let v1 = root.v1_memory().context("--memory needs a memory controller, and this machine has none; see `unready doctor`")?;
        let name = self.unified.file_name().unwrap_or_default();
        let directory = v1.join(PARENT).join(name);
        fs::create_dir_all(&directory).with_context(unsettable)?;
        let directory = &*self.memory.insert(directory);
        fs::write(directory.join("memory.limit_in_bytes"), limit.to_string()).with_context(unsettable)?;
        write_if_present(&directory.join("memory.memsw.limit_in_bytes"), &limit.to_string()).with_context(unsettable)
    }

    /// Moves a process in.
    pub(crate) fn join(&self, pid: u32) -> anyhow::Result<()> {
        for directory in [Some(&self.unified), self.memory.as_ref()].into_iter().flatten() {
            fs::write(directory.join("cgroup.procs"), pid.to_string())
                .with_context(|| format!("cannot move CMD into {}", directory.display()))?;
        }
        Ok(())
    }

    /// Its processes, those of cgroups that CMD made below included.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        for directory in below(&self.unified) {
            let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid != 0));
        }
        pids
    }

    /// Whether a process of it lives.
    pub(crate) fn is_populated(&self) -> bool {
        let events = fs::read_to_string(self.unified.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "populated 1")
    }

    /// Asks all its processes to end, and ends them after `grace`; comes back when none is left.
    pub(crate) async fn end(&self, grace: Duration) {
        self.signal(Signal::SIGTERM);
        self.signal(Signal::SIGCONT); // a stopped process sees no SIGTERM
        self.is_empty_within(grace).await;
        self.kill();
        self.is_empty_within(LETTING_GO).await;
    }

    async fn is_empty_within(&self, time: Duration) {
        let deadline = Instant::now() + time;
        while self.is_populated() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends all its processes now.
    pub(crate) fn kill(&self) {
        // cgroup.kill reaches also what forks meanwhile; Linux 5.14.
        if self.is_populated() && fs::write(self.unified.join("cgroup.kill"), "1").is_err() {
            self.signal(Signal::SIGKILL);
        }
    }

    fn signal(&self, signal: Signal) {
        for pid in self.pids().into_iter().filter_map(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), signal); // it may have ended meanwhile
        }
    }
}

impl Drop for RunCgroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + LETTING_GO;
        while self.is_populated() && Instant::now() < deadline {
            self.kill();
            std::thread::sleep(Duration::from_millis(2));
        }
        for directory in [Some(&self.unified), self.memory.as_ref()].into_iter().flatten() {
            if let Err(error) = remove(directory, deadline) {
                tracing::warn!("cannot remove {}: {error}; the next `unready run` tries again", directory.display());
            }
            if let Some(parent) = directory.parent() {
                let _ = fs::remove_dir(parent); // another run may be using it
            }
        }
    }
}

fn has_controller(root: &Path) -> bool {
    fs::read_to_string(root.join("cgroup.controllers")).is_ok_and(|text| text.split_whitespace().any(|word| word == "memory"))
}

fn write_if_present(path: &Path, text: &str) -> io::Result<()> {
    if path.exists() { fs::write(path, text) } else { Ok(()) }
}

/// The directory with the first number that is free. The parent is made again if another run removes it in between.
fn make_directory(root: &Path) -> io::Result<PathBuf> {
    const TRIES: u32 = 100;
    let parent = root.join(PARENT);
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for number in 0..TRIES {
        let directory = parent.join(format!("run-{}-{number}", std::process::id()));
        match fs::create_dir_all(&parent).and_then(|()| fs::create_dir(&directory)) {
            Ok(()) => return Ok(directory),
            Err(error) if [io::ErrorKind::AlreadyExists, io::ErrorKind::NotFound].contains(&error.kind()) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Removes a directory and the cgroups below; the kernel may take a moment to let go of the last process.
fn remove(directory: &Path, deadline: Instant) -> io::Result<()> {
    for directory in below(directory).iter().rev() {
        loop {
            match fs::remove_dir(directory) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }
    Ok(())
}

/// A directory and all below it, parents first.
fn below(directory: &Path) -> Vec<PathBuf> {
    let mut all = vec![directory.to_owned()];
    let mut next = 0;
    while let Some(directory) = all.get(next).cloned() {
        next += 1;
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        all.extend(entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()));
    }
    all
}

/// Ends and removes what runs left behind that were killed themselves.
fn remove_stale(root: &CgroupRoot) {
    for unified in stale_below(root.path()) {
        let memory = root.v1_memory().zip(unified.file_name()).map(|(v1, name)| v1.join(PARENT).join(name));
        let Some(lock) = lock(&unified) else { continue };
        tracing::info!("{} was left behind by a run that was killed; what lives in it is ended", unified.display());
        drop(RunCgroup { unified, memory: memory.filter(|path| path.exists()), id: CgroupId(0), _lock: lock });
    }
    for left in root.v1_memory().into_iter().flat_map(stale_below) {
        let _ = fs::remove_dir(left); // of a run whose other half is gone
    }
}

/// The directories whose makers are gone, as far as their names say.
fn stale_below(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(PARENT)).into_iter().flatten().flatten();
    let is_gone = |pid: u32| !Path::new("/proc").join(pid.to_string()).exists();
    entries.filter(|entry| entry.file_name().to_str().and_then(owner).is_some_and(is_gone)).map(|entry| entry.path()).collect()
}

/// A lock that its maker holds as long as it lives: an Unready in another pid namespace is not in our `/proc`.
fn lock(directory: &Path) -> Option<File> {
    let lock = File::open(directory).ok()?;
    lock.try_lock().is_ok().then_some(lock)
}

/// The Unready that made a directory.
fn owner(name: &str) -> Option<u32> {
    let (pid, number) = name.strip_prefix("run-")?.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_our_own_names_are_stale() {
        assert_eq!(owner("run-12-0"), Some(12));
        for other in ["run-12", "run-x-0", "run-12-x", "walk-12-0", ""] {
            assert_eq!(owner(other), None, "{other}");
        }
    }

    #[test]
    fn children_come_after_their_parents() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("a/b/c")).unwrap();
        fs::create_dir_all(top.path().join("d")).unwrap();
        let all = below(top.path());
        assert_eq!(all.len(), 5);
        let at = |name: &str| all.iter().position(|path| path == &top.path().join(name));
        assert!(at("") < at("a") && at("a") < at("a/b") && at("a/b") < at("a/b/c"));
        assert!(remove(top.path(), Instant::now()).is_ok());
        assert!(!top.path().exists());
    }
}
