//! Unready in the cluster: its images, and its chart installed by Helm.

use super::{
    feed::end,
    images,
    kube::{Kube, field},
    patience::until,
};
use crate::{binaries::Binaries, verdicts::JsonVerdict};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

/// Where a collector is asked, inside of its pod.
const QUERY_PORT: &str = ":50052";
/// Until agent and collector are ready: a loaded machine takes its time for the first start.
const READY_WITHIN: Duration = Duration::from_mins(3);

/// Brings the images to this machine's own cluster; of another one it is said which must be there.
pub fn load_images(kube: &Kube, binaries: &Binaries, ours: &Path) -> Result<()> {
    if kube.state().is_none() {
        println!(
            "images cannot be loaded into this cluster from here: its nodes must have or be able to pull {}",
            needed(ours)?.join(", ")
        );
        return Ok(());
    }
    let directory = tempfile::tempdir().context("cannot make a directory for images")?;
    let mut archives = archives(ours)?;
    ensure!(!archives.is_empty(), "no image is in {}: `cargo xtask image` makes them", ours.display());
    archives.extend(images::workload_images(binaries, directory.path(), &cache()?)?);
    let arguments: Vec<String> = archives.iter().map(|path| path.display().to_string()).collect();
    let arguments: Vec<&str> = ["load"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    kube.script(&arguments).map(drop)
}

fn archives(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read: `cargo xtask image` fills it", folder.display()))?;
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    all.retain(|path| path.extension().is_some_and(|extension| extension == "tar"));
    all.sort();
    Ok(all)
}

fn needed(ours: &Path) -> Result<Vec<String>> {
    let own = archives(ours)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|path| path.file_stem().map(|stem| format!("unready/{}", stem.display())));
    let mut all: Vec<String> = own.collect();
    for workload in super::workload::all()? {
        let text = Value::from(workload.objects).to_string();
        all.extend(text.split('"').filter(|word| word.starts_with("unready.test/") && !word.contains("no-such")).map(str::to_owned));
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// Where packages and images are kept between runs.
fn cache() -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let caches = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(caches.join("unready/workload-images"))
}

/// Installs the chart, or changes what is installed, and waits until agents and collector are ready.
pub fn install(kube: &Kube) -> Result<()> {
    let directory = tempfile::tempdir().context("cannot make a directory for the values")?;
    let values = directory.path().join("values.json");
    fs::write(&values, values_for(kube.state()).to_string())?;
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/helm/unready");
    let (chart, values) = (chart.display().to_string(), values.display().to_string());
    kube.helm(&["upgrade", "--install", kube.release(), &chart, "--namespace", kube.release(), "--create-namespace", "--values", &values])?;
    ready(kube)
}

/// What the chart must know of this machine's own cluster: images are not pulled, its containerd is not in the usual place, and
/// the machine's mounts are private.
fn values_for(state: Option<&Path>) -> Value {
    let Some(state) = state else { return json!({}) };
    json!({
        "image": { "pullPolicy": "Never" },
        "agent": { "hostPaths": {
            "runtimes": [{
                "hostPath": state.join("containerd/state/io.containerd.runtime.v2.task"),
                "mountPath": "/run/containerd/io.containerd.runtime.v2.task",
            }],
            "propagation": "None",
        } },
    })
}

/// Waits until both are ready.
pub fn ready(kube: &Kube) -> Result<()> {
    for object in [&format!("deployment/{}-collector", kube.release()), &format!("daemonset/{}-agent", kube.release())] {
        let waited = until(&format!("{object} to be ready"), READY_WITHIN, || {
            Ok(kube.kubectl(&["-n", kube.release(), "rollout", "status", object, "--timeout=3s"]).ok())
        });
        waited.with_context(|| diagnosis(kube))?;
    }
    Ok(())
}

/// What went wrong, for people who did not keep the cluster.
fn diagnosis(kube: &Kube) -> String {
    let ask = |arguments: &[&str]| kube.kubectl(arguments).unwrap_or_else(|error| format!("{error:#}"));
    let pods = ask(&["-n", kube.release(), "get", "pods", "-o", "wide"]);
    let events = ask(&["-n", kube.release(), "get", "events"]);
    format!("{pods}\n{events}\n{}", logs(kube))
}

/// The last words of agent and collector.
pub fn logs(kube: &Kube) -> String {
    let of = |component: &str| {
        let label = format!("app.kubernetes.io/component={component}");
        kube.kubectl(&["-n", kube.release(), "logs", "-l", &label, "--tail=60", "--prefix"]).unwrap_or_else(|error| format!("{error:#}"))
    };
    format!("{}\n{}", of("agent"), of("collector"))
}

/// Takes everything away that was installed.
pub fn remove(kube: &Kube) -> Result<()> {
    kube.helm(&["uninstall", kube.release(), "--namespace", kube.release(), "--ignore-not-found"])?;
    kube.kubectl(&["delete", "namespace", kube.release(), "--ignore-not-found", "--wait=false"]).map(drop)
}

/// The pod of a component, by name.
pub fn pod(kube: &Kube, component: &str) -> Result<String> {
    let label = format!("app.kubernetes.io/component={component}");
    let pods = kube.list(&["pods", "-n", kube.release(), "-l", &label, "--field-selector=status.phase=Running"])?;
    let living = pods.iter().find(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
    Ok(field(living.with_context(|| format!("no {component} runs"))?, "/metadata/name").to_owned())
}

/// All verdicts that the collector has, resolved ones too, without what `kubectl unready` adds of its own.
pub fn collected(kube: &Kube, binaries: &Binaries) -> Result<Vec<JsonVerdict>> {
    let mut command = kube.command("kubectl")?;
    command
        .args(["-n", kube.release(), "port-forward", &format!("deployment/{}-collector", kube.release()), QUERY_PORT])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut forward = command.spawn().context("kubectl cannot be started")?;
    let answer = forward.stdout.take().context("kubectl has no stdout").and_then(|stdout| {
        let mut line = String::new();
        // Kept open: kubectl ends when it cannot print.
        let mut reader = BufReader::new(stdout);
        reader.read_line(&mut line)?;
        let Some(port) = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()) else { bail!("no port was forwarded") };
        let output = kube
            .command(binaries.program("unready")?)?
            .args(["get", "--collector", &format!("http://127.0.0.1:{port}"), "--all", "--limit", "10000", "-o", "json"])
            .output()
            .context("unready cannot be started")?;
        ensure!(output.status.success(), "`unready get` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        JsonVerdict::lines(&String::from_utf8_lossy(&output.stdout))
    });
    end(&mut forward);
    answer.context("the collector cannot be asked")
}
