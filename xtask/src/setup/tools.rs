//! What is neither a package nor part of the eBPF tool chain.

use super::PROGRESS;
use crate::project::{Project, is_root, program};
use anyhow::{Context as _, Result};
use std::path::Path;
use xshell::cmd;

/// The version that deny.toml is written for.
const CARGO_DENY: &str = "0.20.2";

/// Mounts tracefs where it belongs. Without root it is left to the agent's preflight to say that it is missing.
pub(super) fn mount_tracefs(project: &Project) -> Result<bool> {
    let folder = Path::new("/sys/kernel/tracing");
    if !is_root() || folder.join("events").exists() || Path::new("/sys/kernel/debug/tracing/events").exists() {
        return Ok(false);
    }
    PROGRESS.step("tracefs", || {
        let sh = &project.sh;
        cmd!(sh, "mount -t tracefs none {folder}").quiet().run().context("cannot mount tracefs on /sys/kernel/tracing")
    })?;
    Ok(true)
}

/// `cargo deny`, compiled without optimisation: it runs for seconds and would compile for minutes.
pub(super) fn cargo_deny(project: &Project) -> Result<bool> {
    if program("cargo-deny").is_some() {
        return Ok(false);
    }
    PROGRESS.step(&format!("cargo-deny {CARGO_DENY} (compiles for some minutes)"), || {
        let sh = &project.sh;
        let target = project.cached("build/cargo-deny")?;
        let command = cmd!(sh, "cargo install --locked --debug cargo-deny --version {CARGO_DENY}").env("CARGO_TARGET_DIR", &target);
        project.logged("cargo-deny", command)?;
        sh.remove_path(&target).context("cannot tidy up after cargo install")
    })?;
    Ok(true)
}
