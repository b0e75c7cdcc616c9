//! What ends a start before the program runs: the command, its format, its loader, its interpreter, its libraries.
//!
//! execve says little: ENOENT for a missing command, a missing loader and a missing interpreter alike. The file itself,
//! read with [`Question::ReadExecutable`], tells them apart:
//!
//! - [`command`]: a failing execve (and the search along PATH before it);
//! - [`mod@format`]: what the file's own bytes say;
//! - [`library`]: shared libraries and modules that a running program looks for;
//! - [`unstarted`]: runtimes look before they leap, so that there may be no failing execve at all.

mod command;
mod format;
pub(in crate::rules) mod library;
#[cfg(test)]
mod tests;
mod unstarted;

use super::{Context, Failure, Finding, files, weight};
use crate::{
    question::{Answer, Executable, Question},
    record::{Call, Errno},
    units::BootNanos,
};

/// What must be known to explain a failing execve, or a library that was not found.
pub fn questions(failure: &Failure, context: &Context<'_>) -> Vec<Question> {
    if failure.call.call == Call::Exec {
        return command::questions(failure, context);
    }
    library::questions(failure, context)
}

/// What it means; `None` when it belongs to another rule, or is harmless.
pub fn explain(failure: &Failure, context: &Context<'_>) -> Option<Finding> {
    let looks = matches!(failure.call.call, Call::Stat | Call::Access) && failure.call.errno == Errno::ENOENT;
    if failure.call.call == Call::Exec {
        command::explain(failure, context)
    } else if looks && command::is_search(failure, context) {
        command::explain_search(failure, context)
    } else {
        library::explain(failure, context)
    }
}

/// What must be known of a container whose command was never executed.
pub fn never_started_questions(context: &Context<'_>) -> Vec<Question> {
    unstarted::questions(context)
}

/// Why the command was never executed.
pub fn never_started(at: BootNanos, context: &Context<'_>) -> Option<Finding> {
    unstarted::explain(at, context)
}

/// Whether the files' rules must keep away: a library is missing here or not at all.
fn executable<'a>(context: &Context<'a>, path: &str) -> Option<&'a Executable> {
    context.answers.iter().find_map(|(question, answer)| match (question, answer) {
        (Question::ReadExecutable { path: asked, .. }, Answer::Executable(executable)) if asked == path => Some(executable),
        _ => None,
    })
}

/// The last part of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Directories in which something of this name was looked for, by this call, in their order.
fn directories_searched(context: &Context<'_>, name: &str, matches: impl Fn(&Failure) -> bool) -> Vec<String> {
    let paths = context.failures.iter().filter(|failure| matches(failure)).filter_map(weight::path).map(|path| path.path.as_str());
    let mut directories: Vec<String> =
        paths.filter(|path| base(path) == name).map(|path| crate::permission::place::parent_path(path).to_owned()).collect();
    let mut seen = std::collections::BTreeSet::new();
    directories.retain(|directory| seen.insert(directory.clone()));
    directories
}

/// Where the remedy is applied.
fn setting(context: &Context<'_>) -> files::Setting {
    files::Setting::of(context.workload)
}
