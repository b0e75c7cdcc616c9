//! What may happen to the messengers: the agent restarts, the collector moves or is killed, the API server is away. Nothing of
//! what was said may be lost, nothing said twice, and what fails meanwhile is explained all the same.

use super::{
    checks::{Checks, unless},
    judge::Snapshot,
    kube::Kube,
    patience::until,
    release,
};
use crate::{binaries::Binaries, verdicts::JsonVerdict, wait};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

/// Until what was said before is there again, and what failed meanwhile is explained. A container that failed while no agent
/// saw it is explained at its next start: the kubelet's first back-off is ten seconds, the second twenty.
const AGAIN_WITHIN: Duration = Duration::from_secs(90);
/// How long the API server is away.
const AWAY: Duration = Duration::from_secs(20);
/// A container that starts before and fails during it.
const FAILS_AFTER: u64 = 8;
/// Until a daemon has noticed.
const API_BACK_WITHIN: Duration = Duration::from_mins(1);

/// The cluster, and where its pods go.
#[derive(Clone, Copy, Debug)]
pub struct Outages<'a> {
    pub kube: &'a Kube,
    pub binaries: &'a Binaries,
    /// A namespace for pods that fail meanwhile.
    pub namespace: &'a str,
}

impl Outages<'_> {
    /// One after another.
    pub fn run(&self, checks: &mut Checks) -> Result<()> {
        self.during(checks, "collector moved", 0, || {
            let pod = release::pod(self.kube, "collector")?;
            self.kube.kubectl(&["-n", self.kube.release(), "delete", "pod", &pod, "--wait=false"]).map(drop)
        })?;
        self.during(checks, "agent restarted", 0, || {
            let pod = release::pod(self.kube, "agent")?;
            self.kube.kubectl(&["-n", self.kube.release(), "delete", "pod", &pod]).map(drop)
        })?;
        if self.kube.state().is_none() {
            println!("a killed collector and an API server that is away are tried on this machine's own cluster only");
            return Ok(());
        }
        self.during(checks, "collector killed", 0, || self.kill("collector"))?;
        self.during(checks, "API server away", FAILS_AFTER, || {
            self.kube.script(&["stop", "kube-apiserver"])?;
            let slept = wait::sleep(AWAY);
            self.kube.script(&["start", "kube-apiserver"])?;
            slept
        })
    }

    /// Takes both snapshots, with a pod that fails meanwhile, and compares.
    fn during(&self, checks: &mut Checks, what: &str, fails_after: u64, happens: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("{what} …");
        let before = Snapshot::take(self.kube, self.binaries)?;
        let pod = what.to_lowercase().replace(' ', "-");
        self.kube.apply([&failing(self.namespace, &pod, fails_after)])?;
        happens().with_context(|| what.to_owned())?;
        until("the API server to answer", API_BACK_WITHIN, || Ok(self.kube.kubectl(&["get", "--raw", "/readyz"]).ok()))?;
        release::ready(self.kube)?;
        let mut after = Snapshot::default();
        let settled = until("what was said to be there again", AGAIN_WITHIN, || {
            if let Ok(now) = Snapshot::take(self.kube, self.binaries) {
                after = now;
            } else {
                thread::sleep(Duration::from_secs(1));
            }
            let explained = explained(&after, &pod).len() == 1;
            Ok((explained && lost(&before, &after).is_empty()).then_some(()))
        });
        if crate::interrupt::requested() {
            return settled;
        }
        let meanwhile = explained(&after, &pod);
        let problem = unless(meanwhile.len() == 1, || format!("{} verdicts: {}", meanwhile.len(), super::judge::all(&meanwhile)));
        checks.check(what, "what failed meanwhile is explained, once", problem);
        checks.check(what, "nothing that was said is lost", lost(&before, &after));
        checks.check(what, "nothing is said twice", twice(&after));
        checks.check(what, "no second Event", repeated(&before, &after));
        Ok(())
    }

    /// As a crash: the container's process ends, its pod and its volumes stay.
    fn kill(&self, component: &str) -> Result<()> {
        let pod = self.kube.get(&["pod", "-n", self.kube.release(), &release::pod(self.kube, component)?])?;
        let id = super::kube::field(&pod, "/status/containerStatuses/0/containerID").trim_start_matches("containerd://").to_owned();
        self.kube.script(&["ctr", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", &id]).map(drop)
    }
}

/// A pod that misses a file after some seconds, again and again.
fn failing(namespace: &str, name: &str, after: u64) -> Value {
    let container = json!({
        "name": "app",
        "image": "unready.test/workloads:1",
        "command": ["sh", "-c", format!("sleep {after}; exec read-key /keys/tls.key")],
        "volumeMounts": [{ "name": "keys", "mountPath": "/keys" }],
    });
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "terminationGracePeriodSeconds": 1, "containers": [container], "volumes": [{ "name": "keys", "emptyDir": {} }] },
    })
}

/// What is said of a pod now.
fn explained<'a>(snapshot: &'a Snapshot, pod: &str) -> Vec<&'a JsonVerdict> {
    snapshot.collected.iter().filter(|verdict| verdict.workload.pod == pod && verdict.is_current()).collect()
}

fn current(snapshot: &Snapshot) -> BTreeMap<&str, &JsonVerdict> {
    snapshot.collected.iter().filter(|verdict| verdict.is_current()).map(|verdict| (verdict.id.as_str(), verdict)).collect()
}

/// Verdicts that are not there any more.
fn lost(before: &Snapshot, after: &Snapshot) -> String {
    let (before, after) = (current(before), current(after));
    let lost: Vec<&JsonVerdict> = before.iter().filter(|(id, _)| !after.contains_key(*id)).map(|(_, verdict)| *verdict).collect();
    super::judge::all(&lost)
}

/// Findings with two ids.
fn twice(after: &Snapshot) -> String {
    let mut known = BTreeSet::new();
    let twice: Vec<&JsonVerdict> = current(after).into_values().filter(|verdict| !known.insert(verdict.finding())).collect();
    super::judge::all(&twice)
}

/// Events that came to be for what had one already.
fn repeated(before: &Snapshot, after: &Snapshot) -> String {
    let had: BTreeSet<(&str, &str)> = before.events.iter().map(|event| (event.regarding.as_str(), event.reason.as_str())).collect();
    let names: BTreeSet<&str> = before.events.iter().map(|event| event.name.as_str()).collect();
    let new = after.events.iter().filter(|event| !names.contains(event.name.as_str()));
    let again: Vec<String> = new
        .filter(|event| had.contains(&(&event.regarding, &event.reason)))
        .map(|event| format!("{}: {}", event.name, event.note))
        .collect();
    again.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cluster::events::Event, verdicts::Workload};

    fn snapshot(ids: &[&str], events: &[&str]) -> Snapshot {
        let verdict = |id: &&str| JsonVerdict {
            id: (*id).into(),
            cause: "FileMissing".into(),
            workload: Workload { pod: "p".into(), pod_uid: id.chars().take(1).collect(), ..Workload::default() },
            ..JsonVerdict::default()
        };
        let event =
            |name: &&str| Event { name: (*name).into(), regarding: "Pod/p".into(), reason: "FileMissing".into(), ..Event::default() };
        Snapshot { collected: ids.iter().map(verdict).collect(), events: events.iter().map(event).collect(), ..Snapshot::default() }
    }

    #[test]
    fn losses_and_repetitions_are_seen() {
        let before = snapshot(&["a1", "b1"], &["p.1"]);
        assert!(lost(&before, &before).is_empty() && twice(&before).is_empty() && repeated(&before, &before).is_empty());
        assert!(!lost(&before, &snapshot(&["a1"], &[])).is_empty());
        assert!(!twice(&snapshot(&["a1", "a2"], &[])).is_empty());
        assert!(!repeated(&before, &snapshot(&[], &["p.1", "p.2"])).is_empty());
    }

    #[test]
    fn a_resolved_verdict_counts_as_lost() {
        let before = snapshot(&["a1"], &[]);
        let mut after = before.clone();
        after.collected.iter_mut().for_each(|verdict| verdict.resolved_at = Some("now".into()));
        assert!(!lost(&before, &after).is_empty());
    }
}
