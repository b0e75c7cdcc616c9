//! What is held of containers whose processes may be gone before anybody asks.
//!
//! A failing start is often over within a millisecond. So when a runtime enters a container's root, and when a container
//! executes its first program, descriptors of its root and of its mount and network namespaces are taken: they keep the
//! volumes attached after the last process has ended. A cgroup goes through these states:
//!
//! ```text
//!   created ──► known by its path ──► root held (RootChanged, or first Exec) ──► processes remembered (Exec) ──► released
//! ```
//!
//! Bounded: 256 containers and 64 services of the node, the oldest of each go first; 16 processes a container. A held
//! namespace keeps a volume busy, so nothing is held longer than until [`Store::release`].

use super::{bundle::Spec, mounts, proc};
use rustix::fs::{Mode, OFlags, open};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use unready_diagnosis::{
    attribution,
    question::{IdRange, Memory},
    record::Task,
    units::{CgroupId, Process},
};

/// Containers held at most.
const MAX_CONTAINERS: usize = 256;
/// Cgroups of the node's own namespace held at most (services, `unready run`).
const MAX_SERVICES: usize = 64;
/// Cgroups known by their path at most.
const MAX_KNOWN: usize = 8192;
/// Processes of a container remembered at most.
const MAX_PROCESSES: usize = 16;
/// Execs of a container whose process is described in full; a shell loop must not cost more than its working directory.
const MAX_DESCRIBED: u32 = 16;
/// kthreadd, which stays in the node's first namespaces and whose links may be read where init's may not.
const KTHREADD: u32 = 2;

/// The namespaces and the root of a container.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) root: Arc<OwnedFd>,
    pub(super) namespace: Option<Arc<OwnedFd>>,
    /// Number of the mount namespace.
    pub(super) mount_namespace: u64,
    pub(super) network: Option<Arc<OwnedFd>>,
    /// `None`: the node's own, which is read when asked.
    pub(super) mountinfo: Option<Arc<str>>,
    pub(super) uid_map: Box<[IdRange]>,
    pub(super) gid_map: Box<[IdRange]>,
}

impl Place {
    /// Takes hold of what a living process sees. The root comes first: it is what is lost first.
    fn take(pid: u32, is_node: bool) -> Option<Self> {
        let root = proc::hold(&proc::path(pid, "root"))?;
        Some(Self {
            namespace: proc::hold_namespace(pid, "mnt").map(Arc::new),
            mount_namespace: proc::namespace(pid, "mnt")?,
            network: proc::hold_namespace(pid, "net").map(Arc::new),
            mountinfo: if is_node { None } else { mountinfo(pid, &root) },
            uid_map: proc::id_map(pid, "uid_map").into(),
            gid_map: proc::id_map(pid, "gid_map").into(),
            root: Arc::new(root),
        })
    }

    /// The same place with its mount table read again: the runtime was not done when it was first read.
    fn reread(&self, pid: u32) -> Self {
        Self {
            root: Arc::clone(&self.root),
            namespace: self.namespace.clone(),
            mount_namespace: self.mount_namespace,
            network: self.network.clone(),
            mountinfo: mountinfo(pid, &self.root).or_else(|| self.mountinfo.clone()),
            uid_map: self.uid_map.clone(),
            gid_map: self.gid_map.clone(),
        }
    }
}

fn mountinfo(pid: u32, root: &OwnedFd) -> Option<Arc<str>> {
    let text = proc::read(pid, "mountinfo", mounts::MAX_READ).filter(|text| !text.is_empty())?;
    let root = super::resolve::stat(root.as_fd()).ok().map(|stat| stat.stx_mnt_id).filter(|id| *id != 0);
    Some(mounts::below_root(&text, root).into())
}

/// What is remembered of a process.
#[derive(Clone, Debug)]
struct Remembered {
    process: Process,
    cwd: Option<Box<str>>,
    confinement: Option<proc::Confinement>,
    open_files: Option<(u64, u64)>,
}

impl Remembered {
    fn read(process: Process, in_full: bool) -> Self {
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
    pub(super) place: Arc<Place>,
    /// The process that entered the root: it becomes the container's first program.
    entered: Option<Process>,
    /// The runtime's `config.json`, open; parsed when asked.
    spec: Option<Arc<File>>,
    /// The mount table was read again after the runtime was done.
    is_settled: bool,
    is_node: bool,
    described: u32,
    processes: VecDeque<Remembered>,
}

impl Held {
    fn new(place: Place, is_node: bool) -> Self {
        Self { place: Arc::new(place), entered: None, spec: None, is_settled: is_node, is_node, described: 0, processes: VecDeque::new() }
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
    pub(super) fn spec(&self) -> Option<Spec> {
        Spec::read(self.spec.as_deref()?)
    }

    fn remember(&mut self, process: Process, seen: Remembered) {
        self.processes.retain(|known| known.process.pid != process.pid);
        if self.processes.len() >= MAX_PROCESSES {
            let first = self.entered.map(|entered| entered.pid); // outlives any number of exec probes
            let oldest = self.processes.iter().position(|known| Some(known.process.pid) != first);
            self.processes.remove(oldest.unwrap_or(0));
        }
        self.processes.push_back(seen);
    }
}

#[derive(Debug, Default)]
struct Entry {
    path: Option<Box<str>>,
    held: Option<Arc<Held>>,
    memory: Option<Memory>,
    is_removed: bool,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<CgroupId, Entry>,
    /// Oldest first.
    containers: VecDeque<CgroupId>,
    services: VecDeque<CgroupId>,
}

/// All that is held.
#[derive(Debug)]
pub(super) struct Store {
    inner: Mutex<Inner>,
    /// Mount namespaces whose processes are the node's own.
    node: Vec<u64>,
}

impl Store {
    pub(super) fn new() -> Self {
        let node = [proc::own_namespace("mnt"), proc::namespace(KTHREADD, "mnt")].into_iter().flatten().collect();
        Self { inner: Mutex::default(), node }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner) // no invariant spans two statements
    }

    /// Learns a cgroup's path.
    pub(super) fn created(&self, id: CgroupId, path: &str) {
        let mut inner = self.lock();
        inner.make_room();
        let entry = inner.entries.entry(id).or_default();
        entry.path = Some(path.into());
        entry.is_removed = false;
    }

    /// Its path is kept while something is held: the engine may still have questions.
    pub(super) fn removed(&self, id: CgroupId) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get_mut(&id) {
            entry.is_removed = true;
            if entry.held.is_none() {
                inner.entries.remove(&id);
            }
        }
    }

    /// Lets go of what was held.
    pub(super) fn release(&self, id: CgroupId) {
        let dropped = self.lock().release(id);
        drop(dropped); // closing the last descriptor of a namespace may take long: not under the lock
    }

    /// A runtime has entered a container's root.
    pub(super) fn root_changed(&self, task: &Task) {
        // A second one comes from a program that makes a sandbox of its own inside the container.
        let is_running = self.held(task.cgroup).is_some_and(|held| held.entered.is_some() && held.described > 0);
        let Some(place) = (if is_running { None } else { Place::take(task.process.pid, false) }) else { return };
        let held = Held { entered: Some(task.process), spec: runtime_spec(task), ..Held::new(place, false) };
        self.hold(task.cgroup, held);
    }

    /// A program was executed. Returns whether it was the cgroup's first one that could be looked at.
    pub(super) fn executed(&self, task: &Task) -> bool {
        let pid = task.process.pid;
        let Some(namespace) = proc::namespace(pid, "mnt") else {
            return false; // gone already
        };
        let known = self.held(task.cgroup);
        match known.as_deref() {
            Some(held) if held.place.mount_namespace == namespace => self.settle(task, held),
            // A helper of the runtime on its way in; or a program that made a namespace of its own, which lives.
            Some(held) if !held.is_node => return false,
            _ => {
                let is_node = self.node.contains(&namespace);
                let Some(place) = Place::take(pid, is_node) else { return false };
                self.hold(task.cgroup, Held::new(place, is_node));
            }
        }
        self.remember(task);
        known.is_none_or(|held| held.described == 0)
    }

    fn settle(&self, task: &Task, held: &Held) {
        if held.is_settled {
            return;
        }
        let place = Arc::new(held.place.reread(task.process.pid));
        self.change(task.cgroup, |held| {
            held.place = place;
            held.is_settled = true;
        });
    }

    fn remember(&self, task: &Task) {
        let described = self.held(task.cgroup).map_or(0, |held| held.described);
        let seen = Remembered::read(task.process, described < MAX_DESCRIBED);
        self.change(task.cgroup, |held| {
            held.described = held.described.saturating_add(1);
            held.remember(task.process, seen);
        });
    }

    fn change(&self, id: CgroupId, change: impl FnOnce(&mut Held)) {
        if let Some(held) = self.lock().entries.get_mut(&id).and_then(|entry| entry.held.as_mut()) {
            change(Arc::make_mut(held));
        }
    }

    fn hold(&self, id: CgroupId, held: Held) {
        let dropped = self.lock().hold(id, held);
        drop(dropped);
    }

    /// What is held of a cgroup.
    pub(super) fn held(&self, id: CgroupId) -> Option<Arc<Held>> {
        self.lock().entries.get(&id)?.held.clone()
    }

    /// How many are held.
    pub(super) fn count(&self) -> usize {
        let inner = self.lock();
        inner.containers.len() + inner.services.len()
    }

    /// Path of a cgroup in the unified hierarchy.
    pub(super) fn path(&self, id: CgroupId) -> Option<String> {
        self.lock().entries.get(&id)?.path.as_deref().map(str::to_owned)
    }

    /// Whether it is a command of `unready run`, which starts it in its own namespaces.
    pub(super) fn is_local(&self, id: CgroupId) -> bool {
        self.path(id).is_some_and(|path| matches!(attribution::place(&path), attribution::Place::Run { .. }))
    }

    /// Remembers a cgroup's memory; what is known stays when a later look knows less.
    pub(super) fn remember_memory(&self, id: CgroupId, new: Memory) {
        if let Some(entry) = self.lock().entries.get_mut(&id) {
            let old = entry.memory.unwrap_or_default();
            entry.memory = Some(Memory {
                limit: new.limit.or(old.limit),
                peak: new.peak.max(old.peak),
                current: new.current.or(old.current),
                oom_kills: new.oom_kills.max(old.oom_kills),
            });
        }
    }

    /// What was remembered.
    pub(super) fn memory(&self, id: CgroupId) -> Option<Memory> {
        self.lock().entries.get(&id)?.memory
    }
}

impl Inner {
    fn hold(&mut self, id: CgroupId, held: Held) -> Vec<Option<Arc<Held>>> {
        let mut dropped = vec![self.forget(id)];
        let (queue, limit) = if held.is_node { (&mut self.services, MAX_SERVICES) } else { (&mut self.containers, MAX_CONTAINERS) };
        queue.push_back(id);
        let oldest = if queue.len() > limit { queue.front().copied() } else { None };
        dropped.extend(oldest.map(|oldest| self.release(oldest)));
        self.make_room();
        self.entries.entry(id).or_default().held = Some(Arc::new(held));
        dropped
    }

    fn forget(&mut self, id: CgroupId) -> Option<Arc<Held>> {
        self.containers.retain(|known| *known != id);
        self.services.retain(|known| *known != id);
        self.entries.get_mut(&id)?.held.take()
    }

    fn release(&mut self, id: CgroupId) -> Option<Arc<Held>> {
        let held = self.forget(id);
        if self.entries.get(&id).is_some_and(|entry| entry.is_removed || entry.path.is_none()) {
            self.entries.remove(&id);
        }
        held
    }

    /// Ids grow with time: the lowest without anything held is the oldest, and likely at rest.
    fn make_room(&mut self) {
        if self.entries.len() >= MAX_KNOWN
            && let Some(oldest) = self.entries.iter().find(|(_, entry)| entry.held.is_none()).map(|(id, _)| *id)
        {
            self.entries.remove(&oldest);
        }
    }
}

/// The description that the runtime works from: runc and crun change into the bundle before they make the container, and
/// the process that enters the root is their child. The descriptor outlives the bundle.
fn runtime_spec(task: &Task) -> Option<Arc<File>> {
    let parent = match task.parent {
        0 => proc::status_field(task.process.pid, "PPid")?.parse().ok()?,
        parent => parent,
    };
    let path = proc::path(parent, "cwd/config.json");
    // NONBLOCK: whatever lies there, opening it must not block.
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    let file = File::from(file);
    file.metadata().is_ok_and(|metadata| metadata.is_file()).then(|| Arc::new(file))
}
