//! `cargo xtask build` and `generate`.

use crate::{
    progress::Progress,
    project::{Project, host_triple},
    setup::{self, Purpose},
};
use anyhow::{Context as _, Result};
use std::path::PathBuf;
use xshell::cmd;

const PROGRESS: Progress = Progress::new("build");

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Without optimisation
    #[arg(long)]
    debug: bool,
}

/// The command.
pub(crate) fn run(project: &Project, arguments: Arguments) -> Result<()> {
    setup::ensure(project, Purpose::Build)?;
    let profile: &[&str] = if arguments.debug { &[] } else { &["--release"] };
    packages(project, &["unready-agent", "unready-collector", "unready"], profile)?;
    let folder = project.target.join(if arguments.debug { "debug" } else { "release" });
    PROGRESS.say(format_args!("unready-agent, unready-collector and unready are in {}", folder.display()));
    Ok(())
}

/// Builds packages; Cargo's own progress goes to the terminal.
pub(crate) fn packages(project: &Project, packages: &[&str], options: &[&str]) -> Result<()> {
    let sh = &project.sh;
    let selected = packages.iter().flat_map(|package| ["-p", package]);
    PROGRESS.open_step(&packages.join(", "), || {
        cmd!(sh, "cargo build {options...}").args(selected).quiet().run().context("the build failed; the reason is above")
    })
}

/// Builds binaries of one package that need no loader and no library, and returns the folder they are in. They get a
/// target triple of their own, so that the flags do not make the ordinary build start over.
pub(crate) fn statically(project: &Project, package: &str, bins: &[&str]) -> Result<PathBuf> {
    let sh = &project.sh;
    let triple = host_triple(sh)?;
    let selected = bins.iter().flat_map(|bin| ["--bin", bin]);
    PROGRESS.open_step(&format!("{package}, static"), || {
        cmd!(sh, "cargo build --release --target {triple} -p {package}")
            .args(selected)
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .quiet()
            .run()
            .context("the static build failed; the reason is above")
    })?;
    Ok(project.static_release(&triple))
}

/// Writes the Rust code of the .proto files: by the test that otherwise compares it.
pub(crate) fn generate(project: &Project) -> Result<()> {
    let sh = &project.sh;
    Progress::new("proto").open_step("generating", || {
        cmd!(sh, "cargo test --quiet -p unready-proto --test fresh")
            .env("UNREADY_UPDATE", "1")
            .quiet()
            .run()
            .context("the code could not be generated; the reason is above")
    })
}
