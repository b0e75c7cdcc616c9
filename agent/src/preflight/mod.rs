//! May we run here? The machine is looked at once ([`facts`]), then judged without touching it again ([`rules`]).
//!
//! A check ends in one of three states:
//!
//! - [`State::Ok`]: nothing is missing.
//! - [`State::Degraded`]: we run, and `found` says what a verdict will lack.
//! - [`State::Refused`]: we do not run; `found` and `remedy` make one sentence for the user.
//!
//! Nothing is changed here, with one exception that is said aloud: [`ensure_tracefs`] mounts tracefs where the kernel
//! keeps an empty directory for it, because that is what every tracing tool does on its first call.

pub mod facts;
pub mod rules;

pub use facts::Facts;
use serde::Serialize;
use std::{path::Path, process::Command};

/// The outcome of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing is missing.
    Ok,
    /// It works, with less.
    Degraded,
    /// It does not work.
    Refused,
}

impl State {
    /// The word for a table.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Refused => "refused",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: String,
    pub state: State,
    /// What was found, and for [`State::Degraded`] what is lost by it. No full stop at the end.
    pub found: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Check {
    /// Nothing is missing.
    pub fn ok(name: &str, found: impl Into<String>) -> Self {
        Self { name: name.into(), state: State::Ok, found: found.into(), remedy: None }
    }

    /// It works, with less.
    pub fn degraded(name: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name: name.into(), state: State::Degraded, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// It does not work.
    pub fn refused(name: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name: name.into(), state: State::Refused, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// What was found and what to do, as one sentence.
    pub fn sentence(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{}: {remedy}", self.found),
            None => self.found.clone(),
        }
    }
}

/// A refusal as an error: the first check that refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

/// Looks at this machine and judges it.
pub fn examine() -> Vec<Check> {
    rules::judge(&Facts::gather())
}

/// The first refusal among the checks, if there is one.
pub fn refusal(checks: &[Check]) -> Result<(), Refusal> {
    match checks.iter().find(|check| check.state == State::Refused) {
        Some(check) => Err(Refusal(check.sentence())),
        None => Ok(()),
    }
}

/// What the loading of the eBPF programs showed: one line each for what is lost, or that nothing is.
pub fn programs(loaded: Result<&[String], &str>) -> Vec<Check> {
    const NAME: &str = "eBPF programs";
    match loaded {
        Ok([]) => vec![Check::ok(NAME, "all load and attach")],
        Ok(lost) => lost.iter().map(|sentence| Check::degraded(NAME, sentence.trim_end_matches('.'), "a newer kernel has it")).collect(),
        Err(reason) => vec![Check::refused(NAME, format!("they do not load: {reason}"), "report this with the output of `unready doctor`")],
    }
}

/// Where tracefs is expected.
pub const TRACEFS: &str = "/sys/kernel/tracing";

/// Mounts tracefs if it is mounted nowhere. `Some` says what was done; a failure is left to [`examine`] to report.
pub fn ensure_tracefs() -> Option<String> {
    if facts::tracefs_mount(&facts::read_mountinfo()).is_some() || !Path::new(TRACEFS).is_dir() {
        return None;
    }
    mount_tracefs().then(|| format!("tracefs was not mounted; it is now, at {TRACEFS}"))
}

fn mount_tracefs() -> bool {
    Command::new("mount").args(["-t", "tracefs", "none", TRACEFS]).output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusal_is_one_sentence() {
        let checks = [Check::ok("a", "fine"), Check::refused("b", "no b here", "get a b"), Check::refused("c", "no c", "get a c")];
        assert_eq!(refusal(&checks).map_err(|refusal| refusal.to_string()), Err("no b here: get a b".into()));
        assert!(refusal(&checks[..1]).is_ok());
    }

    #[test]
    fn each_lost_program_is_a_line() {
        let lost = ["no listen events: ports are not seen.".to_owned(), "no OOM events.".to_owned()];
        let checks = programs(Ok(&lost));
        assert_eq!(checks.len(), 2);
        assert!(checks.iter().all(|check| check.state == State::Degraded));
        assert_eq!(programs(Ok(&[]))[0].state, State::Ok);
        assert_eq!(programs(Err("EPERM"))[0].state, State::Refused);
    }
}
