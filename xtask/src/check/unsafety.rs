//! `unsafe` only in the eBPF programs and in the agent's `bpf` module, which load them. The compiler says the same (`unsafe_code` in
//! the root manifest); this check also sees who allows it, and code that is compiled only elsewhere.

use super::{Finding, rust::tokens, tree::Tree};
use crate::project::Project;

const ALLOWED: &[&str] = &["agent-ebpf/", "agent/src/bpf/"];

pub(super) fn check(_: &Project, tree: &Tree) -> Vec<Finding> {
    findings(tree)
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for text in tree.rust().filter(|text| !ALLOWED.iter().any(|folder| text.path.starts_with(folder))) {
        let tokens = tokens(&text.text);
        let uses = tokens.iter().filter(|token| token.text == "unsafe");
        findings.extend(uses.map(|token| Finding::new(&text.path, token.line, "unsafe code belongs into agent-ebpf or agent/src/bpf")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_found_outside_its_places() {
        let tree = Tree::of(&[
            ("agent/src/bpf/ring.rs", "unsafe { x() }"),
            ("agent/src/lib.rs", "#![deny(unsafe_code)]"),
            ("cli/src/run.rs", "// unsafe\nfn f() { unsafe { x() } }"),
            ("tests/src/bin/init/util.rs", "fn f() {}"),
        ]);
        let found: Vec<(String, usize)> = findings(&tree).into_iter().map(|finding| (finding.file, finding.line)).collect();
        assert_eq!(found, [("cli/src/run.rs".to_owned(), 2)]);
    }
}
