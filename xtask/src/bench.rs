//! `cargo xtask bench`: measures, and writes docs/overhead.md with the numbers and their conditions.

use crate::{
    build::Profile,
    demo, options, passed,
    progress::Progress,
    project::{Project, root_is_missing},
    setup::{self, Purpose},
};
use anyhow::{Context as _, Result, bail};
use std::{fs, process::Stdio};

const PROGRESS: Progress = Progress::new("bench");

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print the result and leave docs/overhead.md as it is
    #[arg(long)]
    dry_run: bool,
    /// Passed on to the measuring program; `-- --help` lists what it takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// The command. The measuring program prints Markdown on stdout and its progress on stderr.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let _: options::Bench = passed::check("cargo xtask bench --", "Measures what Unready costs and how fast it answers", &arguments.rest);
    if let Some(reason) = root_is_missing("bench") {
        bail!("{reason}");
    }
    setup::ensure(project, Purpose::Demo)?;
    let mut command = demo::build(project, Profile::Release, "unready-bench")?;
    command.args(&arguments.rest).stderr(Stdio::inherit());
    let output = PROGRESS.open_step("measuring", || command.output().context("the measuring program cannot be started"))?;
    let markdown = String::from_utf8(output.stdout).context("the measuring program printed something that is no text")?;
    print!("{markdown}");
    if !output.status.success() {
        bail!("the measurement failed ({}); docs/overhead.md is left as it was", output.status);
    }
    if !arguments.dry_run {
        fs::write(project.root.join("docs/overhead.md"), markdown).context("cannot write docs/overhead.md")?;
        PROGRESS.say("written to docs/overhead.md");
    }
    Ok(())
}
