//! Files stay readable in one go: a warning above 400 lines, a failure above 600. Test files are exempt: tables of cases
//! do not get clearer in pieces.

use super::{Finding, tree::Tree};
use crate::project::Project;

const WARN: usize = 400;
const FAIL: usize = 600;

pub(super) fn check(_: &Project, tree: &Tree) -> Vec<Finding> {
    let sources = tree.rust().filter(|text| !is_test(&text.path));
    sources.filter_map(|text| judge(&text.path, text.text.lines().count())).collect()
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.starts_with("tests/tests/") || path.contains("/tests/")
}

fn judge(path: &str, lines: usize) -> Option<Finding> {
    match lines {
        lines if lines > FAIL => Some(Finding::new(path, 0, format!("{lines} lines, more than {FAIL}: split it by subject"))),
        lines if lines > WARN => Some(Finding::warning(path, 0, format!("{lines} lines, more than {WARN}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_warn_and_longer_ones_fail() {
        assert_eq!(judge("a.rs", 400), None);
        assert_eq!(judge("a.rs", 401).map(|finding| finding.is_warning), Some(true));
        assert_eq!(judge("a.rs", 601).map(|finding| finding.is_warning), Some(false));
        assert!(is_test("agent/tests/live.rs") && is_test("diagnosis/src/engine/tests.rs") && !is_test("tests/src/lib.rs"));
    }
}
