//! A failing execve, and the search along PATH.

use super::{base, directories_searched, executable, format, setting};
use crate::{
    cause::Cause,
    permission::{Judgement, Layer, Purpose, Role, judge},
    question::{ExecFormat, Executable, FileKind, Question},
    record::{Call, Errno, ExitStatus, PathArg},
    rules::{
        Context, Failure, Finding,
        files::{Setting, denied, file_fact, finding, gap, is_live, walk, walk_of},
        spec, weight, words,
        words::layer,
    },
    verdict::SubjectKind,
};

pub(super) fn questions(failure: &Failure, context: &Context<'_>) -> Vec<Question> {
    let Some(path) = weight::path(failure).filter(|path| !path.cut) else { return Vec::new() };
    if !is_explained(failure.call.errno) {
        return Vec::new();
    }
    let scope = context.scope(failure.call.task.process);
    let behind = executable(context, &path.path).and_then(interpreter_of).map(|path| Question::ReadExecutable {
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

pub(super) fn explain(failure: &Failure, context: &Context<'_>) -> Option<Finding> {
    let path = weight::path(failure)?;
    match failure.call.errno {
        Errno::EACCES => Some(denied_exec(failure, context, path)),
        Errno::EPERM => Some(denied::on_paths(failure, context)),
        errno if is_explained(errno) => {
            let known = executable(context, &path.path).filter(|executable| executable.file.is_some());
            let by_format = known.and_then(|executable| by_format(failure, context, executable));
            Some(by_format.unwrap_or_else(|| match (known, errno) {
                (None, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => not_found(failure, context, path),
                (Some(_), Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => unclear(failure, path),
                _ => no_format(failure, context, path),
            }))
        }
        _ => None,
    }
}

/// What the file's bytes say, or those of the interpreter that it names.
fn by_format(failure: &Failure, context: &Context<'_>, file: &Executable) -> Option<Finding> {
    let explain = |file| format::explain(file, failure.last, &words::failure(failure), context);
    let behind = || explain(executable(context, interpreter_of(file)?)?);
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
fn denied_exec(failure: &Failure, context: &Context<'_>, path: &PathArg) -> Finding {
    let Some(walk) = walk_of(context, path) else { return not_allowed(failure, context, path) };
    if walk.stopped.as_ref().is_some_and(|stop| stop.errno == Errno::ENOENT) && searched(failure, context, base(&path.path)).len() > 1 {
        // One directory of PATH may not be searched, but the command is not there either.
        return not_found(failure, context, path);
    }
    let file = walk.components.last().filter(|_| walk.stopped.is_none());
    if let Some(directory) = file.filter(|file| file.kind == FileKind::Directory) {
        return about_file(
            failure,
            layer::DIRECTORY,
            path,
            walk,
            directory,
            vec![format!("{} is a directory, not a program", path.path)],
            context,
        );
    }
    let Judgement::Denied(denial) = judge(&denied::attempt(failure, Role::Only, path, walk)) else {
        return script_denied(failure, context, path).unwrap_or_else(|| denied::on_paths(failure, context));
    };
    match (&denial.layer, denial.purpose) {
        (Layer::MountFlag(_), _) => {
            let reasons = vec![format!("{} lies on {}, which is mounted with noexec", path.path, words::mount(&denial.at.mount))];
            about_file(failure, layer::NOEXEC_MOUNT, path, walk, &denial.at, reasons, context)
        }
        (_, Purpose::Execute) => {
            let who = words::who(&failure.call.creds, &walk.uid_map, &walk.gid_map);
            let mut reasons =
                vec![format!("{who} needs x on {}, which is {}", words::component(&denial.at), words::owner_mode(&denial.at))];
            if denial.at.mode & 0o111 == 0 {
                reasons.push("nobody has x on it, and then root is no exception".to_owned());
            }
            about_file(failure, layer::NO_EXECUTE_BIT, path, walk, &denial.at, reasons, context)
        }
        _ => denied::on_paths(failure, context),
    }
}

fn about_file(
    failure: &Failure,
    layer: &'static str,
    path: &PathArg,
    walk: &crate::question::Walk,
    at: &crate::question::Component,
    reasons: Vec<String>,
    context: &Context<'_>,
) -> Finding {
    let mut found = finding(Cause::NotExecutable, layer, (SubjectKind::Command, &path.path), words::failure(failure));
    found.explanation = reasons;
    found.remedy.text = format::not_executable_remedy(layer, &path.path, setting(context));
    found.evidence = vec![file_fact(at, walk)];
    if layer == layer::NO_EXECUTE_BIT {
        spec::command::not_executable(&mut found, context, &path.path, executable(context, &path.path), None);
    }
    found.proved = is_live(walk);
    found
}

/// The script may be executed, its interpreter may not.
fn script_denied(failure: &Failure, context: &Context<'_>, path: &PathArg) -> Option<Finding> {
    let ExecFormat::Script { interpreter, exists: true, .. } = &executable(context, &path.path)?.format else { return None };
    let mut found = finding(Cause::NotExecutable, layer::NO_EXECUTE_BIT, (SubjectKind::Command, &path.path), words::failure(failure));
    found.explanation = vec![format!("{} may be executed; its interpreter {interpreter} probably may not", path.path)];
    found.remedy.text = format!("Look at mode and mount of {interpreter}.");
    Some(found)
}

/// EACCES, and nothing is known of the path.
fn not_allowed(failure: &Failure, context: &Context<'_>, path: &PathArg) -> Finding {
    let mut found = finding(Cause::NotExecutable, layer::NO_EXECUTE_BIT, (SubjectKind::Command, &path.path), words::failure(failure));
    let why = gap(context).unwrap_or("the path has not been looked at");
    found.explanation = vec![
        format!("{} may not be executed: it has no x bit for the process, is a directory, or lies on a noexec mount", path.path),
        format!("which of these it is, is not known: {why}"),
    ];
    found.remedy.text = format::not_executable_remedy(layer::NO_EXECUTE_BIT, &path.path, setting(context));
    found
}

/// ENOEXEC and its like, and the file has not been read, or reads well.
fn no_format(failure: &Failure, context: &Context<'_>, path: &PathArg) -> Finding {
    let mut found = finding(Cause::NotExecutable, layer::NO_PROGRAM, (SubjectKind::Command, &path.path), words::failure(failure));
    let why = gap(context).unwrap_or("the file has not been read, or looks well now");
    found.explanation = vec![
        format!("{} is no program that this kernel can execute: no `#!` line, an empty file, or built for another CPU", path.path),
        format!("which of these it is, is not known: {why}"),
    ];
    found.remedy.text = format!("Look at what it is (`file {0}`, `head -1 {0}`), and build it for this machine.", path.path);
    found
}

/// The file is there and looks well.
fn unclear(failure: &Failure, path: &PathArg) -> Finding {
    let mut found = finding(Cause::NotExecutable, layer::NO_PROGRAM, (SubjectKind::Command, &path.path), words::failure(failure));
    found.explanation = vec![
        format!("{} is there, and nothing that it names is missing now", path.path),
        "its interpreter may lack a loader of its own, or the file came after the attempt".to_owned(),
    ];
    found.remedy.text = format!("Look at what it needs: `file {0}`, `head -1 {0}`, `ldd {0}`.", path.path);
    found
}

/// Whether a stat or access belongs to a search for a command: by a shell that then ended with 127.
pub(super) fn is_search(failure: &Failure, context: &Context<'_>) -> bool {
    let Some(path) = weight::path(failure) else { return false };
    let directory = crate::permission::place::parent_path(&path.path);
    let exit = weight::process_of(failure, context).and_then(|process| process.exited);
    let gave_up = failure.by_runtime || matches!(exit, Some((_, ExitStatus::Code(127))));
    gave_up && is_program_directory(directory) && !weight::is_library(&path.path)
}

fn is_program_directory(directory: &str) -> bool {
    matches!(base(directory), "bin" | "sbin" | "games" | "libexec")
}

pub(super) fn explain_search(failure: &Failure, context: &Context<'_>) -> Option<Finding> {
    Some(not_found(failure, context, weight::path(failure)?))
}

/// The command is not there: all attempts for the same name are one finding.
fn not_found(failure: &Failure, context: &Context<'_>, path: &PathArg) -> Finding {
    let name = base(&path.path);
    let directories = searched(failure, context, name);
    let searched = directories.len() > 1 || failure.call.call != Call::Exec;
    let (layer, subject) = if searched { (layer::SEARCH_PATH, name) } else { (layer::MISSING_COMMAND, path.path.as_str()) };
    let walk = walk_of(context, path);
    let (why, reasons) = if searched {
        let why = format!("{name} is in none of the directories that were searched");
        let reason = format!("{why}: {}", words::list(&directories, 8));
        (Some(why), vec![reason])
    } else {
        let reasons = missing_reasons(path, walk);
        (reasons.first().cloned(), reasons)
    };
    let summary = std::iter::once(words::failure(failure)).chain(why).collect::<Vec<_>>().join(": ");
    let mut found = finding(Cause::CommandNotFound, layer, (SubjectKind::Command, subject), summary);
    found.explanation = reasons;
    found.remedy.text = remedy(subject, walk, setting(context));
    if !is_by_program(failure, context) {
        let stop = walk.and_then(|walk| walk.stopped.as_ref());
        spec::command::not_found(&mut found, context, subject, None, stop);
    }
    let looked = executable(context, &path.path).is_some_and(|executable| executable.file.is_none());
    let stopped = walk.is_some_and(|walk| is_live(walk) && walk.stopped.is_some());
    if walk.is_none() && !looked {
        let why = gap(context).unwrap_or("the path has not been looked at");
        found.explanation.push(format!("what is there now is not known: {why}"));
    }
    found.proved = looked || stopped;
    found
}

/// The directories in which the same process looked for a command of this name.
fn searched(failure: &Failure, context: &Context<'_>, name: &str) -> Vec<String> {
    let pid = failure.call.task.process.pid;
    directories_searched(context, name, |other| {
        matches!(other.call.errno, Errno::ENOENT | Errno::EACCES)
            && matches!(other.call.call, Call::Exec | Call::Stat | Call::Access)
            && (other.call.task.process.pid == pid || other.by_runtime && failure.by_runtime)
    })
}

/// A shell or program looks for it, not the runtime: then the manifest's command is not what is missing.
fn is_by_program(failure: &Failure, context: &Context<'_>) -> bool {
    let main = context.processes.first().map(|first| first.process);
    !failure.by_runtime && main.is_some() && context.processes.iter().any(|process| !process.path.is_empty())
}

fn missing_reasons(path: &PathArg, walk: Option<&crate::question::Walk>) -> Vec<String> {
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
pub(super) fn remedy(name: &str, walk: Option<&crate::question::Walk>, setting: Setting) -> String {
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
    let layer = if name.contains('/') { layer::MISSING_COMMAND } else { layer::SEARCH_PATH };
    let mut found = finding(Cause::CommandNotFound, layer, (SubjectKind::Command, name), summary);
    found.remedy.text = remedy(name, None, setting);
    found
}
