//! `cargo xtask demo`: everything that the demo needs, then the demo itself.
//!
//! Where nothing is built yet, agent and demo come first: while the rest is built, a container is explained by the agent alone.

use crate::{
    build::{self, Profile, WORKLOADS},
    options, passed,
    progress::Progress,
    project::{Project, root_is_missing},
    setup::{self, Purpose},
};
use anyhow::{Result, bail};
use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
};

const PROGRESS: Progress = Progress::new("demo");
const PROGRAM: &str = "unready-demo";
/// The programs that containers are watched and asked about with.
const WATCHERS: &[&str] = &["unready-agent", "unready-collector", "unready"];

#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Passed on to the demo; `--help` lists what it takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// The command. It becomes the demo's process, so that Ctrl-C reaches the demo, which cleans up after itself.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let _: options::Demo = passed::check(
        "cargo xtask demo",
        "Runs real containers that cannot start, and shows what Unready says about each",
        &arguments.rest,
    );
    if let Some(reason) = root_is_missing("demo") {
        bail!("{reason}");
    }
    let error = prepare(project)?.args(&arguments.rest).exec();
    bail!("the demo cannot be started: {error}");
}

/// Set-up and build; returns the demo, ready to be started.
pub(crate) fn prepare(project: &Project) -> Result<Command> {
    setup::ensure(project, Purpose::Demo)?;
    let workloads = build::statically(project, Profile::Dev, WORKLOADS, &[])?;
    let built = project.target.join("debug");
    if WATCHERS.iter().all(|name| built.join(name).is_file()) {
        return finish(project, Profile::Dev, PROGRAM, &workloads);
    }
    let folder = build::programs(project, Profile::Dev, &["unready-agent", PROGRAM])?;
    let mut first = command(project, &folder, PROGRAM, &workloads);
    thread::scope(|scope| {
        scope.spawn(move || explain_one(first.arg("--first")));
        finish(project, Profile::Dev, PROGRAM, &workloads)
    })
}

/// A foretaste. Whether it succeeds decides nothing: the demo comes after it.
fn explain_one(first: &mut Command) {
    match first.output() {
        Ok(Output { status, stdout, .. }) if status.success() => {
            PROGRESS.say(format_args!("a first container, while the rest is built:\n{}", String::from_utf8_lossy(&stdout).trim_end()));
        }
        Ok(Output { stderr, .. }) => PROGRESS.say(format_args!("a first container: {}", String::from_utf8_lossy(&stderr).trim())),
        Err(error) => PROGRESS.say(format_args!("a first container cannot be started: {error}")),
    }
}

/// Builds everything that drives containers, and returns the command of one of the programs of `unready-tests`.
pub(crate) fn build(project: &Project, profile: Profile, program: &str) -> Result<Command> {
    let workloads = build::statically(project, profile, WORKLOADS, &[])?;
    finish(project, profile, program, &workloads)
}

fn finish(project: &Project, profile: Profile, program: &str, workloads: &Path) -> Result<Command> {
    let all: Vec<&str> = WATCHERS.iter().copied().chain([program]).collect();
    let folder: PathBuf = build::programs(project, profile, &all)?;
    Ok(command(project, &folder, program, workloads))
}

fn command(project: &Project, folder: &Path, program: &str, workloads: &Path) -> Command {
    let mut command = Command::new(folder.join(program));
    command.current_dir(&project.root).arg("--bin-dir").arg(folder).arg("--workloads-dir").arg(workloads);
    command
}
