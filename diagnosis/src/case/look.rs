//! What was found when the world was looked at for a suspect, and which questions look at the paths of a call.

use super::{Case, Setting};
use crate::{
    knowledge::volume,
    permission::{Attempt, Role, paths},
    question::{Answer, Component, Executable, Mount, Question, Scope, View, Walk},
    record::{Call, Errno, PathArg, Target},
    story::{
        fact,
        fact::Fact,
        failure::{Failure, base},
    },
    verdict::{Evidence, EvidenceKind},
    words,
};

/// The paths of a call, each with its part in it. Of a descriptor: its path, once that is known.
pub fn paths(failure: &Failure, case: &Case<'_>) -> Vec<(Role, PathArg)> {
    match &failure.call.target {
        Target::Unix(path) if path.path.starts_with('@') => Vec::new(), // abstract: no file
        Target::Path(path) | Target::Unix(path) => vec![(Role::Only, path.clone())],
        Target::Paths { to, .. } if failure.call.call == Call::Symlink => vec![(Role::To, to.clone())],
        Target::Paths { from, to } => vec![(Role::From, from.clone()), (Role::To, to.clone())],
        Target::File { name, .. } => {
            let found = found_mount(case);
            let path = found.and_then(|(mount, path)| path.or_else(|| mount_itself(failure, mount?, name)));
            path.map(|path| (Role::Only, PathArg::new(path))).into_iter().collect()
        }
        Target::Inet { .. } | Target::Nothing => Vec::new(),
    }
}

/// A directory that was read as a file and is the mount itself: a subPath that names nothing. Its own name is then the
/// source's, and the mount point is where the program knows it.
fn mount_itself(failure: &Failure, mount: Mount, name: &str) -> Option<String> {
    let by_sub_path = volume::of_mount(&mount).is_some_and(|volume| volume.sub_path);
    let same_name = mount.point.rsplit('/').next() == Some(name);
    (failure.call.errno == Errno::EISDIR && (by_sub_path || same_name)).then_some(mount.point)
}

/// Walks over all paths of the call; for a descriptor, first where its file is.
pub fn walks(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    let scope = case.scope(failure.call.task.process);
    if let Target::File { fd, device, inode, ref name } = failure.call.target
        && found_mount(case).is_none()
    {
        return vec![Question::FindMount { scope, device, fd, inode, name: name.clone() }];
    }
    paths(failure, case)
        .into_iter()
        .filter(|(_, path)| !path.cut)
        .map(|(_, path)| walk(scope, &path, paths::follows(failure.call.call)))
        .collect()
}

/// The question for a walk over a path of a call.
pub fn walk(scope: Scope, path: &PathArg, follow: bool) -> Question {
    Question::WalkPath { scope, path: path.path.clone(), dirfd: path.dirfd, start: path.start, follow }
}

/// Where the file of the descriptor is, if that was asked and answered.
pub fn found_mount(case: &Case<'_>) -> Option<(Option<Mount>, Option<String>)> {
    case.answers
        .iter()
        .find_map(|(_, answer)| if let Answer::Mount { mount, path } = answer { Some((mount.clone(), path.clone())) } else { None })
}

/// The walk over this path.
pub fn walk_of<'a>(case: &Case<'a>, path: &PathArg) -> Option<&'a Walk> {
    case.answers.iter().find_map(|(question, answer)| match (question, answer) {
        (Question::WalkPath { path: asked, dirfd, start, .. }, Answer::Walk(walk))
            if *asked == path.path && (*dirfd, *start) == (path.dirfd, path.start) =>
        {
            Some(walk)
        }
        _ => None,
    })
}

/// Why a question was not answered, if that is so.
pub fn gap<'a>(case: &Case<'a>) -> Option<&'a str> {
    case.answers.iter().find_map(|(_, answer)| if let Answer::Gone { reason } = answer { Some(reason.as_str()) } else { None })
}

/// A walk counts as a second look at the live file system. What a bundle on the host shows lacks the container's mounts.
pub fn is_live(walk: &Walk) -> bool {
    walk.view != View::Bundle
}

/// The name of a path in texts: where it leads from `/`, as far as that is known.
pub fn name_of(path: &PathArg, walk: Option<&Walk>) -> String {
    walk.and_then(|walk| walk.resolved.clone()).unwrap_or_else(|| path.path.clone())
}

/// A fact about a file.
pub fn file_fact(component: &Component, walk: &Walk) -> Evidence {
    let text = format!("{} is {}", words::component(component), words::owner_mode(component));
    Evidence::new(walk.at, EvidenceKind::File, text).with(of_component(component))
}

/// A fact about a mount.
pub fn mount_fact(mount: &Mount, walk: &Walk) -> Evidence {
    let options = if mount.options.is_empty() { String::new() } else { format!(", options {}", mount.options) };
    let fact = fact::Mount { point: mount.point.clone(), fstype: mount.fstype.clone(), read_only: mount.read_only };
    Evidence::new(walk.at, EvidenceKind::Mount, format!("{}{options}", words::mount(mount))).with(Fact::Mount(fact))
}

/// A file as it was found, for programs.
pub const fn inode(component: &Component) -> fact::Inode {
    fact::Inode { kind: component.kind, mode: component.mode, uid: component.uid, gid: component.gid }
}

fn of_component(component: &Component) -> Fact {
    Fact::File(fact::File { path: component.path.clone(), found: Some(inode(component)) })
}

/// A file is not there.
pub fn absence(walk: &Walk, path: &str, text: String) -> Evidence {
    Evidence::new(walk.at, EvidenceKind::File, text).with(Fact::File(fact::File { path: path.to_owned(), found: None }))
}

/// A failing call as a piece of evidence.
pub fn call_fact(failure: &Failure, at: crate::units::BootNanos) -> Evidence {
    let call = &failure.call;
    Evidence::new(at, EvidenceKind::Call, words::failure(failure)).with(Fact::Call(fact::FailedCall {
        call: call.call,
        target: words::subject_name(&call.target),
        errno: call.errno,
        count: failure.count,
        last: failure.last,
        pid: call.task.process.pid,
    }))
}

/// In which volume of the pod (or on which mount) something lies, for explanations.
pub fn whereabouts(walk: &Walk, component: &Component, setting: Setting) -> Option<String> {
    let mount = &component.mount;
    if setting != Setting::Pod {
        let is_own = !matches!(mount.point.as_str(), "" | "/");
        return is_own.then(|| format!("it lies on {}", words::mount(mount)));
    }
    let fstype = if mount.fstype.is_empty() { String::new() } else { format!(", {}", mount.fstype) };
    volume::of_walk(walk, mount).map(|volume| format!("{} is {volume}{fstype}", mount.point))
}

/// A call on one of its paths, to be judged anew.
pub fn attempt<'a>(failure: &'a Failure, role: Role, path: &'a PathArg, walk: &'a Walk) -> Attempt<'a> {
    let call = &failure.call;
    Attempt { call: call.call, arg: call.arg, errno: call.errno, creds: &call.creds, given: &path.path, role, walk }
}

/// What a file is as an executable, if that was asked and answered.
pub fn executable<'a>(case: &Case<'a>, path: &str) -> Option<&'a Executable> {
    case.answers.iter().find_map(|(question, answer)| match (question, answer) {
        (Question::ReadExecutable { path: asked, .. }, Answer::Executable(executable)) if asked == path => Some(executable),
        _ => None,
    })
}

/// Directories in which something of this name was looked for, by this call, in their order.
pub fn directories_searched(case: &Case<'_>, name: &str, matches: impl Fn(&Failure) -> bool) -> Vec<String> {
    let found = case.failures.iter().filter(|failure| matches(failure)).filter_map(Failure::path).map(|path| path.path.as_str());
    let mut directories: Vec<String> = found.filter(|path| base(path) == name).map(|path| paths::parent_path(path).to_owned()).collect();
    let mut seen = std::collections::BTreeSet::new();
    directories.retain(|directory| seen.insert(directory.clone()));
    directories
}
