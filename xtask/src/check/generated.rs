//! The committed protobuf code is what its `.proto` files give: the test of the proto crate generates it again.

use super::{Finding, tree::Tree};
use crate::{build, project::Project};

pub(super) fn check(project: &Project, _: &Tree) -> Vec<Finding> {
    match project.logged("proto-fresh", build::test(project, "fresh")) {
        Ok(()) => Vec::new(),
        Err(error) => vec![Finding::new("proto/src/gen", 0, format!("is stale, or does not build: run `cargo xtask generate`\n{error:#}"))],
    }
}
