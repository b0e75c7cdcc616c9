//! What is held of one container: its root and namespaces, the runtime's description, some of its processes.

use super::{bundle::OciConfig, contents, metadata::stat, mounts, proc};
use rustix::fs::{Mode, OFlags, openat};
use std::{
    collections::VecDeque,
    fs::File,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};
use unready_diagnosis::{question::IdRange, record::Task, units::Process};

/// Processes of a container remembered at most.
const MAX_PROCESSES: usize = 16;
/// Execs of a container whose process is described in full; a shell loop must not cost more than its working directory.
const MAX_DESCRIBED: u32 = 16;

/// The namespaces and the root of a container.
#[derive(Debug)]
pub(super) struct Namespaces {
    pub(super) root: Arc<OwnedFd>,
    /// The open mount table: it keeps the mount namespace, with its volumes attached, and shows it as it is when read.
    /// `None`: the node's own.
    pub(super) mounts: Option<Arc<File>>,
    /// Number of the mount namespace.
    pub(super) mount_namespace: u64,
    pub(super) network: Option<Arc<OwnedFd>>,
    pub(super) uid_map: Box<[IdRange]>,
    pub(super) gid_map: Box<[IdRange]>,
}

impl Namespaces {
    /// Takes hold of what a living process sees; the root comes first, it is lost first. Nothing here waits for the
    /// kernel's lock on all mounts, which runtimes hold for tens of milliseconds: reading a mount table would.
    pub(super) fn take(pid: u32, is_node: bool) -> Option<Self> {
        let root = proc::hold(&proc::path(pid, "root"))?;
        Some(Self {
            mounts: if is_node { None } else { mounts::open(pid) },
            mount_namespace: proc::namespace(pid, "mnt")?,
            network: proc::hold_namespace(pid, "net").map(Arc::new),
            uid_map: proc::id_map(pid, "uid_map").into(),
            gid_map: proc::id_map(pid, "gid_map").into(),
            root: Arc::new(root),
        })
    }
}

/// What is remembered of a process.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    process: Process,
    cwd: Option<Box<str>>,
    confinement: Option<proc::Confinement>,
    open_files: Option<(u64, u64)>,
}

impl Remembered {
    pub(super) fn read(process: Process, in_full: bool) -> Self {
        Self {
            process,
            cwd: proc::place(process.pid, "cwd").map(Into::into),
            confinement: in_full.then(|| proc::confinement(process.pid)),
            open_files: if in_full { proc::open_files(process.pid) } else { None },
        }
    }
}

/// What is held of a container.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) place: Arc<Namespaces>,
    /// The process that entered the root: it becomes the container's first program.
    entered: Option<Process>,
    /// The runtime's `config.json`, open; parsed when asked.
    spec: Option<Arc<File>>,
    pub(super) is_node: bool,
    executed: u32,
    processes: VecDeque<Remembered>,
}

impl Held {
    pub(super) fn new(place: Namespaces, is_node: bool) -> Self {
        Self { place: Arc::new(place), entered: None, spec: None, is_node, executed: 0, processes: VecDeque::new() }
    }

    /// What is held when a process of the runtime has entered the root.
    pub(super) fn of_container(place: Namespaces, task: &Task) -> Self {
        Self { entered: Some(task.process), ..Self::new(place, false) }
    }

    /// Adds the runtime's description, which may take longer to be had than the root is there.
    pub(super) fn describe(&mut self, spec: Arc<File>) {
        self.spec = Some(spec);
    }

    /// A program was executed, and could be looked at.
    pub(super) fn has_executed(&self) -> bool {
        self.executed > 0
    }

    /// The runtime has done its work here.
    pub(super) fn is_running(&self) -> bool {
        self.entered.is_some() && self.has_executed()
    }

    /// The next process to be remembered is worth a full description.
    pub(super) fn wants_detail(&self) -> bool {
        self.executed < MAX_DESCRIBED
    }

    fn of(&self, process: Process) -> Option<&Remembered> {
        self.processes.iter().rev().find(|known| {
            known.process.pid == process.pid && (known.process.start == process.start || known.process.start == 0 || process.start == 0)
        })
    }

    /// Where a process that is gone worked. A child that never executed anything inherits it: the last program's is as
    /// good a guess as there is.
    pub(super) fn working_directory(&self, process: Process) -> Option<String> {
        if let Some(cwd) = self.of(process).and_then(|known| known.cwd.as_deref()) {
            return Some(cwd.to_owned());
        }
        let by_spec = || self.spec().map(|spec| spec.cwd).filter(|cwd| cwd.starts_with('/'));
        if self.entered.is_some_and(|entered| entered.pid == process.pid) {
            return by_spec();
        }
        let last = self.processes.iter().rev().find_map(|known| known.cwd.as_deref());
        last.map(str::to_owned).or_else(by_spec)
    }

    /// Where programs of the container worked, the last first, and where the first one was told to.
    pub(super) fn working_directories(&self) -> impl Iterator<Item = String> {
        let seen = self.processes.iter().rev().filter_map(|known| known.cwd.as_deref()).map(str::to_owned);
        seen.chain(self.spec().map(|spec| spec.cwd).filter(|cwd| cwd.starts_with('/')))
    }

    /// What confined a process that is gone.
    pub(super) fn confinement(&self, process: Process) -> proc::Confinement {
        if let Some(known) = self.of(process).and_then(|known| known.confinement.clone()) {
            return known;
        }
        let last = || self.processes.iter().rev().find_map(|known| known.confinement.clone());
        self.spec().map(|spec| spec.confinement()).or_else(last).unwrap_or_default()
    }

    /// Limits of open files of a process that is gone.
    pub(super) fn open_files(&self, process: Process) -> Option<(u64, u64)> {
        let last = || self.processes.iter().rev().find_map(|known| known.open_files);
        self.of(process).and_then(|known| known.open_files).or_else(last)
    }

    /// What the runtime was told, if its description was held.
    pub(super) fn spec(&self) -> Option<OciConfig> {
        OciConfig::read(self.spec.as_deref()?)
    }

    /// Adds a process that has executed a program.
    pub(super) fn remember(&mut self, seen: Remembered) {
        self.executed = self.executed.saturating_add(1);
        self.processes.retain(|known| known.process.pid != seen.process.pid);
        if self.processes.len() >= MAX_PROCESSES {
            let first = self.entered.map(|entered| entered.pid); // outlives any number of exec probes
            let oldest = self.processes.iter().position(|known| Some(known.process.pid) != first);
            self.processes.remove(oldest.unwrap_or(0));
        }
        self.processes.push_back(seen);
    }
}

/// The description that the runtime works from: runc and crun change into the bundle before they make the container, and
/// the process that enters the root is their child. The descriptor outlives the bundle.
///
/// In a container anybody may enter a root, and work in a directory of a file system that never answers: a parent with one
/// of the `inside` mount namespaces is no runtime. A runtime on a network file system is one, so nothing else is refused, and
/// this is only called where it may get stuck.
pub(super) fn runtime_spec(task: &Task, inside: &[u64]) -> Option<Arc<File>> {
    let parent = match task.parent {
        0 => proc::status_field(task.process.pid, "PPid")?.parse().ok()?,
        parent => parent,
    };
    if proc::namespace(parent, "mnt").is_none_or(|namespace| inside.contains(&namespace)) {
        return None;
    }
    let bundle = proc::hold(&proc::path(parent, "cwd"))?;
    stat(bundle.as_fd()).ok()?; // tells where we are, before a name is looked up there
    let file = openat(bundle, "config.json", OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    let stat = stat(file.as_fd()).ok()?;
    contents::reopen_regular(&file, &stat).ok().map(Arc::new)
}
