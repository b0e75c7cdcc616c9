//! The kernel half, a cgroup of our own, and the records that come of it.

use anyhow::{Context as _, Result};
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};
use unready_agent::{
    bpf::{KernelHalf, LoadOptions, Reader},
    cgroupfs::CgroupRoot,
};
use unready_agent_common::watch::Level;
use unready_diagnosis::{decode, record::Record, units::CgroupId};

/// A record comes within microseconds; under emulation and load within this.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Everything attached.
pub(crate) struct Watcher {
    pub(crate) kernel: KernelHalf,
    /// How long loading took.
    pub(crate) load: Duration,
    /// How long attaching everything took.
    pub(crate) attach: Duration,
    reader: Reader,
    root: CgroupRoot,
    cgroups: u32,
}

/// A cgroup, removed with its value.
pub(crate) struct Cgroup {
    pub(crate) id: CgroupId,
    /// Below the hierarchy's root.
    pub(crate) path: String,
    pub(crate) directory: PathBuf,
}

impl Watcher {
    /// Loads and attaches everything. Inside a tokio runtime.
    pub(crate) fn start() -> Result<Self> {
        let began = Instant::now();
        let mut kernel = KernelHalf::load(&LoadOptions::default())?;
        let load = began.elapsed();
        let reader = kernel.take_reader()?;
        let began = Instant::now();
        kernel.attach_lifecycle()?;
        kernel.attach_starting()?;
        Ok(Self { kernel, load, attach: began.elapsed(), reader, root: CgroupRoot::find()?, cgroups: 0 })
    }

    /// Makes a cgroup. The kernel half watches it by itself.
    pub(crate) fn cgroup(&mut self) -> Result<Cgroup> {
        self.cgroups += 1;
        let path = format!("/unready-vm-init-{}-{}", std::process::id(), self.cgroups);
        let directory = self.root.directory(&path);
        fs::create_dir(&directory).with_context(|| format!("make the cgroup {}", directory.display()))?;
        let id = CgroupId(fs::metadata(&directory)?.ino());
        Ok(Cgroup { id, path, directory })
    }

    /// Starts a process that does one thing in a cgroup.
    pub(crate) fn start_act(what: &str, cgroup: &Cgroup) -> Result<Child> {
        // As process 1 our own program is /init; /proc/self/exe names it in both worlds.
        Command::new("/proc/self/exe").args(["act", what]).arg(&cgroup.directory).spawn().context("start a process")
    }

    /// Lets a process do one thing in a cgroup; returns its process id and how it ended.
    pub(crate) fn act(what: &str, cgroup: &Cgroup) -> Result<(u32, ExitStatus)> {
        let mut child = Self::start_act(what, cgroup)?;
        let pid = child.id();
        Ok((pid, child.wait().context("wait for a process")?))
    }

    /// The records of a cgroup until one of them is wanted, or patience ends; then those that follow at once.
    pub(crate) fn records(&mut self, wanted: impl Fn(&Record) -> bool) -> Vec<Record> {
        let began = Instant::now();
        let mut records = Vec::new();
        loop {
            let taken = self.reader.drain(|bytes| match decode::decode(bytes) {
                Ok((_, record)) => records.push(record),
                Err(error) => println!("NOTE a record cannot be decoded: {error}"),
            });
            if taken == 0 && (records.iter().any(&wanted) || began.elapsed() > PATIENCE) {
                return records;
            }
            if taken == 0 {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Removes a cgroup; it is busy while a process of it is still being buried.
    pub(crate) fn remove(directory: &Path) {
        for _ in 0..100 {
            match fs::remove_dir(directory) {
                Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => std::thread::sleep(PAUSE),
                _ => break,
            }
        }
    }

    /// Whether a cgroup is watched as one that starts.
    pub(crate) fn is_starting(&self, cgroup: &Cgroup) -> bool {
        self.kernel.watched(cgroup.id).is_some_and(|watch| watch.level == Level::Starting as u32)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        Watcher::remove(&self.directory);
    }
}
