//! `cargo xtask build` and `generate`, and how everything else is built.
//!
//! Demo and tests are made by one build, in Cargo's `dev` profile (the root manifest says which crates are optimised in it): what the
//! demo compiled, the tests need not. For that the same packages must be selected each time, [`PACKAGES`]: which features a
//! dependency has depends on that, and with other features it is another crate.

use crate::{
    cargo,
    progress::Progress,
    project::{Project, host_triple},
    setup::{self, Purpose},
};
use anyhow::{Result, bail};
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use xshell::{Cmd, cmd};

const PROGRESS: Progress = Progress::new("build");

/// What demo and tests are made of. The build's own tools are not: `xtask` would want other features of what it shares with these,
/// and `unready-ebpf-build` is part of a build script, which Cargo compiles otherwise than what is tested.
pub(crate) const PACKAGES: &[&str] = &[
    "unready",
    "unready-agent",
    "unready-agent-common",
    "unready-collector",
    "unready-diagnosis",
    "unready-image",
    "unready-inspect",
    "unready-kubernetes",
    "unready-proto",
    "unready-tests",
    "unready-transport",
    "unready-wire",
];
/// What is shipped.
const SHIPPED: &[&str] = &["unready-agent", "unready-collector", "unready"];
/// Programs in containers, compiled without the rest.
pub(crate) const WORKLOADS: &[&str] = &["unready-workloads"];

/// How much the compiler tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// Smallest and fastest programs
    Dist,
    /// As `cargo xtask build`
    Release,
    /// As demo and tests: quick to build
    Dev,
}

impl Profile {
    /// For `--profile`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dist => "dist",
            Self::Release => "release",
            Self::Dev => "dev",
        }
    }

    /// Cargo's folder, which is not always named like the profile.
    const fn folder(self) -> &'static str {
        match self {
            Self::Dist => "dist",
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// As demo and tests have it: hardly optimised
    #[arg(long)]
    debug: bool,
}

/// The command.
pub(crate) fn run(project: &Project, arguments: Arguments) -> Result<()> {
    setup::ensure(project, Purpose::Build)?;
    let profile = if arguments.debug { Profile::Dev } else { Profile::Release };
    let folder = programs(project, profile, SHIPPED)?;
    PROGRESS.say(format_args!("unready-agent, unready-collector and unready are in {}", folder.display()));
    Ok(())
}

/// Builds programs of [`PACKAGES`]; returns the folder that they are in.
pub(crate) fn programs(project: &Project, profile: Profile, bins: &[&str]) -> Result<PathBuf> {
    let mut command = select("build", profile, PACKAGES, bins);
    command.current_dir(&project.root);
    finish(&bins.join(", "), command)?;
    Ok(project.target.join(profile.folder()))
}

/// Builds programs that need no loader and no library, all of the packages or those named, and returns the folder they are in. They
/// get a target triple of their own, so that the flags do not make the ordinary build start over.
pub(crate) fn statically(project: &Project, profile: Profile, packages: &[&str], bins: &[&str]) -> Result<PathBuf> {
    let triple = host_triple(&project.sh)?;
    let mut command = select("build", profile, packages, bins);
    command.args(["--target", &triple]).env("CARGO_ENCODED_RUSTFLAGS", static_flags(project).join("\u{1f}")).current_dir(&project.root);
    let what = if bins.is_empty() { packages } else { bins };
    finish(&format!("{}, static", what.join(", ")), command)?;
    Ok(statics(project, profile, &triple))
}

/// Where static programs are.
pub(crate) fn statics(project: &Project, profile: Profile, triple: &str) -> PathBuf {
    project.target.join(triple).join(profile.folder())
}

/// Static, and without this machine's folders in what a panic prints: they would also make the programs differ from machine to machine.
pub(crate) fn static_flags(project: &Project) -> Vec<String> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let sources = cargo_home.map(|home| remap(&home.join("registry/src"), "/cargo"));
    let flags = ["-C".to_owned(), "target-feature=+crt-static".to_owned(), remap(&project.root, "/unready")];
    flags.into_iter().chain(sources).collect()
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// `cargo VERB` for these packages, and of them for these programs only, if any are named.
fn select(verb: &str, profile: Profile, packages: &[&str], bins: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args([verb, "--profile", profile.name()]);
    command.args(packages.iter().flat_map(|package| ["-p", package])).args(bins.iter().flat_map(|bin| ["--bin", bin]));
    command
}

fn finish(what: &str, command: Command) -> Result<()> {
    PROGRESS.open_step(what, || match cargo::run(PROGRESS, command)? {
        (_, true) => Ok(()),
        (_, false) => bail!("the build failed; the reason is above"),
    })
}

/// Runs the test program of this name, of the same selection of packages as every other: what was compiled for those is not compiled
/// again.
pub(crate) fn test<'a>(project: &'a Project, name: &str) -> Cmd<'a> {
    let sh = &project.sh;
    let packages = PACKAGES.iter().flat_map(|package| ["-p", package]);
    cmd!(sh, "cargo test --quiet {packages...} --test {name}")
}

/// Writes the Rust code of the .proto files: by the test that otherwise compares it.
pub(crate) fn generate(project: &Project) -> Result<()> {
    Progress::new("proto").open_step("generating", || match test(project, "fresh").env("UNREADY_UPDATE", "1").quiet().run() {
        Ok(()) => Ok(()),
        Err(_) => bail!("the code could not be generated; the reason is above"),
    })
}
