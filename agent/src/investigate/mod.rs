//! Answers the engine's questions about the world.
//!
//! Two halves: [`Investigator::note`] looks at records as they pass and takes hold of what will be gone when somebody
//! asks ([`hold`]); [`Investigator::answer`] finds the best view there still is ([`choice`]) and looks. An answer always
//! comes: what can no longer be known, and what takes too long (a dead network file system), is [`Answer::Gone`].
//!
//! Each of these stands on those before it, and knows nothing of those after it:
//!
//! - [`proc`], [`mounts`]: bounded reading below `/proc`, of mount tables above all.
//! - [`bundle`]: what the runtime was told of the container and its volumes.
//! - [`held`], [`hold`]: what is held of one container, and of all.
//! - [`view`], [`choice`]: the ways to see a container, and the best that there still is.
//! - [`resolve`], [`contents`]: paths seen through a view, and what is in a file there.
//! - [`start`]: where a relative path started, when its process is gone.
//! - The answers: [`walk`], [`acl`] (what decides over access to a path), [`executable`], [`elf`], [`libraries`] (what a file
//!   is as a program, and what it needs), [`sockets`], [`netns`] (who listens, which addresses there are), [`files`],
//!   [`memory`] (file systems, limits, memory).
//!
//! Refused: to open anything of a container but regular files and directories, to leave its root by a link, to attribute
//! by `/proc/PID/cgroup`.

mod acl;
mod bundle;
mod choice;
mod contents;
mod elf;
mod executable;
mod files;
mod held;
mod hold;
mod libraries;
mod memory;
mod mounts;
mod netns;
mod proc;
mod resolve;
mod sockets;
mod start;
mod view;
mod walk;

use crate::{cgroupfs::CgroupRoot, clock};
use hold::Store;
use netns::Network;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use unready_diagnosis::{
    attribution,
    question::{Answer, Executable, FileKind, Memory, Question, RuntimeSpec, Scope},
    record::{FileId, Record},
    units::CgroupId,
};
use view::View;

/// Questions looked into at once: each takes a thread of the blocking pool.
const MAX_AT_ONCE: usize = 4;
/// How long a look may take before it is given up. It goes on in its thread, and keeps its place among the few.
const PATIENCE: Duration = Duration::from_secs(5);
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
    places: Arc<Semaphore>,
}

impl Investigator {
    /// For the containers below a cgroup hierarchy.
    pub fn new(root: CgroupRoot) -> Self {
        let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
        Self(Arc::new(Shared { cgroups: root, state_roots: Vec::new(), store: Store::new(), places }))
    }

    /// The same, with further directories where runtimes keep their containers (`runc --root`), looked at first. What was
    /// held so far is not taken over.
    #[must_use]
    pub fn with_state_roots(self, state_roots: Vec<PathBuf>) -> Self {
        let cgroups = self.0.cgroups.clone();
        Self(Arc::new(Shared { cgroups, state_roots, store: Store::new(), places: Arc::clone(&self.0.places) }))
    }

    /// Looks at a record as it passes: learns which path a cgroup has, takes hold of a container's root when its runtime
    /// enters it and when it executes its first program. Takes tens of microseconds for those two, nothing for others.
    pub fn note(&self, record: &Record) {
        let store = &self.0.store;
        match record {
            Record::CgroupCreated { id, path, .. } => store.created(*id, path),
            Record::CgroupRemoved { id } => store.removed(*id),
            Record::RootChanged { task } => store.root_changed(task),
            Record::Exec { task, .. } => {
                if store.executed(task) {
                    self.0.note_memory(task.cgroup);
                }
            }
            Record::OomVictim { asker, .. } => self.0.note_memory(*asker),
            Record::CgroupAttached { .. }
            | Record::Exit { .. }
            | Record::CallFailed(_)
            | Record::Listening { .. }
            | Record::Repeated { .. }
            | Record::Output { .. } => {}
        }
    }

    /// What was held for a cgroup can go: it keeps volumes busy.
    pub fn release(&self, cgroup: CgroupId) {
        self.0.store.release(cgroup);
    }

    /// How many cgroups something is held of.
    pub fn held(&self) -> usize {
        self.0.store.count()
    }

    /// Answers a question; what can no longer be known is [`Answer::Gone`].
    pub async fn answer(&self, question: Question) -> Answer {
        if let Question::AwaitPath { scope, path, for_millis } = question {
            return self.await_path(scope, path, Duration::from_millis(for_millis).min(MAX_WAIT)).await;
        }
        self.look(move |shared| shared.answer(question)).await.unwrap_or_else(gone)
    }

    /// Runs a look on the blocking pool, with a place among the few and a time limit.
    async fn look<T: Send + 'static>(&self, look: impl FnOnce(&Shared) -> T + Send + 'static) -> Result<T, String> {
        let shared = Arc::clone(&self.0);
        let attempt = async move {
            let place = Arc::clone(&shared.places).acquire_owned().await.map_err(|closed| closed.to_string())?;
            let run = move || {
                let found = look(&shared);
                drop(place);
                found
            };
            tokio::task::spawn_blocking(run).await.map_err(|failed| format!("the look was broken off: {failed}"))
        };
        let late = |_| Err(format!("a file system did not answer within {} s", PATIENCE.as_secs()));
        tokio::time::timeout(PATIENCE, attempt).await.unwrap_or_else(late)
    }

    async fn await_path(&self, scope: Scope, path: String, patience: Duration) -> Answer {
        let view = match self.look(move |shared| shared.view(scope)).await {
            Ok(Ok(view)) => Arc::new(view),
            Ok(Err(reason)) | Err(reason) => return gone(reason),
        };
        let end = tokio::time::Instant::now() + patience;
        let (mut absent_at, mut pause) = (None, PAUSE);
        loop {
            let (view, path) = (Arc::clone(&view), path.clone());
            let looked_at = clock::now();
            match self.look(move |_| files::appeared(&view, &path, absent_at)).await {
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
            Question::RuntimeSpec { cgroup, container_id } => self.runtime_spec(cgroup, &container_id)?,
            Question::Identify { cgroup, container_id } => self.identity(cgroup, &container_id)?,
            Question::Account { scope, uid } => files::account(&self.view(scope)?, uid),
        })
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
        let command = view.as_ref().and_then(|view| command(view, &spec));
        Ok(Answer::RuntimeSpec(RuntimeSpec { args: spec.args, cwd: spec.cwd, path: spec.path, command }))
    }
}

/// The command's file: the first on `PATH` that may be executed, else the first that exists, as execvp(3) does.
fn command(view: &View, spec: &bundle::Spec) -> Option<Executable> {
    let found = spec.candidates().into_iter().filter_map(|path| executable::read_at(view, &path, spec.library_path.as_deref()).ok());
    let mut existing: Vec<_> = found.filter(|executable| executable.file.is_some()).collect();
    let runnable = existing
        .iter()
        .position(|executable| executable.file.as_ref().is_some_and(|file| file.kind == FileKind::File && file.mode & 0o111 != 0));
    if existing.is_empty() { None } else { Some(existing.swap_remove(runnable.unwrap_or(0))) }
}

fn gone(reason: String) -> Answer {
    Answer::Gone { reason }
}
