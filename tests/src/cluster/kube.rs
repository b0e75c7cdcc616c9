//! A cluster by its own tools: kubectl, Helm, and for this machine's cluster the script that started it.
//!
//! The programs of a user do all that is done here, so that what is shown is what a user gets. Each runs in a process group of
//! its own: Ctrl-C reaches the demo alone, which then cleans up with their help.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    env,
    ffi::OsStr,
    io::Write,
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// What the README calls it.
pub const RELEASE: &str = "unready";
/// No question to the API server may take longer than this many seconds.
const PATIENCE: &str = "--request-timeout=20s";

/// How a cluster is reached.
#[derive(Debug)]
pub struct Kube {
    kubeconfig: PathBuf,
    state: Option<PathBuf>,
    /// Of the chart, and its namespace.
    release: String,
    /// Holds `kubectl-unready`, as a plugin is called.
    plugins: tempfile::TempDir,
}

impl Kube {
    /// `unready` becomes kubectl's plugin; `state` is that of this machine's own cluster.
    pub fn new(kubeconfig: PathBuf, state: Option<PathBuf>, unready: &Path) -> Result<Self> {
        let plugins = tempfile::tempdir().context("cannot make a directory for kubectl's plugin")?;
        let unready = unready.canonicalize().with_context(|| format!("{} is not there", unready.display()))?;
        symlink(&unready, plugins.path().join("kubectl-unready")).context("cannot link kubectl's plugin")?;
        Ok(Self { kubeconfig, state, release: RELEASE.to_owned(), plugins })
    }

    /// This machine's own cluster.
    pub fn state(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    /// With another release of the chart than the usual one.
    #[must_use]
    pub fn with_release(self, release: String) -> Self {
        Self { release, ..self }
    }

    /// Name of the chart's release, and of its namespace.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// A program that finds the cluster and the plugin.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(std::iter::once(self.plugins.path().to_owned()).chain(env::split_paths(&path)))?;
        let mut command = Command::new(program);
        if self.release != RELEASE {
            // There may be another collector beside ours.
            command.env("UNREADY_COLLECTOR_NAMESPACE", &self.release);
        }
        command.env("PATH", path).env("KUBECONFIG", &self.kubeconfig).env("NO_COLOR", "1").process_group(0).stdin(Stdio::null());
        Ok(command)
    }

    /// What kubectl prints; its words on stderr are the error.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        finished(self.command("kubectl")?.args(arguments).arg(PATIENCE), "kubectl", arguments)
    }

    /// The same, as JSON.
    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        let arguments: Vec<&str> = ["get"].into_iter().chain(arguments.iter().copied()).chain(["-o", "json"]).collect();
        serde_json::from_str(&self.kubectl(&arguments)?).context("kubectl printed no JSON")
    }

    /// The `items` of a list.
    pub fn list(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        match self.get(arguments)?.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// Creates or changes these objects.
    pub fn apply<'a>(&self, objects: impl IntoIterator<Item = &'a Value>) -> Result<()> {
        let objects: Vec<&Value> = objects.into_iter().collect();
        if objects.is_empty() {
            return Ok(());
        }
        let manifest = json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string();
        let arguments = ["apply", "-f", "-"];
        let mut command = self.command("kubectl")?;
        command.args(arguments).arg(PATIENCE).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("kubectl cannot be started")?;
        // Dropped at once: the end of the input.
        child.stdin.take().context("kubectl has no stdin")?.write_all(manifest.as_bytes()).context("kubectl does not read")?;
        text(&child.wait_with_output()?, "kubectl", &arguments).map(drop)
    }

    /// `kubectl unready …`, the plugin as users call it: all of what it did.
    pub fn unready(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command("kubectl")?;
        command.arg("unready").args(arguments).output().context("kubectl cannot be started")
    }

    pub fn unready_text(&self, arguments: &[&str]) -> Result<String> {
        let arguments: Vec<&str> = ["unready"].into_iter().chain(arguments.iter().copied()).collect();
        finished(self.command("kubectl")?.args(&arguments), "kubectl", &arguments)
    }

    pub fn helm(&self, arguments: &[&str]) -> Result<String> {
        finished(self.command("helm")?.args(arguments), "helm", arguments)
    }

    /// A line as a user types it into a shell.
    pub fn shell(&self, line: &str) -> Result<String> {
        finished(self.command("bash")?.args(["-o", "pipefail", "-c", line]), "bash -c", &[line])
    }

    /// The script of this machine's cluster.
    pub fn script(&self, arguments: &[&str]) -> Result<String> {
        let state = self.state.as_ref().context("only for this machine's own cluster")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/cluster.sh");
        finished(self.command(script)?.args(arguments).env("UNREADY_CLUSTER_STATE", state), "cluster.sh", arguments)
    }
}

fn finished(command: &mut Command, name: &str, arguments: &[&str]) -> Result<String> {
    let output = command.output().with_context(|| format!("{name} cannot be started: is it on the PATH?"))?;
    text(&output, name, arguments)
}

fn text(output: &Output, name: &str, arguments: &[&str]) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{name} {}` failed ({}): {}", arguments.join(" "), output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A field below an object, as text; empty when it is not there.
pub fn field<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a pod is ready.
pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let is_leaving = pod.pointer("/metadata/deletionTimestamp").is_some();
    !is_leaving && conditions.into_iter().flatten().any(|one| field(one, "/type") == "Ready" && field(one, "/status") == "True")
}
