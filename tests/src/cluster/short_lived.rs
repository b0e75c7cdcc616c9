//! A pod that is gone before anybody has looked: it fails within milliseconds and is deleted at once.

use super::{
    checks::{Checks, unless},
    kube::{Kube, field},
    patience::until,
    release,
};
use crate::{binaries::Binaries, verdicts::JsonVerdict};
use anyhow::Result;
use humantime::parse_rfc3339;
use serde_json::json;
use std::time::Duration;

const NAME: &str = "brief";
const WITHIN: Duration = Duration::from_mins(1);

/// Creates and deletes it, and looks for what is said of it.
pub fn check(checks: &mut Checks, kube: &Kube, binaries: &Binaries, namespace: &str) -> Result<()> {
    kube.apply([&pod(namespace)])?;
    let mut lived = String::new();
    until("the brief pod to fail", WITHIN, || {
        let pod = kube.get(&["pod", NAME, "-n", namespace])?;
        lived = lifetime(&pod);
        Ok((field(&pod, "/status/phase") == "Failed").then_some(()))
    })?;
    kube.kubectl(&["delete", "pod", NAME, "-n", namespace, "--grace-period=0", "--force"])?;
    let mut said: Vec<JsonVerdict> = Vec::new();
    let found = until("a verdict about it", WITHIN, || {
        said = release::collected(kube, binaries)?.into_iter().filter(|verdict| is_it(verdict, namespace)).collect();
        Ok((!said.is_empty()).then_some(()))
    });
    checks.outcome(NAME, &format!("a pod whose container lived {lived} is explained"), found);
    let right =
        said.len() == 1 && said[0].cause == "FileMissing" && said[0].workload.container == "app" && said[0].subject == "/keys/tls.key";
    checks.check(NAME, "by the right cause, once", unless(right, || super::judge::all(&said.iter().collect::<Vec<_>>())));
    Ok(())
}

fn is_it(verdict: &JsonVerdict, namespace: &str) -> bool {
    verdict.workload.pod == NAME && verdict.workload.namespace == namespace
}

/// From the container's start to its end, which the API has in whole seconds.
fn lifetime(pod: &serde_json::Value) -> String {
    let time = |which: &str| parse_rfc3339(field(pod, &format!("/status/containerStatuses/0/state/terminated/{which}"))).ok();
    let seconds = time("startedAt").zip(time("finishedAt")).and_then(|(start, end)| end.duration_since(start).ok());
    seconds
        .map_or_else(String::new, |lived| if lived.is_zero() { "less than a second".to_owned() } else { format!("{} s", lived.as_secs()) })
}

fn pod(namespace: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": NAME, "namespace": namespace },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "app",
                "image": "unready.test/workloads:1",
                "command": ["/bin/read-key", "/keys/tls.key"],
                "volumeMounts": [{ "name": "keys", "mountPath": "/keys" }],
            }],
            "volumes": [{ "name": "keys", "emptyDir": {} }],
        },
    })
}
