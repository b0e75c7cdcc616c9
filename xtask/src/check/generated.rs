//! The committed protobuf code is what its `.proto` files give: the test of the proto crate generates it again.

use super::{Finding, tree::Tree};
use crate::project::Project;
use xshell::cmd;

/// The check.
pub(super) fn check(project: &Project, _: &Tree) -> Vec<Finding> {
    let sh = &project.sh;
    let command = cmd!(sh, "cargo test --quiet -p unready-proto --test fresh");
    match project.logged("proto-fresh", command) {
        Ok(()) => Vec::new(),
        Err(error) => vec![Finding::new("proto/src/gen", 0, format!("is stale, or does not build: run `cargo xtask generate`\n{error:#}"))],
    }
}
