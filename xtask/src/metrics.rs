//! `cargo xtask metrics`: docs/metrics.md, every metric of agent and collector with its help text, by the test that otherwise
//! compares it.

use crate::{progress::Progress, project::Project};
use anyhow::{Context as _, Result};
use xshell::cmd;

/// The command.
pub(crate) fn run(project: &Project) -> Result<()> {
    let sh = &project.sh;
    Progress::new("metrics")
        .open_step("docs/metrics.md", || {
            cmd!(sh, "cargo test --quiet -p unready-tests --test metrics").env("UNREADY_UPDATE", "1").quiet().run()
        })
        .context("docs/metrics.md could not be written; the reason is above")
}
