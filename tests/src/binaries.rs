//! Where the programs under test and the workloads are.
//!
//! Whoever built them says so (`--bin-dir`, `--workloads-dir`, or for the kernel tests `UNREADY_BIN_DIR` and
//! `UNREADY_WORKLOADS_DIR`); otherwise Cargo builds them.

use anyhow::{Context, Result, ensure};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Folders with programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `unready`, `unready-agent`, `unready-collector`.
    pub programs: PathBuf,
    /// The workloads, linked statically.
    pub workloads: PathBuf,
}

impl Binaries {
    /// From the environment, else built by the Cargo that runs us.
    pub fn find() -> Result<Self> {
        Ok(Self { programs: given("UNREADY_BIN_DIR").map_or_else(build_programs, Ok)?, ..Self::find_workloads()? })
    }

    /// As [`Binaries::find`], for whoever needs no program of the project.
    pub fn find_workloads() -> Result<Self> {
        Ok(Self { programs: PathBuf::new(), workloads: given("UNREADY_WORKLOADS_DIR").map_or_else(build_workloads, Ok)? })
    }

    /// These folders; without one for the workloads, where `cargo xtask demo` puts those of the same profile.
    pub fn at(programs: PathBuf, workloads: Option<PathBuf>) -> Self {
        let profile = programs.file_name().unwrap_or_else(|| "debug".as_ref());
        let beside = || programs.join("..").join(triple()).join(profile);
        Self { workloads: workloads.unwrap_or_else(beside), programs }
    }

    /// Whether the programs are Cargo's debug build, whose code alone takes what the whole agent may.
    pub fn are_debug(&self) -> bool {
        self.programs.ends_with("debug")
    }

    /// A program of the project.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        existing(&self.programs, name, "cargo xtask build")
    }

    pub fn workload(&self, name: &str) -> Result<PathBuf> {
        existing(&self.workloads, name, "cargo xtask demo")
    }
}

fn given(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from)
}

fn existing(folder: &Path, name: &str, builder: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    ensure!(path.is_file(), "{} is not there: build it (`{builder}`)", path.display());
    Ok(path)
}

fn triple() -> String {
    format!("{}-unknown-linux-gnu", env::consts::ARCH)
}

fn target() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."));
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from)
}

fn build_programs() -> Result<PathBuf> {
    cargo(&["-p", "unready-agent", "-p", "unready-collector", "-p", "unready"], "")?;
    Ok(target().join("debug"))
}

/// The flags come with a target triple, whose artefacts live in a folder of their own: they do not disturb the others.
fn build_workloads() -> Result<PathBuf> {
    let triple = triple();
    cargo(&["-p", "unready-workloads", "--target", &triple], "-C target-feature=+crt-static")?;
    Ok(target().join(triple).join("debug"))
}

fn cargo(arguments: &[&str], flags: &str) -> Result<()> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet"]).args(arguments);
    if !flags.is_empty() {
        command.env("RUSTFLAGS", flags);
    }
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "cargo build {} failed", arguments.join(" "));
    Ok(())
}
