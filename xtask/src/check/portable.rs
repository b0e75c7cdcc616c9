//! `kubectl unready` for people at other machines than Linux: `unready` without its feature `local` reaches nothing that only
//! Linux has, and neither the agent nor what compiles its eBPF programs.

use super::{Finding, tree::Tree};
use crate::project::Project;
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use xshell::cmd;

const MANIFEST: &str = "cli/Cargo.toml";
/// What `local` alone may bring. `unready-agent-common` is no such thing: numbers and layouts, which the diagnosis needs.
const LOCAL: &[&str] = &[
    "aya",
    "aya-log",
    "aya-obj",
    "caps",
    "io-uring",
    "nix",
    "procfs",
    "signal-hook",
    "unready-agent",
    "unready-agent-ebpf",
    "unready-ebpf-build",
];

pub(super) fn check(project: &Project, _: &Tree) -> Vec<Finding> {
    match reached(project) {
        Ok(tree) => excess(&tree),
        Err(error) => Finding::of_error(MANIFEST, &error),
    }
}

/// Each package on a line, as Cargo writes it: `tokio v1.54.1`.
fn reached(project: &Project) -> Result<String> {
    let sh = &project.sh;
    let tree = cmd!(sh, "cargo tree --offline --package unready --no-default-features --edges normal,build --target all --prefix none");
    tree.quiet().read().context("`cargo tree` failed; run `cargo fetch` once if a crate is missing")
}

fn excess(tree: &str) -> Vec<Finding> {
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    if !names.contains("unready-kubernetes") {
        return vec![Finding::new(
            MANIFEST,
            0,
            "what `cargo tree` says of `unready` is not understood: correct xtask/src/check/portable.rs",
        )];
    }
    let excess = LOCAL.iter().filter(|name| names.contains(**name));
    excess
        .map(|name| Finding::new(MANIFEST, 0, format!("without the feature `local` it still reaches {name}: make that optional")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_linux_is_found() {
        let tree = "unready v0.1.0 (/x)\nunready-kubernetes v0.1.0 (/x)\nunready-agent-common v0.1.0 (/x)\nrustix v1.1.2 (*)\n";
        assert_eq!(excess(tree), []);
        let found = excess(&format!("{tree}nix v0.31.0\nunready-agent v0.1.0 (/x)\n"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(excess("").len(), 1, "no answer is no proof");
    }
}
