//! Patches of the object that makes a pod, and what must be done beside them.
//!
//! A rule knows what has to change in the *pod's* spec. Here that fragment is put where the owner keeps its template, so
//! that `kubectl patch` and `kubectl apply --server-side` take it. No patch is made where none can work: a pod's own spec
//! and a Job's template are immutable, a static pod is a file, and of kinds that are not Kubernetes' own the shape is not
//! known. [`caveats`] says so in a sentence, and what the platform does not do by itself.
//!
//! Lists that Kubernetes merges by a key (containers, volumes and variables by `name`, mounts by `mountPath`, ports by
//! `containerPort`) need only what changes. All other lists (`command`, `capabilities.add`, `supplementalGroups`, `items`)
//! are replaced, so that a fragment must hold them whole. Source: the `patchStrategy` tags of `k8s.io/api/core/v1/types.go`.

use super::injected;
use crate::{
    pod::{Claim, Container, ContainerKind, Owner, Pod, VolumeSource},
    verdict::{Patch, PatchKind},
};
use serde_json::{Map, Value, json};

/// Where an owner keeps the pod's spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `spec.template.spec`, and changing it makes new pods.
    Template,
    /// `spec.template.spec`, and pods that are there stay as they are.
    TemplateOfNewPods,
    /// `spec.template.spec`, which may not be changed.
    Immutable,
    /// `spec.jobTemplate.spec.template.spec`.
    CronJob,
    /// Not known.
    Foreign,
}

impl Shape {
    fn of(owner: &Owner) -> Self {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        match (group, owner.kind.as_str()) {
            ("apps", "Deployment" | "StatefulSet" | "DaemonSet") => Self::Template,
            ("apps", "ReplicaSet") | ("", "ReplicationController") => Self::TemplateOfNewPods,
            ("batch", "Job") => Self::Immutable,
            ("batch", "CronJob") => Self::CronJob,
            _ => Self::Foreign,
        }
    }

    const fn path(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Template | Self::TemplateOfNewPods => Some(&["spec", "template", "spec"]),
            Self::CronJob => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
            Self::Immutable | Self::Foreign => None,
        }
    }
}

/// Who can be patched for this pod, and where its spec is there.
fn target(pod: &Pod) -> Option<(&Owner, &'static [&'static str])> {
    let owner = pod.owner.as_ref().filter(|_| !pod.is_mirror)?;
    Some((owner, Shape::of(owner).path()?))
}

/// A strategic merge patch of the owner that merges this fragment into the pod's spec:
/// `{"securityContext": {"fsGroup": 1000}}`. `None`: no patch can be given, and [`caveats`] says why.
pub fn strategic(pod: &Pod, spec: Value) -> Option<Patch> {
    if injected::sentence(&spec).is_some() {
        return None; // merged into the template it would be a new container or volume, of this field alone
    }
    let (owner, path) = target(pod)?;
    let spec = path[1..].iter().rev().fold(spec, |inner, name| json!({ *name: inner }));
    Some(whole(pod, owner, &spec))
}

/// The same with another change of the owner's own spec: `{"strategy": {"type": "Recreate"}}`.
pub fn strategic_with(pod: &Pod, spec: Value, of_owner: &Value) -> Option<Patch> {
    let mut patch = strategic(pod, spec)?;
    join(&mut patch.body, json!({ "spec": of_owner.clone() }));
    Some(patch)
}

fn whole(pod: &Pod, owner: &Owner, spec: &Value) -> Patch {
    let body = json!({
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "metadata": { "name": owner.name, "namespace": pod.namespace },
        "spec": spec,
    });
    Patch { target: owner.clone(), namespace: pod.namespace.clone(), kind: PatchKind::StrategicMerge, body }
}

/// A JSON patch (RFC 6902) of the owner, for what a merge cannot say. Paths of the operations start at the pod's spec
/// (`/containers/0/command`). Name what an index means by a `test` operation first ([`same_container`]): the owner's lists
/// can differ from the pod's, into which admission may have put containers.
pub fn json(pod: &Pod, operations: &[Value]) -> Option<Patch> {
    let (owner, path) = target(pod)?;
    let prefix = format!("/{}", path.join("/"));
    let moved = operations.iter().map(|operation| {
        let mut operation = operation.clone();
        for key in ["path", "from"] {
            if let Some(Value::String(at)) = operation.get_mut(key) {
                at.insert_str(0, &prefix);
            }
        }
        operation
    });
    let body = Value::Array(moved.collect());
    Some(Patch { target: owner.clone(), namespace: pod.namespace.clone(), kind: PatchKind::Json, body })
}

/// Path of a container below the pod's spec (`/containers/0`), with the operation that fails if another one is there.
pub fn same_container(pod: &Pod, container: &Container) -> Option<(String, Value)> {
    if container.kind == ContainerKind::Ephemeral {
        return None;
    }
    let field = container.kind.field();
    let mut alike = pod.containers.iter().filter(|other| other.kind.field() == field);
    let path = format!("/{field}/{}", alike.position(|other| other.name == container.name)?);
    let test = json!({ "op": "test", "path": format!("{path}/name"), "value": container.name });
    Some((path, test))
}

/// A fragment that changes fields of one container. Ephemeral containers belong to no template: nothing is changed.
pub fn of_container(container: &Container, fields: Value) -> Value {
    if container.kind == ContainerKind::Ephemeral {
        return Value::Object(Map::new());
    }
    let mut named = json!({ "name": container.name });
    join(&mut named, fields);
    json!({ container.kind.field(): [named] })
}

/// Puts two fragments together. Lists of things with one key in common (`name`, `mountPath`, `containerPort`) are joined
/// by it, all other values of `more` win.
pub fn join(base: &mut Value, more: Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                match base.get_mut(&key) {
                    Some(known) => join(known, value),
                    None => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(base), Value::Array(more)) if more.iter().chain(base.iter()).all(|one| key_of(one).is_some()) => {
            for one in more {
                match base.iter_mut().find(|known| key_of(known) == key_of(&one)) {
                    Some(known) => join(known, one),
                    None => base.push(one),
                }
            }
        }
        (base, more) => *base = more,
    }
}

/// What Kubernetes merges an element of a list by. A mount has a name too, that of its volume: the path comes first.
fn key_of(element: &Value) -> Option<(&'static str, String)> {
    ["mountPath", "containerPort", "name"].iter().find_map(|key| Some((*key, element.get(key)?.to_string())))
}

/// The command that deletes a pod so that its object goes when its volumes are unmounted (`SyncTerminatedPod` of
/// `pkg/kubelet/kubelet.go`), and its successor gets what is mounted anew. A grace period of 0 deletes the object at once,
/// whatever the kubelet still has to do.
pub(super) fn delete(pod: &Pod) -> String {
    let grace = if pod.grace_seconds == 0 { " --grace-period=1" } else { "" };
    format!("kubectl -n {} delete pod {}{grace}", pod.namespace, pod.name)
}

/// What must be known and done beside a change of this pod's manifest, a sentence each: why no patch can be given, and what
/// the platform leaves undone after one.
pub fn caveats(pod: &Pod) -> Vec<String> {
    let again = format!("`{}`", delete(pod));
    if pod.is_mirror {
        return vec![format!(
            "{} is a static pod: change its file in the kubelet's manifest directory (staticPodPath, by default /etc/kubernetes/manifests) on node {}; the kubelet then makes it anew.",
            pod.name, pod.node
        )];
    }
    let Some(owner) = &pod.owner else {
        return vec![format!(
            "Nobody owns pod {0}, and the spec of a pod cannot be changed: save it (`kubectl -n {1} get pod {0} -o yaml`), change it, and put it back with `kubectl replace --force -f FILE`.",
            pod.name, pod.namespace
        )];
    };
    match (Shape::of(owner), owner.kind.as_str(), owner.strategy.as_str()) {
        (Shape::Template, _, "OnDelete") => {
            vec![format!(
                "{owner} replaces its pods only when they are deleted (OnDelete): after the change {}, then {again}.",
                seen(pod, owner)
            )]
        }
        (Shape::Template, "StatefulSet", _) => vec![format!(
            "A StatefulSet does not replace a pod that never became ready (kubernetes/kubernetes issue 67250): after the change {}, then {again}.",
            seen(pod, owner)
        )],
        (Shape::Template, ..) => Vec::new(),
        (Shape::TemplateOfNewPods, ..) => {
            vec![format!("{owner} leaves the pods that it has as they are: after the change {}, then {again}.", seen(pod, owner))]
        }
        (Shape::Immutable, ..) => vec![format!(
            "The template of a Job cannot be changed: delete {owner} and create it again with the change in spec.template.spec."
        )],
        (Shape::CronJob, ..) => vec![format!(
            "The change counts from the next run on; start one at once with `kubectl -n {} create job --from=cronjob/{} {1}-now`.",
            pod.namespace, owner.name
        )],
        (Shape::Foreign, ..) => vec![format!(
            "{owner} ({}) makes the pod, and where it keeps the pod's spec is not known here: make the change there, often in spec.template.spec.",
            owner.api_version
        )],
    }
}

/// Waits for the controller to know the change: it makes the next pod of what it knows, which may lag (after an outage of the API
/// server by half a minute), and does not replace that one either.
fn seen(pod: &Pod, owner: &Owner) -> String {
    let (ns, object) = (&pod.namespace, format!("{}/{}", owner.kind.to_lowercase(), owner.name));
    format!(
        "wait until its controller knows it, `kubectl -n {ns} wait {object} --timeout=2m --for=jsonpath='{{.status.observedGeneration}}'=$(kubectl -n {ns} get {object} -o jsonpath='{{.metadata.generation}}')`"
    )
}

/// What an fsGroup does not do by itself for the volumes of this pod. Volumes of kinds that it never reaches are the rule's own matter.
pub fn fs_group_caveats(pod: &Pod, claims: &[Claim]) -> Vec<String> {
    let Some(owner) = pod.owner.as_ref().filter(|owner| owner.kind == "Deployment" && owner.strategy != "Recreate") else {
        return Vec::new();
    };
    let (ns, name) = (&pod.namespace, &owner.name);
    let zero =
        format!("`kubectl -n {ns} scale deployment/{name} --replicas=0`, and scale it up again after the patch, when its pods are gone");
    let known = |name: &str| claims.iter().find(|claim| claim.name == name && !claim.access_modes.is_empty());
    let used: Vec<(&str, Option<&Claim>)> = pod.claim_names().map(|name| (name, known(name))).collect();
    let single: Vec<&Claim> = used.iter().filter_map(|(_, claim)| *claim).filter(|claim| is_for_one_node(claim)).collect();
    let Some(claim) = single.iter().find(|claim| is_local(claim)).or_else(|| single.first()) else {
        let unknown = used.iter().find(|(_, claim)| claim.is_none());
        return unknown
            .map(|(claim, _)| {
                format!(
                    "If the volume of PVC {claim} can be mounted on one node or by one pod only, the old pod keeps it from the new one during a rolling update: {zero}; or let {owner} use strategy Recreate."
                )
            })
            .into_iter()
            .collect();
    };
    vec![if is_local(claim) {
        format!(
            "The kubelet leaves a local volume as it is while another pod has it mounted (event AlreadyMountedVolume), as the old pod has during a rolling update: {zero}; or let {owner} use strategy Recreate."
        )
    } else {
        format!(
            "PVC {} can be mounted on one node only: if the new pod waits for the volume of the old one, {zero}; or let {owner} use strategy Recreate.",
            claim.name
        )
    }]
}

/// A driver may leave an fsGroup to nobody: by its default policy, `ReadWriteOnceWithFSType`, a claim that many nodes may
/// write gets none (`supportsFSGroup` of `pkg/volume/csi/csi_mounter.go`).
pub(super) fn driver_caveat(claim: &Claim) -> Option<String> {
    let driver = claim.source.strip_prefix("csi (")?.strip_suffix(')')?;
    let shared = !claim.access_modes.is_empty() && !is_for_one_node(claim);
    shared.then(|| {
        format!(
            "PVC {} has access mode {}: the kubelet applies an fsGroup to it only if its driver wants that, `kubectl get csidriver {driver} -o jsonpath='{{.spec.fsGroupPolicy}}'` must say File. If it does not, give its directory to the group on the file server.",
            claim.name,
            claim.access_modes.join(", ")
        )
    })
}

/// What a namespace's Pod Security level has against a capability (Pod Security Standards, "Capabilities": baseline allows
/// these, restricted `NET_BIND_SERVICE` alone, and no root).
pub(super) fn capability_caveat(names: &[&str]) -> Option<String> {
    const BASELINE: [&str; 13] = [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ];
    let name = names.iter().find(|name| !BASELINE.contains(name))?;
    Some(format!(
        "A namespace with Pod Security level baseline or restricted (label pod-security.kubernetes.io/enforce) refuses pods with {name}."
    ))
}

/// The pod has volumes in which an fsGroup changes every file.
pub(super) fn has_claims(pod: &Pod) -> bool {
    pod.volumes.iter().any(|volume| matches!(volume.source, VolumeSource::Claim { .. } | VolumeSource::Csi { .. }))
}

fn is_for_one_node(claim: &Claim) -> bool {
    claim.access_modes.iter().any(|mode| mode.starts_with("ReadWriteOnce"))
}

/// The kubelet's own plugin for local volumes (`pkg/volume/local/local.go` gives the owner only at the first mount).
pub(super) fn is_local(claim: &Claim) -> bool {
    claim.source == "local"
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
