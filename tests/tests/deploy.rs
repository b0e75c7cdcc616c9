//! The chart against a real API server: it is accepted with all kinds of values and refuses what it does not know; every right
//! and every mount that it asks for is used, which shows in what agent or collector say when it is taken away; and the dashboard
//! has its data.
//!
//! Part of the ring `cluster`: `UNREADY_CLUSTER` names its kubeconfig, kubectl and Helm are on the PATH, the images are there.
//! Without it the tests say that they did not run.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::json;
use std::{
    env, fs,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use unready_tests::{
    binaries::Binaries,
    cluster::{kube::Kube, patience::until},
    deploy::{
        chart::{self, PATIENCE, RELEASE, Release, Without},
        dashboard, folder,
        prometheus::{Prometheus, Target},
    },
    http,
};

/// One test has the cluster at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn cluster() -> Option<(Kube, MutexGuard<'static, ()>)> {
    let Some(kubeconfig) = env::var_os("UNREADY_CLUSTER").filter(|path| !path.is_empty()) else {
        eprintln!("not run: UNREADY_CLUSTER names no kubeconfig; `cargo xtask test --ring cluster` does");
        return None;
    };
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let unready = Binaries::find().unwrap().program("unready").unwrap();
    Some((chart::cluster(kubeconfig.into(), &unready).unwrap(), alone))
}

fn template(kube: &Kube, values: &[&str]) -> anyhow::Result<String> {
    let chart = folder().join("helm/unready").display().to_string();
    let mut arguments = vec!["template", "unready", &chart, "-n", "default"];
    arguments.extend(values.iter().flat_map(|value| ["--set", value]));
    kube.helm(&arguments)
}

/// Several times the chart, each with other values.
const VALUES: &[&[&str]] = &[
    &[],
    &["tls.mode=plaintext", "networkPolicy.enabled=false", "agent.events=false"],
    &["tls.mode=secret", "tls.secret.agent=a", "tls.secret.collector=c"],
    &["collector.persistence.enabled=true", "collector.persistence.storageClass=fast", "image.registry=registry.example.com/tools"],
    &[
        "agent.capabilities.extra={SYS_RESOURCE}",
        "agent.seLinuxOptions.type=spc_t",
        "agent.updateStrategy.type=OnDelete",
        "agent.updateStrategy.rollingUpdate=null",
    ],
    &["users[0].kind=Group", "users[0].name=developers", "users[0].apiGroup=rbac.authorization.k8s.io", "image.pullSecrets={a,b}"],
    &[
        "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring",
        "agent.metrics.port=9999",
        "collector.listen.port=5555",
    ],
];

#[test]
fn the_api_server_takes_the_chart() {
    let Some((kube, _alone)) = cluster() else { return };
    let chart = folder().join("helm/unready").display().to_string();
    kube.helm(&["lint", "--strict", &chart]).unwrap();
    for values in VALUES {
        let manifest = template(&kube, values).unwrap();
        chart::dry_run(&kube, &manifest).unwrap_or_else(|error| panic!("{values:?}: {error:#}"));
    }
    // Objects of operators that need not be there: rendered, and read as YAML.
    for values in [&["tls.mode=certManager"][..], &["podMonitor.enabled=true"]] {
        let manifest = template(&kube, values).unwrap();
        assert!(manifest.contains("cert-manager.io/v1") || manifest.contains("kind: PodMonitor"), "{values:?}");
    }
}

#[test]
fn values_that_do_not_exist_are_refused() {
    let Some((kube, _alone)) = cluster() else { return };
    for (values, words) in [
        (["agent.capabilites.bpf=false"], "capabilites"),
        (["tls.mode=none"], "tls"),
        (["tls.mode=secret"], "secret"),
        (["agent.capabilities.extra={ALL}"], "extra"),
        (["collector.replicas=2"], "replicas"),
    ] {
        let error = template(&kube, &values).unwrap_err().to_string();
        assert!(error.contains(words), "{values:?}: {error}");
    }
}

/// The manifests for those without Helm are accepted, and a namespace with them can be made.
#[test]
fn the_api_server_takes_the_manifests() {
    let Some((kube, _alone)) = cluster() else { return };
    let text = fs::read_to_string(folder().join("manifests/unready.yaml")).unwrap();
    // A dry run does not make the namespace that the others need: they are tried in one that is there.
    let (namespace, rest) = text.split_once("\n---\n").unwrap();
    chart::dry_run(&kube, namespace).unwrap();
    chart::dry_run(&kube, &rest.replace("namespace: unready\n", "namespace: default\n")).unwrap();
}

/// How a permission is taken away.
#[derive(Debug)]
enum Loss {
    /// By a value of the chart.
    Value(&'static str),
    /// By a patch of the `DaemonSet`.
    Patch(&'static str),
    /// A verb on a resource, from a role.
    Right(&'static str, &'static str, &'static str),
}

use Loss::{Patch, Right, Value};

/// The permissions of deploy/README.md, and the words by which their loss is told. With all of them, none of this is said.
const PERMISSIONS: &[(Loss, &str, &str)] = &[
    (Value("agent.capabilities.bpf=false"), "agent", "eBPF programs cannot be loaded without CAP_BPF"),
    (Value("agent.capabilities.perfmon=false"), "agent", "eBPF programs may not look at calls without CAP_PERFMON"),
    (Value("agent.capabilities.sysPtrace=false"), "agent", "without CAP_SYS_PTRACE"),
    (Value("agent.capabilities.dacReadSearch=false"), "agent", "without CAP_DAC_READ_SEARCH"),
    (Value("agent.hostPaths.tracing="), "agent", "tracefs is not mounted"),
    (Value("agent.hostPaths.cgroup=/etc"), "agent", "cgroup"),
    (Patch(r#"{"spec":{"template":{"spec":{"hostPID":false}}}}"#), "agent", "set hostPID: true"),
    (Right("clusterrole/unready-deploy-agent", "/pods", "list"), "agent", "the pods of this node cannot be followed"),
    (Right("clusterrole/unready-deploy-agent", "apps/replicasets", "get"), "agent", "who makes a pod again is guessed"),
    (Right("clusterrole/unready-deploy-agent", "events.k8s.io/events", "create"), "agent", "Events cannot be published"),
    (Right("clusterrole/unready-deploy-agent", "/events", "patch"), "agent", "Events cannot be published"),
    (Right("clusterrole/unready-deploy-agent", "events.k8s.io/events", "list"), "agent", "a question about the cluster has no answer"),
    (Right("role/unready-deploy-agent", "/configmaps", "get"), "agent", "configmaps \"unready-deploy-collector-ca\" is forbidden"),
    (Right("role/unready-deploy-collector", "/configmaps", "patch"), "collector", "agents cannot learn whom to trust"),
    (Right("role/unready-deploy-collector", "coordination.k8s.io/leases", "update"), "collector", "cannot be had"),
    (
        Right("clusterrole/unready-deploy-collector", "authentication.k8s.io/tokenreviews", "create"),
        "collector",
        "an agent's stream is refused",
    ),
    (Right("clusterrole/unready-deploy-collector", "apps/replicasets", "list"), "collector", "make no pods stay unseen"),
];

#[test]
fn what_is_taken_away_is_missed_and_said() {
    let Some((kube, _alone)) = cluster() else { return };
    let release = Release::install(&kube).unwrap();
    sick(&kube);
    unmounted(&kube);
    // At the very first start the agent may be earlier than the collector, and says so.
    release.restart("agent").unwrap();
    release.says("agent", "delivering verdicts").unwrap();
    thread::sleep(Duration::from_secs(5));
    let quiet = release.log("agent").unwrap() + &release.log("collector").unwrap();
    for (loss, _, words) in PERMISSIONS.iter().filter(|(_, _, words)| *words != "cgroup") {
        assert!(!quiet.contains(words), "{loss:?} is there, and yet it is said: {quiet}");
    }
    let mut wrong = Vec::new();
    for (loss, component, words) in PERMISSIONS {
        if let Err(error) = take_away(&kube, &release, loss, component, words) {
            wrong.push(format!("{loss:?}: {error:#}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} permissions:\n{}", wrong.len(), PERMISSIONS.len(), wrong.join("\n"));
}

fn take_away(kube: &Kube, release: &Release<'_>, loss: &Loss, component: &str, words: &str) -> anyhow::Result<()> {
    // Values and patches make new pods by themselves; the next value takes the place of the last one.
    let _back = match loss {
        Value(change) => release.set(&[change]).map(|()| None)?,
        Patch(patch) => {
            release.set(&[])?;
            host_pids(kube, patch).map(|()| None)?
        }
        Right(role, resource, verb) => {
            let back = Without::right(kube, role, resource, verb)?;
            release.restart(component)?;
            Some(back)
        }
    };
    release.says(component, words)?;
    // Whatever is missing, the agent does what it can.
    if component == "agent" {
        release.ready("daemonset", "agent")?;
    }
    if matches!(loss, Patch(_)) {
        host_pids(kube, r#"{"spec":{"template":{"spec":{"hostPID":true}}}}"#)?;
        release.ready("daemonset", "agent")?;
    }
    Ok(())
}

fn host_pids(kube: &Kube, patch: &str) -> anyhow::Result<()> {
    kube.kubectl(&["-n", RELEASE, "patch", &format!("daemonset/{RELEASE}-agent"), "-p", patch]).map(drop)
}

/// A pod that is denied a file, of which something is said at each start.
fn sick(kube: &Kube) {
    deployment(kube, "sick", &["sh", "-c", "echo x >/data/x && exec sleep 1000"], 1);
}

/// A pod without its volume: only the kubelet's events tell why.
fn unmounted(kube: &Kube) {
    let container = json!({ "name": "app", "image": "unready.test/busybox:1", "volumeMounts": [{ "name": "none", "mountPath": "/none" }] });
    let spec = json!({ "containers": [container], "volumes": [{ "name": "none", "configMap": { "name": "no-such" } }] });
    kube.apply([&json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "unmounted", "namespace": RELEASE }, "spec": spec })])
        .unwrap();
}

fn deployment(kube: &Kube, name: &str, command: &[&str], replicas: u32) {
    let labels = json!({ "app": name });
    let container = json!({
        "name": "app", "image": "unready.test/busybox:1", "command": command,
        "volumeMounts": [{ "name": "data", "mountPath": "/data", "readOnly": true }],
    });
    let spec = json!({ "containers": [container], "volumes": [{ "name": "data", "emptyDir": {} }], "terminationGracePeriodSeconds": 1 });
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": RELEASE },
        "spec": { "replicas": replicas, "selector": { "matchLabels": labels }, "template": { "metadata": { "labels": labels }, "spec": spec } },
    });
    kube.apply([&object]).unwrap();
}

/// Panels that a healthy cluster has nothing for, or that need a sysctl of the node.
const EMPTY: &[&str] = &["Slowing verdicts", "eBPF programs: CPU"];

#[test]
fn the_dashboard_has_its_data() {
    let Some((kube, _alone)) = cluster() else { return };
    let release = Release::install(&kube).unwrap();
    let address = |component: &str| release.metrics(component).unwrap()[0];
    let targets = [Target { job: "agent", address: address("agent") }, Target { job: "collector", address: address("collector") }];
    let prometheus = Prometheus::start(&targets).unwrap();
    sick(&kube);
    deployment(&kube, "well", &["sleep", "1000"], 2);
    for query in dashboard::queries().unwrap() {
        let may_be_empty = EMPTY.contains(&query.panel.as_str());
        let has_data = || Ok((may_be_empty || prometheus.query(&query.expression)?.iter().any(|value| value.is_finite())).then_some(()));
        until(&format!("data of {query:?}"), PATIENCE, has_data).unwrap();
        prometheus.query(&query.expression).unwrap();
    }
    for address in targets.map(|target| target.address) {
        http::get(address, "/readyz").unwrap();
    }
    let not_ready = "sum(unready_agent_pods{namespace=\"unready-deploy\",state=\"not_ready\"})";
    until("all but the sick one to be ready", PATIENCE, || Ok((prometheus.query(not_ready)? == [1.0]).then_some(()))).unwrap();
}
