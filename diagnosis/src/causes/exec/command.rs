//! A failing execve, and the search along PATH.

use super::format;
use crate::{
    case::{
        Case, Setting,
        finding::{Finding, Matter},
        look::{attempt, directories_searched, executable, file_fact, gap, is_live, walk, walk_of},
    },
    catalogue::{Layer, command_not_found, not_executable},
    causes::permission_denied,
    knowledge::noise,
    permission::{self, Judgement, Purpose, Role, judge},
    question::{Component, ExecFormat, Executable, FileKind, Question, Walk},
    record::{Call, Errno, ExitStatus, PathArg},
    story::failure::{Failure, base},
    verdict::SubjectKind,
    words,
};

pub(super) fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    let Some(path) = failure.path().filter(|path| !path.cut) else { return Vec::new() };
    if !is_explained(failure.call.errno) {
        return Vec::new();
    }
    let scope = case.scope(failure.call.task.process);
    let behind = executable(case, &path.path).and_then(interpreter_of).map(|path| Question::ReadExecutable {
        scope,
        path: path.to_owned(),
        start: None,
    });
    let itself = [Question::ReadExecutable { scope, path: path.path.clone(), start: path.start }, walk(scope, path, true)];
    itself.into_iter().chain(behind).collect()
}

const fn is_explained(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ENOENT
            | Errno::ENOTDIR
            | Errno::ELOOP
            | Errno::EACCES
            | Errno::EPERM
            | Errno::ENOEXEC
            | Errno::ELIBBAD
            | Errno::EINVAL
            | Errno::EISDIR
    )
}

pub(super) fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    let path = failure.path()?;
    match failure.call.errno {
        Errno::EACCES => Some(denied_exec(failure, case, path)),
        Errno::EPERM => Some(permission_denied::on_paths(failure, case)),
        errno if is_explained(errno) => {
            let known = executable(case, &path.path).filter(|executable| executable.file.is_some());
            let by_format = known.and_then(|executable| by_format(failure, case, executable));
            Some(by_format.unwrap_or_else(|| match (known, errno) {
                (None, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => not_found(failure, case, path),
                (Some(_), Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => unclear(failure, path),
                _ => no_format(failure, case, path),
            }))
        }
        _ => None,
    }
}

/// What the file's bytes say, or those of the interpreter that it names.
fn by_format(failure: &Failure, case: &Case<'_>, file: &Executable) -> Option<Finding> {
    let explain = |file| format::explain(file, failure.last, &words::failure(failure), case);
    let behind = || explain(executable(case, interpreter_of(file)?)?);
    explain(file).or_else(behind)
}

/// The program that a script's first line names.
fn interpreter_of(file: &Executable) -> Option<&str> {
    match &file.format {
        ExecFormat::Script { interpreter, exists: true, .. } => interpreter.split_whitespace().next(),
        ExecFormat::Script { .. } | ExecFormat::Elf { .. } | ExecFormat::Unknown { .. } | ExecFormat::Unreadable { .. } => None,
    }
}

/// EACCES: a directory above it, the file's own bits, its mount, or what it is.
fn denied_exec(failure: &Failure, case: &Case<'_>, path: &PathArg) -> Finding {
    let Some(walk) = walk_of(case, path) else { return not_allowed(failure, case, path) };
    if walk.stopped.as_ref().is_some_and(|stop| stop.errno == Errno::ENOENT) && searched(failure, case, base(&path.path)).len() > 1 {
        // One directory of PATH may not be searched, but the command is not there either.
        return not_found(failure, case, path);
    }
    let file = walk.components.last().filter(|_| walk.stopped.is_none());
    if let Some(directory) = file.filter(|file| file.kind == FileKind::Directory) {
        return about_file(
            failure,
            not_executable::DIRECTORY,
            path,
            walk,
            directory,
            vec![format!("{} is a directory, not a program", path.path)],
            case,
        );
    }
    let Judgement::Denied(denial) = judge(&attempt(failure, Role::Only, path, walk)) else {
        return script_denied(failure, case, path).unwrap_or_else(|| permission_denied::on_paths(failure, case));
    };
    match (&denial.layer, denial.purpose) {
        (permission::Layer::MountFlag(_), _) => {
            let reasons = vec![format!("{} lies on {}, which is mounted with noexec", path.path, words::mount(&denial.at.mount))];
            about_file(failure, not_executable::NOEXEC_MOUNT, path, walk, &denial.at, reasons, case)
        }
        (_, Purpose::Execute) => {
            let who = words::who(&failure.call.creds, &walk.uid_map, &walk.gid_map);
            let mut reasons =
                vec![format!("{who} needs x on {}, which is {}", words::component(&denial.at), words::owner_mode(&denial.at))];
            if denial.at.mode & 0o111 == 0 {
                reasons.push("nobody has x on it, and then root is no exception".to_owned());
            }
            about_file(failure, not_executable::NO_EXECUTE_BIT, path, walk, &denial.at, reasons, case)
        }
        _ => permission_denied::on_paths(failure, case),
    }
}

fn about_file(
    failure: &Failure,
    layer: Layer,
    path: &PathArg,
    walk: &Walk,
    at: &Component,
    reasons: Vec<String>,
    case: &Case<'_>,
) -> Finding {
    let mut found = Finding::new(layer, (SubjectKind::Command, &path.path), words::failure(failure));
    found.explanation = reasons;
    found.remedy.text = format::not_executable_remedy(layer, &path.path, case.setting());
    found.evidence = vec![file_fact(at, walk)];
    if layer == not_executable::NO_EXECUTE_BIT {
        let file = executable(case, &path.path).cloned().map(Box::new);
        found.matter = Some(Matter::NoExecuteBit(path.path.clone(), file, None));
    }
    found.proved = is_live(walk);
    found
}

/// The script may be executed, its interpreter may not.
fn script_denied(failure: &Failure, case: &Case<'_>, path: &PathArg) -> Option<Finding> {
    let ExecFormat::Script { interpreter, exists: true, .. } = &executable(case, &path.path)?.format else { return None };
    let mut found = Finding::new(not_executable::NO_EXECUTE_BIT, (SubjectKind::Command, &path.path), words::failure(failure));
    found.explanation = vec![format!("{} may be executed; its interpreter {interpreter} probably may not", path.path)];
    found.remedy.text = format!("Look at mode and mount of {interpreter}.");
    Some(found)
}

/// EACCES, and nothing is known of the path.
fn not_allowed(failure: &Failure, case: &Case<'_>, path: &PathArg) -> Finding {
    let mut found = Finding::new(not_executable::NO_EXECUTE_BIT, (SubjectKind::Command, &path.path), words::failure(failure));
    let why = gap(case).unwrap_or("the path has not been looked at");
    found.explanation = vec![
        format!("{} may not be executed: it has no x bit for the process, is a directory, or lies on a noexec mount", path.path),
        format!("which of these it is, is not known: {why}"),
    ];
    found.remedy.text = format::not_executable_remedy(not_executable::NO_EXECUTE_BIT, &path.path, case.setting());
    found
}

/// ENOEXEC and its like, and the file has not been read, or reads well.
fn no_format(failure: &Failure, case: &Case<'_>, path: &PathArg) -> Finding {
    let mut found = Finding::new(not_executable::NO_PROGRAM, (SubjectKind::Command, &path.path), words::failure(failure));
    let why = gap(case).unwrap_or("the file has not been read, or looks well now");
    found.explanation = vec![
        format!("{} is not a program that this kernel can execute: no `#!` line, an empty file, or built for another CPU", path.path),
        format!("which of these it is, is not known: {why}"),
    ];
    found.remedy.text = format!("Look at what it is (`file {0}`, `head -1 {0}`), and build it for this machine.", path.path);
    found
}

/// The file is there and looks well.
fn unclear(failure: &Failure, path: &PathArg) -> Finding {
    let mut found = Finding::new(not_executable::NO_PROGRAM, (SubjectKind::Command, &path.path), words::failure(failure));
    found.explanation = vec![
        format!("{} is there, and nothing that it names is missing now", path.path),
        "its interpreter may lack a loader of its own, or the file came after the attempt".to_owned(),
    ];
    found.remedy.text = format!("Look at what it needs: `file {0}`, `head -1 {0}`, `ldd {0}`.", path.path);
    found
}

/// Whether a stat or access belongs to a search for a command: by a shell that then ended with 127.
pub(super) fn is_search(failure: &Failure, case: &Case<'_>) -> bool {
    let Some(path) = failure.path() else { return false };
    let directory = permission::paths::parent_path(&path.path);
    let exit = case.process_of(failure).and_then(|process| process.exited);
    let gave_up = failure.by_runtime || matches!(exit, Some((_, ExitStatus::Code(127))));
    gave_up && is_program_directory(directory) && !noise::is_library(&path.path)
}

fn is_program_directory(directory: &str) -> bool {
    matches!(base(directory), "bin" | "sbin" | "games" | "libexec")
}

pub(super) fn explain_search(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    Some(not_found(failure, case, failure.path()?))
}

/// The command is not there: all attempts for the same name are one finding.
fn not_found(failure: &Failure, case: &Case<'_>, path: &PathArg) -> Finding {
    let name = base(&path.path);
    let directories = searched(failure, case, name);
    let searched = directories.len() > 1 || failure.call.call != Call::Exec;
    let (layer, subject) =
        if searched { (command_not_found::SEARCH_PATH, name) } else { (command_not_found::MISSING_COMMAND, path.path.as_str()) };
    let walk = walk_of(case, path);
    let (why, reasons) = if searched {
        let why = format!("{name} is in none of the directories that were searched");
        let reason = format!("{why}: {}", words::list(&directories, 8));
        (Some(why), vec![reason])
    } else {
        let reasons = missing_reasons(path, walk);
        (reasons.first().cloned(), reasons)
    };
    let summary = std::iter::once(words::failure(failure)).chain(why).collect::<Vec<_>>().join(": ");
    let mut found = Finding::new(layer, (SubjectKind::Command, subject), summary);
    found.explanation = reasons;
    found.remedy.text = remedy(subject, walk, case.setting());
    if !is_by_program(failure, case) {
        let stop = walk.and_then(|walk| walk.stopped.as_ref());
        found.matter = Some(Matter::NoCommand(subject.to_owned(), None, stop.cloned()));
    }
    let looked = executable(case, &path.path).is_some_and(|executable| executable.file.is_none());
    let stopped = walk.is_some_and(|walk| is_live(walk) && walk.stopped.is_some());
    if walk.is_none() && !looked {
        let why = gap(case).unwrap_or("the path has not been looked at");
        found.explanation.push(format!("what is there now is not known: {why}"));
    }
    found.proved = looked || stopped;
    found
}

/// The directories in which the same process looked for a command of this name.
fn searched(failure: &Failure, case: &Case<'_>, name: &str) -> Vec<String> {
    let pid = failure.call.task.process.pid;
    directories_searched(case, name, |other| {
        matches!(other.call.errno, Errno::ENOENT | Errno::EACCES)
            && matches!(other.call.call, Call::Exec | Call::Stat | Call::Access)
            && (other.call.task.process.pid == pid || other.by_runtime && failure.by_runtime)
    })
}

/// A shell or program looks for it, not the runtime: then the manifest's command is not what is missing.
fn is_by_program(failure: &Failure, case: &Case<'_>) -> bool {
    let main = case.processes.first().map(|first| first.process);
    !failure.by_runtime && main.is_some() && case.processes.iter().any(|process| !process.path.is_empty())
}

fn missing_reasons(path: &PathArg, walk: Option<&Walk>) -> Vec<String> {
    let Some(stop) = walk.and_then(|walk| walk.stopped.as_ref()) else { return vec![format!("{} does not exist", path.path)] };
    let (state, neither) =
        if stop.errno == Errno::ENOTDIR { ("is a file, not a directory", "cannot be") } else { ("does not exist", "cannot") };
    let so_that = if stop.path == path.path { String::new() } else { format!(", so that {} {neither}", path.path) };
    let mut reasons = vec![format!("{} {state}{so_that}", stop.path)];
    if !stop.alike.is_empty() {
        reasons.push(format!("its directory has {}", words::list(&stop.alike, 5)));
    }
    reasons
}

/// The remedy for a command that is not there.
pub(super) fn remedy(name: &str, walk: Option<&Walk>, setting: Setting) -> String {
    let near = walk
        .and_then(|walk| walk.stopped.as_ref())
        .and_then(|stop| stop.alike.first())
        .map(|near| format!(" Did you mean {near}?"))
        .unwrap_or_default();
    let fix = match setting {
        Setting::Pod => format!(
            "Correct `command` in the container's spec (it replaces the image's entry point and is not passed to a shell), or add {name} to the image."
        ),
        Setting::Container => format!("Correct the container's command, or add {name} to the image."),
        Setting::Local => format!("Correct the command, install what provides {name}, or add its directory to PATH."),
    };
    fix + &near
}

/// For the rules that look at a command without a failing call.
pub(super) fn missing(name: &str, summary: String, setting: Setting) -> Finding {
    let layer = if name.contains('/') { command_not_found::MISSING_COMMAND } else { command_not_found::SEARCH_PATH };
    let mut found = Finding::new(layer, (SubjectKind::Command, name), summary);
    found.remedy.text = remedy(name, None, setting);
    found
}
