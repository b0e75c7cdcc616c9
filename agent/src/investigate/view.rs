//! Through what a container is seen, best first: the process itself while it lives, another process of its cgroup, what
//! was held of its root, the runtime's description on the host.

use super::{bundle::Volumes, held::Held, hold::Store, mounts, proc, start::Search};
use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};
use unready_diagnosis::{
    question::{self, IdRange, Scope},
    record::FileId,
    units::{CgroupId, Process},
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
    /// The best view that there still is.
    pub(super) fn find(store: &Store, scope: Scope, directory: Option<&Path>) -> Result<Self, String> {
        let view = Self { cgroup: directory.map(Path::to_owned), ..Self::best(store, scope, directory)? };
        Ok(if store.is_local(scope.cgroup) { view.started_here() } else { view })
    }

    /// A command of `unready run` starts in our own working directory.
    fn started_here(self) -> Self {
        let ours = || std::env::current_dir().ok().and_then(|directory| directory.into_os_string().into_string().ok());
        Self { cwd: self.cwd.or_else(ours), ..self }
    }

    fn best(store: &Store, scope: Scope, directory: Option<&Path>) -> Result<Self, String> {
        let held = store.held(scope.cgroup);
        if let Some(view) = Self::of_process(scope.process, held.as_ref()) {
            return Ok(view);
        }
        if let Some(view) = directory.and_then(|directory| Self::of_sibling(store, scope.cgroup, directory, held.as_ref())) {
            return Ok(view);
        }
        match held {
            Some(held) => Ok(Self::of_held(held)),
            None if store.is_local(scope.cgroup) => Self::own().ok_or_else(|| "our own root could not be opened".to_owned()),
            None => Err("the process ended, its container has no other, and its root was not held".to_owned()),
        }
    }

    fn of_process(process: Process, held: Option<&Arc<Held>>) -> Option<Self> {
        let view = Self::through(process.pid, question::View::Process, held)?;
        // Looked at after opening: if it is the same process now, it was then.
        proc::is_same(process).then_some(Self { live: Some(process.pid), ..view })
    }

    /// Another process of the cgroup, of the same mount namespace as what was held: a runtime's helper that has just
    /// joined the cgroup still sees the node's files.
    fn of_sibling(store: &Store, cgroup: CgroupId, directory: &Path, held: Option<&Arc<Held>>) -> Option<Self> {
        let expected = held.map(|held| held.place.mount_namespace);
        let no_helpers = store.is_container(cgroup);
        let is_inside = |namespace: u64| expected.map_or(!(no_helpers && store.is_node(namespace)), |expected| namespace == expected);
        pids(directory)
            .into_iter()
            .filter(|pid| proc::namespace(*pid, "mnt").is_some_and(is_inside))
            .find_map(|pid| Self::through(pid, question::View::Sibling, held))
    }

    fn through(pid: u32, kind: question::View, held: Option<&Arc<Held>>) -> Option<Self> {
        Some(Self {
            kind,
            root: Arc::new(proc::hold(&proc::path(pid, "root"))?),
            mounts: Some(mounts::open(pid)?),
            live: None,
            neighbour: Some(pid),
            held: held.cloned(),
            cwd: None,
            volumes: None,
            cgroup: None,
        })
    }

    /// What was held, all processes may be gone.
    pub(super) fn of_held(held: Arc<Held>) -> Self {
        Self {
            kind: question::View::Held,
            root: Arc::clone(&held.place.root),
            mounts: held.place.mounts.clone(),
            live: None,
            neighbour: None,
            held: Some(held),
            cwd: None,
            volumes: None,
            cgroup: None,
        }
    }

    /// Our own root, for commands that were started in our namespaces.
    fn own() -> Option<Self> {
        Self::of_directory("/").map(|view| Self { kind: question::View::Held, ..view })
    }

    /// A root file system on the host, as the runtime prepared it.
    pub(super) fn of_bundle(rootfs: &str, cwd: &str, volumes: Volumes) -> Option<Self> {
        let cwd = Some(cwd.to_owned()).filter(|cwd| cwd.starts_with('/'));
        Self::of_directory(rootfs).map(|view| Self { volumes: Some(volumes), cwd, ..view })
    }

    /// A directory of ours.
    pub(super) fn of_directory(path: &str) -> Option<Self> {
        Some(Self {
            kind: question::View::Bundle,
            root: Arc::new(proc::hold(path)?),
            mounts: None,
            live: None,
            neighbour: None,
            held: None,
            cwd: None,
            volumes: None,
            cgroup: None,
        })
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
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

    /// The absolute path meant by a path of the process, in the container; `None` when its start is unknown.
    /// `start` is the directory that the kernel saw it start from: a process may have gone elsewhere since.
    pub(super) fn absolute(&self, process: Process, path: &str, dirfd: Option<i32>, start: Option<FileId>) -> Option<String> {
        if path.starts_with('/') {
            return Some(path.to_owned());
        }
        let start = match (start, dirfd) {
            (Some(start), _) => Search::new(self, start).directory(process, dirfd)?,
            (None, Some(fd)) => proc::place(self.live?, &format!("fd/{fd}"))?,
            (None, None) => self.working_directory(process)?,
        };
        Some(format!("{}/{path}", start.trim_end_matches('/')))
    }

    fn working_directory(&self, process: Process) -> Option<String> {
        if let Some(place) = self.live.and_then(|pid| proc::place(pid, "cwd")) {
            return Some(place);
        }
        self.remembered_directory(process)
    }

    fn remembered_directory(&self, process: Process) -> Option<String> {
        let remembered = self.held.as_ref().and_then(|held| held.working_directory(process));
        remembered.or_else(|| self.cwd.clone())
    }

    /// Where the container's programs are likely to work, the likeliest first.
    pub(super) fn working_directories(&self, process: Process) -> Vec<String> {
        let others = self.held.iter().flat_map(|held| held.working_directories());
        self.remembered_directory(process).into_iter().chain(others).collect()
    }
}

/// Processes of a cgroup.
pub(super) fn pids(directory: &Path) -> Vec<u32> {
    let Ok(bytes) = proc::read_bytes(directory.join("cgroup.procs"), 64 * 1024) else {
        return Vec::new();
    };
    String::from_utf8_lossy(&bytes).lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid != 0).take(MAX_SIBLINGS).collect()
}
