//! Finds a toolchain that can compile `agent-ebpf` for the kernel, and compiles it. Used by the agent's build script and
//! by `cargo xtask`.
//!
//! Two things are needed: a compiler *with the sources of its own core library* (there is no built one for
//! `bpfel-unknown-none`), and `bpf-linker`. The compiler is looked for in this order:
//!
//! 1. rustup's nightly with the component `rust-src`;
//! 2. Debian's `rustc-web` with `cargo-web` and `rust-web-src`: a matched set below `/usr`, which takes unstable options when
//!    it is told that it bootstraps.
//!
//! Each counts only from the workspace's `rust-version` on: Debian's own `rustc` lies where `rustc-web` does.
//!
//! What this refuses: guessing. When nothing fits, [`Missing`] names everything that is missing at once.
#![forbid(unsafe_code)]

mod environment;
mod find;

pub use find::{Missing, Want, find, is_new_enough};

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// The target that the programs are compiled for: eBPF, little endian, as x86-64 and arm64 are.
pub const TARGET: &str = "bpfel-unknown-none";
/// Package and binary of the programs.
pub const PACKAGE: &str = "unready-agent-ebpf";

/// Lines of the compiler's output that an error shows.
const OUTPUT_LINES: usize = 60;

/// A toolchain that can compile for the kernel.
#[derive(Clone, Debug)]
pub struct Toolchain {
    compiler: Compiler,
    linker: PathBuf,
    version: String,
}

/// Where the compiler comes from.
#[derive(Clone, Debug)]
enum Compiler {
    /// A toolchain of rustup, by name.
    Rustup { name: String },
    /// Debian's set of cargo and rustc.
    System { cargo: PathBuf, rustc: PathBuf },
}

/// Why the programs could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo could not be started.
    #[error("cannot run {program}: {source}; run `cargo xtask setup`")]
    Start { program: String, source: std::io::Error },
    /// The compiler or the linker refused.
    #[error("the eBPF programs do not compile ({toolchain}):\n{output}")]
    Failed {
        /// What compiled.
        toolchain: String,
        /// The end of its output.
        output: String,
    },
    /// All went well, but there is no object.
    #[error("{0} was not made, though the compiler reported success; remove the target directory, then build again")]
    NoObject(PathBuf),
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.compiler {
            Compiler::Rustup { name } => write!(f, "rustup's {name} ({})", self.version),
            Compiler::System { rustc, .. } => write!(f, "the system's {} ({})", rustc.display(), self.version),
        }?;
        write!(f, " with {}", self.linker.display())
    }
}

impl Toolchain {
    /// Which compiler and which linker, for people.
    pub fn describe(&self) -> String {
        self.to_string()
    }

    /// What the object is made by, without any place of this machine, on one line: `rustc 1.96.0 (…), bpf-linker 0.13.0`.
    ///
    /// A linker that does not tell its version is still a linker.
    #[must_use]
    pub fn versions(&self) -> String {
        let linker = find::read(Command::new(&self.linker).arg("--version")).unwrap_or_else(|| "bpf-linker of unknown version".to_owned());
        format!("{}, {}", first_line(&self.version), first_line(&linker))
    }

    /// Compiles the programs in release mode; returns the object file.
    ///
    /// `manifest_dir` is the folder of `agent-ebpf`, `target_dir` one that no other Cargo has locked.
    pub fn build(&self, manifest_dir: &Path, target_dir: &Path) -> Result<PathBuf, BuildError> {
        let mut cargo = self.cargo(manifest_dir, target_dir, "build");
        // The workspace's release profile is made for the host; these are what the verifier and the log need.
        cargo.args(["--release", "--bin", PACKAGE]);
        for setting in ["lto=true", "panic=\"abort\"", "codegen-units=1", "opt-level=3", "strip=\"none\""] {
            cargo.arg("--config").arg(format!("profile.release.{setting}"));
        }
        self.run(cargo)?;
        let object = target_dir.join(TARGET).join("release").join(PACKAGE);
        if object.is_file() { Ok(object) } else { Err(BuildError::NoObject(object)) }
    }

    /// Type-checks the programs for the kernel, without linking them: quick, and warnings count as errors.
    ///
    /// Lints are another matter: a clippy that matches the compiler exists only beside rustup's nightly, so that `agent-ebpf` is
    /// linted as compiled for the host.
    pub fn check(&self, manifest_dir: &Path, target_dir: &Path) -> Result<(), BuildError> {
        let mut cargo = self.cargo(manifest_dir, target_dir, "check");
        cargo.arg("--config").arg("build.warnings=\"deny\"");
        self.run(cargo)
    }

    fn cargo(&self, manifest_dir: &Path, target_dir: &Path, verb: &str) -> Command {
        let mut command = match &self.compiler {
            Compiler::Rustup { name } => {
                let mut command = Command::new("rustup");
                command.args(["run", name, "cargo"]);
                command
            }
            Compiler::System { cargo, .. } => Command::new(cargo),
        };
        environment::clean(&mut command);
        if let Compiler::System { rustc, .. } = &self.compiler {
            command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
        }
        command
            .env("PATH", self.path())
            .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(manifest_dir).join("\u{1f}"))
            .current_dir(manifest_dir)
            .arg(verb)
            .args(["--target", TARGET, "-Z", "build-std=core", "--target-dir"])
            .arg(target_dir);
        command
    }

    /// The search path, with the linker's folder first.
    fn path(&self) -> OsString {
        let old = std::env::var_os("PATH").unwrap_or_default();
        let folders = self.linker.parent().map(Path::to_path_buf).into_iter().chain(std::env::split_paths(&old));
        std::env::join_paths(folders).unwrap_or(old)
    }

    fn run(&self, mut command: Command) -> Result<(), BuildError> {
        let output = command
            .output()
            .map_err(|source| BuildError::Start { program: command.get_program().to_string_lossy().into_owned(), source })?;
        if output.status.success() {
            return Ok(());
        }
        Err(BuildError::Failed { toolchain: self.describe(), output: last_lines(&String::from_utf8_lossy(&output.stderr)) })
    }
}

/// Debug information is what BTF is made from, which names our functions and lines in the verifier's log. Its first level
/// suffices for that; the second makes the object, which the agent embeds, 2.6 times as large. The names of source files in it are
/// those of the project and not of the machine, so that the object is the same wherever it is made.
fn rust_flags(manifest_dir: &Path) -> Vec<String> {
    // `CARGO_CFG_TARGET_ARCH` is the agent's target when its build script calls; aya-ebpf picks its `pt_regs` by it.
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_else(|_| std::env::consts::ARCH.to_owned());
    let mut flags = vec!["-Cdebuginfo=1".to_owned(), "-Clink-arg=--btf".to_owned(), format!("--cfg=bpf_target_arch=\"{arch}\"")];
    let root = manifest_dir.canonicalize().ok().and_then(|folder| folder.parent().map(Path::to_path_buf));
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let named = [(root, "/unready"), (cargo.map(|home| home.join("registry/src")), "/cargo")];
    flags.extend(named.into_iter().filter_map(|(from, to)| Some(format!("--remap-path-prefix={}={to}", from?.display()))));
    flags
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n")
}
