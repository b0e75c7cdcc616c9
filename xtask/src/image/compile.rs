//! Static programs for a platform.
//!
//! For this machine's own architecture by the ordinary compiler. For the other one a standard library of that architecture
//! is needed, and a C compiler that links for it. See [`Cross`].

use super::{make::PROGRESS, programs::PROGRAMS};
use crate::{
    build::{self, PACKAGES, Profile},
    cargo,
    project::{Project, host_triple},
    setup::Cross,
};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use unready_image::Platform;
use xshell::{Cmd, cmd};

/// Rust's name for a platform with the C library that the programs are linked with.
pub(super) fn triple(platform: Platform) -> String {
    format!("{}-unknown-linux-gnu", platform.rust_arch())
}

/// Programs for one platform.
#[derive(Debug)]
pub(super) struct Built {
    /// What they run on.
    pub(super) platform: Platform,
    /// Where they are.
    pub(super) folder: PathBuf,
    /// What is linked into each of them beside crates.
    pub(super) libraries: Vec<Library>,
}

/// A library that no manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Library {
    /// As vulnerability databases have it.
    pub(super) name: &'static str,
    pub(super) version: String,
    /// SPDX expression.
    pub(super) license: &'static str,
    /// Where its sources are.
    pub(super) source: &'static str,
}

/// Builds all programs that become images.
pub(super) fn programs(project: &Project, platform: Platform, profile: Profile) -> Result<Built> {
    let triple = triple(platform);
    let (cargo, mut flags, rustc, cc) = if host_triple(&project.sh)? == triple {
        let sh = &project.sh;
        (cmd!(sh, "cargo"), Vec::new(), "rustc", "cc".to_owned())
    } else {
        let cross = Cross::ensure(project, platform)?;
        (cross.cargo(project), cross.flags(), cross.rustc(), cross.cc().to_owned())
    };
    flags.extend(build::static_flags(project));
    PROGRESS.open_step(&format!("static programs for {platform}, profile {}", profile.name()), || {
        match cargo::run(PROGRESS, compile(cargo, &triple, profile, &flags).into())? {
            (_, true) => Ok(()),
            (_, false) => bail!("the static build failed; the reason is above"),
        }
    })?;
    let libraries = vec![standard_library(project, rustc)?, c_library(project, &cc)?];
    Ok(Built { platform, folder: build::statics(project, profile, &triple), libraries })
}

fn standard_library(project: &Project, rustc: &str) -> Result<Library> {
    let sh = &project.sh;
    let text = cmd!(sh, "{rustc} -vV").quiet().read()?;
    let version = text.lines().find_map(|line| line.strip_prefix("release: ")).context("rustc does not tell its version")?.to_owned();
    Ok(Library { name: "rust-std", version, license: "MIT OR Apache-2.0", source: "https://github.com/rust-lang/rust" })
}

/// The version is in the library's headers.
fn c_library(project: &Project, cc: &str) -> Result<Library> {
    let sh = &project.sh;
    let macros = cmd!(sh, "{cc} -E -dM -include features.h -x c /dev/null").quiet().read().context("the C compiler does not run")?;
    let version = glibc(&macros).context("the C library is not glibc, which the programs are to be linked with")?;
    Ok(Library { name: "glibc", version, license: "LGPL-2.1-or-later", source: "https://sourceware.org/git/glibc.git" })
}

fn glibc(macros: &str) -> Option<String> {
    let number = |name: &str| macros.lines().find_map(|line| line.strip_prefix(&format!("#define {name} "))?.trim().parse::<u32>().ok());
    Some(format!("{}.{}", number("__GLIBC__")?, number("__GLIBC_MINOR__")?))
}

/// All in one call, so that what they share is compiled once. In the profile of the tests the packages are those of the tests, with
/// their features: the init of the test machines is static too, and made of the same crates.
fn compile<'a>(cargo: Cmd<'a>, triple: &str, profile: Profile, flags: &[String]) -> Cmd<'a> {
    let shipped: Vec<&str> = PROGRAMS.iter().map(|program| program.package).collect();
    let packages = if profile == Profile::Dev { PACKAGES } else { &shipped };
    cargo
        .args(["build", "--profile", profile.name(), "--target", triple])
        .args(packages.iter().flat_map(|package| ["-p", package]))
        .args(PROGRAMS.iter().flat_map(|program| ["--bin", program.binary]))
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_librarys_version_is_read_from_its_headers() {
        assert_eq!(glibc("#define __GNUC__ 12\n#define __GLIBC__ 2\n#define __GLIBC_MINOR__ 36\n").as_deref(), Some("2.36"));
        assert_eq!(glibc("#define __GLIBC__ 2\n"), None);
    }
}
