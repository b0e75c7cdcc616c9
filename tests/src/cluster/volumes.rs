//! Volumes for the claims of the workloads. Clusters have a provisioner that makes them, as root's and empty; this machine's
//! own has none: there they are made here, as local volumes below the cluster's state.

use super::{
    kube::{Kube, field},
    workload::Workload,
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// By it they are found again.
const LABEL: &str = "unready.dev/demo=volume";

/// Makes a volume for each claim, empty, with root as its owner.
pub fn make(kube: &Kube, workloads: &[Workload]) -> Result<()> {
    let Some(state) = kube.state() else { return Ok(()) };
    let made = workloads.iter().flat_map(claims).map(|(namespace, claim)| empty(state, &namespace, &claim));
    kube.apply(&made.collect::<Result<Vec<_>>>()?)
}

/// Makes one for this claim, likewise.
pub fn make_one(kube: &Kube, namespace: &str, claim: &str) -> Result<()> {
    let state = kube.state().context("only for this machine's own cluster")?;
    kube.apply([&empty(state, namespace, claim)?])
}

fn empty(state: &Path, namespace: &str, claim: &str) -> Result<Value> {
    let path = folder(state).join(claim);
    fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(volume(namespace, claim, &path))
}

/// Takes them away again. Their content goes with them.
pub fn remove(kube: &Kube) -> Result<()> {
    let Some(state) = kube.state() else { return Ok(()) };
    kube.kubectl(&["delete", "persistentvolume", "-l", LABEL, "--ignore-not-found", "--wait=false"])?;
    let folder = folder(state);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

fn folder(state: &Path) -> PathBuf {
    state.join("demo-volumes")
}

fn volume(namespace: &str, claim: &str, path: &Path) -> Value {
    let (key, value) = LABEL.split_once('=').unwrap_or_default();
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": format!("{namespace}-{claim}"), "labels": { key: value } },
        "spec": {
            "capacity": { "storage": "1Gi" },
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "local": { "path": path },
            "claimRef": { "namespace": namespace, "name": claim },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [
                { "matchExpressions": [{ "key": "kubernetes.io/os", "operator": "In", "values": ["linux"] }] },
            ] } },
        },
    })
}

/// Namespace and name of each claim that a workload makes, directly or, of a `StatefulSet`, for its first pod.
fn claims(workload: &Workload) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for object in &workload.objects {
        let (kind, name) = (field(object, "/kind"), field(object, "/metadata/name"));
        if kind == "PersistentVolumeClaim" {
            all.push(name.to_owned());
        }
        let templates = object.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
        all.extend(templates.into_iter().flatten().map(|template| format!("{}-{name}-0", field(template, "/metadata/name"))));
    }
    all.into_iter().map(|claim| (workload.namespace.clone(), claim)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_claim_of_the_workloads_has_a_volume() {
        let workloads = super::super::workload::all().unwrap();
        let claims: Vec<String> = workloads.iter().flat_map(claims).map(|(_, claim)| claim).collect();
        for claim in ["redis-volume", "data-postgres-volume-0", "data-ok-postgres-0"] {
            assert!(claims.iter().any(|one| one == claim), "{claims:?}");
        }
    }
}
