//! `cargo xtask metrics`: docs/metrics.md, every metric of agent and collector with its help text, by the test that otherwise
//! compares it.

use crate::{build, progress::Progress, project::Project};
use anyhow::{Context as _, Result};

pub(crate) fn run(project: &Project) -> Result<()> {
    Progress::new("metrics")
        .open_step("docs/metrics.md", || build::test(project, "metrics").env("UNREADY_UPDATE", "1").quiet().run())
        .context("docs/metrics.md could not be written; the reason is above")
}
