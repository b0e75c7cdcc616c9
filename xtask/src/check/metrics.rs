//! docs/metrics.md lists every metric of agent and collector: a test asks both and compares.

use super::{Finding, tree::Tree};
use crate::{build, project::Project};

pub(super) fn check(project: &Project, _: &Tree) -> Vec<Finding> {
    match project.logged("metrics-fresh", build::test(project, "metrics")) {
        Ok(()) => Vec::new(),
        Err(error) => {
            vec![Finding::new("docs/metrics.md", 0, format!("is stale, or its test does not build: run `cargo xtask metrics`\n{error:#}"))]
        }
    }
}
