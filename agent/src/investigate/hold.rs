//! What is held of containers whose processes may be gone before anybody asks.
//!
//! A failing start is often over within a millisecond. So when a runtime enters a container's root, and when a container
//! executes its first program, descriptors of its root, its mount table and its network namespace are taken: they keep
//! the volumes attached after the last process has ended. A cgroup goes through these states:
//!
//! ```text
//!   created ──► known by its path ──► root held (RootChanged, or first Exec) ──► processes remembered (Exec) ──► released
//! ```
//!
//! Bounded: 256 containers and 64 services of the node, 16 processes a container. The oldest go first, of containers those
//! below the one that has most of them. A held namespace keeps a volume busy, so nothing is held longer than until
//! [`Store::release`].

use super::{
    held::{self, Held, Namespaces, Remembered},
    proc,
};
use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
};
use unready_diagnosis::{attribution, question::Memory, record::Task, units::CgroupId};

/// Containers held at most.
const MAX_CONTAINERS: usize = 256;
/// Cgroups of the node's own namespace held at most (services, `unready run`).
const MAX_SERVICES: usize = 64;
/// Cgroups known by their path at most.
const MAX_KNOWN: usize = 8192;
/// Stack of the thread that only closes, bytes.
const CLOSER_STACK: usize = 64 * 1024;

#[derive(Debug, Default)]
struct Entry {
    path: Option<Box<str>>,
    held: Option<Arc<Held>>,
    memory: Option<Memory>,
    is_removed: bool,
    /// A runtime entered a root here, whether or not it could be held.
    is_container: bool,
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
    /// To the thread that closes; it ends with the store.
    closer: Option<mpsc::Sender<Arc<Held>>>,
}

impl Store {
    pub(super) fn new() -> Self {
        let node = [proc::own_namespace("mnt"), proc::namespace(proc::KTHREADD, "mnt")].into_iter().flatten().collect();
        Self { inner: Mutex::default(), node, closer: start_closer() }
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
            if entry.held.is_none() && entry.memory.is_none() {
                inner.entries.remove(&id);
            }
        }
    }

    /// Lets go of what was held.
    pub(super) fn release(&self, id: CgroupId) {
        let dropped = self.lock().release(id);
        self.discard(dropped);
    }

    /// A runtime has entered a container's root.
    pub(super) fn root_changed(&self, task: &Task) {
        // A second one comes from a program that makes a sandbox of its own inside the container.
        if self.held(task.cgroup).is_some_and(|held| held.is_running()) {
            return;
        }
        let before = self.held(task.cgroup).filter(|held| !held.is_node).map(|held| held.place.mount_namespace);
        let place = Namespaces::take(task.process.pid, false).filter(|_| !is_another(task));
        let inside: Vec<u64> = place.iter().map(|place| place.mount_namespace).chain(before).collect();
        match place {
            Some(place) => self.hold(task.cgroup, Held::of_container(place, task)),
            None => self.release(task.cgroup), // what a helper saw before it entered the root is not the container's
        }
        if let Some(entry) = self.lock().entries.get_mut(&task.cgroup) {
            entry.is_container = true;
        }
        // Last, for it may get stuck: the root is held by then.
        if !inside.is_empty()
            && let Some(spec) = held::runtime_spec(task, &inside)
        {
            self.change(task.cgroup, |held| held.describe(spec));
        }
    }

    /// A program was executed. Returns whether it was the cgroup's first one that could be looked at.
    pub(super) fn executed(&self, task: &Task) -> bool {
        let pid = task.process.pid;
        let Some(namespace) = proc::namespace(pid, "mnt") else {
            return false; // gone already
        };
        let known = self.held(task.cgroup);
        match known.as_deref() {
            Some(held) if held.place.mount_namespace == namespace => {}
            // A helper of the runtime on its way in; or a program that made a namespace of its own, which lives.
            Some(held) if !held.is_node => return false,
            _ => {
                let is_node = self.is_node(namespace);
                if is_node && self.is_container(task.cgroup) {
                    return false;
                }
                let Some(place) = Namespaces::take(pid, is_node).filter(|_| !is_another(task)) else { return false };
                self.hold(task.cgroup, Held::new(place, is_node));
            }
        }
        self.remember(task);
        known.is_none_or(|held| !held.has_executed())
    }

    fn remember(&self, task: &Task) {
        let in_full = self.held(task.cgroup).is_some_and(|held| held.wants_detail());
        let seen = Remembered::read(task.process, in_full);
        if in_full && is_another(task) {
            return;
        }
        self.change(task.cgroup, |held| held.remember(seen));
    }

    /// Closing the last descriptor of a mount namespace takes it apart, which may wait long for the kernel's lock on all
    /// mounts: a thread of its own does it.
    fn discard(&self, held: Option<Arc<Held>>) {
        if let (Some(held), Some(closer)) = (held, &self.closer) {
            drop(closer.send(held));
        }
    }

    fn change(&self, id: CgroupId, change: impl FnOnce(&mut Held)) {
        if let Some(held) = self.lock().entries.get_mut(&id).and_then(|entry| entry.held.as_mut()) {
            change(Arc::make_mut(held));
        }
    }

    fn hold(&self, id: CgroupId, held: Held) {
        let dropped = self.lock().hold(id, held);
        for held in dropped {
            self.discard(held);
        }
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

    /// A number of the container that a cgroup belongs to: cgroups inside a container, which it may make itself, have its own.
    pub(super) fn container(&self, id: CgroupId) -> u64 {
        match self.path(id).map(|path| (attribution::place(&path), path)) {
            Some((attribution::Place::Nested { container }, _)) => number(&container),
            Some((_, path)) => number(&path),
            None => number(id.0),
        }
    }

    /// Path of a cgroup in the unified hierarchy.
    pub(super) fn path(&self, id: CgroupId) -> Option<String> {
        self.lock().entries.get(&id)?.path.as_deref().map(str::to_owned)
    }

    /// Whether it is a command of `unready run`, which starts it in its own namespaces.
    pub(super) fn is_local(&self, id: CgroupId) -> bool {
        self.path(id).is_some_and(|path| matches!(attribution::place(&path), attribution::Place::Run { .. }))
    }

    /// Whether a mount namespace is the node's own.
    pub(super) fn is_node(&self, namespace: u64) -> bool {
        self.node.contains(&namespace)
    }

    /// Whether a process of the node's namespace is only a helper here: the cgroup is named as a container's, or a
    /// runtime has entered a root in it.
    pub(super) fn is_container(&self, id: CgroupId) -> bool {
        use attribution::Place::{Container, Nested, Other, Pod, Run};
        let inner = self.lock();
        let Some(entry) = inner.entries.get(&id) else { return false };
        let is_named = || match attribution::place(entry.path.as_deref().unwrap_or_default()) {
            Container { .. } | Nested { .. } | Pod { .. } => true,
            Run { .. } | Other => false,
        };
        entry.is_container || is_named()
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
        if queue.len() > limit {
            let leaving = if held.is_node { self.services.front().copied() } else { self.most_numerous() };
            dropped.extend(leaving.map(|leaving| self.release(leaving)));
        }
        self.make_room();
        self.entries.entry(id).or_default().held = Some(Arc::new(held));
        dropped
    }

    /// The oldest that is held of the container with the most below it: who makes many takes no one else's place.
    fn most_numerous(&self) -> Option<CgroupId> {
        let path = |id| self.entries.get(id).and_then(|entry| entry.path.as_deref()).unwrap_or_default();
        let owners: Vec<&str> = self.containers.iter().map(path).map(|path| attribution::around(path).unwrap_or(path)).collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for owner in &owners {
            *counts.entry(owner).or_default() += 1;
        }
        let most = counts.values().max()?;
        self.containers.iter().zip(&owners).find(|(_, owner)| counts.get(*owner) == Some(most)).map(|(id, _)| *id)
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

fn number(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Whether the number has come to mean another process since the record was made: looks are taken some time after.
fn is_another(task: &Task) -> bool {
    proc::started(task.process.pid).is_some() && !proc::is_same(task.process)
}

fn start_closer() -> Option<mpsc::Sender<Arc<Held>>> {
    let (sender, receiver) = mpsc::channel();
    let close = move || receiver.into_iter().for_each(drop);
    thread::Builder::new().name("close".to_owned()).stack_size(CLOSER_STACK).spawn(close).ok()?;
    Some(sender)
}
