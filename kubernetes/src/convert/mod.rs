//! API objects to what the rules know: a pod, and the events about it. Pure, and strict about what is kept: no values of an
//! environment, no annotations, no managed fields.
//!
//! - [`pod`]: metadata and spec; `container`, `volume`, `security`, `probe`, `status` are its parts.
//! - `event`: events.
//! - `quantity`: numbers with a suffix.

mod container;
mod event;
mod meta;
mod probe;
pub(crate) mod quantity;
mod security;
mod status;
mod volume;

pub(crate) use event::event;
pub(crate) use meta::{controller, nanos, owner};
pub(crate) use volume::persistent as volume_source;

use k8s_openapi::api::core::v1 as api;
use unready_diagnosis::pod::{Pod, RestartPolicy};

/// Longest word that is kept of a command, an argument or an action, bytes.
const MAX_WORD: usize = 1024;
/// Longest message that is kept of a status, a condition or an event, bytes. The runtime's own messages are shorter.
const MAX_MESSAGE: usize = 2048;

/// A pod. Its owner is what the pod itself tells: [`crate::owner::Owners`] knows better.
pub(crate) fn pod(pod: &api::Pod) -> Pod {
    let metadata = &pod.metadata;
    let mirror = meta::mirror_hash(metadata);
    let api_uid = metadata.uid.clone().unwrap_or_default();
    let name = metadata.name.clone().unwrap_or_default();
    let spec = pod.spec.as_ref();
    let containers = spec.map(container::all).unwrap_or_default();
    let status = pod.status.as_ref().map(|status| status::status(status, &containers)).unwrap_or_default();
    Pod {
        uid: mirror.map_or_else(|| api_uid.clone(), str::to_owned),
        api_uid,
        namespace: metadata.namespace.clone().unwrap_or_default(),
        owner: owner(metadata),
        created: metadata.creation_timestamp.as_ref().map_or(0, |at| nanos(at.0)),
        deleted: metadata.deletion_timestamp.as_ref().map(|at| nanos(at.0)),
        is_mirror: mirror.is_some(),
        status,
        containers,
        volumes: spec.map(|spec| volume::all(spec, &name)).unwrap_or_default(),
        name,
        ..spec.map(of_spec).unwrap_or_default()
    }
}

/// What stands at the top of the spec.
fn of_spec(spec: &api::PodSpec) -> Pod {
    let gates = |gates: &Vec<api::PodReadinessGate>| gates.iter().map(|gate| gate.condition_type.clone()).collect();
    let scheduling = |gates: &Vec<api::PodSchedulingGate>| gates.iter().map(|gate| gate.name.clone()).collect();
    Pod {
        node: spec.node_name.clone().unwrap_or_default(),
        restart_policy: restart_policy(spec.restart_policy.as_deref()),
        host_users: spec.host_users,
        host_network: spec.host_network.unwrap_or_default(),
        runtime_class: spec.runtime_class_name.clone().unwrap_or_default(),
        service_account: spec.service_account_name.clone().unwrap_or_default(),
        // The API server's default.
        grace_seconds: spec.termination_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(30),
        scheduler: spec.scheduler_name.clone().unwrap_or_default(),
        security: spec.security_context.as_ref().map(security::of_pod).unwrap_or_default(),
        readiness_gates: spec.readiness_gates.as_ref().map(gates).unwrap_or_default(),
        scheduling_gates: spec.scheduling_gates.as_ref().map(scheduling).unwrap_or_default(),
        ..Pod::default()
    }
}

fn restart_policy(word: Option<&str>) -> RestartPolicy {
    match word {
        Some("OnFailure") => RestartPolicy::OnFailure,
        Some("Never") => RestartPolicy::Never,
        _ => RestartPolicy::Always,
    }
}

/// A text, cut where a character ends.
fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

fn message(text: Option<&String>) -> String {
    text.map(|text| cut(text, MAX_MESSAGE)).unwrap_or_default()
}

fn words(words: Option<&Vec<String>>) -> Vec<String> {
    words.into_iter().flatten().map(|word| cut(word, MAX_WORD)).collect()
}

#[cfg(test)]
mod tests;
