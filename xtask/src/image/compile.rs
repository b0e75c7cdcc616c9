//! Static programs for a platform.
//!
//! For this machine's own architecture by the ordinary compiler. For the other one a standard library of that architecture
//! is needed, and a C compiler that links for it. See [`Cross`].

use super::{PROGRESS, programs::PROGRAMS};
use crate::{
    project::{Project, host_triple},
    setup::Cross,
};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use unready_image::Platform;
use xshell::{Cmd, cmd};

/// How much the compiler tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// Smallest and fastest programs
    Dist,
    /// As `cargo xtask build`
    Release,
    /// Without optimisation: for trying the images themselves
    Dev,
}

impl Profile {
    const fn name(self) -> &'static str {
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

/// Rust's name for a platform with the C library that the programs are linked with.
pub(super) fn triple(platform: Platform) -> String {
    format!("{}-unknown-linux-gnu", platform.rust_arch())
}

/// Builds all programs that become images; returns the folder they are in.
pub(super) fn programs(project: &Project, platform: Platform, profile: Profile) -> Result<PathBuf> {
    let triple = triple(platform);
    let (cargo, mut flags) = if host_triple(&project.sh)? == triple {
        let sh = &project.sh;
        (cmd!(sh, "cargo"), Vec::new())
    } else {
        let cross = Cross::ensure(project, platform)?;
        (cross.cargo(project), cross.flags())
    };
    flags.extend(static_flags(project));
    PROGRESS.open_step(&format!("static programs for {platform}, profile {}", profile.name()), || {
        build(cargo, &triple, profile, &flags).quiet().run().context("the static build failed; the reason is above")
    })?;
    Ok(project.target.join(triple).join(profile.folder()))
}

/// All in one call, so that what they share is compiled once.
fn build<'a>(cargo: Cmd<'a>, triple: &str, profile: Profile, flags: &[String]) -> Cmd<'a> {
    let selected = PROGRAMS.iter().flat_map(|program| ["-p", program.package, "--bin", program.binary]);
    cargo
        .args(["build", "--profile", profile.name(), "--target", triple])
        .args(selected)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
}

/// Static, and without this machine's folders in what a panic prints: they would also make the programs differ from machine to machine.
fn static_flags(project: &Project) -> Vec<String> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let sources = cargo_home.map(|home| remap(&home.join("registry/src"), "/cargo"));
    let flags = ["-C".to_owned(), "target-feature=+crt-static".to_owned(), remap(&project.root, "/unready")];
    flags.into_iter().chain(sources).collect()
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}
