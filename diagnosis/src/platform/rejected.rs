//! `PodRejected`: a pod of phase Failed whose status has a reason of its own: the kubelet did not take it, or has ended it.
//!
//! Kubernetes 1.37: `pkg/kubelet/lifecycle` (predicates), `pkg/kubelet/sysctl`, `pkg/kubelet/cm/admission`, `pkg/kubelet/eviction`,
//! `pkg/kubelet/preemption`, `pkg/kubelet/nodeshutdown`. A pod that failed because its containers did has no reason there and is not meant.
//! Such a pod stays as it is. Its owner makes another one: whether that one fares better is what the severity tells.

use super::{
    Explanation, Scene,
    build::{Build, found},
    message::{between, quote, quoted, word},
};
use crate::{
    catalogue::{Layer, pod_rejected},
    manifest::patch,
    pod::Pod,
    verdict::{Confidence, Severity, SubjectKind},
    words,
};
use serde_json::json;

/// Adds why the pod was rejected.
pub(super) fn explain(scene: &Scene<'_>, explanation: &mut Explanation) {
    let status = &scene.pod.status;
    if status.reason.is_empty() {
        return;
    }
    let build = say(scene.pod, &status.reason, &status.message);
    let said = if status.message.is_empty() { None } else { Some(format!("the kubelet says: {}", quote(&status.message, 400))) };
    let event = scene.events.iter().rev().find(|event| event.is_warning && event.reason == status.reason);
    let fact = format!("phase Failed, {}: {}", status.reason, status.message);
    let since = status.started.filter(|since| *since > 0).unwrap_or(scene.pod.created);
    explanation.findings.push(build.because_if(said).event_if(event).status(since, &fact).then(scene.now));
}

fn start(pod: &Pod, layer: Layer, summary: String) -> Build {
    found(layer, (SubjectKind::Pod, &pod.name), summary)
}

fn say(pod: &Pod, reason: &str, message: &str) -> Build {
    let node = &pod.node;
    match reason {
        "SysctlForbidden" => sysctl(pod, message),
        "Evicted" => evicted(pod, message),
        "Preempting" | "Preempted" => replaced(pod, start(pod, pod_rejected::PREEMPTION, format!("node {node} ended the pod to make room for a critical one")))
            .fix("Nothing is wrong with the pod: add room, or give it a higher PriorityClass if it must not give way."),
        "Terminated" | "NodeShutdown" | "Shutdown" => replaced(pod, start(pod, pod_rejected::NODE_SHUTDOWN, format!("node {node} is, or was, shutting down")))
            .fix("Nothing is wrong with the pod; one without an owner must be made again when the node is back."),
        "NodeLost" => replaced(pod, start(pod, pod_rejected::NODE_SHUTDOWN, format!("node {node} no longer answers"))).fix("Look at the node."),
        "DeadlineExceeded" => start(pod, pod_rejected::DEADLINE, "the pod ran longer than its activeDeadlineSeconds, and was ended".to_owned())
            .fix("Give it more time (activeDeadlineSeconds), or see what took so long."),
        "AppArmor" => start(pod, pod_rejected::PROFILE, format!("node {node} cannot enforce the pod's AppArmor profile"))
            .fix("Load the profile on every node that may run the pod (`apparmor_parser`), use RuntimeDefault, or keep the pod on nodes that have AppArmor."),
        "NodeAffinity" | "NodeName" | "PodOSSelectorNodeLabelDoesNotMatch" | "PodOSNotSupported" => {
            replaced(pod, start(pod, pod_rejected::NODE_SELECTION, format!("node {node} does not match what the pod asks of a node")))
                .because("the node's labels have changed since the pod was bound to it, or it was bound by hand (nodeName)")
                .fix("Correct nodeSelector, affinity or nodeName, or give the node its labels back.")
        }
        "NodePorts" => start(pod, pod_rejected::HOST_PORTS, format!("a hostPort of the pod is in use on node {node}")).fix("Do without hostPort (a Service does), or run at most one such pod on a node."),
        "UnexpectedAdmissionError" | "TopologyAffinityError" | "SMTAlignmentError" | "ErrorReasonEmptyPodSharedPool" | "PodFeatureUnsupported"
        | "SupplementalGroupsPolicyNotSupported" | "PodLevelResourcesNotSupported" | "PodLevelResourcesNotAdmittedReason" => devices_or_features(pod, reason),
        "InitContainerRestartPolicyForbidden" => start(pod, pod_rejected::NODE_FEATURES, format!("node {node} knows no sidecars (init containers with restartPolicy: Always)"))
            .fix("Update the node to Kubernetes 1.29 or newer, or make the sidecar an ordinary container."),
        _ => match reason.strip_prefix("OutOf") {
            Some(resource) => out_of(pod, resource, message),
            None => start(pod, pod_rejected::REFUSED, format!("node {node} refused the pod: {reason}"))
                .sure(Confidence::Likely)
                .fix(format!("See what the kubelet says. `kubectl -n {} delete pod {}` makes its owner try again.", pod.namespace, pod.name)),
        },
    }
}

/// Its owner has made another one, which need not fare the same.
fn replaced(pod: &Pod, build: Build) -> Build {
    match &pod.owner {
        Some(owner) if !pod.is_mirror => {
            build.severity(Severity::Advisory).because(format!("{owner} makes another pod in its place; this one stays only as a record"))
        }
        _ => build.because("nobody makes it again"),
    }
}

fn sysctl(pod: &Pod, message: &str) -> Build {
    let name = quoted(message, "sysctl: ").or_else(|| quoted(message, "sysctl ")).unwrap_or("of its securityContext");
    let summary = format!("the kubelet of node {} allows no pod to set sysctl {name}", pod.node);
    let build = start(pod, pod_rejected::SYSCTL, summary);
    let build = if message.contains("host") && message.contains("enabled") {
        build.because("it belongs to a namespace that the pod shares with the node (hostNetwork, hostIPC, hostUsers)")
    } else {
        build.because("only safe sysctls are allowed by default; others need the kubelet's --allowed-unsafe-sysctls (allowedUnsafeSysctls)")
    };
    let build = build.fix(format!(
        "Take {name} out of securityContext.sysctls, or allow it in the configuration of the kubelets that may run the pod (and keep it there by a nodeSelector)."
    ));
    match pod.security.sysctls.as_slice() {
        // The list has no merge key, and its values are not known here: only a list of one can be replaced.
        [only] if only == name => build.change(pod, json!({ "securityContext": { "sysctls": [] } })),
        _ => build,
    }
}

fn out_of(pod: &Pod, resource: &str, message: &str) -> Build {
    let number = |name: &str| word(message, name).and_then(|text| text.parse::<u64>().ok());
    let summary = format!("node {} has not enough {resource} for the pod", pod.node);
    let build = start(pod, pod_rejected::NODE_RESOURCES, summary);
    // No scheduler chooses a node that is too small: this one was named, and will be for the next pod.
    let never_fits = number("requested: ").zip(number("capacity: ")).is_some_and(|(requested, capacity)| requested > capacity);
    let build = match (number("requested: "), number("used: "), number("capacity: ")) {
        (Some(requested), Some(used), Some(capacity)) => build.because(format!(
            "it requests {}, {} of {} are requested by others already",
            amount(resource, requested),
            amount(resource, used),
            amount(resource, capacity)
        )),
        _ => build,
    };
    let build = if never_fits {
        build.because("it was bound to this node by nodeName: no scheduler chooses a node that is too small")
    } else {
        replaced(
            pod,
            build.because("the kubelet counts again what the scheduler had counted, with static pods and pods of other schedulers"),
        )
    };
    build.fix("Request less, make room on the node, or leave the choice of the node to the scheduler (no nodeName).")
}

/// CPU is counted in thousandths, all else in units or bytes.
fn amount(resource: &str, value: u64) -> String {
    match resource {
        "cpu" => format!("{}.{:03} CPU", value / 1000, value % 1000),
        "memory" | "ephemeral-storage" => words::bytes(value),
        _ => value.to_string(),
    }
}

fn devices_or_features(pod: &Pod, reason: &str) -> Build {
    let node = &pod.node;
    match reason {
        "UnexpectedAdmissionError" => start(pod, pod_rejected::DEVICES, format!("node {node} cannot give the pod the devices that it asks for"))
            .fix(format!(
                "Look at the device plug-in's pod on the node; after a restart of kubelet or node its devices may not have been there yet. `kubectl -n {} delete pod {}` makes the owner try again.",
                pod.namespace, pod.name
            )),
        "TopologyAffinityError" | "SMTAlignmentError" | "ErrorReasonEmptyPodSharedPool" => {
            start(pod, pod_rejected::NODE_RESOURCES, format!("node {node} cannot give the pod its CPUs and devices as its policy demands"))
                .because("the kubelet's topology or CPU manager policy is strict (single-numa-node, restricted, full-pcpus-only)")
                .fix("Request whole cores and no more than one NUMA node has, or relax the kubelet's policy.")
        }
        _ => start(pod, pod_rejected::NODE_FEATURES, format!("node {node} lacks a feature that the pod asks for"))
            .fix("Use nodes whose kubelet and runtime have it, or do without it."),
    }
}

/// `pkg/kubelet/eviction/helpers.go`.
fn evicted(pod: &Pod, message: &str) -> Build {
    if let Some(volume) = quoted(message, "EmptyDir volume ") {
        return over_limit(pod, message, &format!("volume \"{volume}\" (emptyDir)")).change(
            pod,
            doubled_volume(pod, volume).unwrap_or_else(|| json!({ "volumes": [{ "name": volume, "emptyDir": { "sizeLimit": null } }] })),
        );
    }
    if let Some(container) = between(message, "Container ", " exceeded its local ephemeral storage limit") {
        let build = over_limit(pod, message, &format!("container {container}"));
        let spec = pod.container(container).and_then(|spec| Some((spec, spec.storage_limit?)));
        return match spec {
            Some((spec, limit)) => {
                let twice = super::ended::quantity(limit.saturating_mul(2));
                build.change(pod, patch::of_container(spec, json!({ "resources": { "limits": { "ephemeral-storage": twice } } })))
            }
            None => build,
        };
    }
    if message.contains("ephemeral local storage usage exceeds") {
        return over_limit(pod, message, "the pod's containers together");
    }
    let resource = between(message, "low on resource: ", ".").unwrap_or("a resource");
    let condition = between(message, "had condition: [", "]");
    let what = condition.map_or_else(
        || format!("node {} was low on {resource}", pod.node),
        |condition| format!("node {} had condition {condition}", pod.node),
    );
    let build = replaced(pod, start(pod, pod_rejected::NODE_PRESSURE, format!("{what}, and ended or refused the pod")));
    let larger = between(message, "Container ", ", has larger").map(|usage| format!("of this pod, container {usage}"));
    build.because_if(larger).fix(format!(
        "Request what the pod really needs of {}: pods that use more than they request are evicted first. Give the node more of it, or find the pod that takes it.",
        if resource == "a resource" { "the resource" } else { resource }
    ))
}

fn over_limit(pod: &Pod, message: &str, who: &str) -> Build {
    let limit = quoted(message, "limit ")
        .or_else(|| between(message, "limit of containers ", "."))
        .map(|limit| format!(" of {limit}"))
        .unwrap_or_default();
    start(pod, pod_rejected::STORAGE_LIMIT, format!("{who} wrote more than the storage limit{limit}, and the kubelet evicted the pod"))
        .because("the limit is checked every 10 seconds or so; writes do not fail at it, the pod is ended")
        .fix("Raise the limit, write less (logs, caches), or write to a volume that has no such limit. The next pod ends the same way otherwise.")
}

fn doubled_volume(pod: &Pod, name: &str) -> Option<serde_json::Value> {
    use crate::pod::VolumeSource;
    let volume = pod.volumes.iter().find(|volume| volume.name == name)?;
    let VolumeSource::EmptyDir { size_limit: Some(limit), .. } = volume.source else { return None };
    let twice = super::ended::quantity(limit.saturating_mul(2));
    Some(json!({ "volumes": [{ "name": name, "emptyDir": { "sizeLimit": twice } }] }))
}
