//! A container whose command was never executed.
//!
//! Runtimes look before they leap: runc's init stats the command, and gives up without any execve when it is missing or
//! has no x bit. What it was told to run ([`Question::RuntimeSpec`]) and its own failing calls tell what was wrong.

use super::{command, format};
use crate::{
    case::{
        Case,
        finding::{Finding, Matter},
        look::{directories_searched, gap, walks},
    },
    catalogue::{command_not_found, not_executable},
    causes::{permission_denied, wrong_file_type},
    manifest::located::locate,
    question::{Answer, Executable, FileKind, Question, RuntimeSpec, Stop},
    record::{Call, Errno},
    story::{
        fact,
        fact::Fact,
        failure::{Failure, base},
    },
    units::BootNanos,
    verdict::{Evidence, EvidenceKind, SubjectKind},
    words,
};

pub(super) fn questions(case: &Case<'_>) -> Vec<Question> {
    let spec = Question::RuntimeSpec { cgroup: case.cgroup, container_id: case.workload.container_id.clone() };
    let is_exec = |failure: &Failure| failure.call.call == Call::Exec;
    let of_failure =
        decisive_failure(case).map(|failure| if is_exec(failure) { command::questions(failure, case) } else { walks(failure, case) });
    std::iter::once(spec).chain(of_failure.into_iter().flatten()).chain(look_for_command(case)).collect()
}

/// The directory of a command that is not there may have one much like it.
fn look_for_command(case: &Case<'_>) -> Option<Question> {
    let spec = case.answers.iter().find_map(|(_, answer)| if let Answer::RuntimeSpec(spec) = answer { Some(spec) } else { None })?;
    let missing = spec.command.as_ref().is_none_or(|command| command.file.is_none());
    let path = spec.args.first().filter(|path| missing && path.starts_with('/'))?;
    let process = case.failures.iter().rev().find(|failure| failure.by_runtime)?.call.task.process;
    Some(Question::WalkPath { scope: case.scope(process), path: path.clone(), dirfd: None, start: None, follow: true })
}

/// The runtime's own last failing step on the container's behalf: the execve, or entering the working directory.
fn decisive_failure<'a>(case: &Case<'a>) -> Option<&'a Failure> {
    let denied = [Errno::EACCES, Errno::ENOTDIR];
    let is_step = |call: Call, errno: Errno| call == Call::Exec || call == Call::Chdir && denied.contains(&errno);
    let step = |failure: &&Failure| failure.by_runtime && is_step(failure.call.call, failure.call.errno);
    case.failures.iter().rev().find(step)
}

pub(super) fn explain(at: BootNanos, case: &Case<'_>) -> Option<Finding> {
    let spec = case.answers.iter().find_map(|(_, answer)| if let Answer::RuntimeSpec(spec) = answer { Some(spec) } else { None });
    let by_failure = decisive_failure(case).and_then(|failure| match (failure.call.call, failure.call.errno) {
        (Call::Exec, _) => command::explain(failure, case),
        (_, Errno::EACCES) => Some(permission_denied::on_paths(failure, case)),
        _ => wrong_file_type::explain(failure, case),
    });
    let proved_by_failure = by_failure.as_ref().is_some_and(|finding| finding.proved);
    match spec.and_then(|spec| by_spec(at, spec, case)) {
        Some(finding) if !proved_by_failure => Some(finding),
        by_spec => by_failure.or(by_spec).or_else(|| by_search(case)),
    }
}

fn by_spec(at: BootNanos, spec: &RuntimeSpec, case: &Case<'_>) -> Option<Finding> {
    let name = spec.args.first()?;
    let refused = format!("the runtime could not start {name:?}");
    let mut found = match &spec.command {
        None => not_there(name, spec, &refused, case),
        Some(executable) if executable.file.is_none() => not_there(name, spec, &refused, case),
        Some(executable) => without_x(executable, spec, &refused, case).or_else(|| format::explain(executable, at, &refused, case))?,
    };
    found.evidence.push(
        Evidence::new(at, EvidenceKind::Exec, format!("the runtime was told to run {}", command_line(&spec.args)))
            .with(Fact::Exec(fact::Exec { path: name.clone(), pid: 0 })),
    );
    Some(found)
}

fn command_line(args: &[String]) -> String {
    let shown = args.iter().take(6).map(|argument| format!("{argument:?}")).collect::<Vec<_>>().join(" ");
    if args.len() > 6 { format!("{shown} …") } else { shown }
}

fn not_there(name: &str, spec: &RuntimeSpec, refused: &str, case: &Case<'_>) -> Finding {
    let path = spec.path.as_deref().unwrap_or_default();
    let (absent, reason) = if name.contains('/') {
        let volume = case.manifest.and_then(|manifest| locate(&manifest, name)).map(|place| &place.volume.name);
        let place = volume.map_or_else(|| "in the image".to_owned(), |volume| format!("on volume {volume}"));
        (format!("it is not {place}"), format!("{name} does not exist {place}"))
    } else if path.is_empty() {
        ("PATH is not set".to_owned(), format!("{name} was looked for along PATH, which is not set"))
    } else {
        let directories = words::list(path.split(':'), 12);
        ("it is in no directory of PATH".to_owned(), format!("{name} is in none of the directories of PATH: {directories}"))
    };
    let mut found = command::missing(name, format!("{refused}: {absent}"), case.setting());
    found.explanation = vec![reason];
    if name.contains(char::is_whitespace) && case.manifest.is_none() {
        found.explanation.push("the name contains blanks: the command must be a list, one element an argument".to_owned());
    }
    found.matter = Some(Matter::NoCommand(name.to_owned(), Some(spec.args.clone()), stop_of(case, name).cloned()));
    found.proved = true;
    found
}

/// Where the walk over the command's path stopped, if it was walked.
fn stop_of<'a>(case: &Case<'a>, name: &str) -> Option<&'a Stop> {
    case.answers.iter().find_map(|(question, answer)| match (question, answer) {
        (Question::WalkPath { path, .. }, Answer::Walk(walk)) if path == name => walk.stopped.as_ref(),
        _ => None,
    })
}

fn without_x(executable: &Executable, spec: &RuntimeSpec, refused: &str, case: &Case<'_>) -> Option<Finding> {
    let file = executable.file.as_ref()?;
    let layer = match (file.kind == FileKind::File, file.mode & 0o111, file.mount.noexec) {
        (true, 0, _) => not_executable::NO_EXECUTE_BIT,
        (true, _, true) => not_executable::NOEXEC_MOUNT,
        _ => return None,
    };
    let path = &executable.path;
    let (why, reason) = if layer == not_executable::NO_EXECUTE_BIT {
        let mode = words::owner_mode(file);
        (
            format!("nobody may execute {path}, which is {mode}"),
            format!("file {path} is {mode}: nobody has x on it, and root is no exception"),
        )
    } else {
        let mount = words::mount(&file.mount);
        (format!("{path} lies on a mount with noexec"), format!("{path} lies on {mount}, which is mounted with noexec"))
    };
    let mut found = format::not_executable(executable, layer, reason, format!("{refused}: {why}"), case.setting());
    if layer == not_executable::NO_EXECUTE_BIT {
        found.matter = Some(Matter::NoExecuteBit(path.clone(), Some(Box::new(executable.clone())), Some(spec.args.clone())));
    }
    found.proved = true;
    Some(found)
}

/// What a runtime looks at for itself while it prepares the container: its devices, and the root file system as the host has it.
fn is_the_runtimes(path: &str) -> bool {
    path.contains("/rootfs/") || path.contains("//") || ["/dev/", "/proc/", "/sys/"].iter().any(|top| path.starts_with(top))
}

/// Without the runtime's description: what its init looked for and did not find.
fn by_search(case: &Case<'_>) -> Option<Finding> {
    let lookup = |failure: &&Failure| {
        failure.by_runtime && failure.call.errno == Errno::ENOENT && matches!(failure.call.call, Call::Stat | Call::Access)
    };
    let in_container = |failure: &&Failure| failure.path().is_some_and(|path| !is_the_runtimes(&path.path));
    let last = case.failures.iter().rev().filter(lookup).filter(in_container).find(|failure| !failure.is_noise())?;
    let name = base(&last.path()?.path);
    let directories = directories_searched(case, name, |failure| lookup(&failure));
    if directories.is_empty() {
        return None;
    }
    let (layer, subject) = match directories.as_slice() {
        [_] => (command_not_found::MISSING_COMMAND, last.path()?.path.as_str()),
        _ => (command_not_found::SEARCH_PATH, name),
    };
    let mut found = Finding::new(layer, (SubjectKind::Command, subject), words::failure(last));
    found.explanation = vec![
        format!("the runtime looked for {name} in {}, and gave up without executing anything", words::list(&directories, 12)),
        format!("what it was told to run is not known: {}", gap(case).unwrap_or("its description has not been read")),
    ];
    found.remedy.text = command::remedy(subject, None, case.setting());
    found.matter = Some(Matter::NoCommand(subject.to_owned(), None, None));
    Some(found)
}
