//! `cargo xtask metrics`: docs/metrics.md, every metric of agent and collector with its help text, by the test that otherwise
//! compares it.

use crate::{build::PACKAGES, progress::Progress, project::Project};
use anyhow::{Context as _, Result};
use xshell::{Cmd, cmd};

/// The command.
pub(crate) fn run(project: &Project) -> Result<()> {
    Progress::new("metrics")
        .open_step("docs/metrics.md", || test(project).env("UNREADY_UPDATE", "1").quiet().run())
        .context("docs/metrics.md could not be written; the reason is above")
}

/// The test, of the same selection of packages as every other: what was compiled for those is not compiled again.
pub(crate) fn test(project: &Project) -> Cmd<'_> {
    let sh = &project.sh;
    let packages = PACKAGES.iter().flat_map(|package| ["-p", package]);
    cmd!(sh, "cargo test --quiet {packages...} --test metrics")
}
