//! Metadata: times, mirror pods, and who controls an object.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
    jiff::Timestamp,
};
use unready_diagnosis::pod::Owner;

/// On the mirror of a static pod: the hash of its manifest, after which the kubelet names the pod's cgroup
/// (`ConfigMirrorAnnotationKey` of `pkg/kubelet/types`).
const MIRROR: &str = "kubernetes.io/config.mirror";
/// The same hash, under its other name.
const HASH: &str = "kubernetes.io/config.hash";
/// What a Deployment's controller appends to the names of its `ReplicaSets`, and puts on their pods.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// Nanoseconds since 1970; 0 for what was before.
pub(crate) fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

/// The hash by which a mirror pod's cgroup is known; `None`: it mirrors nothing.
pub(super) fn mirror_hash(metadata: &ObjectMeta) -> Option<&str> {
    let annotations = metadata.annotations.as_ref()?;
    let mirror = annotations.get(MIRROR)?;
    Some(annotations.get(HASH).unwrap_or(mirror))
}

/// The reference to the controller.
pub(crate) fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|reference| reference.controller == Some(true))
}

/// The owner as far as the object itself tells: its controller, or the Deployment that the template's hash betrays.
pub(crate) fn owner(metadata: &ObjectMeta) -> Option<Owner> {
    let controller = controller(metadata)?;
    Some(by_template_hash(metadata, controller).unwrap_or_else(|| by_name(controller)))
}

/// The controller itself.
fn by_name(controller: &OwnerReference) -> Owner {
    Owner {
        api_version: controller.api_version.clone(),
        kind: controller.kind.clone(),
        name: controller.name.clone(),
        strategy: String::new(),
    }
}

/// A `ReplicaSet` that a Deployment made is named after it and the template's hash.
fn by_template_hash(metadata: &ObjectMeta, controller: &OwnerReference) -> Option<Owner> {
    let hash = metadata.labels.as_ref()?.get(TEMPLATE_HASH)?;
    let name = controller.name.strip_suffix(hash.as_str())?.strip_suffix('-')?;
    (controller.kind == "ReplicaSet" && !name.is_empty()).then(|| Owner {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: name.to_owned(),
        strategy: String::new(),
    })
}
