//! Answers the engine's questions about the world.
//!
//! Two halves: [`Investigator::note`] looks at records as they pass and takes hold of what will be gone when somebody
//! asks ([`hold`]); [`Investigator::answer`] finds the best view there still is ([`choice`]) and looks. An answer always
//! comes: what can no longer be known, and what takes too long (a dead network file system), is [`Answer::Gone`].
//!
//! Both touch what a container may choose: its root, where its processes work, its files. None of that is touched on the
//! caller's thread, for a file system need not answer, and nothing waits for it for long ([`lookers`]).
//!
//! Each of these stands on those before it, and knows nothing of those after it:
//!
//! - [`crew`], [`reach`], [`lookers`]: threads that may get stuck, how far a look may go, who looks.
//! - [`proc`], [`mounts`]: bounded reading below `/proc`, of mount tables above all.
//! - [`bundle`]: what the runtime was told of the container and its volumes.
//! - [`held`], [`hold`]: what is held of one container, and of all.
//! - [`view`], [`choice`]: the ways to see a container, and the best that there still is.
//! - [`contents`], [`rootfs`]: what is in a file, and a view as the file system that `unready-inspect` looks at. What is known of
//!   paths, programs and their libraries is there; here is only what Linux tells.
//! - [`start`]: where a relative path started, when its process is gone.
//! - The answers: [`walk`], [`acl`] (what decides over access to a path), [`executable`] (what a file is as a program),
//!   [`listening`], [`sockets`], [`netns`] (who listens, which addresses there are), [`files`], [`memory`] (file systems, limits, memory).
//!
//! Refused: to open anything of a container but regular files and directories, to leave its root by a link, to attribute
//! by `/proc/PID/cgroup`.

mod acl;
mod bundle;
mod choice;
mod contents;
mod control;
mod crew;
mod executable;
mod files;
mod held;
mod hold;
pub mod listening;
mod lookers;
mod memory;
mod metadata;
mod mounts;
mod netns;
mod proc;
mod processes;
mod reach;
mod rootfs;
mod sockets;
mod start;
mod view;
mod walk;

use crate::{cgroupfs::CgroupRoot, clock};
use crew::Lane;
use hold::Store;
pub use lookers::LookCounts;
use lookers::Lookers;
use netns::Network;
use std::{path::PathBuf, sync::Arc, time::Duration};
use unready_diagnosis::{
    attribution,
    question::{Answer, Executable, Memory, Question, RuntimeSpec, Scope},
    record::{FileId, Record},
    units::CgroupId,
};
use view::View;

/// Between the first two looks for a file that is awaited; each further pause is longer. The file's own dates tell more
/// exactly when it came.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_millis(80);
/// How long a file is awaited at most.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// Answers questions. Clones share what is held.
#[derive(Clone, Debug)]
pub struct Investigator(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    cgroups: CgroupRoot,
    state_roots: Vec<PathBuf>,
    store: Store,
    lookers: Arc<Lookers>,
}

impl Investigator {
    /// For the containers below a cgroup hierarchy.
    pub fn new(root: CgroupRoot) -> Self {
        Self(Arc::new(Shared { cgroups: root, state_roots: Vec::new(), store: Store::new(), lookers: Arc::new(Lookers::new()) }))
    }

    /// The same, with further directories where runtimes keep their containers (`runc --root`), looked at first. What was
    /// held so far is not taken over.
    #[must_use]
    pub fn with_state_roots(self, state_roots: Vec<PathBuf>) -> Self {
        let cgroups = self.0.cgroups.clone();
        Self(Arc::new(Shared { cgroups, state_roots, store: Store::new(), lookers: Arc::clone(&self.0.lookers) }))
    }

    /// Looks at a record as it passes: learns which path a cgroup has, has hold taken of a container's root when its runtime
    /// enters it and when it executes its first program. Takes microseconds: it looks at nothing itself.
    pub fn note(&self, record: &Record) {
        match record {
            Record::CgroupCreated { id, path, .. } => self.0.store.created(*id, path),
            Record::CgroupRemoved { id } => {
                let id = *id;
                self.after_notes(id, move |shared| shared.store.removed(id));
            }
            Record::RootChanged { task } => {
                let task = task.clone();
                self.later(task.cgroup, move |shared| shared.store.root_changed(&task));
            }
            Record::Exec { task, .. } => {
                let task = task.clone();
                self.later(task.cgroup, move |shared| {
                    if shared.store.executed(&task) {
                        shared.note_memory(task.cgroup);
                    }
                });
            }
            Record::OomVictim { asker, .. } => {
                let asker = *asker;
                self.later(asker, move |shared| shared.note_memory(asker));
            }
            Record::CgroupAttached { .. }
            | Record::Exit { .. }
            | Record::CallFailed(_)
            | Record::Listening { .. }
            | Record::Repeated { .. }
            | Record::Output { .. } => {}
        }
    }

    fn later(&self, cgroup: CgroupId, note: impl FnOnce(&Shared) + Send + 'static) {
        let shared = Arc::clone(&self.0);
        self.0.lookers.note(self.0.store.container(cgroup), move || note(&shared));
    }

    fn after_notes(&self, cgroup: CgroupId, change: impl FnOnce(&Shared) + Send + 'static) {
        let shared = Arc::clone(&self.0);
        self.0.lookers.after_notes(self.0.store.container(cgroup), move || change(&shared));
    }

    /// What was held for a cgroup can go: it keeps volumes busy.
    pub fn release(&self, cgroup: CgroupId) {
        self.after_notes(cgroup, move |shared| shared.store.release(cgroup));
    }

    /// Whether all that was noted of a cgroup so far has been looked at.
    pub fn is_noted(&self, cgroup: CgroupId) -> bool {
        self.0.lookers.is_noted(self.0.store.container(cgroup))
    }

    /// How many cgroups something is held of.
    pub fn held(&self) -> usize {
        self.0.store.count()
    }

    /// What could not be looked at so far; asking keeps nothing alive.
    pub fn observe(&self) -> impl Fn() -> LookCounts + Send + Sync + use<> {
        self.0.lookers.observe()
    }

    /// Answers a question; what can no longer be known is [`Answer::Gone`]. Knows of all that was noted of the container
    /// before, unless that takes too long.
    pub async fn answer(&self, question: Question) -> Answer {
        let cgroup = question.cgroup();
        self.0.lookers.noted(self.0.store.container(cgroup)).await;
        if let Question::AwaitPath { scope, path, for_millis } = question {
            return self.await_path(scope, path, Duration::from_millis(for_millis).min(MAX_WAIT)).await;
        }
        let without_files = matches!(question, Question::Memory { .. });
        self.look(cgroup, without_files, move |shared| shared.answer(question)).await.unwrap_or_else(gone)
    }

    /// Runs a look elsewhere. `without_files`: it touches none of the container's.
    async fn look<T: Send + 'static>(
        &self,
        cgroup: CgroupId,
        without_files: bool,
        look: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Result<T, String> {
        let lane = Lane { container: self.0.store.container(cgroup), without_files };
        let shared = Arc::clone(&self.0);
        self.0.lookers.look(lane, move || look(&shared)).await
    }

    async fn await_path(&self, scope: Scope, path: String, patience: Duration) -> Answer {
        let view = match self.look(scope.cgroup, false, move |shared| shared.view(scope)).await {
            Ok(Ok(view)) => Arc::new(view),
            Ok(Err(reason)) | Err(reason) => return gone(reason),
        };
        let end = tokio::time::Instant::now() + patience;
        let (mut absent_at, mut pause) = (None, PAUSE);
        loop {
            let (view, path) = (Arc::clone(&view), path.clone());
            let looked_at = clock::now();
            match self.look(scope.cgroup, false, move |_| files::appeared(&view, &path, absent_at)).await {
                Ok(Ok(None)) => absent_at = Some(looked_at),
                Ok(Ok(at)) => return Answer::Appeared { at },
                Ok(Err(reason)) | Err(reason) => return gone(reason),
            }
            if tokio::time::Instant::now() >= end {
                return Answer::Appeared { at: None };
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 5 / 4).min(MAX_PAUSE);
        }
    }
}

impl Shared {
    fn note_memory(&self, cgroup: CgroupId) {
        if let Some(memory) = self.memory(cgroup) {
            self.store.remember_memory(cgroup, memory);
        }
    }

    fn memory(&self, cgroup: CgroupId) -> Option<Memory> {
        memory::read(&self.cgroups, &self.store.path(cgroup)?)
    }

    fn view(&self, scope: Scope) -> Result<View, String> {
        let directory = self.store.path(scope.cgroup).map(|path| self.cgroups.directory(&path));
        choice::best(&self.store, scope, directory.as_deref()).or_else(|reason| self.bundle_view(scope.cgroup).ok_or(reason))
    }

    /// The runtime's description, for containers that were there before us.
    fn bundle_view(&self, cgroup: CgroupId) -> Option<View> {
        let path = self.store.path(cgroup)?;
        View::of_bundle(&bundle::find(&self.state_roots, attribution::last_component(&path), Some(&path))?)
    }

    fn answer(&self, question: Question) -> Answer {
        self.try_answer(question).unwrap_or_else(gone)
    }

    fn try_answer(&self, question: Question) -> Result<Answer, String> {
        Ok(match question {
            Question::WalkPath { scope, path, dirfd, start, follow } => {
                Answer::Walk(walk::walk(&self.view(scope)?, scope.process, &path, (dirfd, start), follow)?)
            }
            Question::FindMount { scope, device, fd, inode, name } => {
                files::find_mount(&self.view(scope)?, scope.process, fd, (FileId { device, inode }, &name))
            }
            Question::ReadExecutable { scope, path, start } => {
                Answer::Executable(executable::read(&self.view(scope)?, scope.process, &path, start)?)
            }
            Question::AwaitPath { scope, path, .. } => Answer::Appeared { at: files::appeared(&self.view(scope)?, &path, None)? },
            Question::FindListener { scope, port } => self.listener(scope, port)?,
            Question::LocalAddresses { scope } => {
                let addresses = sockets::addresses(&Network::of(&self.view(scope)?));
                Answer::Addresses(addresses.ok_or("its network namespace can no longer be read")?)
            }
            Question::UnprivilegedPort { scope } => {
                let text = Network::of(&self.view(scope)?).setting("ipv4/ip_unprivileged_port_start");
                let port = text.and_then(|text| text.trim().parse().ok());
                Answer::UnprivilegedPort(port.ok_or("its network namespace could not be entered to read the setting")?)
            }
            Question::Memory { cgroup } => self.memory_answer(cgroup)?,
            Question::Usage { scope, path, start } => Answer::Usage(files::usage(&self.view(scope)?, scope.process, &path, start)?),
            Question::Limits { scope } => Answer::Limits(files::limits(&self.view(scope)?, scope.process)?),
            Question::ProcessLimits { scope, uid } => self.process_limits(scope, uid)?,
            Question::RuntimeSpec { cgroup, container_id } => self.runtime_spec(cgroup, &container_id)?,
            Question::Identify { cgroup, container_id } => self.identity(cgroup, &container_id)?,
            Question::Account { scope, uid } => files::account(&self.view(scope)?, uid),
        })
    }

    /// A limit of its own the process has only while it lives; another of the container may have another.
    fn process_limits(&self, scope: Scope, uid: u32) -> Result<Answer, String> {
        let pid = self.view(scope).ok().and_then(|view| view.live);
        let path = self.store.path(scope.cgroup);
        let limits = processes::read(&self.cgroups, path.as_deref(), pid, uid);
        if limits.user_limit.is_none() && limits.pids_now.is_none() {
            return Err("the process ended and its cgroup was removed".to_owned());
        }
        Ok(Answer::ProcessLimits(limits))
    }

    fn listener(&self, scope: Scope, port: u16) -> Result<Answer, String> {
        let network = Network::of(&self.view(scope)?);
        let directory = self.store.path(scope.cgroup).map(|path| self.cgroups.directory(&path));
        let first = directory.map(|directory| view::pids(&directory)).unwrap_or_default();
        sockets::listener(&network, port, &first).map(Answer::Listener)
    }

    /// The cgroup as it is, completed by what was seen before: a runtime removes it as soon as the last process ended.
    fn memory_answer(&self, cgroup: CgroupId) -> Result<Answer, String> {
        self.note_memory(cgroup);
        let memory = self.store.memory(cgroup);
        memory.map(Answer::Memory).ok_or_else(|| "the cgroup was removed, and its memory limit was not read before".to_owned())
    }

    fn identity(&self, cgroup: CgroupId, container_id: &str) -> Result<Answer, String> {
        let spec = bundle::find(&self.state_roots, container_id, self.store.path(cgroup).as_deref());
        let pod = spec.and_then(|spec| spec.pod);
        pod.map(Answer::Identity).ok_or_else(|| format!("no runtime on this node says which pod {container_id} is of"))
    }

    fn runtime_spec(&self, cgroup: CgroupId, container_id: &str) -> Result<Answer, String> {
        let held = self.store.held(cgroup);
        let by_runtime = || bundle::find(&self.state_roots, container_id, self.store.path(cgroup).as_deref());
        let spec = held.as_ref().and_then(|held| held.spec()).or_else(by_runtime);
        let Some(spec) = spec else {
            return Err(format!("no runtime on this node describes a container {container_id} any more"));
        };
        let view = held.map(View::of_held).or_else(|| View::of_bundle(&spec));
        let command = view.as_ref().map(|view| command(view, &spec)).transpose()?.flatten();
        Ok(Answer::RuntimeSpec(RuntimeSpec { args: spec.args, cwd: spec.cwd, path: spec.path.directories, command }))
    }
}

/// The command's file, along `PATH`. An `Err` says why that is not known.
fn command(view: &View, spec: &bundle::OciConfig) -> Result<Option<Executable>, String> {
    let hit = spec.path.find(view, spec.command(), &spec.cwd)?;
    Ok(hit.map(|hit| executable::of_found(view, &hit.path, &hit.found, spec.library_path.as_deref())))
}

fn gone(reason: String) -> Answer {
    Answer::Gone { reason }
}
