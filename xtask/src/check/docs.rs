//! Every Rust file begins with `//!`: what it is for, before anything else. A line of `#!` may precede it.

use super::{Finding, tree::Tree};
use crate::project::Project;

pub(super) fn check(_: &Project, tree: &Tree) -> Vec<Finding> {
    findings(tree)
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for text in tree.rust() {
        let first = text.text.lines().next().unwrap_or_default();
        match first.strip_prefix("//!") {
            None => findings.push(Finding::new(&text.path, 1, "the first line is not `//!`: say what this module is for")),
            Some(words) if words.trim().len() < 10 || words.contains("placeholder") => {
                findings.push(Finding::new(&text.path, 1, "the module's first sentence says nothing"));
            }
            Some(_) => {}
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_a_purpose_is_found() {
        let tree = Tree::of(&[
            ("a.rs", "//! Reads cgroup paths.\n"),
            ("b.rs", "use std::fmt;\n//! late\n"),
            ("c.rs", ""),
            ("d.rs", "//! x\n"),
            ("proto/src/gen/e.rs", "// generated\n"),
        ]);
        assert_eq!(findings(&tree).iter().map(|finding| finding.file.as_str()).collect::<Vec<_>>(), ["b.rs", "c.rs", "d.rs"]);
    }
}
