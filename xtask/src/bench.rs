//! `cargo xtask bench`: measures, and writes docs/overhead.md with the numbers and their conditions.

use crate::{build, demo, progress::Progress, project::Project};
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    process::{Command, Stdio},
};

const PROGRESS: Progress = Progress::new("bench");

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print the result and leave docs/overhead.md as it is
    #[arg(long)]
    dry_run: bool,
    /// Passed on to the measuring program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// The command. The measuring program prints Markdown on stdout and its progress on stderr.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    demo::prepare(project)?;
    build::packages(project, &["unready-tests"], &["--release"])?;
    let program = project.release().join("unready-bench");
    let output = PROGRESS.open_step("measuring", || {
        Command::new(&program)
            .current_dir(&project.root)
            .arg("--bin-dir")
            .arg(project.release())
            .args(&arguments.rest)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("{} cannot be started", program.display()))
    })?;
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
