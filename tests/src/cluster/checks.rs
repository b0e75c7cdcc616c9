//! Counting what is as expected, a line a check.

/// The count. Without `aloud` only failures are printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checks {
    passed: u32,
    failed: u32,
    aloud: bool,
}

impl Checks {
    /// With `aloud` each check has its line.
    pub const fn new(aloud: bool) -> Self {
        Self { passed: 0, failed: 0, aloud }
    }

    /// Counts one check, about `whose`; `problem` is empty when all is well.
    pub fn check(&mut self, whose: &str, what: &str, problem: impl AsRef<str>) {
        let problem = problem.as_ref();
        if problem.is_empty() {
            self.passed += 1;
            if self.aloud {
                println!("ok      {whose}: {what}");
            }
        } else {
            self.failed += 1;
            println!("FAILED  {whose}: {what}: {problem}");
        }
    }

    /// Counts an outcome: an error is a failure, with all of its reasons.
    pub fn outcome<T>(&mut self, whose: &str, what: &str, outcome: anyhow::Result<T>) -> Option<T> {
        let problem = outcome.as_ref().err().map(|error| format!("{error:#}")).unwrap_or_default();
        self.check(whose, what, problem);
        outcome.ok()
    }

    /// All were as expected.
    pub const fn all_passed(&self) -> bool {
        self.failed == 0
    }

    /// `N passed, N failed`.
    pub fn summary(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed)
    }
}

/// `problem` unless `is_well`.
pub fn unless(is_well: bool, problem: impl FnOnce() -> String) -> String {
    if is_well { String::new() } else { problem() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count() {
        let mut checks = Checks::new(false);
        checks.check("a", "b", "");
        checks.check("a", "c", unless(false, || "no".to_owned()));
        checks.outcome::<()>("a", "d", Err(anyhow::anyhow!("no")));
        assert!(!checks.all_passed());
        assert_eq!(checks.summary(), "1 passed, 2 failed");
    }
}
