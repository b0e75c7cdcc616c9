//! Looking for a compiler with its library's sources, and for the linker.

use crate::{Compiler, Toolchain, environment};
use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// What `agent-ebpf` is written for: the workspace's `rust-version`, as `major.minor` or longer.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");
/// Where a sysroot keeps the sources of the core library.
const CORE_SOURCES: &str = "lib/rustlib/src/rust/library/core/src/lib.rs";

/// One thing that is needed and is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// No compiler that may use unstable options and has its library's sources.
    Compiler {
        /// rustup has a nightly, but it lacks the sources.
        nightly_without_sources: Option<String>,
        /// There is one, but it is too old: which, and what it says of its version.
        too_old: Option<String>,
    },
    /// No bpf-linker.
    Linker,
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiler { nightly_without_sources, too_old } => {
                match nightly_without_sources {
                    Some(name) => write!(
                        f,
                        "rustup's {name} lacks the sources of its library (`rustup component add rust-src --toolchain {name}`), and Debian's rustc-web with rust-web-src is not installed"
                    )?,
                    None => f.write_str("there is no rustup nightly with rust-src, nor Debian's rustc-web, cargo-web and rust-web-src")?,
                }
                match too_old {
                    Some(found) => write!(f, " ({found} is older than the {OLDEST} that is needed)"),
                    None => Ok(()),
                }
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
    let mut too_old = None;
    for name in nightlies() {
        let Some(sysroot) = read(Command::new("rustup").args(["run", &name, "rustc", "--print", "sysroot"])) else {
            continue;
        };
        let version = read(Command::new("rustup").args(["run", &name, "rustc", "--version"])).unwrap_or_default();
        if !is_new_enough(&version) {
            too_old.get_or_insert(format!("rustup's {name}, {version},"));
        } else if Path::new(&sysroot).join(CORE_SOURCES).is_file() {
            return Ok((Compiler::Rustup { name }, version));
        } else {
            nightly_without_sources.get_or_insert(name);
        }
    }
    match debian() {
        Some((compiler, version)) if is_new_enough(&version) => return Ok((compiler, version)),
        Some((_, version)) => _ = too_old.get_or_insert(format!("the system's {version}")),
        None => {}
    }
    Err(Want::Compiler { nightly_without_sources, too_old })
}

/// Can the compiler that says so of itself, by `rustc --version` or `-vV`, compile the programs? Debian's own `rustc` lies
/// where `rustc-web` does, and is years older.
#[must_use]
pub fn is_new_enough(version: &str) -> bool {
    let number = version.strip_prefix("rustc ").and_then(major_minor);
    number.is_some_and(|number| Some(number) >= major_minor(OLDEST))
}

/// `(1, 97)` of `1.97.0-nightly (…)`.
fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
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
pub(crate) fn read(command: &mut Command) -> Option<String> {
    environment::clean(command);
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Missing, OLDEST, Want, is_new_enough, major_minor};

    #[test]
    fn everything_missing_is_named_at_once_with_the_way_out() {
        let compiler = Want::Compiler { nightly_without_sources: Some("nightly-2026".to_owned()), too_old: None };
        let text = Missing(vec![compiler, Want::Linker]).to_string();
        assert!(text.contains("rustup component add rust-src --toolchain nightly-2026"), "{text}");
        assert!(text.contains("bpf-linker"), "{text}");
        assert!(text.ends_with("run `cargo xtask setup`"), "{text}");
    }

    #[test]
    fn a_compiler_that_is_too_old_is_named() {
        let text = Want::Compiler { nightly_without_sources: None, too_old: Some("the system's rustc 1.63.0".to_owned()) }.to_string();
        assert!(text.ends_with(&format!("(the system's rustc 1.63.0 is older than the {OLDEST} that is needed)")), "{text}");
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(major_minor("1.97.0-nightly (0123abcde 2026-05-01)"), Some((1, 97)));
        assert_eq!(major_minor("1.100"), Some((1, 100)));
        assert_eq!(major_minor("nightly"), None);
        assert!(is_new_enough(&format!("rustc {OLDEST}")) && is_new_enough("rustc 1.1000.0-nightly (0123abcde 2026-05-01)"));
        assert!(is_new_enough("rustc 2.0.0") && is_new_enough("rustc 1.1000.0 (built from a source tarball)\nbinary: rustc"));
        assert!(!is_new_enough("rustc 1.63.0") && !is_new_enough("rustc 1.9.0") && !is_new_enough("") && !is_new_enough("gcc 12.2"));
    }
}
