//! What a kernel said, and the table of all kernels.
//!
//! The init prints one line for each hook, `RESULT name ok|absent|FAILED [remark]`, then `INIT-EXIT n` as its last word. The
//! console may put other text before them on the same line.

use crate::progress::seconds;
use std::{fmt::Write as _, time::Duration};

/// How many failed hooks a row of the table names.
const NAMED: usize = 3;

/// What became of one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hook {
    /// Loaded, attached and fired.
    Works,
    /// This kernel does not have it, and the agent can do without.
    Absent,
    /// With the reason.
    Failed(String),
}

/// What became of one boot.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Kernel series.
    pub(super) version: &'static str,
    /// All that the machine printed.
    pub(super) serial: String,
    /// Status of the init.
    pub(super) exit: Option<i32>,
    /// Why there is no result.
    pub(super) problem: Option<String>,
    /// From QEMU's start to the end.
    pub(super) total: Duration,
    first_result: Option<Duration>,
    hooks: Vec<(String, Hook)>,
}

impl Outcome {
    /// Nothing is known yet.
    pub(super) const fn new(version: &'static str) -> Self {
        Self { version, serial: String::new(), exit: None, problem: None, total: Duration::ZERO, first_result: None, hooks: Vec::new() }
    }

    /// Takes a line of the serial console.
    pub(super) fn read(&mut self, line: &str, at: Duration) {
        let line = line.trim_end_matches('\r');
        self.serial.push_str(line);
        self.serial.push('\n');
        if let Some(hook) = parse_result(line) {
            self.first_result.get_or_insert(at);
            self.hooks.push(hook);
        }
        if let Some((_, status)) = line.split_once("INIT-EXIT ") {
            self.exit = status.split_whitespace().next().and_then(|status| status.parse().ok());
        }
    }

    /// Did everything work that this kernel has?
    pub(super) fn passed(&self) -> bool {
        self.exit == Some(0) && self.problem.is_none() && self.count(&Hook::Works) > 0 && self.failed().next().is_none()
    }

    fn count(&self, wanted: &Hook) -> usize {
        self.hooks.iter().filter(|(_, hook)| hook == wanted).count()
    }

    fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.hooks.iter().filter_map(|(name, hook)| match hook {
            Hook::Failed(reason) => Some((name.as_str(), reason.as_str())),
            Hook::Works | Hook::Absent => None,
        })
    }

    fn remark(&self) -> String {
        if let Some(problem) = &self.problem {
            return problem.clone();
        }
        let failed: Vec<String> = self.failed().take(NAMED).map(|(name, reason)| format!("{name}: {reason}")).collect();
        match self.exit {
            _ if !failed.is_empty() => failed.join("; "),
            None => format!("the machine ended without a result: {}", self.last_words()),
            Some(0) if self.hooks.is_empty() => "the init reported no hook".to_owned(),
            Some(0) => self.absent(),
            Some(status) => format!("the init ended with {status}: {}", self.last_words()),
        }
    }

    fn absent(&self) -> String {
        let names: Vec<&str> = self.hooks.iter().filter(|(_, hook)| *hook == Hook::Absent).map(|(name, _)| name.as_str()).collect();
        if names.is_empty() { String::new() } else { format!("not on this kernel: {}", names.join(", ")) }
    }

    /// The panic, if there was one: the kernel goes on to talk after it.
    fn last_words(&self) -> &str {
        let panic = self.serial.lines().find(|line| line.contains("Kernel panic"));
        let last = || self.serial.lines().rev().find(|line| !line.trim().is_empty() && !line.contains("INIT-EXIT"));
        panic.or_else(last).unwrap_or("it printed nothing")
    }
}

fn parse_result(line: &str) -> Option<(String, Hook)> {
    let (_, rest) = line.split_once("RESULT ")?;
    let (name, rest) = rest.trim().split_once(' ')?;
    let (word, remark) = rest.split_once(' ').unwrap_or((rest, ""));
    let hook = match word {
        "ok" => Hook::Works,
        "absent" => Hook::Absent,
        _ => Hook::Failed(if remark.is_empty() { word.to_owned() } else { remark.to_owned() }),
    };
    Some((name.to_owned(), hook))
}

/// One line while the others still run.
pub(super) fn line(outcome: &Outcome) -> String {
    let word = if outcome.passed() { "ok" } else { "FAILED" };
    format!("kernel {} … {word} ({})", outcome.version, seconds(outcome.total))
}

/// A row a kernel.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!("{:<8} {:>5} {:>7} {:>7} {:>9} {:>8}  remark", "kernel", "hooks", "absent", "failed", "to init", "in all");
    for outcome in outcomes {
        let init = outcome.first_result.map_or_else(|| "-".to_owned(), seconds);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{:<8} {:>5} {:>7} {:>7} {:>9} {:>8}  {}",
            outcome.version,
            outcome.count(&Hook::Works),
            outcome.count(&Hook::Absent),
            outcome.failed().count(),
            init,
            seconds(outcome.total),
            outcome.remark()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(serial: &[&str]) -> Outcome {
        let mut outcome = Outcome::new("6.1");
        for line in serial {
            outcome.read(line, Duration::from_secs(3));
        }
        outcome
    }

    #[test]
    fn a_kernel_passes_when_its_init_says_so_and_no_hook_failed() {
        let good = outcome(&["RESULT cgroup_mkdir ok 2.1 ms\r", "[    3.1] RESULT openat2 absent", "INIT-EXIT 0\r"]);
        assert!(good.passed(), "{good:?}");
        assert!(table(&[good]).contains("not on this kernel: openat2"));
        let bad = outcome(&["RESULT cgroup_mkdir ok", "RESULT sys_exit_openat FAILED verifier: too many branches", "INIT-EXIT 0"]);
        assert!(!bad.passed());
        assert!(table(&[bad]).contains("sys_exit_openat: verifier: too many branches"));
    }

    #[test]
    fn silence_a_panic_and_a_bad_status_are_failures() {
        let panicked = outcome(&["RESULT cgroup_mkdir ok", "Kernel panic - not syncing: Attempted to kill init!", "Kernel Offset: 0x1"]);
        assert!(!panicked.passed());
        assert!(table(&[panicked]).contains("Kernel panic"));
        assert!(!outcome(&["INIT-EXIT 0"]).passed());
        assert!(!outcome(&["RESULT cgroup_mkdir ok", "INIT-EXIT 101"]).passed());
        assert!(!outcome(&["RESULT cgroup_mkdir ok", "INIT-EXIT nonsense"]).passed());
    }

    #[test]
    fn a_word_that_is_not_known_is_a_failure() {
        assert_eq!(parse_result("RESULT x perhaps"), Some(("x".to_owned(), Hook::Failed("perhaps".to_owned()))));
        assert_eq!(parse_result("RESULT x"), None);
        assert_eq!(parse_result("no result"), None);
    }
}
