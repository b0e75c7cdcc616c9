//! The investigator where file systems do not answer, and where what is to be looked through has no end: it answers in
//! bounded time, and one container's trouble is no other's.
//!
//! Most tests mount file systems and so need root and FUSE; they say so and pass where they have it not, except with `CI=true`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/fuse.rs"]
mod fuse;

use fuse::{Answers, Fuse};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use unready_agent::{
    cgroupfs::CgroupRoot,
    investigate::{Investigator, LookCounts},
};
use unready_diagnosis::{
    question::{Answer, ExecFormat, Question, Scope, Walk},
    record::{Record, Task},
    units::{CgroupId, Process},
};

/// A file system that does not answer, or a reason to pass over a test, but not in CI.
fn silent(answers: Answers) -> Option<Fuse> {
    let fuse = Fuse::mount(answers);
    if fuse.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "in CI this must run: FUSE cannot be mounted");
        eprintln!("skipped: mounting FUSE needs root and /dev/fuse");
    }
    fuse
}

struct Node {
    hierarchy: TempDir,
    investigator: Investigator,
}

impl Node {
    fn new() -> Self {
        let hierarchy = tempfile::tempdir().unwrap();
        let text = format!("31 24 0:27 / {} rw - cgroup2 cgroup2 rw\n", hierarchy.path().display());
        let root = CgroupRoot::from_mountinfo(&text).unwrap();
        let investigator = Investigator::new(root).with_state_roots(vec![hierarchy.path().join("state")]);
        Self { hierarchy, investigator }
    }

    fn counts(&self) -> LookCounts {
        self.investigator.observe()()
    }

    /// How long a note takes whoever makes it.
    fn note(&self, record: Record) -> Duration {
        let investigator = self.investigator.clone();
        within(Duration::from_secs(5), "the note", move || {
            let begun = Instant::now();
            investigator.note(&record);
            begun.elapsed()
        })
    }

    async fn walk(&self, cgroup: u64, path: &Path) -> Answer {
        self.investigator.answer(walk_of(cgroup, path)).await
    }

    /// Asks in the background.
    fn asked(&self, question: Question) -> tokio::task::JoinHandle<Answer> {
        let investigator = self.investigator.clone();
        tokio::spawn(async move { investigator.answer(question).await })
    }
}

/// A container that sees the machine's files: what it is asked about is seen through the test's own process.
fn walk_of(cgroup: u64, path: &Path) -> Question {
    Question::WalkPath { scope: scope(cgroup), path: path.to_str().unwrap().to_owned(), dirfd: None, start: None, follow: true }
}

fn scope(cgroup: u64) -> Scope {
    Scope { cgroup: CgroupId(cgroup), process: Process { pid: std::process::id(), start: 0 } }
}

fn reason(answer: Answer) -> String {
    let Answer::Gone { reason } = answer else { panic!("an answer: {answer:?}") };
    reason
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What `run` gives, unless it takes too long.
fn within<T: Send + 'static>(limit: Duration, what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || drop(sender.send(run())));
    receiver.recv_timeout(limit).unwrap_or_else(|_| panic!("{what} took more than {limit:?}"))
}

/// A process that lives until it is dropped.
struct Living(Child);

impl Living {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A process in a mount namespace of its own, as a runtime's child on its way into a container.
async fn apart() -> Living {
    let process = Living::start(Command::new("unshare").args(["-m", "cat"]));
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap();
    eventually("it stays in the machine's mount namespace", || namespace(process.pid()) != namespace(std::process::id())).await;
    process
}

fn root_changed(cgroup: u64, process: &Living, parent: u32) -> Record {
    let process = Process { pid: process.pid(), start: 0 };
    Record::RootChanged { task: Task { cgroup: CgroupId(cgroup), process, tid: process.pid, parent, comm: "runc".to_owned() } }
}

#[tokio::test]
async fn a_note_does_not_wait_for_the_runtimes_file_system() {
    let Some(fuse) = silent(Answers::Nothing) else { return };
    let node = Node::new();
    let (runtime, container) = (Living::start(Command::new("cat").current_dir(fuse.path())), apart().await);
    let taken = node.note(root_changed(1, &container, runtime.pid()));
    assert!(taken < Duration::from_millis(20), "{taken:?}");

    // Its root is held all the same, and it is answered for.
    eventually("the root is not held", || node.investigator.held() == 1).await;
    eventually("the description is not looked for", || fuse.unanswered() > 0).await;
    let begun = Instant::now();
    assert!(matches!(node.walk(1, Path::new("/proc")).await, Answer::Walk(_)));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    eventually("it is not given up", || node.counts().notes_abandoned == 1).await;
    node.note(root_changed(1, &container, runtime.pid()));
    assert_eq!(node.counts().notes_dropped, 1);

    // What comes back late does not stay.
    node.investigator.release(CgroupId(1));
    drop(fuse);
    eventually("something is still held", || node.investigator.held() == 0 && node.counts().stuck == 0).await;
}

#[tokio::test]
async fn a_parent_inside_the_container_is_no_runtime() {
    let Some(fuse) = silent(Answers::Nothing) else { return };
    let node = Node::new();
    let container = Living::start(Command::new("cat").current_dir(fuse.path())); // and its own parent
    node.note(root_changed(1, &container, container.pid()));
    assert!(matches!(node.walk(1, Path::new("/proc")).await, Answer::Walk(_)));
    assert_eq!((node.investigator.held(), fuse.unanswered(), node.counts().stuck), (1, 0, 0));
}

#[tokio::test]
async fn containers_whose_files_do_not_answer_do_not_keep_another_from_its_answer() {
    let mut mounts = Vec::new();
    for _ in 0..5 {
        let Some(fuse) = silent(Answers::Nothing) else { return };
        mounts.push(fuse);
    }
    let node = Node::new();
    let asked: Vec<_> = mounts.iter().zip(1..).map(|(fuse, cgroup)| node.asked(walk_of(cgroup, &fuse.path().join("file")))).collect();
    eventually("not all could be begun", || mounts.iter().filter(|fuse| fuse.unanswered() > 0).count() >= 4).await;
    let begun = Instant::now();
    assert!(matches!(node.walk(6, Path::new("/proc")).await, Answer::Walk(_)));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    for asked in asked {
        let reason = reason(asked.await.unwrap());
        assert!(reason.contains("did not answer"), "{reason}");
    }
    eventually("not all are given up", || node.counts().stuck == 5).await;
    // At once: they are known.
    let begun = Instant::now();
    assert!(reason(node.walk(1, Path::new("/proc")).await).contains("has not returned"));
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
    let counts = node.counts();
    assert_eq!((counts.looks_abandoned, counts.looks_refused), (5, 1));
    // Its memory lies elsewhere.
    assert!(reason(node.investigator.answer(Question::Memory { cgroup: CgroupId(1) }).await).contains("memory limit"));

    drop(mounts);
    eventually("what answers again counts as stuck", || node.counts().stuck == 0).await;
    assert!(matches!(node.walk(1, Path::new("/proc")).await, Answer::Walk(_)));
}

#[tokio::test]
async fn one_file_system_costs_few_threads_however_many_use_it() {
    let Some(fuse) = silent(Answers::Nothing) else { return };
    let node = Node::new();
    let asked: Vec<_> = (1..=20).map(|cgroup| node.asked(walk_of(cgroup, &fuse.path().join("file")))).collect();
    for asked in asked {
        let reason = reason(asked.await.unwrap());
        assert!(reason.contains("not answer"), "{reason}");
    }
    eventually("none is given up", || node.counts().stuck > 0).await;
    assert!(node.counts().stuck <= 6, "{:?}", node.counts());
    let begun = Instant::now();
    let reason = reason(node.walk(21, &fuse.path().join("file")).await);
    assert!(reason.contains("of device 0:") && begun.elapsed() < Duration::from_millis(500), "{reason} {:?}", begun.elapsed());
    assert!(matches!(node.walk(21, Path::new("/proc")).await, Answer::Walk(_)), "its other file systems work");
}

#[tokio::test]
async fn a_file_that_can_be_seen_but_not_opened() {
    let Some(fuse) = silent(Answers::Names) else { return };
    let node = Node::new();
    let path = fuse.path().join("app");
    let Answer::Walk(Walk { stopped: None, components, .. }) = node.walk(1, &path).await else { panic!("it is not seen") };
    assert_eq!(components.last().unwrap().mode, 0o755);
    let read = Question::ReadExecutable { scope: scope(1), path: path.to_str().unwrap().to_owned(), start: None };
    let begun = Instant::now();
    let reason = reason(node.investigator.answer(read).await);
    assert!(reason.contains("did not answer") && begun.elapsed() < Duration::from_secs(4), "{reason} {:?}", begun.elapsed());
    assert!(fuse.unanswered() > 0);
    assert!(matches!(node.walk(2, &path).await, Answer::Walk(_)), "names still work there, for another one");
}

#[test]
fn the_end_does_not_wait() {
    let Some(fuse) = silent(Answers::Nothing) else { return };
    let path = fuse.path().join("file");
    let taken = within(Duration::from_secs(5), "the end of the runtime", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let node = Node::new();
        let early = runtime.block_on(async { tokio::time::timeout(Duration::from_millis(100), node.walk(1, &path)).await });
        assert!(early.is_err(), "it was answered");
        let begun = Instant::now();
        drop((node, runtime));
        begun.elapsed()
    });
    assert!(taken < Duration::from_millis(500), "{taken:?}");
    drop(fuse);
}

/// A directory with a link `l` that leads nowhere by a long way: each path through it costs as much as a path may.
fn maze() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir_all(place.path().join("usr/bin")).unwrap();
    symlink("usr/../".repeat(120) + "nowhere", place.path().join("l")).unwrap();
    place
}

/// What the runtime is said to have been told, with this `PATH`.
async fn spec(node: &Node, root: &TempDir, path: &str) -> (Answer, Duration) {
    let state = node.hierarchy.path().join("state/box");
    fs::create_dir_all(&state).unwrap();
    let config =
        serde_json::json!({"process": {"args": ["app"], "cwd": "/", "env": [format!("PATH={path}")]}, "root": {"path": root.path()}});
    fs::write(state.join("config.json"), config.to_string()).unwrap();
    quickest(node, Question::RuntimeSpec { cgroup: CgroupId(1), container_id: "box".to_owned() }).await
}

/// The answer with how long it took: the first of a few that took less than a second, for others may need this machine too.
async fn quickest(node: &Node, question: Question) -> (Answer, Duration) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let begun = Instant::now();
        let answer = node.investigator.answer(question.clone()).await;
        if begun.elapsed() < Duration::from_secs(1) || Instant::now() > end {
            return (answer, begun.elapsed());
        }
        eventually("the look does not end", || node.counts().stuck == 0).await;
    }
}

#[tokio::test]
async fn a_path_without_end() {
    let (node, root) = (Node::new(), maze());
    let (answer, taken) = spec(&node, &root, &"/l:".repeat(100_000)).await;
    assert!(reason(answer).contains("first 32 directories of PATH"));
    assert!(taken < Duration::from_secs(1), "{taken:?}");

    let program = root.path().join("usr/bin/app");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let (answer, taken) = spec(&node, &root, &format!("/l:/usr/bin{}", ":/l".repeat(100_000))).await;
    let Answer::RuntimeSpec(spec) = answer else { panic!("{answer:?}") };
    assert_eq!(spec.command.unwrap().path, "/usr/bin/app");
    assert!(taken < Duration::from_secs(1), "{taken:?}");
}

/// An ELF file that needs `libraries`, to be looked for in the directories of `rpath`.
fn program(rpath: &str, libraries: &[String]) -> Vec<u8> {
    const DYNAMIC: u64 = 64 + 2 * 56;
    let count = libraries.len() as u64 + 3;
    let strings_at = DYNAMIC + 16 * count;
    let mut strings = vec![0];
    let mut text = |text: &str| {
        let at = strings.len() as u64;
        strings.extend(text.bytes().chain([0]));
        at
    };
    let mut entries = vec![(5, strings_at), (15, text(rpath))];
    entries.extend(libraries.iter().map(|name| (1, text(name))));
    entries.push((0, 0));
    let size = strings_at + strings.len() as u64;
    let segment = |kind: u32, offset: u64, size: u64| {
        [kind.to_le_bytes(), 4u32.to_le_bytes()]
            .concat()
            .into_iter()
            .chain([offset, offset, offset, size, size, 8].map(u64::to_le_bytes).concat())
    };
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2u16, 62].map(u16::to_le_bytes).concat());
    file.extend(1u32.to_le_bytes());
    file.extend([0u64, 64, 0].map(u64::to_le_bytes).concat());
    file.extend(0u32.to_le_bytes());
    file.extend([64u16, 56, 2, 0, 0, 0].map(u16::to_le_bytes).concat());
    file.extend(segment(1, 0, size).chain(segment(2, DYNAMIC, 16 * count)));
    file.extend(entries.iter().flat_map(|(tag, value)| [*tag, *value].map(u64::to_le_bytes).concat()));
    file.extend(strings);
    file
}

#[tokio::test]
async fn an_rpath_without_end() {
    let (node, root) = (Node::new(), maze());
    let path = root.path().join("app");
    let ask = || async {
        let read = Question::ReadExecutable { scope: scope(1), path: path.to_str().unwrap().to_owned(), start: None };
        let (answer, taken) = quickest(&node, read).await;
        let Answer::Executable(executable) = answer else { panic!("{answer:?}") };
        let ExecFormat::Elf { libraries, .. } = executable.format else { panic!("{executable:?}") };
        (libraries, taken)
    };
    let missing: Vec<String> = (0..64).map(|number| format!("lib{number}.so")).collect();
    let maze = format!("{}/l:", root.path().display());
    for rpath in ["/nowhere:".repeat(200), maze.repeat(60)] {
        fs::write(&path, program(&rpath, &missing)).unwrap();
        let (libraries, taken) = ask().await;
        // Nobody knows whether they are missing.
        assert!(libraries.len() < missing.len() && taken < Duration::from_secs(1), "{} {taken:?}", libraries.len());
    }
    fs::write(&path, program("/nowhere", &missing)).unwrap();
    assert_eq!(
        ask().await.0,
        missing.into_iter().map(|name| (name, None)).collect::<Vec<_>>(),
        "what was looked for everywhere is missing"
    );
}
