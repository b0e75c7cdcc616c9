//! The Rust compiler that compiles for the kernel. `unready-ebpf-build` finds and runs it; here is what only the
//! project's own commands need of it: which LLVM its linker must be built with, and its clippy.

use crate::project::{Project, program};
use std::path::Path;
use unready_ebpf_build::is_new_enough;
use xshell::{Cmd, cmd};

/// Debian's set is below it.
const SYSTEM: &str = "/usr";

/// A compiler with the sources of its own library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compiler {
    /// Name of the rustup toolchain; `None` for Debian's.
    toolchain: Option<String>,
    /// LLVM that it was built with.
    pub(crate) llvm: u32,
}

impl Compiler {
    /// In the order of `unready-ebpf-build`: a nightly of rustup, then Debian's.
    pub(crate) fn find(project: &Project) -> Option<Self> {
        Self::of_rustup(project).or_else(|| Self::of_debian(project))
    }

    fn of_rustup(project: &Project) -> Option<Self> {
        let sh = &project.sh;
        program("rustup")?;
        let list = cmd!(sh, "rustup toolchain list").quiet().ignore_stderr().read().ok()?;
        let names = list.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| name.starts_with("nightly"));
        names.into_iter().find_map(|name| {
            let sysroot = cmd!(sh, "rustup run {name} rustc --print sysroot").quiet().ignore_stderr().read().ok()?;
            let version = cmd!(sh, "rustup run {name} rustc -vV").quiet().ignore_stderr().read().ok()?;
            (has_sources(Path::new(&sysroot)) && is_new_enough(&version)).then_some(())?;
            Some(Self { toolchain: Some(name.to_owned()), llvm: llvm(&version)? })
        })
    }

    fn of_debian(project: &Project) -> Option<Self> {
        let sh = &project.sh;
        let rustc = Path::new(SYSTEM).join("bin/rustc");
        if !rustc.is_file() || !has_sources(Path::new(SYSTEM)) {
            return None;
        }
        let version = cmd!(sh, "{rustc} -vV").quiet().ignore_stderr().read().ok()?;
        is_new_enough(&version).then_some(())?;
        Some(Self { toolchain: None, llvm: llvm(&version)? })
    }

    /// Is its own clippy there?
    pub(crate) fn has_clippy(&self, project: &Project) -> bool {
        let sh = &project.sh;
        match &self.toolchain {
            Some(name) => cmd!(sh, "rustup run {name} cargo-clippy --version").quiet().ignore_stderr().ignore_stdout().run().is_ok(),
            None => Path::new(SYSTEM).join("bin/cargo-clippy").is_file(),
        }
    }

    /// Name of the rustup toolchain, if it is one.
    pub(crate) fn toolchain(&self) -> Option<&str> {
        self.toolchain.as_deref()
    }

    /// `cargo clippy` for the kernel, without its last arguments.
    pub(crate) fn clippy<'a>(&self, project: &'a Project) -> Cmd<'a> {
        let sh = &project.sh;
        let command =
            self.toolchain.as_ref().map_or_else(|| debian_clippy(project), |name| cmd!(sh, "rustup run {name} cargo-clippy clippy"));
        let arch = std::env::consts::ARCH;
        let target = project.target.join("ebpf-clippy");
        command
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("CARGO_ENCODED_RUSTFLAGS", format!("--cfg=bpf_target_arch=\"{arch}\""))
            .args(["-p", unready_ebpf_build::PACKAGE, "--target", unready_ebpf_build::TARGET, "-Z", "build-std=core", "--target-dir"])
            .arg(target)
    }
}

/// Called by its path: cargo itself would prefer the cargo-clippy of rustup.
fn debian_clippy(project: &Project) -> Cmd<'_> {
    let sh = &project.sh;
    let bin = Path::new(SYSTEM).join("bin");
    let clippy = bin.join("cargo-clippy");
    cmd!(sh, "{clippy} clippy")
        .env("CARGO", bin.join("cargo"))
        .env("RUSTC", bin.join("rustc"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("PATH", "/usr/bin:/bin")
}

fn has_sources(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file()
}

/// From `rustc -vV`.
fn llvm(version: &str) -> Option<u32> {
    version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_of_a_compiler_is_read_from_its_version() {
        assert_eq!(llvm("rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm("rustc 1.96.0"), None);
    }
}
