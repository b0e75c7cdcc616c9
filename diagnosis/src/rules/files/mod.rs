//! Failing calls on files: which errno belongs to which cause, what has to be asked, and what the causes share.
//!
//! | errno | rule |
//! |---|---|
//! | EACCES, EPERM | [`denied`], and [`privileges`] for calls without a path |
//! | EROFS | [`readonly`] |
//! | ENOENT | [`missing`], and [`runtime`] for what minimal images lack |
//! | EISDIR, ENOTDIR, ELOOP, ENXIO | [`wrong_type`] |
//! | ENOSPC, EDQUOT, EMFILE, ENFILE | [`full`] |
//!
//! Calls that execute something, and binds of internet addresses, belong to their own rules. An errno that is not in the
//! table asks nothing and explains nothing.

pub(in crate::rules) mod denied;
mod denied_words;
mod full;
mod missing;
mod privileges;
mod readonly;
mod remedies;
pub(in crate::rules) mod runtime;
#[cfg(test)]
mod tests;
pub mod volume;
mod wrong_type;

use super::{Context, Failure, Finding, exec::library, weight, words};
use crate::{
    cause::Cause,
    permission::{Role, place},
    question::{Answer, Mount, Question, Scope, View, Walk},
    record::{Call, Errno, PathArg, Target},
    verdict::{Evidence, EvidenceKind, Remedy, Severity, Subject, SubjectKind, Workload},
};

/// What must be known to explain a failure on a file.
pub fn questions(failure: &Failure, context: &Context<'_>) -> Vec<Question> {
    if belongs_elsewhere(failure) {
        return Vec::new();
    }
    match failure.call.errno {
        Errno::EACCES | Errno::EPERM => denied::questions(failure, context),
        Errno::EROFS | Errno::EISDIR | Errno::ENOTDIR | Errno::ELOOP | Errno::ENXIO => walks(failure, context),
        Errno::ENOENT => missing::questions(failure, context),
        Errno::ENOSPC | Errno::EDQUOT | Errno::EMFILE | Errno::ENFILE => full::questions(failure, context),
        _ => Vec::new(),
    }
}

/// Whether the program's own words complain of what this path stands for: "unknown authority" for a bundle of CA certificates.
pub(in crate::rules) fn is_complained_of(failure: &Failure, context: &Context<'_>) -> bool {
    failure.call.errno == Errno::ENOENT && runtime::is_complained_of(failure, context)
}

/// What a failure on a file means.
pub fn explain(failure: &Failure, context: &Context<'_>) -> Option<Finding> {
    if belongs_elsewhere(failure) {
        return None;
    }
    match failure.call.errno {
        Errno::EACCES | Errno::EPERM => denied::explain(failure, context),
        Errno::EROFS => Some(readonly::explain(failure, context)),
        Errno::ENOENT if is_module_search(failure) => None, // a search path: other rules know what was searched for
        Errno::ENOENT => runtime::explain(failure, context).or_else(|| missing::explain(failure, context)),
        Errno::EISDIR | Errno::ENOTDIR | Errno::ELOOP | Errno::ENXIO => wrong_type::explain(failure, context),
        Errno::ENOSPC | Errno::EDQUOT | Errno::EMFILE | Errno::ENFILE => Some(full::explain(failure, context)),
        _ => None,
    }
}

fn is_module_search(failure: &Failure) -> bool {
    let searches = matches!(failure.call.call, Call::Stat | Call::Open | Call::Access);
    searches && weight::path(failure).is_some_and(|path| library::is_module_directory(&path.path))
}

fn belongs_elsewhere(failure: &Failure) -> bool {
    failure.call.call == Call::Exec || matches!(failure.call.target, Target::Inet { .. })
}

/// The paths of a call, each with its part in it. Of a descriptor: its path, once that is known.
pub(in crate::rules) fn paths(failure: &Failure, context: &Context<'_>) -> Vec<(Role, PathArg)> {
    match &failure.call.target {
        Target::Unix(path) if path.path.starts_with('@') => Vec::new(), // abstract: no file
        Target::Path(path) | Target::Unix(path) => vec![(Role::Only, path.clone())],
        Target::Paths { to, .. } if failure.call.call == Call::Symlink => vec![(Role::To, to.clone())],
        Target::Paths { from, to } => vec![(Role::From, from.clone()), (Role::To, to.clone())],
        Target::File { name, .. } => {
            let found = found_mount(context);
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
pub(in crate::rules) fn walks(failure: &Failure, context: &Context<'_>) -> Vec<Question> {
    let scope = context.scope(failure.call.task.process);
    if let Target::File { fd, device, inode, ref name } = failure.call.target
        && found_mount(context).is_none()
    {
        return vec![Question::FindMount { scope, device, fd, inode, name: name.clone() }];
    }
    paths(failure, context)
        .into_iter()
        .filter(|(_, path)| !path.cut)
        .map(|(_, path)| walk(scope, &path, place::follows(failure.call.call)))
        .collect()
}

/// The question for a walk over a path of a call.
pub(in crate::rules) fn walk(scope: Scope, path: &PathArg, follow: bool) -> Question {
    Question::WalkPath { scope, path: path.path.clone(), dirfd: path.dirfd, start: path.start, follow }
}

/// Where the file of the descriptor is, if that was asked and answered.
pub(in crate::rules) fn found_mount(context: &Context<'_>) -> Option<(Option<Mount>, Option<String>)> {
    context
        .answers
        .iter()
        .find_map(|(_, answer)| if let Answer::Mount { mount, path } = answer { Some((mount.clone(), path.clone())) } else { None })
}

/// The walk over this path.
pub(in crate::rules) fn walk_of<'a>(context: &Context<'a>, path: &PathArg) -> Option<&'a Walk> {
    context.answers.iter().find_map(|(question, answer)| match (question, answer) {
        (Question::WalkPath { path: asked, dirfd, start, .. }, Answer::Walk(walk))
            if *asked == path.path && (*dirfd, *start) == (path.dirfd, path.start) =>
        {
            Some(walk)
        }
        _ => None,
    })
}

/// Why a question was not answered, if that is so.
pub(in crate::rules) fn gap<'a>(context: &Context<'a>) -> Option<&'a str> {
    context.answers.iter().find_map(|(_, answer)| if let Answer::Gone { reason } = answer { Some(reason.as_str()) } else { None })
}

/// A walk counts as a second look at the live file system. What a bundle on the host shows lacks the container's mounts.
pub(in crate::rules) fn is_live(walk: &Walk) -> bool {
    walk.view != View::Bundle
}

/// A finding to be filled in.
pub(in crate::rules) fn finding(cause: Cause, layer: &str, subject: (SubjectKind, &str), summary: String) -> Finding {
    Finding {
        cause,
        layer: layer.to_owned(),
        subject: Subject { kind: subject.0, name: subject.1.to_owned() },
        summary,
        explanation: Vec::new(),
        remedy: Remedy::default(),
        evidence: Vec::new(),
        severity: Severity::Blocking,
        proved: false,
    }
}

/// A finding about the path of a failing call.
fn about(cause: Cause, layer: &str, path: &str, failure: &Failure) -> Finding {
    finding(cause, layer, (SubjectKind::Path, path), words::failure(failure))
}

/// The name of a path in texts: where it leads from `/`, as far as that is known.
pub(in crate::rules) fn name_of(path: &PathArg, walk: Option<&Walk>) -> String {
    walk.and_then(|walk| walk.resolved.clone()).unwrap_or_else(|| path.path.clone())
}

/// A fact about a file.
pub(in crate::rules) fn file_fact(component: &crate::question::Component, walk: &Walk) -> Evidence {
    let text = format!("{} is {}", words::component(component), words::owner_mode(component));
    Evidence::new(walk.at, EvidenceKind::File, text)
}

/// A fact about a mount.
pub(in crate::rules) fn mount_fact(mount: &Mount, walk: &Walk) -> Evidence {
    let options = if mount.options.is_empty() { String::new() } else { format!(", options {}", mount.options) };
    Evidence::new(walk.at, EvidenceKind::Mount, format!("{}{options}", words::mount(mount)))
}

/// Who reads the remedy: what can be changed differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Setting {
    /// The spec of a pod.
    Pod,
    /// A container without Kubernetes: the command line or configuration of its runtime.
    Container,
    /// `unready run`.
    Local,
}

impl Setting {
    pub(in crate::rules) fn of(workload: &Workload) -> Self {
        if workload.runtime == crate::attribution::Runtime::UnreadyRun.word() {
            Self::Local
        } else if workload.pod_uid.is_empty() && workload.pod.is_empty() {
            Self::Container
        } else {
            Self::Pod
        }
    }
}
