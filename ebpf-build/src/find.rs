//! Looking for a compiler with its library's sources, and for the linker.

use crate::{Compiler, Toolchain, environment};
use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// Where a sysroot keeps the sources of the core library.
const CORE_SOURCES: &str = "lib/rustlib/src/rust/library/core/src/lib.rs";

/// One thing that is needed and is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// No compiler that may use unstable options and has its library's sources.
    Compiler {
        /// rustup has a nightly, but it lacks the sources.
        nightly_without_sources: Option<String>,
    },
    /// No bpf-linker.
    Linker,
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiler { nightly_without_sources: Some(name) } => write!(
                f,
                "rustup's {name} lacks the sources of its library (`rustup component add rust-src --toolchain {name}`), and Debian's rustc-web with rust-web-src is not installed"
            ),
            Self::Compiler { nightly_without_sources: None } => {
                f.write_str("there is no rustup nightly with rust-src, nor Debian's rustc-web, cargo-web and rust-web-src")
            }
            Self::Linker => f.write_str("bpf-linker is neither on the PATH nor in Cargo's bin folder (`cargo install bpf-linker`)"),
        }
    }
}

/// Everything that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub Vec<Want>);

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the eBPF programs cannot be compiled: ")?;
        for want in &self.0 {
            write!(f, "{want}; ")?;
        }
        f.write_str("run `cargo xtask setup`")
    }
}

/// Looks for everything that [`Toolchain::build`] needs.
pub fn find() -> Result<Toolchain, Missing> {
    match (compiler(), linker()) {
        (Ok((compiler, version)), Some(linker)) => Ok(Toolchain { compiler, linker, version }),
        (compiler, linker) => {
            let no_linker = linker.is_none().then_some(Want::Linker);
            Err(Missing(compiler.err().into_iter().chain(no_linker).collect()))
        }
    }
}

fn compiler() -> Result<(Compiler, String), Want> {
    let mut nightly_without_sources = None;
    for name in nightlies() {
        let Some(sysroot) = read(Command::new("rustup").args(["run", &name, "rustc", "--print", "sysroot"])) else {
            continue;
        };
        if Path::new(&sysroot).join(CORE_SOURCES).is_file() {
            let version = read(Command::new("rustup").args(["run", &name, "rustc", "--version"])).unwrap_or_default();
            return Ok((Compiler::Rustup { name }, version));
        }
        nightly_without_sources.get_or_insert(name);
    }
    debian().ok_or(Want::Compiler { nightly_without_sources })
}

/// The names of rustup's nightly toolchains.
fn nightlies() -> Vec<String> {
    let list = read(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    list.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| name.starts_with("nightly")).map(str::to_owned).collect()
}

fn debian() -> Option<(Compiler, String)> {
    let (cargo, rustc) = (PathBuf::from("/usr/bin/cargo"), PathBuf::from("/usr/bin/rustc"));
    if !cargo.is_file() {
        return None;
    }
    let sysroot = read(Command::new(&rustc).args(["--print", "sysroot"]))?;
    let version = read(Command::new(&rustc).arg("--version"))?;
    Path::new(&sysroot).join(CORE_SOURCES).is_file().then_some((Compiler::System { cargo, rustc }, version))
}

/// The linker: on the PATH, or where `cargo install` puts it.
fn linker() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cargo_home = home("CARGO_HOME").or_else(|| home("HOME").map(|home| home.join(".cargo")));
    std::env::split_paths(&path)
        .chain(cargo_home.map(|home| home.join("bin")))
        .map(|folder| folder.join("bpf-linker"))
        .find(|file| file.is_file())
}

/// What a command prints, if it is there and succeeds.
fn read(command: &mut Command) -> Option<String> {
    environment::clean(command);
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Missing, Want};

    #[test]
    fn everything_missing_is_named_at_once_with_the_way_out() {
        let text = Missing(vec![Want::Compiler { nightly_without_sources: Some("nightly-2026".to_owned()) }, Want::Linker]).to_string();
        assert!(text.contains("rustup component add rust-src --toolchain nightly-2026"), "{text}");
        assert!(text.contains("bpf-linker"), "{text}");
        assert!(text.ends_with("run `cargo xtask setup`"), "{text}");
    }
}
