//! An fsGroup that is right in the manifest and does not reach the volume: a pod of the `StatefulSet`'s old template, which was
//! patched since, and a pod whose volume another one had mounted as the kubelet mounted it. Of neither may the patch be
//! proposed that is there already, and what is said in its place makes both ready.

use super::{
    checks::{Checks, unless},
    judge,
    kube::{Kube, is_ready},
    patience::until,
    repair::{apply_line, commands},
    volumes,
};
use crate::verdicts::JsonVerdict;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::Duration;

/// Until a verdict is there, or a pod is up.
const WITHIN: Duration = Duration::from_mins(1);
const OLD: &str = "group-old";
const HELD: &str = "group-held";
const HOLDER: &str = "group-holder";
/// The exit status of `kubectl unready patch` where no change of a manifest can help.
const NO_PATCH: i32 = 4;

/// Provokes both. Only this machine's own cluster has volumes that can be had empty and as root's.
pub fn check(checks: &mut Checks, kube: &Kube, namespace: &str) -> Result<()> {
    if kube.state().is_none() {
        println!("volumes that did not get their fsGroup are tried on this machine's own cluster only");
        return Ok(());
    }
    let group = Group { kube, namespace };
    let old = group.of_the_old_template(checks);
    checks.outcome(OLD, "a pod of the old template is explained, and gets ready as it is said", old);
    let held = group.held_by_another(checks);
    checks.outcome(HELD, "a volume that another pod had is explained, and gets ready as it is said", held);
    let names = format!("statefulset/{OLD} statefulset/{HELD} pod/{HOLDER} pvc/{} pvc/{}", claim(OLD), claim(HELD));
    let arguments = ["-n", namespace, "delete", "--ignore-not-found", "--wait=false"];
    kube.kubectl(&arguments.into_iter().chain(names.split(' ')).collect::<Vec<_>>()).map(drop)
}

/// Where it happens.
struct Group<'a> {
    kube: &'a Kube,
    namespace: &'a str,
}

impl Group<'_> {
    fn of_the_old_template(&self, checks: &mut Checks) -> Result<()> {
        volumes::make_one(self.kube, self.namespace, &claim(OLD))?;
        self.kube.apply([&self.stateful_set(OLD, None)])?;
        self.denied(OLD, "fsGroup: 1000")?;
        let text = self.kube.unready_text(&["patch", &pod(OLD), "-n", self.namespace])?;
        self.kube.shell(&apply_line(&text).with_context(|| format!("no line says how it is applied:\n{text}"))?)?;
        // A StatefulSet leaves its broken pod as it is.
        self.is_not_patched(checks, OLD, "has this change already")?;
        let verdict = self.denied(OLD, "")?;
        self.follow(OLD, &verdict)
    }

    fn held_by_another(&self, checks: &mut Checks) -> Result<()> {
        volumes::make_one(self.kube, self.namespace, &claim(HELD))?;
        self.kube.apply([&self.claim(HELD), &self.holder()])?;
        self.up(&format!("pod/{HOLDER}"))?;
        self.kube.apply([&self.stateful_set(HELD, Some(1000))])?;
        let verdict = self.denied(HELD, "The manifest is right, it has fsGroup: 1000 already")?;
        self.is_not_patched(checks, HELD, "The manifest is right")?;
        // "If another pod uses it, end it first, without --force."
        self.kube.kubectl(&["-n", self.namespace, "delete", "pod", HOLDER])?;
        self.follow(HELD, &verdict)
    }

    /// What is said of its pod that is there now, once it has this remedy: the claim is asked about while it is told.
    fn denied(&self, name: &str, remedy: &str) -> Result<JsonVerdict> {
        let owner = format!("StatefulSet/{name}");
        let mut last = String::new();
        let found = until(&format!("a verdict about {name}"), WITHIN, || {
            let said = judge::shown(self.kube, &format!("-n={}", self.namespace))?;
            let found = said.into_iter().find(|one| one.workload.owner == owner && one.cause == "PermissionDenied");
            last = found.as_ref().map_or_else(String::new, |one| one.remedy.text.clone());
            Ok(found.filter(|one| one.remedy.text.contains(remedy)))
        });
        found.with_context(|| format!("its remedy is {last:?}"))
    }

    fn is_not_patched(&self, checks: &mut Checks, name: &str, expected: &str) -> Result<()> {
        let output = self.kube.unready(&["patch", &pod(name), "-n", self.namespace])?;
        let (shown, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let right = output.status.code() == Some(NO_PATCH) && shown.is_empty() && said.contains(expected);
        checks.check(name, "the patch is not proposed again", unless(right, || format!("{}: {shown}{said}", output.status)));
        Ok(())
    }

    /// Types what is said.
    fn follow(&self, name: &str, verdict: &JsonVerdict) -> Result<()> {
        let commands = commands(&verdict.remedy.also);
        anyhow::ensure!(!commands.is_empty(), "no command is said: {:?}", verdict.remedy.also);
        for command in &commands {
            self.kube.shell(command)?;
        }
        self.up(&pod(name)).with_context(|| format!("typed was: {}", commands.join(" ; ")))
    }

    fn up(&self, pod: &str) -> Result<()> {
        // Its successor has the same name, and may not be there yet.
        let get = || self.kube.get(&[pod, "-n", self.namespace]).ok();
        until(&format!("{pod} to be ready"), WITHIN, || Ok(get().filter(is_ready).map(drop)))
    }

    fn claim(&self, name: &str) -> Value {
        json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": claim(name), "namespace": self.namespace }, "spec": claim_spec() })
    }

    /// Another pod with the volume, which has no fsGroup.
    fn holder(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": HOLDER, "namespace": self.namespace },
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [container("exec sleep 3600")],
                "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": claim(HELD) } }],
            },
        })
    }

    fn stateful_set(&self, name: &str, fs_group: Option<u32>) -> Value {
        let labels = json!({ "app": name });
        let mut app = container("echo 1 >/data/orders.db && exec sleep 3600");
        // Without a probe each start of a crash loop is ready for a moment.
        app["readinessProbe"] = json!({ "exec": { "command": ["test", "-s", "/data/orders.db"] }, "periodSeconds": 1 });
        let mut security = json!({ "runAsUser": 1000, "runAsGroup": 1000 });
        if let Some(gid) = fs_group {
            security["fsGroup"] = json!(gid);
        }
        json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": { "name": name, "namespace": self.namespace },
            "spec": {
                "serviceName": name,
                "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "securityContext": security,
                    "containers": [app],
                } },
                "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": claim_spec() }],
            },
        })
    }
}

fn container(script: &str) -> Value {
    json!({
        "name": "app",
        "image": "unready.test/busybox:1",
        "command": ["sh", "-c", script],
        "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
    })
}

fn claim_spec() -> Value {
    json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Mi" } } })
}

/// Of its first pod, as its volumeClaimTemplate calls it.
fn claim(name: &str) -> String {
    format!("data-{name}-0")
}

/// Its first pod.
fn pod(name: &str) -> String {
    format!("pod/{name}-0")
}
