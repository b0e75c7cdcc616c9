//! `FileMissing`: ENOENT. Tells a missing file from a missing directory, a link that leads nowhere, a misspelt name, and
//! the race: the file came after the program had looked for it.

use super::library_missing;
use super::rule::{self, Calls, Rule};
use crate::{
    case::{
        Case, Setting,
        finding::{Finding, Matter},
        look::{absence, file_fact, gap, is_live, name_of, paths, walk_of, walks, whereabouts},
    },
    catalogue::{Cause, Layer, file_missing},
    knowledge::{noise, volume},
    permission::{
        open_flags::CREAT,
        paths::{join, parent_path},
    },
    question::{Answer, Component, FileKind, Question, Stop, Walk},
    record::{Call, Errno, PathArg},
    story::failure::{Failure, base},
    units::BootNanos,
    verdict::{Evidence, EvidenceKind},
    words,
};
use std::time::Duration;

/// How long a missing file is waited for, so that a race can be told from an absence, milliseconds.
const AWAITED_MILLIS: u64 = 3000;
/// Names shorter than this resemble others by chance (`app`, `apt`).
const TELLING_NAME: usize = 5;
/// A cap of what is waited for at once: failures before this one that were not waited for are searches.
const SEARCHED_ELSEWHERE: usize = 1;

/// See the module's head.
pub(super) const RULE: Rule = Rule { says: &[Cause::FileMissing], calls: Some(Calls { takes, questions, explain }), others: None };

fn takes(failure: &Failure) -> bool {
    failure.call.errno == Errno::ENOENT && rule::is_on_file(failure)
}

fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    let mut questions = walks(failure, case);
    for (_, path) in paths(failure, case) {
        let Some(walk) = walk_of(case, &path) else { continue };
        if is_worth_waiting(failure, case, &path)
            && walk.stopped.is_some()
            && let Some(resolved) = &walk.resolved
        {
            let scope = case.scope(failure.call.task.process);
            questions.push(Question::AwaitPath { scope, path: resolved.clone(), for_millis: AWAITED_MILLIS });
        }
    }
    questions
}

/// Search paths and libraries are looked for in many places and appear in none; what is looked for in one place may come.
fn is_worth_waiting(failure: &Failure, case: &Case<'_>, path: &PathArg) -> bool {
    let name = base(&path.path);
    let elsewhere = case
        .failures
        .iter()
        .filter(|other| !std::ptr::eq(*other, failure) && other.call.call == failure.call.call)
        .filter_map(Failure::path)
        .filter(|other| other.path != path.path && base(&other.path) == name)
        .count();
    !path.cut && !failure.by_runtime && !failure.is_noise() && !noise::is_library(&path.path) && elsewhere < SEARCHED_ELSEWHERE
}

fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    if library_missing::is_module_search(failure) {
        return None; // a search path: another rule knows what was searched for
    }
    if matches!(failure.call.call, Call::Write | Call::Sync | Call::Read | Call::Socket | Call::Accept) {
        return None;
    }
    let paths = paths(failure, case);
    // Of two paths the one that stopped is the one that is missing.
    let walked = paths.iter().filter_map(|(_, path)| Some((path, walk_of(case, path)?)));
    let (stopped, passed): (Vec<_>, Vec<_>) = walked.partition(|(_, walk)| walk.stopped.is_some());
    let (path, walk) = match (stopped.first(), passed.first()) {
        (Some((path, walk)), _) | (None, Some((path, walk))) => (*path, Some(*walk)),
        (None, None) => (paths.first().map(|(_, path)| path)?, None),
    };
    Some(match walk {
        None => not_walked(failure, case, path),
        Some(walk) => match &walk.stopped {
            None => there_now(failure, case, path, walk),
            Some(stop) => absent(failure, case, path, walk, stop),
        },
    })
}

/// It is there by now: the race, if the clock says so.
fn there_now(failure: &Failure, case: &Case<'_>, path: &PathArg, walk: &Walk) -> Finding {
    let name = name_of(path, Some(walk));
    let came = walk.components.last().and_then(|file| came_after(failure, case, file));
    let mut finding = Finding::about(file_missing::APPEARED_LATE, &name, failure);
    finding.explanation = match came {
        Some(after) => vec![late(&name, after)],
        None => {
            vec![format!("{name} is there now: it was made after the program had looked for it, or the program looked from another root")]
        }
    };
    finding.remedy.text = wait_remedy(&name, case.setting());
    finding.evidence = walk.components.last().map(|file| file_fact(file, walk)).into_iter().collect();
    finding.proved = came.is_some() && is_live(walk);
    finding.matter = Some(Matter::Late(name));
    finding
}

/// How long after the last failure the file was made, by its own dates.
fn came_after(failure: &Failure, case: &Case<'_>, file: &Component) -> Option<Duration> {
    if case.clock.wall == 0 {
        return None;
    }
    let failed = case.clock.wall_nanos(failure.last);
    // A file that was written aside and renamed was born before it came; its inode changed with the rename.
    [file.born, file.changed].into_iter().flatten().find(|date| *date > failed).map(|date| Duration::from_nanos(date - failed))
}

fn late(name: &str, after: Duration) -> String {
    format!("{name} appeared {} after the program had looked for it", words::duration(after))
}

fn absent(failure: &Failure, case: &Case<'_>, path: &PathArg, walk: &Walk, stop: &Stop) -> Finding {
    let name = name_of(path, Some(walk));
    if let Some(at) = appeared(case, &name) {
        let mut finding = Finding::about(file_missing::APPEARED_LATE, &name, failure);
        finding.explanation = vec![late(&name, at.since(failure.last))];
        finding.remedy.text = wait_remedy(&name, case.setting());
        finding.evidence = vec![Evidence::new(at, EvidenceKind::File, format!("{name} was there"))];
        finding.proved = at > failure.last && is_live(walk);
        finding.matter = Some(Matter::Late(name));
        return finding;
    }
    let (layer, mut reasons) = classify(&name, walk, stop);
    let setting = case.setting();
    if case.manifest.is_none() {
        reasons.extend(walk.components.last().and_then(|last| whereabouts(walk, last, setting)));
    }
    if failure.call.call == Call::Open && failure.call.arg & CREAT != 0 && layer == file_missing::MISSING_DIRECTORY {
        reasons.push("O_CREAT makes a file, but not the directories above it".to_owned());
    }
    reasons.extend(not_within(case, &name));
    let mut finding = Finding::about(layer, &name, failure);
    finding.explanation = reasons;
    finding.remedy.text = remedy(failure, &name, walk, stop, layer, setting);
    finding.evidence = vec![absence(walk, &stop.path, format!("{} does not exist ({})", stop.path, stop.errno))];
    finding.matter = Some(Matter::Absent(name, Some(stop.clone())));
    finding.proved = is_live(walk) && stop.errno == Errno::ENOENT;
    finding
}

/// Which component is missing, and how.
fn classify(name: &str, walk: &Walk, stop: &Stop) -> (Layer, Vec<String>) {
    if let Some(link) = last_link(walk, stop) {
        let to = link.link.as_deref().unwrap_or_default();
        return (file_missing::DANGLING_LINK, vec![format!("{} is a symbolic link to {to}, and {} does not exist", link.path, stop.path)]);
    }
    let (directory, wanted) = (parent_path(&stop.path), base(&stop.path));
    if !stop.alike.is_empty() && wanted.len() >= TELLING_NAME {
        return (
            file_missing::MISSPELT,
            vec![format!("{} does not exist, but {directory} has {}", stop.path, words::list(&stop.alike, 5))],
        );
    }
    if stop.path == name || wanted == base(name) {
        return (file_missing::MISSING_FILE, vec![format!("directory {directory} is there and has no {wanted}")]);
    }
    (file_missing::MISSING_DIRECTORY, vec![format!("{} does not exist, so that nothing below it can", stop.path)])
}

/// The link that leads to what is missing.
fn last_link<'a>(walk: &'a Walk, stop: &Stop) -> Option<&'a Component> {
    let under = |directory: &str, path: &str| path == directory || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
    walk.components.iter().rev().filter(|c| c.kind == FileKind::Link).find(|link| {
        let target = join(parent_path(&link.path), link.link.as_deref().unwrap_or_default());
        under(&stop.path, &target) // the link itself names it; a file that lacks behind a working link is just missing
    })
}

fn appeared(case: &Case<'_>, name: &str) -> Option<BootNanos> {
    case.answers.iter().find_map(|(question, answer)| match (question, answer) {
        (Question::AwaitPath { path, .. }, Answer::Appeared { at: Some(at) }) if path == name => Some(*at),
        _ => None,
    })
}

fn not_within(case: &Case<'_>, name: &str) -> Option<String> {
    case.answers.iter().find_map(|(question, answer)| match (question, answer) {
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

fn remedy(failure: &Failure, name: &str, walk: &Walk, stop: &Stop, layer: Layer, setting: Setting) -> String {
    let volume = walk.components.last().and_then(|last| volume::of_walk(walk, &last.mount));
    let creates = failure.call.arg & CREAT != 0 && failure.call.call == Call::Open
        || matches!(failure.call.call, Call::Mkdir | Call::Mknod | Call::Bind);
    match (layer, volume, setting) {
        (file_missing::MISSPELT, _, _) => {
            let near = stop.alike.first().map(String::as_str).unwrap_or_default();
            format!("If {} is meant, correct the name; otherwise provide {name}.", join(parent_path(&stop.path), near))
        }
        (file_missing::DANGLING_LINK, ..) => format!("Provide {}, or correct the link.", stop.path),
        _ if failure.call.call == Call::Connect => {
            format!("Start what makes the socket {name} before this program, share its directory with it, or let this program wait for it.")
        }
        (_, Some(volume), _) if volume.kind.is_kubelet_written() => {
            format!(
                "Add the key {} to the source of {volume}, or correct `items`/`subPath` of its volumeMount or the path that the program is told.",
                base(name)
            )
        }
        (file_missing::MISSING_DIRECTORY, None, Setting::Pod) if creates => {
            format!("Make the directory {} in the image, or mount an emptyDir there.", parent_path(name))
        }
        (file_missing::MISSING_DIRECTORY, ..) if creates => format!("Make the directory first: `mkdir -p {}`.", parent_path(name)),
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

fn not_walked(failure: &Failure, case: &Case<'_>, path: &PathArg) -> Finding {
    let mut finding = Finding::about(file_missing::MISSING_FILE, &path.path, failure);
    let why = gap(case).unwrap_or("the path has not been looked at");
    finding.explanation = vec![
        format!("{} or a directory above it did not exist at that moment", path.path),
        format!("what is there now is not known: {why}"),
    ];
    finding.remedy.text = match case.setting() {
        Setting::Pod => format!("Mount what provides {}, add it to the image, or correct the path that the program is told.", path.path),
        Setting::Container | Setting::Local => format!("Provide {}, or correct the path that the program is told.", path.path),
    };
    finding.matter = Some(Matter::Absent(path.path.clone(), None));
    finding
}
