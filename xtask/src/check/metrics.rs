//! docs/metrics.md lists every metric of agent and collector: a test asks both and compares.

use super::{Finding, tree::Tree};
use crate::project::Project;
use xshell::cmd;

/// The check.
pub(super) fn check(project: &Project, _: &Tree) -> Vec<Finding> {
    let sh = &project.sh;
    match project.logged("metrics-fresh", cmd!(sh, "cargo test --quiet -p unready-tests --test metrics")) {
        Ok(()) => Vec::new(),
        Err(error) => {
            vec![Finding::new("docs/metrics.md", 0, format!("is stale, or its test does not build: run `cargo xtask metrics`\n{error:#}"))]
        }
    }
}
