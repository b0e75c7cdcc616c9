//! Where the cluster of this machine is, and whether it or the user's is meant.

use crate::project::{Project, program};
use anyhow::{Context as _, Result, bail};
use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The state of the one cluster that a machine can have; `cluster.sh` has the same default.
const STATE: &str = "/var/lib/unready-cluster";
/// Puts it elsewhere.
const STATE_VARIABLE: &str = "UNREADY_CLUSTER_STATE";
const CACHE_VARIABLE: &str = "UNREADY_CLUSTER_CACHE";

/// The scripts, and the folders that they work in.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    /// `tests/cluster`.
    scripts: PathBuf,
    /// Everything of a running cluster.
    pub(super) state: PathBuf,
    cache: PathBuf,
}

impl Folders {
    /// In the usual folders.
    pub(super) fn of(project: &Project) -> Result<Self> {
        let state = std::env::var_os(STATE_VARIABLE).map_or_else(|| PathBuf::from(STATE), PathBuf::from);
        Ok(Self { scripts: project.root.join("tests/cluster"), state, cache: project.cached("cluster")? })
    }

    /// Did `up` get to its end? Whether all of it still runs is what `up` and `status` look at.
    pub(super) fn is_up(&self) -> bool {
        self.state.join("up").exists()
    }

    /// Of the cluster's administrator.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.state.join("kubeconfig")
    }

    /// A command of `cluster.sh`.
    pub(super) fn script(&self, command: &str) -> Command {
        let mut script = self.start("cluster.sh");
        script.arg(command);
        script
    }

    /// Do pods behave as in production?
    pub(super) fn facts(&self) -> Command {
        self.start("facts.sh")
    }

    /// kubectl or Helm, for ours or for yours; whose it is, is said on stderr.
    pub(super) fn tool(&self, name: &str, whose: &Whose) -> Result<Command> {
        whose.say();
        match whose {
            Whose::Ours => Ok(self.script(name)),
            Whose::Yours(_) => Ok(Command::new(self.program(name)?)),
        }
    }

    /// Where kubectl or Helm is when the cluster is not ours: on the PATH, or built.
    pub(super) fn program(&self, name: &str) -> Result<PathBuf> {
        if let Some(found) = program(name) {
            return Ok(found);
        }
        let output = self.script("program").arg(name).stderr(Stdio::inherit()).output().context("cluster.sh cannot be started")?;
        if !output.status.success() {
            bail!("{name} is not on the PATH and could not be built; the reason is above");
        }
        let path = String::from_utf8(output.stdout).context("the path of the cache is no text")?;
        Ok(PathBuf::from(path.trim_end()))
    }

    /// Helm, on the PATH or from the cache.
    pub(super) fn helm_if_there(&self) -> Option<PathBuf> {
        let built = || {
            let entries = std::fs::read_dir(&self.cache).ok()?;
            let helms = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("helm-"));
            helms.map(|entry| entry.path().join("helm")).find(|path| path.is_file())
        };
        program("helm").or_else(built)
    }

    fn start(&self, script: &str) -> Command {
        let mut command = Command::new(self.scripts.join(script));
        command.env(STATE_VARIABLE, &self.state).env(CACHE_VARIABLE, &self.cache);
        command
    }
}

/// Which cluster is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of `cargo xtask cluster up`.
    Ours,
    /// The user's, by this kubeconfig (or list of them).
    Yours(PathBuf),
}

impl Whose {
    /// As `KUBECONFIG` says.
    pub(super) fn by_environment(place: &Folders) -> Self {
        Self::choose(std::env::var_os("KUBECONFIG"), &place.kubeconfig())
    }

    /// Without the variable, and when it names our own, it is ours.
    fn choose(variable: Option<OsString>, ours: &Path) -> Self {
        variable.filter(|value| !value.is_empty() && value != ours).map_or(Self::Ours, |value| Self::Yours(PathBuf::from(value)))
    }

    /// Nobody shall be surprised by which cluster a command changed.
    pub(super) fn say(&self) {
        if let Self::Yours(path) = self {
            eprintln!("cluster: yours, by KUBECONFIG={}", path.display());
        }
    }

    /// For what makes no sense elsewhere.
    pub(super) fn must_be_ours(&self, command: &str) -> Result<()> {
        let Self::Yours(path) = self else { return Ok(()) };
        bail!(
            "`cluster {command}` is about the cluster of this machine, the one that `cargo xtask cluster up` starts, but KUBECONFIG names yours ({}); to mean this machine's all the same, run `env -u KUBECONFIG cargo xtask cluster {command}`",
            path.display()
        )
    }
}

/// Replaces this process, so that the terminal's signals and the exit status are those of the command.
pub(super) fn become_it(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let error = command.exec();
    bail!("{} cannot be started: {error}", program.display())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may end on the first surprise")]
mod tests {
    use super::*;

    fn place(root: &Path) -> Folders {
        Folders { scripts: root.to_owned(), state: root.join("state"), cache: root.join("cache") }
    }

    #[test]
    fn kubeconfig_decides_whose_cluster_it_is() {
        let ours = Path::new("/state/kubeconfig");
        let choose = |value: Option<&str>| Whose::choose(value.map(OsString::from), ours);
        assert_eq!(choose(None), Whose::Ours);
        assert_eq!(choose(Some("")), Whose::Ours);
        assert_eq!(choose(Some("/state/kubeconfig")), Whose::Ours);
        let yours = choose(Some("/home/me/.kube/config"));
        assert_eq!(yours, Whose::Yours(PathBuf::from("/home/me/.kube/config")));
        assert!(Whose::Ours.must_be_ours("up").is_ok());
        let refusal = yours.must_be_ours("load").unwrap_err().to_string();
        assert!(refusal.contains("/home/me/.kube/config") && refusal.contains("`cluster load`"), "{refusal}");
    }

    #[test]
    fn script_and_command_agree_on_the_place() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let script = std::fs::read_to_string(root.join("tests/cluster/cluster.sh")).unwrap();
        assert!(script.contains(&format!("STATE=${{{STATE_VARIABLE}:-{STATE}}}\n")));
        assert!(script.contains(&format!("CACHE=${{{CACHE_VARIABLE}:-")));
    }

    #[test]
    fn the_script_is_given_its_place_and_its_status_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("cluster.sh");
        std::fs::write(&script, format!("#!/bin/sh\necho \"$1 ${STATE_VARIABLE} ${CACHE_VARIABLE}\"; exit 7\n")).unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let place = place(folder.path());
        let output = place.script("status").output().unwrap();
        let expected = format!("status {} {}\n", place.state.display(), place.cache.display());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        assert_eq!(output.status.code(), Some(7));
        let error = place.program("a-tool-that-nobody-has").unwrap_err().to_string();
        assert!(error.contains("a-tool-that-nobody-has"), "{error}");
    }
}
