//! What ends a start before the program runs: the command, its format, its loader, its interpreter.
//!
//! execve says little: ENOENT for a missing command, a missing loader and a missing interpreter alike. The file itself,
//! read with [`Question::ReadExecutable`], tells them apart:
//!
//! - [`command`]: a failing execve (and the search along PATH before it);
//! - [`mod@format`]: what the file's own bytes say;
//! - [`unstarted`]: runtimes look before they leap, so that there may be no failing execve at all.

mod command;
mod format;
mod unstarted;

use super::rule::{Calls, Others, Rule};
use crate::{
    case::{Case, Suspect, finding::Finding},
    catalogue::Cause,
    question::Question,
    record::{Call, Errno},
    story::failure::Failure,
};

/// See the module's head.
pub(super) const RULE: Rule = Rule {
    says: &[Cause::CommandNotFound, Cause::NotExecutable, Cause::LoaderMissing, Cause::WrongArchitecture, Cause::ScriptInterpreterMissing],
    calls: Some(Calls { takes, questions, explain }),
    others: Some(Others { questions: before_start, explain: never_started }),
};

fn takes(failure: &Failure) -> bool {
    let looks = matches!(failure.call.call, Call::Stat | Call::Access) && failure.call.errno == Errno::ENOENT;
    failure.call.call == Call::Exec || looks
}

fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    if failure.call.call == Call::Exec { command::questions(failure, case) } else { Vec::new() }
}

fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    if failure.call.call == Call::Exec {
        command::explain(failure, case)
    } else if command::is_search(failure, case) {
        command::explain_search(failure, case)
    } else {
        None
    }
}

fn before_start(suspect: Suspect<'_>, case: &Case<'_>) -> Vec<Question> {
    if matches!(suspect, Suspect::NeverStarted { .. }) { unstarted::questions(case) } else { Vec::new() }
}

fn never_started(suspect: Suspect<'_>, case: &Case<'_>) -> Option<Finding> {
    let Suspect::NeverStarted { at } = suspect else { return None };
    unstarted::explain(at, case)
}
