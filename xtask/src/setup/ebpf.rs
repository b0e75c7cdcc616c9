//! What compiles eBPF: a Rust compiler with the sources of its own standard library, and `bpf-linker` with that
//! compiler's LLVM. `unready-ebpf-build` says what is missing; here it is installed.
//!
//! A compiler that is there is taken as it is: a nightly of rustup with `rust-src` before Debian's. Without one, Debian's
//! matched set (`rustc-web`, `cargo-web`, `rust-web-src`) is installed where apt offers it, beside rustup's stable;
//! otherwise rustup is asked for a nightly with `rust-src`.

use super::{PROGRESS, apt::Apt};
use crate::{
    compiler::Compiler,
    project::{Project, program},
};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use unready_ebpf_build::{Want, find};
use xshell::cmd;

/// Debian's compiler, Cargo, and the library sources that match.
const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];
/// Debian's clippy for that compiler.
const DEBIAN_CLIPPY: &str = "rust-web-clippy";
/// The version that was tried with these compilers.
const BPF_LINKER: &str = "0.13.0";

/// LLVM does the work, and is compiled already: the linker itself need not be optimised.
const QUICKLY: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
];

/// What to do where this command cannot help.
const NO_COMPILER: &str = "eBPF needs a Rust compiler with the sources of its library: `rustup toolchain install nightly --component rust-src`, or Debian's packages rustc-web, cargo-web and rust-web-src";

/// Installs what is missing. Returns whether anything was.
pub(super) fn ensure(project: &Project) -> Result<bool> {
    let Err(missing) = find() else { return Ok(false) };
    for want in &missing.0 {
        match want {
            Want::Compiler { .. } => install_compiler(project)?,
            Want::Linker => install_linker(project)?,
        }
    }
    let found = find()?;
    PROGRESS.say(format_args!("eBPF is compiled by {found}"));
    Ok(true)
}

/// The clippy that belongs to the compiler.
pub(super) fn ensure_clippy(project: &Project) -> Result<bool> {
    let Some(compiler) = Compiler::find(project).filter(|compiler| !compiler.has_clippy(project)) else { return Ok(false) };
    match (compiler.toolchain(), Apt::find()) {
        (Some(name), _) => PROGRESS.step("clippy for eBPF", || {
            let sh = &project.sh;
            project.logged("rustup-clippy", cmd!(sh, "rustup component add clippy --toolchain {name}"))
        })?,
        (None, Some(apt)) => apt.install(project, &[DEBIAN_CLIPPY])?,
        (None, None) => bail!("the clippy of the compiler for eBPF is missing: install the package {DEBIAN_CLIPPY}"),
    }
    Ok(true)
}

fn install_compiler(project: &Project) -> Result<()> {
    if let Some(apt) = Apt::find()
        && apt.offers(project, DEBIAN)?
    {
        return apt.install(project, DEBIAN);
    }
    if program("rustup").is_none() {
        bail!(NO_COMPILER);
    }
    PROGRESS.step("nightly Rust with rust-src", || {
        let sh = &project.sh;
        let command = cmd!(sh, "rustup toolchain install nightly --profile minimal --component rust-src");
        project.logged("rustup-nightly", command).context(NO_COMPILER)
    })
}

/// `cargo install`, with the development files of the LLVM that the compiler was built with.
fn install_linker(project: &Project) -> Result<()> {
    let llvm = Compiler::find(project).context("there is still no compiler for eBPF")?.llvm;
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    let libraries = [format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev")];
    let packages: Vec<&str> =
        libraries.iter().map(String::as_str).chain(["gcc", "g++", "zlib1g-dev", "libzstd-dev", "libxml2-dev"]).collect();
    match Apt::find() {
        Some(apt) if apt.offers(project, &packages)? => apt.install(project, &packages)?,
        _ if prefix.join("bin/llvm-config").is_file() => {}
        _ => bail!(
            "bpf-linker {BPF_LINKER} is missing: install it, built for LLVM {llvm}, from https://github.com/aya-rs/bpf-linker and put it on the PATH"
        ),
    }
    PROGRESS.step(&format!("bpf-linker {BPF_LINKER} (compiles for a minute)"), || {
        let sh = &project.sh;
        let target = project.cached("build/bpf-linker")?;
        let feature = format!("llvm-{llvm}");
        // Both variables: without LLVM_PREFIX the link takes whatever `llvm-config` comes first on the PATH.
        let command = cmd!(sh, "cargo install --locked bpf-linker --version {BPF_LINKER} --no-default-features --features {feature}")
            .env("LLVM_PREFIX", &prefix)
            .env(format!("LLVM_SYS_{llvm}1_PREFIX"), &prefix)
            .env("CARGO_TARGET_DIR", &target)
            .envs(QUICKLY);
        project.logged("bpf-linker", command)?;
        sh.remove_path(&target).context("cannot tidy up after cargo install")
    })
}
