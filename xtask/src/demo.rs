//! `cargo xtask demo`: everything that the demo needs, then the demo itself.

use crate::{
    build,
    project::{Project, root_is_missing},
    setup::{self, Purpose},
};
use anyhow::{Context as _, Result, bail};
use std::{os::unix::process::CommandExt as _, path::PathBuf, process::Command};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to the demo; `-- --help` lists what it takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// The command. It becomes the demo's process, so that Ctrl-C reaches the demo, which cleans up after itself.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    if let Some(reason) = root_is_missing("demo") {
        bail!("{reason}");
    }
    let mut command = prepare(project)?;
    let error = command.args(&arguments.rest).exec();
    bail!("the demo cannot be started: {error}");
}

/// Set-up and build; returns the demo, ready to be started.
pub(crate) fn prepare(project: &Project) -> Result<Command> {
    setup::ensure(project, Purpose::Demo)?;
    build(project, "unready-demo")
}

/// Builds everything that drives containers, and returns the command of one of the programs of `unready-tests`.
pub(crate) fn build(project: &Project, program: &str) -> Result<Command> {
    let workloads = build::statically(project, "unready-workloads", &[])?;
    build::packages(project, &["unready-agent", "unready-collector", "unready", "unready-tests"], &["--release"])?;
    let program: PathBuf = project.release().join(program);
    program.metadata().with_context(|| format!("{} was not built", program.display()))?;
    let mut command = Command::new(program);
    command.current_dir(&project.root).arg("--bin-dir").arg(project.release()).arg("--workloads-dir").arg(workloads);
    Ok(command)
}
