//! How many tests passed and failed, read from what the test programs print.

use std::{fmt, ops::AddAssign};

/// Prints as `N passed, N failed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed, and rings that could not run to their end.
    pub(crate) failed: u64,
}

impl Count {
    /// `test result: ok. 12 passed; 0 failed; 0 ignored; …`, of libtest.
    pub(crate) fn of_cargo_line(line: &str) -> Option<Self> {
        let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let mut fields = counts.split(';');
        let passed = number_before(fields.next()?, "passed")?;
        let failed = number_before(fields.next()?, "failed")?;
        Some(Self { passed, failed })
    }

    /// `demo: 17 of 18 containers explained as expected, in 9 s`, of the demo.
    pub(super) fn of_demo_line(line: &str) -> Option<Self> {
        let (counts, _) = line.trim().strip_prefix("demo: ")?.split_once(" containers explained as expected")?;
        let (passed, all) = counts.split_once(" of ")?;
        let passed: u64 = passed.trim().parse().ok()?;
        let all: u64 = all.trim().parse().ok()?;
        Some(Self { passed, failed: all.checked_sub(passed)? })
    }

    /// `12 passed, 1 failed`, and nothing else on the line: how the checks of the cluster end.
    pub(crate) fn of_summary_line(line: &str) -> Option<Self> {
        let (passed, failed) = line.trim().split_once(", ")?;
        Some(Self { passed: number_before(passed, "passed")?, failed: number_before(failed, "failed")? })
    }
}

fn number_before(field: &str, word: &str) -> Option<u64> {
    field.trim().strip_suffix(word)?.trim().parse().ok()
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_of_cargo_are_counted() {
        let line = "test result: FAILED. 11 passed; 2 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.52s";
        assert_eq!(Count::of_cargo_line(line), Some(Count { passed: 11, failed: 2 }));
        let line = "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(Count::of_cargo_line(line), Some(Count { passed: 4, failed: 0 }));
        for other in ["running 4 tests", "test result", "test result: ok. many passed; 0 failed", ""] {
            assert_eq!(Count::of_cargo_line(other), None, "{other}");
        }
    }

    #[test]
    fn the_demo_counts_its_containers() {
        let line = "demo: 17 of 18 containers explained as expected, in 9 s";
        assert_eq!(Count::of_demo_line(line), Some(Count { passed: 17, failed: 1 }));
        for other in ["demo: 5 of 4 containers explained as expected", "demo: starting", ""] {
            assert_eq!(Count::of_demo_line(other), None, "{other}");
        }
    }

    #[test]
    fn a_summary_is_a_line_of_its_own() {
        assert_eq!(Count::of_summary_line("24 passed, 1 failed\n"), Some(Count { passed: 24, failed: 1 }));
        for other in ["24 passed", "ok, 24 passed, 1 failed", "24 passed, 1 failed (12 s)", "passed, failed", ""] {
            assert_eq!(Count::of_summary_line(other), None, "{other}");
        }
    }

    #[test]
    fn counts_add_up_and_print_plainly() {
        let mut total = Count { passed: 3, failed: 0 };
        total += Count { passed: 4, failed: 1 };
        assert_eq!(total.to_string(), "7 passed, 1 failed");
    }
}
