//! A small world for the tests of rules: files, processes, answers.
#![allow(clippy::expect_used, reason = "a test that panics has failed")]

use crate::{
    case::{Case, Known, Manifest},
    pod::{Claim, Pod},
    question::{Answer, Component, ExecFormat, Executable, FileKind, Mount, Question, Stop, Walk},
    record::{Call, CallFailed, Creds, Errno, ExitStatus, PathArg, Target, Task},
    story::{failure::Failure, process::ProcessView},
    units::{BootNanos, CgroupId, ClockAnchor, Process},
    verdict::Workload,
};

/// The moment at which everything fails: 10 s after boot.
pub(crate) const FAILED_AT: BootNanos = BootNanos(10_000_000_000);
/// 1970 is 1,000 s before boot.
pub(crate) const CLOCK: ClockAnchor = ClockAnchor { boot: BootNanos(0), wall: 1_000_000_000_000 };
pub(crate) const PROCESS: Process = Process { pid: 100, start: 1 };

pub(crate) fn creds(uid: u32, gid: u32) -> Creds {
    Creds { uid, gid, euid: uid, egid: gid, fsuid: uid, fsgid: gid, user_ns: 4_026_531_837, ..Creds::default() }
}

pub(crate) fn path(path: &str) -> Target {
    Target::Path(PathArg::new(path))
}

pub(crate) fn failed(call: Call, target: Target, arg: u64, errno: &str) -> CallFailed {
    let task = Task { cgroup: CgroupId(7), process: PROCESS, tid: 100, parent: 1, comm: "app".into() };
    let errno = Errno::from_name(errno).expect("an errno of the table");
    CallFailed { task, creds: creds(1000, 1000), call, errno, arg, target, hash: 1 }
}

pub(crate) fn failure_of(call: CallFailed) -> Failure {
    Failure::new(call, FAILED_AT, false)
}

fn node(path: &str, kind: FileKind, (uid, gid, mode): (u32, u32, u32)) -> Component {
    Component {
        path: path.into(),
        kind,
        mode,
        uid,
        gid,
        acl: Vec::new(),
        immutable: false,
        append_only: false,
        link: None,
        mount: mounted("/", "overlay"),
        born: None,
        changed: None,
    }
}

pub(crate) fn mounted(point: &str, fstype: &str) -> Mount {
    Mount { point: point.into(), fstype: fstype.into(), root: "/".into(), source: fstype.into(), ..Mount::default() }
}

pub(crate) fn dir(path: &str, uid: u32, gid: u32, mode: u32) -> Component {
    node(path, FileKind::Directory, (uid, gid, mode))
}

pub(crate) fn file(path: &str, uid: u32, gid: u32, mode: u32) -> Component {
    node(path, FileKind::File, (uid, gid, mode))
}

pub(crate) fn special(path: &str, kind: FileKind, uid: u32, gid: u32, mode: u32) -> Component {
    node(path, kind, (uid, gid, mode))
}

pub(crate) fn link(path: &str, to: &str) -> Component {
    Component { link: Some(to.into()), ..node(path, FileKind::Link, (0, 0, 0o777)) }
}

/// A walk to its last component; `/` is put before.
pub(crate) fn walk(components: impl IntoIterator<Item = Component>) -> Walk {
    let mut all = vec![dir("/", 0, 0, 0o755)];
    all.extend(components);
    Walk { resolved: all.last().map(|c| c.path.clone()), components: all, at: FAILED_AT, ..Walk::default() }
}

/// A walk that ended because something is not there.
pub(crate) fn missing(resolved: &str, stop: &str, components: impl IntoIterator<Item = Component>) -> Walk {
    let stopped = Some(Stop { path: stop.into(), errno: Errno::ENOENT, alike: Vec::new() });
    Walk { resolved: Some(resolved.into()), stopped, ..walk(components) }
}

/// Everything that a case borrows.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) workload: Workload,
    pub(crate) processes: Vec<ProcessView>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) output: Vec<String>,
    pub(crate) answers: Vec<(Question, Answer)>,
    pub(crate) probe: Option<String>,
    /// What the manifest says; the failing container is the one named `app`.
    pub(crate) pod: Option<Pod>,
    pub(crate) claims: Vec<Claim>,
}

impl World {
    pub(crate) fn pod() -> Self {
        let workload = Workload { pod_uid: "0b3f".into(), runtime: "containerd".into(), ..Workload::default() };
        Self { workload, ..Self::default() }
    }

    /// A pod whose manifest is known.
    pub(crate) fn of(pod: Pod) -> Self {
        Self { pod: Some(pod), ..Self::pod() }
    }

    pub(crate) fn local() -> Self {
        Self { workload: Workload { runtime: "unready run".into(), ..Workload::default() }, ..Self::default() }
    }

    /// The process of the failures, with how it ended.
    pub(crate) fn running(mut self, args: &[&str], exited: Option<ExitStatus>) -> Self {
        self.processes.push(ProcessView {
            process: PROCESS,
            parent: 1,
            comm: "app".into(),
            path: args.first().map(ToString::to_string).unwrap_or_default(),
            args: args.iter().map(ToString::to_string).collect(),
            ids: (1000, 1000),
            began: 1000,
            executed: BootNanos(FAILED_AT.0 - 1_000_000),
            exited: exited.map(|status| (BootNanos(FAILED_AT.0 + 1_000_000), status)),
        });
        self
    }

    /// The walk over a path, as it is asked for.
    pub(crate) fn walked(self, path: &str, walk: Walk) -> Self {
        let question = Question::WalkPath { scope: self.case().scope(PROCESS), path: path.into(), dirfd: None, start: None, follow: true };
        self.answer(question, Answer::Walk(walk))
    }

    /// What a file is as an executable.
    pub(crate) fn read(self, path: &str, file: Option<Component>, format: ExecFormat) -> Self {
        let question = Question::ReadExecutable { scope: self.case().scope(PROCESS), path: path.into(), start: None };
        self.answer(question, Answer::Executable(Executable { path: path.into(), file, format }))
    }

    /// Another failing call of the container.
    pub(crate) fn failing(mut self, failure: &Failure) -> Self {
        self.failures.push(failure.clone());
        self
    }

    /// An answer to a question.
    pub(crate) fn answer(mut self, question: Question, answer: Answer) -> Self {
        self.answers.push((question, answer));
        self
    }

    pub(crate) fn said(mut self, line: &str) -> Self {
        self.output.push(line.into());
        self
    }

    pub(crate) fn case(&self) -> Case<'_> {
        let answers: Vec<Known<'_>> = self.answers.iter().map(|(question, answer)| (question, answer)).collect();
        Case {
            cgroup: CgroupId(7),
            workload: &self.workload,
            process: self.processes.first(),
            processes: &self.processes,
            failures: &self.failures,
            output: &self.output,
            answers: answers.leak(),
            probe: self.probe.as_deref(),
            was_ready: false,
            clock: CLOCK,
            manifest: self.pod.as_ref().and_then(|pod| Some(Manifest { pod, container: pod.container("app")?, claims: &self.claims })),
        }
    }
}
