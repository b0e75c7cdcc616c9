//! `cargo xtask weights`: for each number of the judge the smallest moves that flip a scenario, and which, by the test that otherwise
//! only wants to see one.

use crate::{build, progress::Progress, project::Project};
use anyhow::{Context as _, Result};

pub(crate) fn run(project: &Project) -> Result<()> {
    let table = Progress::new("weights")
        .open_step("move each number", || build::test(project, "weights").arg("--").arg("--nocapture").env("UNREADY_WEIGHTS", "1").read())
        .context("a number could not be moved, or none of the scenarios needs it; the reason is above")?;
    let rows = table.lines().skip_while(|line| !line.contains(" = ")).take_while(|line| !line.starts_with("test "));
    rows.for_each(|row| println!("{row}"));
    Ok(())
}
