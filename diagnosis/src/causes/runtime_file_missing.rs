//! `RuntimeFileMissing`: what minimal images lack and programs take for granted.
//!
//! Programs look for most of these in several places, or do without. A file counts only if no alternative is there
//! either, and what a program usually can do without only if the program itself complains of it.

use super::rule::{self, Calls, Others, Rule};
use crate::{
    case::{
        Case, Setting, Suspect, end,
        finding::{Finding, Matter},
        look::{absence, is_live, walk_of},
    },
    catalogue::{Cause, runtime_file_missing},
    knowledge::runtime_files::{self, RuntimeFile},
    question::{Answer, Question, Walk},
    record::{Errno, ExitStatus, PathArg},
    story::failure::Failure,
    units::{BootNanos, Process},
    verdict::SubjectKind,
    words,
};

/// See the module's head.
pub(super) const RULE: Rule = Rule {
    says: &[Cause::RuntimeFileMissing],
    calls: Some(Calls { takes, questions, explain }),
    others: Some(Others { questions: questions_at_end, explain: explain_end }),
};

fn takes(failure: &Failure) -> bool {
    failure.call.errno == Errno::ENOENT && rule::is_on_file(failure)
}

/// The failure that the program's own words point at, when nothing else explains its end: programs speak of
/// certificates and time zones, seldom of the file.
fn complained_of<'a>(case: &Case<'a>) -> Option<&'a Failure> {
    let missing = |failure: &&Failure| failure.call.errno == Errno::ENOENT && !failure.by_runtime;
    case.failures.iter().filter(missing).find(|failure| {
        failure.path().is_some_and(|path| runtime_files::of(&path.path).is_some_and(|thing| case.complains_of(thing, &path.path)))
    })
}

/// What else has to be looked at, beside the path itself.
fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    let scope = case.scope(failure.call.task.process);
    let alternatives = failure.path().and_then(|path| runtime_files::of(&path.path)).map_or(&[][..], |thing| thing.alternatives);
    alternatives.iter().map(|path| Question::WalkPath { scope, path: (*path).to_owned(), dirfd: None, start: None, follow: true }).collect()
}

fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    let path = failure.path()?;
    let thing = runtime_files::of(&path.path)?;
    let walk = walk_of(case, path);
    let is_directory_there = |walk: &Walk| walk.stopped.as_ref().is_some_and(|stop| !thing.places.contains(&stop.path.as_str()));
    if thing.layer == runtime_file_missing::TEMPORARY_DIRECTORY && walk.is_none_or(is_directory_there) {
        return None; // an ordinary file that is missing below /tmp or /run
    }
    let blamed = case.complains_of(thing, &path.path) || is_searched_in_vain(thing, case);
    if thing.optional && !blamed || alternative_is_there(thing, case) {
        return None;
    }
    Some(lacking(thing, failure, case, path, walk))
}

/// Nothing is known of what the program wrote (a container's log is not read), and it looked in several places: then the
/// search itself is the complaint. That it ended at once without them has been weighed before.
fn is_searched_in_vain(thing: &RuntimeFile, case: &Case<'_>) -> bool {
    let tried =
        case.failures.iter().filter_map(Failure::path).filter(|p| runtime_files::of(&p.path).is_some_and(|t| t.layer == thing.layer));
    case.output.is_empty() && !thing.alternatives.is_empty() && tried.count() > 1
}

fn alternative_is_there(thing: &RuntimeFile, case: &Case<'_>) -> bool {
    thing.alternatives.iter().any(|place| walk_of(case, &PathArg::new(*place)).is_some_and(|walk| walk.stopped.is_none()))
}

fn lacking(thing: &RuntimeFile, failure: &Failure, case: &Case<'_>, path: &PathArg, walk: Option<&Walk>) -> Finding {
    let searched = case
        .failures
        .iter()
        .filter_map(Failure::path)
        .map(|p| p.path.as_str())
        .filter(|p| runtime_files::of(p).is_some_and(|t| t.layer == thing.layer));
    let searched = words::list(searched, 4);
    // /tmp/x is missing because /tmp is: the directory is the thing. Of several places the usual one is.
    let subject = match (walk.and_then(|walk| walk.stopped.as_ref()), thing.layer) {
        (Some(stop), runtime_file_missing::TEMPORARY_DIRECTORY) => stop.path.as_str(),
        (_, runtime_file_missing::CA_BUNDLE) => thing.alternatives.first().copied().unwrap_or(&path.path),
        _ => path.path.as_str(),
    };
    let mut finding = Finding::about(thing.layer, subject, failure);
    finding.explanation = vec![format!("{subject} does not exist: {}", thing.name), thing.why.to_owned()];
    if searched.contains(' ') {
        finding.explanation.push(format!("the program looked for it at {searched}"));
    }
    finding.remedy.text = match case.setting() {
        Setting::Pod | Setting::Container => thing.remedy.to_owned(),
        Setting::Local => format!("Provide {subject} on this machine. In an image: {}", thing.remedy),
    };
    let is_directory = matches!(thing.layer, runtime_file_missing::TEMPORARY_DIRECTORY | runtime_file_missing::DEVICE);
    finding.matter = is_directory.then(|| Matter::NoDirectory(subject.to_owned()));
    let stopped = walk.and_then(|walk| Some((walk, walk.stopped.as_ref()?)));
    finding.evidence = stopped
        .map(|(walk, stop)| absence(walk, &stop.path, format!("{} does not exist ({})", stop.path, stop.errno)))
        .into_iter()
        .collect();
    let none_there = thing.alternatives.iter().all(|place| walk_of(case, &PathArg::new(*place)).is_some_and(|walk| walk.stopped.is_some()));
    finding.proved = stopped.is_some_and(|(walk, _)| is_live(walk)) && none_there;
    finding
}

/// What must be known when the process ended: whether its user has an entry in /etc/passwd, and what else it complains of.
fn questions_at_end(suspect: Suspect<'_>, case: &Case<'_>) -> Vec<Question> {
    let Suspect::Exit { status, process, .. } = suspect else { return Vec::new() };
    if status.is_success() {
        return Vec::new();
    }
    let uid = end::view(case, process).map(|view| view.ids.0).filter(|uid| *uid != 0);
    let account = uid.map(|uid| Question::Account { scope: case.scope(process), uid });
    let missing = complained_of(case).map(|failure| questions(failure, case)).unwrap_or_default();
    account.into_iter().chain(missing).collect()
}

fn explain_end(suspect: Suspect<'_>, case: &Case<'_>) -> Option<Finding> {
    match suspect {
        Suspect::Exit { at, status, process } if !status.is_success() => {
            account_missing(at, status, process, case).or_else(|| explain(complained_of(case)?, case))
        }
        Suspect::Exit { .. } | Suspect::OutOfMemory { .. } | Suspect::Call(_) | Suspect::NeverStarted { .. } => None,
    }
}

/// A user without an entry in /etc/passwd: no call fails, the file is read to its end.
fn account_missing(at: BootNanos, status: ExitStatus, process: Process, case: &Case<'_>) -> Option<Finding> {
    let (file, uid) = case.answers.iter().find_map(|(question, answer)| match (question, answer) {
        (Question::Account { uid, .. }, Answer::Account { file, entry: false }) => Some((*file, *uid)),
        _ => None,
    })?;
    let complaint = case.output.iter().rev().find(|line| complains_of_account(line, uid))?;
    let name = end::name_of(process, case);
    let summary = format!("{name} ended with {}: user {uid} has no entry in /etc/passwd", words::exit_status(status));
    let mut found = Finding::new(runtime_file_missing::ACCOUNT, (SubjectKind::Path, "/etc/passwd"), summary);
    let state = if file { format!("/etc/passwd has no line for uid {uid}") } else { "/etc/passwd does not exist".to_owned() };
    found.explanation =
        vec![state, format!("the program asked for the name or home directory of its user, and says: {}", complaint.trim())];
    found.remedy.text = match case.setting() {
        Setting::Pod | Setting::Container => format!(
            "Add a line to /etc/passwd of the image (`app:x:{uid}:{uid}::/home/app:/sbin/nologin`), or run as a user that the image has (securityContext.runAsUser)."
        ),
        Setting::Local => format!("Make the user (`useradd --uid {uid} NAME`), or run the program as one that exists."),
    };
    found.evidence = end::facts(at, case);
    found.proved = true;
    Some(found)
}

fn complains_of_account(line: &str, uid: u32) -> bool {
    let line = line.to_lowercase();
    let words = [
        "passwd",
        "user id",
        "userid",
        "no such user",
        "unknown user",
        "uid not found",
        "getpw",
        "i have no name",
        "user name",
        "username",
        "whoami",
    ];
    let names_uid = line.contains(&uid.to_string()) && (line.contains("uid") || line.contains("user"));
    names_uid || words.iter().any(|word| line.contains(word))
}
