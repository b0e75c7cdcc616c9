//! Label values whose number has a limit: the first that come get a name of their own, all others are `other`.

use std::collections::BTreeSet;
use unready_diagnosis::outside;

/// What is not known, or does not apply.
pub(super) const NONE: &str = "none";
/// What came too late for a name of its own.
pub(super) const OTHER: &str = "other";

/// The names that have been given out.
#[derive(Debug)]
pub(super) struct Names {
    known: BTreeSet<String>,
    max: usize,
}

impl Names {
    pub(super) const fn at_most(max: usize) -> Self {
        Self { known: BTreeSet::new(), max }
    }

    /// The label for this value.
    pub(super) fn label(&mut self, value: &str) -> String {
        let value = &*outside::escaped(value);
        if value.is_empty() {
            return NONE.to_owned();
        }
        if !self.known.contains(value) {
            if self.known.len() >= self.max {
                return OTHER.to_owned();
            }
            self.known.insert(value.to_owned());
        }
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_too_late_is_other() {
        let mut names = Names::at_most(2);
        let labels: Vec<String> = ["a", "b", "c", "", "a"].iter().map(|name| names.label(name)).collect();
        assert_eq!(labels, ["a", "b", OTHER, NONE, "a"]);
    }

    #[test]
    fn what_cannot_be_seen_is_spelt_out() {
        assert_eq!(Names::at_most(2).label("a\u{1b}[2J\u{202e}"), "a\\x1b[2J\\u{202e}");
    }
}
