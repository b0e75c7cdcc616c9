//! The chart in a cluster: a release of its own in a namespace of its own, taken away when dropped.

use crate::cluster::{
    kube::{Kube, field},
    patience::until,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    env, fs,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

/// Release and namespace. Its name contains that of the chart, so that its objects are `<release>-agent` and so on.
pub const RELEASE: &str = "unready-deploy";
/// For a rollout, and for a sentence to be said.
pub const PATIENCE: Duration = Duration::from_mins(2);
const METRICS_PORT: u16 = 9464;

/// A cluster for these tests, or why there is none.
///
/// `UNREADY_CLUSTER` names its kubeconfig, `UNREADY_CLUSTER_STATE` is set when it is this machine's own; the images must be there.
pub fn cluster(kubeconfig: PathBuf, unready: &Path) -> Result<Kube> {
    Kube::new(kubeconfig, env::var_os("UNREADY_CLUSTER_STATE").map(PathBuf::from), unready)
}

/// What the API server says of a manifest, taken strictly; nothing is changed.
pub fn dry_run(kube: &Kube, manifest: &str) -> Result<()> {
    let arguments = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
    let mut command = kube.command("kubectl")?;
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("kubectl has no stdin")?.write_all(manifest.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Warnings are refusals here: a field that is ignored does not do what was meant.
    ensure!(output.status.success() && said.trim().is_empty(), "{}", said.trim());
    Ok(())
}

/// A release that lives as long as this.
#[derive(Debug)]
pub struct Release<'a> {
    kube: &'a Kube,
    values: tempfile::NamedTempFile,
}

impl<'a> Release<'a> {
    /// Installs it and waits until agents and collector are ready.
    pub fn install(kube: &'a Kube) -> Result<Self> {
        let values = tempfile::Builder::new().suffix(".json").tempfile().context("cannot make a file for the values")?;
        fs::write(values.path(), base(kube).to_string())?;
        // The last one may still be on its way out.
        let is_gone = || Ok(kube.kubectl(&["get", "namespace", RELEASE]).is_err().then_some(()));
        until("the namespace of an earlier test to be gone", PATIENCE, is_gone)?;
        let release = Self { kube, values };
        release.set(&[])?;
        release.ready("daemonset", "agent")?;
        release.ready("deployment", "collector")?;
        Ok(release)
    }

    /// Changes values (`--set`); without any, back to where it began.
    pub fn set(&self, changes: &[&str]) -> Result<()> {
        let chart = super::folder().join("helm/unready").display().to_string();
        let values = self.values.path().display().to_string();
        let mut arguments =
            vec!["upgrade", "--install", RELEASE, &chart, "-n", RELEASE, "--create-namespace", "--reset-values", "--values", &values];
        arguments.extend(changes.iter().flat_map(|change| ["--set", change]));
        self.kube.helm(&arguments).map(drop)
    }

    /// Waits until an object is rolled out.
    pub fn ready(&self, kind: &str, component: &str) -> Result<()> {
        let object = format!("{kind}/{RELEASE}-{component}");
        let rolled_out = || Ok(self.kube.kubectl(&["-n", RELEASE, "rollout", "status", &object, "--timeout=3s"]).ok().map(drop));
        until(&format!("{object} to be ready"), PATIENCE, rolled_out)
    }

    /// Ends the pods of a component and waits until new ones run: their logs begin anew.
    pub fn restart(&self, component: &str) -> Result<()> {
        let before = self.names(component)?;
        let label = label(component);
        self.kube.kubectl(&["-n", RELEASE, "delete", "pod", "-l", &label, "--wait=false"])?;
        until(&format!("a new {component}"), PATIENCE, || {
            let now = self.pods(component)?;
            let is_new = now.iter().all(|pod| !before.contains(&name(pod)) && field(pod, "/status/phase") == "Running");
            Ok((is_new && !now.is_empty()).then_some(()))
        })
    }

    /// What a component has logged.
    pub fn log(&self, component: &str) -> Result<String> {
        let mut log = String::new();
        for pod in self.names(component)? {
            // A pod that is on its way has no log yet.
            log += &self.kube.kubectl(&["-n", RELEASE, "logs", &pod, "--tail=-1"]).unwrap_or_default();
        }
        Ok(log)
    }

    /// Waits until a component says this.
    pub fn says(&self, component: &str, words: &str) -> Result<()> {
        let said = until(&format!("{component} to say {words:?}"), PATIENCE, || Ok(self.log(component)?.contains(words).then_some(())));
        said.with_context(|| format!("its log:\n{}", self.log(component).unwrap_or_default()))
    }

    /// Where the pods of a component serve their metrics.
    pub fn metrics(&self, component: &str) -> Result<Vec<SocketAddr>> {
        let pods = self.pods(component)?;
        let addresses = pods.iter().map(|pod| field(pod, "/status/podIP").parse::<IpAddr>().context("a pod has no address"));
        addresses.map(|address| Ok(SocketAddr::new(address?, METRICS_PORT))).collect()
    }

    fn names(&self, component: &str) -> Result<Vec<String>> {
        Ok(self.pods(component)?.iter().map(name).collect())
    }

    fn pods(&self, component: &str) -> Result<Vec<Value>> {
        let mut pods = self.kube.list(&["pods", "-n", RELEASE, "-l", &label(component)])?;
        pods.retain(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
        Ok(pods)
    }
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        let removed = self.kube.helm(&["uninstall", RELEASE, "-n", RELEASE, "--ignore-not-found"]);
        let removed = removed.and_then(|_| self.kube.kubectl(&["delete", "namespace", RELEASE, "--ignore-not-found", "--wait=false"]));
        if let Err(error) = removed {
            eprintln!("the release {RELEASE} could not be removed: {error:#}");
        }
    }
}

/// A role without one right; given back when dropped.
#[derive(Debug)]
pub struct Without<'a> {
    kube: &'a Kube,
    whole: Value,
}

impl<'a> Without<'a> {
    /// Takes the verb on a resource (`group/resource`, `/resource` for the core group) away from `role/NAME` or `clusterrole/NAME`.
    pub fn right(kube: &'a Kube, role: &str, resource: &str, verb: &str) -> Result<Self> {
        let mut whole = kube.get(&["-n", RELEASE, role])?;
        whole["metadata"] = json!({ "name": whole["metadata"]["name"], "namespace": whole["metadata"]["namespace"] });
        let (group, resource) = resource.split_once('/').context("write group/resource")?;
        let mut less = whole.clone();
        let mut found = false;
        let rules = less["rules"].as_array_mut().with_context(|| format!("{role} has no rules"))?;
        let has = |list: &Value, word: &str| list.as_array().is_some_and(|list| list.iter().any(|one| one == word));
        for rule in rules.iter_mut().filter(|rule| has(&rule["apiGroups"], group) && has(&rule["resources"], resource)) {
            let verbs = rule["verbs"].as_array_mut().context("a rule has no verbs")?;
            found |= verbs.iter().any(|one| one == verb);
            verbs.retain(|one| one != verb);
        }
        rules.retain(|rule| rule["verbs"].as_array().is_some_and(|verbs| !verbs.is_empty()));
        ensure!(found, "{role} does not grant {verb} on {resource}");
        kube.apply([&less])?;
        Ok(Self { kube, whole })
    }
}

impl Drop for Without<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.kube.apply([&self.whole]) {
            eprintln!("a right could not be given back: {error:#}");
        }
    }
}

/// What the chart must know of this machine's own cluster (see `cluster/release.rs`), and the images' tag.
fn base(kube: &Kube) -> Value {
    let mut values = json!({ "agent": {}, "image": {} });
    if let Some(state) = kube.state() {
        let runtime = state.join("containerd/state/io.containerd.runtime.v2.task");
        values["image"]["pullPolicy"] = json!("Never");
        values["agent"]["hostPaths"] = json!({
            "runtimes": [{ "hostPath": runtime, "mountPath": "/run/containerd/io.containerd.runtime.v2.task" }],
            "propagation": "None",
        });
    }
    if let Ok(tag) = env::var("UNREADY_IMAGE_TAG") {
        values["image"]["tag"] = json!(tag);
    }
    values
}

fn label(component: &str) -> String {
    format!("app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}")
}

fn name(pod: &Value) -> String {
    field(pod, "/metadata/name").to_owned()
}
