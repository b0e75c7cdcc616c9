//! Through what a container is seen: a living process, what was held of its root, or a root file system on the host as the
//! runtime prepared it. What is seen through it is looked at elsewhere: here are only the ways in.

use super::{
    bundle::{OciConfig, Volumes},
    held::Held,
    mounts, proc,
};
use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};
use unready_diagnosis::{
    question::{self, IdRange},
    units::Process,
};

/// Most processes of a cgroup that are tried.
const MAX_SIBLINGS: usize = 64;

/// A container's file system, with what is known of the process that is asked about.
#[derive(Debug)]
pub(super) struct View {
    pub(super) kind: question::View,
    root: Arc<OwnedFd>,
    /// The open mount table, which keeps the mounts below the root attached while we look. `None`: the node's own.
    mounts: Option<Arc<File>>,
    /// The process of the question, while it lives.
    pub(super) live: Option<u32>,
    /// A living process of the same namespaces.
    pub(super) neighbour: Option<u32>,
    pub(super) held: Option<Arc<Held>>,
    /// Where the first program works, by the runtime's description.
    pub(super) cwd: Option<String>,
    /// Mounts by the runtime's description, when the root is only what it prepared on the host.
    pub(super) volumes: Option<Volumes>,
    /// Directory of its cgroup, for its other processes.
    pub(super) cgroup: Option<PathBuf>,
}

impl View {
    /// Nothing but a root is known.
    fn of_root(kind: question::View, root: Arc<OwnedFd>) -> Self {
        Self { kind, root, mounts: None, live: None, neighbour: None, held: None, cwd: None, volumes: None, cgroup: None }
    }

    /// The process of the question itself, if it lives.
    pub(super) fn of_process(process: Process, held: Option<&Arc<Held>>) -> Option<Self> {
        let view = Self::through(process.pid, question::View::Process, held)?;
        // Looked at after opening: if it is the same process now, it was then.
        proc::is_same(process).then_some(Self { live: Some(process.pid), ..view })
    }

    /// Another process of the container.
    pub(super) fn of_sibling(pid: u32, held: Option<&Arc<Held>>) -> Option<Self> {
        Self::through(pid, question::View::Sibling, held)
    }

    fn through(pid: u32, kind: question::View, held: Option<&Arc<Held>>) -> Option<Self> {
        let root = Arc::new(proc::hold(&proc::path(pid, "root"))?);
        Some(Self { mounts: Some(mounts::open(pid)?), neighbour: Some(pid), held: held.cloned(), ..Self::of_root(kind, root) })
    }

    /// What was held, all processes may be gone.
    pub(super) fn of_held(held: Arc<Held>) -> Self {
        let root = Arc::clone(&held.place.root);
        Self { mounts: held.place.mounts.clone(), held: Some(held), ..Self::of_root(question::View::Held, root) }
    }

    /// Our own root, for commands that were started in our namespaces.
    pub(super) fn own() -> Option<Self> {
        Some(Self::of_root(question::View::Held, Arc::new(proc::hold("/")?)))
    }

    /// The root file system as the runtime prepared it, when nothing better is left: its mounts are gone, but where a
    /// bind mount came from can still be looked at.
    pub(super) fn of_bundle(spec: &OciConfig) -> Option<Self> {
        let root = Some(spec.rootfs.as_str()).filter(|rootfs| rootfs.starts_with('/'))?;
        let cwd = Some(spec.cwd.clone()).filter(|cwd| cwd.starts_with('/'));
        Some(Self { volumes: Some(spec.volumes()), cwd, ..Self::of_directory(root)? })
    }

    /// A directory of ours.
    pub(super) fn of_directory(path: &str) -> Option<Self> {
        Some(Self::of_root(question::View::Bundle, Arc::new(proc::hold(path)?)))
    }

    pub(super) fn root_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The container's mount table as it is now.
    pub(super) fn mountinfo(&self) -> String {
        self.mounts.clone().or_else(mounts::of_node).map(|table| mounts::read(&table)).unwrap_or_default()
    }

    /// `/proc/self` inside the container, while the process lives.
    pub(super) fn inner_pid(&self) -> Option<u32> {
        self.live.and_then(proc::inner_pid)
    }

    /// Maps of uids and gids.
    pub(super) fn id_maps(&self) -> (Vec<IdRange>, Vec<IdRange>) {
        match (self.neighbour, &self.held) {
            (Some(pid), _) => (proc::id_map(pid, "uid_map"), proc::id_map(pid, "gid_map")),
            (None, Some(held)) => (held.place.uid_map.to_vec(), held.place.gid_map.to_vec()),
            (None, None) => self.volumes.as_ref().map(|volumes| volumes.id_maps.clone()).unwrap_or_default(),
        }
    }

    /// Seccomp and security label of the process: live, or remembered, or as the container's specification has it.
    pub(super) fn confinement(&self, process: Process) -> proc::Confinement {
        if let Some(pid) = self.live {
            return proc::confinement(pid);
        }
        self.held.as_ref().map(|held| held.confinement(process)).unwrap_or_default()
    }
}

/// Processes of a cgroup.
pub(super) fn pids(directory: &Path) -> Vec<u32> {
    let Ok(bytes) = proc::read_bytes(directory.join("cgroup.procs"), 64 * 1024) else {
        return Vec::new();
    };
    String::from_utf8_lossy(&bytes).lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid != 0).take(MAX_SIBLINGS).collect()
}
