//! `FileMissing`: ENOENT. Tells a missing file from a missing directory, a link that leads nowhere, a misspelt name, and
//! the race: the file came after the program had looked for it.

use super::{Setting, about, file_fact, gap, is_live, name_of, paths, volume, walk_of, walks};
use crate::{
    cause::Cause,
    permission::{
        open_flags::CREAT,
        place::{join, parent_path},
    },
    question::{Answer, Component, FileKind, Question, Stop, Walk},
    record::{Call, PathArg},
    rules::{Context, Failure, Finding, spec, weight, words, words::layer},
    units::BootNanos,
    verdict::{Evidence, EvidenceKind},
};
use std::time::Duration;

/// How long a missing file is waited for, so that a race can be told from an absence, milliseconds.
const AWAITED_MILLIS: u64 = 3000;
/// Names shorter than this resemble others by chance (`app`, `apt`).
const TELLING_NAME: usize = 5;
/// A cap of what is waited for at once: failures before this one that were not waited for are searches.
const SEARCHED_ELSEWHERE: usize = 1;

pub(super) fn questions(failure: &Failure, context: &Context<'_>) -> Vec<Question> {
    let mut questions = walks(failure, context);
    questions.extend(super::runtime::questions(failure, context));
    for (_, path) in paths(failure, context) {
        let Some(walk) = walk_of(context, &path) else { continue };
        if is_worth_waiting(failure, context, &path)
            && walk.stopped.is_some()
            && let Some(resolved) = &walk.resolved
        {
            let scope = context.scope(failure.call.task.process);
            questions.push(Question::AwaitPath { scope, path: resolved.clone(), for_millis: AWAITED_MILLIS });
        }
    }
    questions
}

/// Search paths and libraries are looked for in many places and appear in none; what is looked for in one place may come.
fn is_worth_waiting(failure: &Failure, context: &Context<'_>, path: &PathArg) -> bool {
    let base = base(&path.path);
    let elsewhere = context
        .failures
        .iter()
        .filter(|other| !std::ptr::eq(*other, failure) && other.call.call == failure.call.call)
        .filter_map(weight::path)
        .filter(|other| other.path != path.path && self::base(&other.path) == base)
        .count();
    !path.cut && !failure.by_runtime && !weight::is_noise(failure) && !weight::is_library(&path.path) && elsewhere < SEARCHED_ELSEWHERE
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

pub(super) fn explain(failure: &Failure, context: &Context<'_>) -> Option<Finding> {
    if matches!(failure.call.call, Call::Write | Call::Sync | Call::Read | Call::Socket | Call::Accept) {
        return None;
    }
    let paths = paths(failure, context);
    // Of two paths the one that stopped is the one that is missing.
    let walked = paths.iter().filter_map(|(_, path)| Some((path, walk_of(context, path)?)));
    let (stopped, passed): (Vec<_>, Vec<_>) = walked.partition(|(_, walk)| walk.stopped.is_some());
    let (path, walk) = match (stopped.first(), passed.first()) {
        (Some((path, walk)), _) | (None, Some((path, walk))) => (*path, Some(*walk)),
        (None, None) => (paths.first().map(|(_, path)| path)?, None),
    };
    Some(match walk {
        None => not_walked(failure, context, path),
        Some(walk) => match &walk.stopped {
            None => there_now(failure, context, path, walk),
            Some(stop) => absent(failure, context, path, walk, stop),
        },
    })
}

/// It is there by now: the race, if the clock says so.
fn there_now(failure: &Failure, context: &Context<'_>, path: &PathArg, walk: &Walk) -> Finding {
    let name = name_of(path, Some(walk));
    let came = walk.components.last().and_then(|file| came_after(failure, context, file));
    let mut finding = about(Cause::FileMissing, layer::APPEARED_LATE, &name, failure);
    finding.explanation = match came {
        Some(after) => vec![late(&name, after)],
        None => {
            vec![format!("{name} is there now: it was made after the program had looked for it, or the program looked from another root")]
        }
    };
    finding.remedy.text = wait_remedy(&name, Setting::of(context.workload));
    spec::missing::late(&mut finding, context, &name);
    finding.evidence = walk.components.last().map(|file| file_fact(file, walk)).into_iter().collect();
    finding.proved = came.is_some() && is_live(walk);
    finding
}

/// How long after the last failure the file was made, by its own dates.
fn came_after(failure: &Failure, context: &Context<'_>, file: &Component) -> Option<Duration> {
    if context.clock.wall == 0 {
        return None;
    }
    let failed = context.clock.wall_nanos(failure.last);
    // A file that was written aside and renamed was born before it came; its inode changed with the rename.
    [file.born, file.changed].into_iter().flatten().find(|date| *date > failed).map(|date| Duration::from_nanos(date - failed))
}

fn late(name: &str, after: Duration) -> String {
    format!("{name} appeared {} after the program had looked for it", words::duration(after))
}

fn absent(failure: &Failure, context: &Context<'_>, path: &PathArg, walk: &Walk, stop: &Stop) -> Finding {
    let name = name_of(path, Some(walk));
    if let Some(at) = appeared(context, &name) {
        let mut finding = about(Cause::FileMissing, layer::APPEARED_LATE, &name, failure);
        finding.explanation = vec![late(&name, at.since(failure.last))];
        finding.remedy.text = wait_remedy(&name, Setting::of(context.workload));
        spec::missing::late(&mut finding, context, &name);
        finding.evidence = vec![Evidence::new(at, EvidenceKind::File, format!("{name} was there"))];
        finding.proved = at > failure.last && is_live(walk);
        return finding;
    }
    let (layer, mut reasons) = classify(&name, walk, stop);
    let setting = Setting::of(context.workload);
    if context.spec.is_none() {
        reasons.extend(walk.components.last().and_then(|last| super::denied::whereabouts(walk, last, setting)));
    }
    if failure.call.call == Call::Open && failure.call.arg & CREAT != 0 && layer == layer::MISSING_DIRECTORY {
        reasons.push("O_CREAT makes a file, but not the directories above it".to_owned());
    }
    reasons.extend(not_within(context, &name));
    let mut finding = about(Cause::FileMissing, layer, &name, failure);
    finding.explanation = reasons;
    finding.remedy.text = remedy(failure, &name, walk, stop, layer, setting);
    finding.evidence = vec![Evidence::new(walk.at, EvidenceKind::File, format!("{} does not exist ({})", stop.path, stop.errno))];
    spec::missing::absent(&mut finding, failure, context, &name, Some(stop));
    finding.proved = is_live(walk) && stop.errno == crate::record::Errno::ENOENT;
    finding
}

/// Which component is missing, and how.
fn classify(name: &str, walk: &Walk, stop: &Stop) -> (&'static str, Vec<String>) {
    if let Some(link) = last_link(walk, stop) {
        let to = link.link.as_deref().unwrap_or_default();
        return (layer::DANGLING_LINK, vec![format!("{} is a symbolic link to {to}, and {} does not exist", link.path, stop.path)]);
    }
    let (directory, wanted) = (parent_path(&stop.path), base(&stop.path));
    if !stop.alike.is_empty() && wanted.len() >= TELLING_NAME {
        return (layer::MISSPELT, vec![format!("{} does not exist, but {directory} has {}", stop.path, words::list(&stop.alike, 5))]);
    }
    if stop.path == name || wanted == base(name) {
        return (layer::MISSING_FILE, vec![format!("directory {directory} is there and has no {wanted}")]);
    }
    (layer::MISSING_DIRECTORY, vec![format!("{} does not exist, so that nothing below it can", stop.path)])
}

/// The link that leads to what is missing.
fn last_link<'a>(walk: &'a Walk, stop: &Stop) -> Option<&'a Component> {
    let under = |directory: &str, path: &str| path == directory || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
    walk.components.iter().rev().filter(|c| c.kind == FileKind::Link).find(|link| {
        let target = join(parent_path(&link.path), link.link.as_deref().unwrap_or_default());
        under(&stop.path, &target) // the link itself names it; a file that lacks behind a working link is just missing
    })
}

fn appeared(context: &Context<'_>, name: &str) -> Option<BootNanos> {
    context.answers.iter().find_map(|(question, answer)| match (question, answer) {
        (Question::AwaitPath { path, .. }, Answer::Appeared { at: Some(at) }) if path == name => Some(*at),
        _ => None,
    })
}

fn not_within(context: &Context<'_>, name: &str) -> Option<String> {
    context.answers.iter().find_map(|(question, answer)| match (question, answer) {
        (Question::AwaitPath { path, for_millis, .. }, Answer::Appeared { at: None }) if path == name => {
            Some(format!("it did not appear within {}", words::duration(Duration::from_millis(*for_millis))))
        }
        _ => None,
    })
}

fn wait_remedy(name: &str, setting: Setting) -> String {
    match setting {
        Setting::Pod => format!(
            "Let an init container write {name}, or let the program wait for it; a sidecar that writes it must be a native one (initContainers with restartPolicy: Always and a startupProbe)."
        ),
        Setting::Container | Setting::Local => format!("Start the program after {name} is written, or let it wait for the file."),
    }
}

fn remedy(failure: &Failure, name: &str, walk: &Walk, stop: &Stop, layer: &str, setting: Setting) -> String {
    let volume = walk.components.last().and_then(|last| volume::of_walk(walk, &last.mount));
    let creates = failure.call.arg & CREAT != 0 && failure.call.call == Call::Open
        || matches!(failure.call.call, Call::Mkdir | Call::Mknod | Call::Bind);
    match (layer, volume, setting) {
        (layer::MISSPELT, _, _) => {
            let near = stop.alike.first().map(String::as_str).unwrap_or_default();
            format!("If {} is meant, correct the name; otherwise provide {name}.", join(parent_path(&stop.path), near))
        }
        (layer::DANGLING_LINK, ..) => format!("Provide {}, or correct the link.", stop.path),
        _ if failure.call.call == Call::Connect => {
            format!("Start what makes the socket {name} before this program, share its directory with it, or let this program wait for it.")
        }
        (_, Some(volume), _) if volume.kind.is_kubelet_written() => {
            format!(
                "Add the key {} to the source of {volume}, or correct `items`/`subPath` of its volumeMount or the path that the program is told.",
                base(name)
            )
        }
        (layer::MISSING_DIRECTORY, None, Setting::Pod) if creates => {
            format!("Make the directory {} in the image, or mount an emptyDir there.", parent_path(name))
        }
        (layer::MISSING_DIRECTORY, ..) if creates => format!("Make the directory first: `mkdir -p {}`.", parent_path(name)),
        (_, Some(_), Setting::Pod) => format!(
            "Put {name} into the volume before the program starts (an init container), or correct the path that the program is told."
        ),
        (_, None, Setting::Pod) => {
            format!(
                "Mount what provides {name} (a ConfigMap or Secret key, a volume), add it to the image, or correct the path that the program is told."
            )
        }
        (_, _, Setting::Container) => {
            format!("Add {name} to the image or mount it into the container, or correct the path that the program is told.")
        }
        (_, _, Setting::Local) => {
            format!("Make {name}, or correct the path that the program is told (its arguments, its configuration, its working directory).")
        }
    }
}

fn not_walked(failure: &Failure, context: &Context<'_>, path: &PathArg) -> Finding {
    let mut finding = about(Cause::FileMissing, layer::MISSING_FILE, &path.path, failure);
    let why = gap(context).unwrap_or("the path has not been looked at");
    finding.explanation = vec![
        format!("{} or a directory above it did not exist at that moment", path.path),
        format!("what is there now is not known: {why}"),
    ];
    finding.remedy.text = match Setting::of(context.workload) {
        Setting::Pod => format!("Mount what provides {}, add it to the image, or correct the path that the program is told.", path.path),
        Setting::Container | Setting::Local => format!("Provide {}, or correct the path that the program is told.", path.path),
    };
    spec::missing::absent(&mut finding, failure, context, &path.path, None);
    finding
}
