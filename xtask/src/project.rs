//! Where things are, and how other programs are run.
//!
//! Everything that is cached between runs lies below `~/.cache/unready` (or `$XDG_CACHE_HOME/unready`), everything else
//! below the target directory.

use anyhow::{Context as _, Result, bail};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use xshell::{Cmd, Shell};

/// How many lines of a log are shown when a command fails.
const TAIL: usize = 40;

/// The working tree, with a shell that stands in its root.
pub(crate) struct Project {
    /// Root of the repository.
    pub(crate) root: PathBuf,
    /// Runs commands in the root.
    pub(crate) sh: Shell,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
    /// What outlives `cargo clean`.
    pub(crate) cache: PathBuf,
}

impl Project {
    /// The project that this xtask belongs to.
    pub(crate) fn open() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("start this with `cargo xtask …`")?;
        let root = Path::new(&manifest).parent().context("the folder xtask has no parent")?.to_owned();
        let sh = Shell::new().context("the current directory cannot be read")?;
        sh.change_dir(&root);
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
            .context("neither XDG_CACHE_HOME nor HOME is set: set one, kernels and tools are cached there")?
            .join("unready");
        Ok(Self { root, sh, target, cache })
    }

    /// A folder of the cache, made when missing.
    pub(crate) fn cached(&self, name: &str) -> Result<PathBuf> {
        let folder = self.cache.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// Runs a noisy command with its output in a log; on failure the error carries the log's end.
    pub(crate) fn logged(&self, name: &str, command: Cmd<'_>) -> Result<()> {
        let folder = self.target.join("xtask-logs");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join(format!("{name}.log"));
        let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let words = command.to_string();
        let mut command = Command::from(command);
        let program = command.get_program().to_owned();
        let status = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        if !status.success() {
            bail!("`{words}` failed ({status}); the end of {}:\n{}", path.display(), tail(&path));
        }
        Ok(())
    }
}

/// Where a program is: on the PATH, or where distributions keep those of the system administrator.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Is this process root?
pub(crate) fn is_root() -> bool {
    // The owner of /proc/self is the effective uid; it saves a dependency on libc.
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// In an automatic check everything has to run: `CI=true`, and no other value. The tests of the other packages read it in the
/// same way, so that no test is passed over while its ring counts as run.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Why `command` cannot go on without root, and how to run it as root; `None` for root.
///
/// With your HOME and PATH, rustup and Cargo find under sudo what they find without it: both look below HOME, where
/// `RUSTUP_HOME` and `CARGO_HOME` do not say otherwise.
pub(crate) fn root_is_missing(command: &str) -> Option<String> {
    (!is_root()).then(|| how_to_be_root(command))
}

fn how_to_be_root(command: &str) -> String {
    format!(
        "loading eBPF programs and starting containers needs root: run `sudo --preserve-env=HOME,RUSTUP_HOME,CARGO_HOME env \"PATH=$PATH\" cargo xtask {command}` (what it builds will belong to root)"
    )
}

/// The triple that this machine's compiler builds for.
pub(crate) fn host_triple(sh: &Shell) -> Result<String> {
    let version = xshell::cmd!(sh, "rustc -vV").quiet().read().context("rustc does not run: install Rust by rustup")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    let last: Vec<String> = lines.iter().skip(from).map(|line| format!("  | {line}")).collect();
    last.join("\n")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may end on the first surprise")]
mod tests {
    use super::*;
    use xshell::cmd;

    fn project(root: &Path) -> Project {
        let sh = Shell::new().unwrap();
        Project { root: root.to_owned(), sh, target: root.join("target"), cache: root.join("cache") }
    }

    #[test]
    fn a_failing_command_shows_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let project = project(folder.path());
        let sh = &project.sh;
        let script = "seq 100; echo the reason >&2; exit 3";
        let error = project.logged("failing", cmd!(sh, "sh -c {script}")).unwrap_err().to_string();
        assert!(error.contains("the reason") && error.contains("| 100") && !error.contains("| 10\n"), "{error}");
        project.logged("fine", cmd!(sh, "true")).unwrap();
    }

    #[test]
    fn the_way_to_root_names_the_command() {
        let text = how_to_be_root("test --ring demo");
        assert!(text.contains("cargo xtask test --ring demo`"), "{text}");
        assert_eq!(root_is_missing("demo").is_none(), is_root());
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(program("sh").is_some());
        assert!(program("a-program-that-nobody-has").is_none());
    }
}
