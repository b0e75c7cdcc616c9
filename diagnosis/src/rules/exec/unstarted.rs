//! A container whose command was never executed.
//!
//! Runtimes look before they leap: runc's init stats the command, and gives up without any execve when it is missing or
//! has no x bit. What it was told to run ([`Question::RuntimeSpec`]) and its own failing calls tell what was wrong.

use super::{base, command, format, setting};
use crate::{
    cause::Cause,
    question::{Answer, Executable, FileKind, Question, RuntimeSpec, Stop},
    record::{Call, Errno},
    rules::{
        Context, Failure, Finding,
        files::{self, finding, gap},
        spec as manifest, weight, words,
        words::layer,
    },
    units::BootNanos,
    verdict::{Evidence, EvidenceKind, SubjectKind},
};

pub(super) fn questions(context: &Context<'_>) -> Vec<Question> {
    let spec = Question::RuntimeSpec { cgroup: context.cgroup, container_id: context.workload.container_id.clone() };
    let is_exec = |failure: &Failure| failure.call.call == Call::Exec;
    let of_failure = decisive_failure(context)
        .map(|failure| if is_exec(failure) { command::questions(failure, context) } else { files::questions(failure, context) });
    std::iter::once(spec).chain(of_failure.into_iter().flatten()).chain(look_for_command(context)).collect()
}

/// The directory of a command that is not there may have one much like it.
fn look_for_command(context: &Context<'_>) -> Option<Question> {
    let spec = context.answers.iter().find_map(|(_, answer)| if let Answer::RuntimeSpec(spec) = answer { Some(spec) } else { None })?;
    let missing = spec.command.as_ref().is_none_or(|command| command.file.is_none());
    let path = spec.args.first().filter(|path| missing && path.starts_with('/'))?;
    let process = context.failures.iter().rev().find(|failure| failure.by_runtime)?.call.task.process;
    Some(Question::WalkPath { scope: context.scope(process), path: path.clone(), dirfd: None, start: None, follow: true })
}

/// The runtime's own last failing step on the container's behalf: the execve, or entering the working directory.
fn decisive_failure<'a>(context: &Context<'a>) -> Option<&'a Failure> {
    let denied = [Errno::EACCES, Errno::ENOTDIR];
    let is_step = |call: Call, errno: Errno| call == Call::Exec || call == Call::Chdir && denied.contains(&errno);
    let step = |failure: &&Failure| failure.by_runtime && is_step(failure.call.call, failure.call.errno);
    context.failures.iter().rev().find(step)
}

pub(super) fn explain(at: BootNanos, context: &Context<'_>) -> Option<Finding> {
    let spec = context.answers.iter().find_map(|(_, answer)| if let Answer::RuntimeSpec(spec) = answer { Some(spec) } else { None });
    let by_failure = decisive_failure(context).and_then(|failure| {
        if failure.call.call == Call::Exec { command::explain(failure, context) } else { files::explain(failure, context) }
    });
    let proved_by_failure = by_failure.as_ref().is_some_and(|finding| finding.proved);
    match spec.and_then(|spec| by_spec(at, spec, context)) {
        Some(finding) if !proved_by_failure => Some(finding),
        by_spec => by_failure.or(by_spec).or_else(|| by_search(context)),
    }
}

fn by_spec(at: BootNanos, spec: &RuntimeSpec, context: &Context<'_>) -> Option<Finding> {
    let name = spec.args.first()?;
    let refused = format!("the runtime could not start {name:?}");
    let mut found = match &spec.command {
        None => not_there(name, spec, &refused, context),
        Some(executable) if executable.file.is_none() => not_there(name, spec, &refused, context),
        Some(executable) => {
            without_x(executable, spec, &refused, context).or_else(|| format::explain(executable, at, &refused, context))?
        }
    };
    found.evidence.push(Evidence::new(at, EvidenceKind::Exec, format!("the runtime was told to run {}", command_line(&spec.args))));
    Some(found)
}

fn command_line(args: &[String]) -> String {
    let shown = args.iter().take(6).map(|argument| format!("{argument:?}")).collect::<Vec<_>>().join(" ");
    if args.len() > 6 { format!("{shown} …") } else { shown }
}

fn not_there(name: &str, spec: &RuntimeSpec, refused: &str, context: &Context<'_>) -> Finding {
    let path = spec.path.as_deref().unwrap_or_default();
    let (absent, reason) = if name.contains('/') {
        let volume = context.spec.and_then(|spec| manifest::place::locate(&spec, name)).map(|place| &place.volume.name);
        let place = volume.map_or_else(|| "in the image".to_owned(), |volume| format!("on volume {volume}"));
        (format!("it is not {place}"), format!("{name} does not exist {place}"))
    } else if path.is_empty() {
        ("PATH is not set".to_owned(), format!("{name} was looked for along PATH, which is not set"))
    } else {
        let directories = words::list(path.split(':'), 12);
        ("it is in no directory of PATH".to_owned(), format!("{name} is in none of the directories of PATH: {directories}"))
    };
    let mut found = command::missing(name, format!("{refused}: {absent}"), setting(context));
    found.explanation = vec![reason];
    if name.contains(char::is_whitespace) && context.spec.is_none() {
        found.explanation.push("the name contains blanks: the command must be a list, one element an argument".to_owned());
    }
    manifest::command::not_found(&mut found, context, name, Some(&spec.args), stop_of(context, name));
    found.proved = true;
    found
}

/// Where the walk over the command's path stopped, if it was walked.
fn stop_of<'a>(context: &Context<'a>, name: &str) -> Option<&'a Stop> {
    context.answers.iter().find_map(|(question, answer)| match (question, answer) {
        (Question::WalkPath { path, .. }, Answer::Walk(walk)) if path == name => walk.stopped.as_ref(),
        _ => None,
    })
}

fn without_x(executable: &Executable, spec: &RuntimeSpec, refused: &str, context: &Context<'_>) -> Option<Finding> {
    let file = executable.file.as_ref()?;
    let layer = match (file.kind == FileKind::File, file.mode & 0o111, file.mount.noexec) {
        (true, 0, _) => layer::NO_EXECUTE_BIT,
        (true, _, true) => layer::NOEXEC_MOUNT,
        _ => return None,
    };
    let path = &executable.path;
    let (why, reason) = if layer == layer::NO_EXECUTE_BIT {
        let mode = words::owner_mode(file);
        (
            format!("nobody may execute {path}, which is {mode}"),
            format!("file {path} is {mode}: nobody has x on it, and root is no exception"),
        )
    } else {
        let mount = words::mount(&file.mount);
        (format!("{path} lies on a mount with noexec"), format!("{path} lies on {mount}, which is mounted with noexec"))
    };
    let mut found = format::not_executable(executable, layer, reason, format!("{refused}: {why}"), setting(context));
    if layer == layer::NO_EXECUTE_BIT {
        manifest::command::not_executable(&mut found, context, path, Some(executable), Some(&spec.args));
    }
    found.proved = true;
    Some(found)
}

/// What a runtime looks at for itself while it prepares the container: its devices, and the root file system as the host has it.
fn is_the_runtimes(path: &str) -> bool {
    path.contains("/rootfs/") || path.contains("//") || ["/dev/", "/proc/", "/sys/"].iter().any(|top| path.starts_with(top))
}

/// Without the runtime's description: what its init looked for and did not find.
fn by_search(context: &Context<'_>) -> Option<Finding> {
    let lookup = |failure: &&Failure| {
        failure.by_runtime && failure.call.errno == Errno::ENOENT && matches!(failure.call.call, Call::Stat | Call::Access)
    };
    let in_container = |failure: &&Failure| weight::path(failure).is_some_and(|path| !is_the_runtimes(&path.path));
    let last = context.failures.iter().rev().filter(lookup).filter(in_container).find(|failure| !weight::is_noise(failure))?;
    let name = base(&weight::path(last)?.path);
    let directories = super::directories_searched(context, name, |failure| lookup(&failure));
    if directories.is_empty() {
        return None;
    }
    let (layer, subject) = match directories.as_slice() {
        [_] => (layer::MISSING_COMMAND, weight::path(last)?.path.as_str()),
        _ => (layer::SEARCH_PATH, name),
    };
    let mut found = finding(Cause::CommandNotFound, layer, (SubjectKind::Command, subject), words::failure(last));
    found.explanation = vec![
        format!("the runtime looked for {name} in {}, and gave up without executing anything", words::list(&directories, 12)),
        format!("what it was told to run is not known: {}", gap(context).unwrap_or("its description has not been read")),
    ];
    found.remedy.text = command::remedy(subject, None, setting(context));
    manifest::command::not_found(&mut found, context, subject, None, None);
    Some(found)
}
