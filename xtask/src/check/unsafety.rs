//! `unsafe` only in the eBPF programs and in the agent's `bpf` module, which load them; and every other crate root says
//! so to the compiler.

use super::{Finding, rust::tokens, tree::Tree};
use crate::project::Project;

const ALLOWED: &[&str] = &["agent-ebpf/", "agent/src/bpf/"];
/// Cannot forbid what one of their modules does.
const DENIES_ONLY: &[&str] = &["agent/"];

/// The check.
pub(super) fn check(_: &Project, tree: &Tree) -> Vec<Finding> {
    findings(tree)
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for text in tree.rust().filter(|text| !starts_with_any(&text.path, ALLOWED)) {
        let tokens = tokens(&text.text);
        let uses = tokens.iter().filter(|token| token.text == "unsafe");
        findings.extend(uses.map(|token| Finding::new(&text.path, token.line, "unsafe code belongs into agent-ebpf or agent/src/bpf")));
        let level = if starts_with_any(&text.path, DENIES_ONLY) { "#![deny(unsafe_code)]" } else { "#![forbid(unsafe_code)]" };
        let is_said = text.text.contains("#![forbid(unsafe_code)]") || text.text.contains(level);
        if is_crate_root(&text.path) && !is_said {
            findings.push(Finding::new(&text.path, 0, format!("a crate root needs {level}")));
        }
    }
    findings
}

fn starts_with_any(path: &str, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

fn is_crate_root(path: &str) -> bool {
    path.ends_with("src/lib.rs")
        || path.ends_with("src/main.rs")
        || path.contains("src/bin/") && !path.ends_with("/mod.rs") && is_direct_bin(path)
}

/// `src/bin/x.rs` or `src/bin/x/main.rs`, not their modules.
fn is_direct_bin(path: &str) -> bool {
    let Some((_, rest)) = path.split_once("src/bin/") else { return false };
    !rest.contains('/') || rest.ends_with("/main.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_found_outside_its_places() {
        let forbids = "//! x\n#![forbid(unsafe_code)]\n";
        let tree = Tree::of(&[
            ("agent/src/bpf/ring.rs", "unsafe { x() }"),
            ("agent/src/lib.rs", "#![deny(unsafe_code)]"),
            ("cli/src/main.rs", forbids),
            ("cli/src/run.rs", "// unsafe\nfn f() { unsafe { x() } }"),
            ("tests/src/bin/init/util.rs", "fn f() {}"),
        ]);
        let found: Vec<(String, usize)> = findings(&tree).into_iter().map(|finding| (finding.file, finding.line)).collect();
        assert_eq!(found, [("cli/src/run.rs".to_owned(), 2)]);
    }

    #[test]
    fn crate_roots_must_say_it() {
        let tree = Tree::of(&[("cli/src/lib.rs", "//! x"), ("tests/src/bin/demo/main.rs", "//! x"), ("tests/src/bin/one.rs", "//! x")]);
        assert_eq!(findings(&tree).len(), 3);
        let only_denies = Tree::of(&[("cli/src/lib.rs", "#![deny(unsafe_code)]")]);
        assert_eq!(findings(&only_denies).len(), 1);
    }
}
