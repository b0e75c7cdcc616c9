//! `SandboxSetup`: the pod's sandbox, its network namespace or its cgroup cannot be made.
//!
//! The kubelet retries for ever and says so in events only: `FailedCreatePodSandBox` (Kubernetes 1.37 `pkg/kubelet/kuberuntime`),
//! `NetworkNotReady` (`pkg/kubelet/kubelet.go`), `FailedCreatePodContainer` (the pod's cgroup), `FailedPrepareDynamicResources`. The layer is
//! read from the runtime's message (containerd 2.4 `internal/cri/server/sandbox_run.go`) and the CNI plug-in's.

use super::{
    Explanation, Scene,
    build::{Build, found},
    message::{core, has_any, quoted},
    scene::last,
};
use crate::{
    catalogue::sandbox_setup,
    verdict::{Confidence, Severity, SubjectKind},
};
use std::time::Duration;

const REASONS: [&str; 5] =
    ["FailedCreatePodSandBox", "NetworkNotReady", "FailedCreatePodContainer", "FailedPrepareDynamicResources", "FailedPodSandBoxStatus"];
const VOLUMES: [&str; 3] = ["FailedMount", "FailedAttachVolume", "VolumePermissionChangeInProgress"];
/// A sandbox that fails once while a node comes up is no news.
const PATIENCE: Duration = Duration::from_secs(5);
/// Without any event, so long is strange.
const SILENCE: Duration = Duration::from_secs(150);

/// Adds what is known about the sandbox.
pub(super) fn explain(scene: &Scene<'_>, explanation: &mut Explanation) {
    if !scene.is_preparing() || !explanation.is_due(scene.age(scene.taken_up()), PATIENCE) {
        return;
    }
    explanation.needs_events = true;
    match scene.last_with(&REASONS).filter(|event| !scene.went_on_after(last(event))) {
        Some(event) => {
            let build = say(scene, event.reason.as_str(), &event.message);
            explanation.findings.push(build.because(format!("the event says: {}", core(&event.message))).event(event).now(scene));
        }
        None => silent(scene, explanation),
    }
}

fn say(scene: &Scene<'_>, reason: &str, message: &str) -> Build {
    let lower = message.to_lowercase();
    let node = &scene.pod.node;
    let start = |layer, summary: String| found(layer, (SubjectKind::Pod, &scene.pod.name), summary);
    match reason {
        "FailedPrepareDynamicResources" => start(sandbox_setup::DEVICES, format!("the devices that the pod claims cannot be prepared on node {node}"))
            .fix("Look at the pod's ResourceClaims, and at the log of the DRA driver's pod on this node."),
        "FailedCreatePodContainer" => start(sandbox_setup::CGROUP, format!("node {node} cannot make the pod's cgroup"))
            .fix("Look at the kubelet's log; the cgroup driver of kubelet and runtime must be the same, and the node's limit of cgroups or pids not be reached."),
        _ if has_any(&lower, &["no ip addresses available", "failed to allocate for range", "ip address pool", "failed to assign an ip", "insufficient ip"]) => {
            start(sandbox_setup::ADDRESSES, format!("node {node} has no address left for the pod"))
                .fix("Give the node's pods more addresses (a larger pod CIDR or subnet), or run fewer pods on it. Addresses of pods that are long gone point to a leak of the CNI plug-in.")
        }
        "NetworkNotReady" => no_network(scene),
        _ if has_any(&lower, &["cni config uninitialized", "cni plugin not initialized", "cni config not initialized", "no networks found in"]) => no_network(scene),
        _ if has_any(&lower, &["no runtime for", "runtimeclass", "runtime handler"]) => runtime_class(scene, message),
        _ if has_any(&lower, &["sandbox image", "pause"]) && has_any(&lower, &["pull", "failed to get"]) => {
            start(sandbox_setup::SANDBOX_IMAGE, format!("node {node} cannot get the image of the pod's sandbox (pause)"))
                .fix("Make that image available to the node: a registry that it reaches, or `ctr -n k8s.io images import`. The runtime's configuration names it.")
        }
        _ if lower.contains("/proc/sys/") || lower.contains("sysctl") => {
            start(sandbox_setup::SYSCTL, "a sysctl of the pod's securityContext cannot be set".to_owned())
                .fix("Take it out of securityContext.sysctls, or use one that this kernel has in the pod's namespaces.")
        }
        _ if has_any(&lower, &["user namespace", "hostusers", "idmap"]) => {
            start(sandbox_setup::USER_NAMESPACE, format!("node {node} cannot give the pod a user namespace (hostUsers: false)"))
                .fix("Use nodes whose kernel (6.3), runtime (containerd 2.0, CRI-O 1.25) and file systems support it, or leave hostUsers away.")
        }
        _ if has_any(&lower, &["failed to setup network", "failed to set up pod", "plugin type=", "cni", "network for"]) => plugin(scene, message),
        _ => start(sandbox_setup::SANDBOX, format!("node {node} cannot make the pod's sandbox"))
            .sure(Confidence::Likely)
            .fix("The logs of the runtime and of the kubelet on this node have more. Nothing in the pod's manifest is known to be at fault."),
    }
}

fn no_network(scene: &Scene<'_>) -> Build {
    let summary = format!("node {} has no pod network: its CNI plug-in is not there or not ready", scene.pod.node);
    found(sandbox_setup::NO_NETWORK, (SubjectKind::Pod, &scene.pod.name), summary).fix(format!(
        "Look at the network plug-in's pod on node {} (a DaemonSet, often in kube-system); it must put its configuration into /etc/cni/net.d.",
        scene.pod.node
    ))
}

fn plugin(scene: &Scene<'_>, message: &str) -> Build {
    let name = quoted(message, "plugin type=");
    let summary = match name {
        Some(name) => format!("the CNI plug-in {name} on node {} cannot connect the pod to the network", scene.pod.node),
        None => format!("node {} cannot connect the pod to the network", scene.pod.node),
    };
    let build = found(sandbox_setup::NETWORK_PLUGIN, (SubjectKind::Pod, &scene.pod.name), summary);
    if message.contains("no such file or directory") || message.contains("failed to find plugin") {
        return build.fix("The plug-in or a file of it is missing on the node (/opt/cni/bin, /etc/cni/net.d, /run): its DaemonSet puts it there; see whether that runs.");
    }
    build.fix("Look at the log of the network plug-in's pod on this node. The kubelet tries again by itself.")
}

fn runtime_class(scene: &Scene<'_>, message: &str) -> Build {
    let named = quoted(message, "no runtime for ")
        .or_else(|| quoted(message, "runtimeclass.node.k8s.io "))
        .or_else(|| quoted(message, "RuntimeClass "));
    let what = named.map(|name| format!(" {name}")).unwrap_or_default();
    let summary = format!("the pod's RuntimeClass asks for a runtime{what} that node {} does not have", scene.pod.node);
    found(sandbox_setup::RUNTIME_CLASS, (SubjectKind::Pod, &scene.pod.name), summary)
        .fix("Configure that handler in the node's runtime, keep the pod on nodes that have it (the RuntimeClass's scheduling.nodeSelector), or correct runtimeClassName.")
}

/// Nothing was said for long, and the sandbox is known to be missing.
fn silent(scene: &Scene<'_>, explanation: &mut Explanation) {
    let Some(condition) = scene.pod.condition("PodReadyToStartContainers").filter(|condition| condition.status == "False") else { return };
    let asked = !scene.events.is_empty() && scene.last_with(&VOLUMES).is_none();
    let since = if condition.since == 0 { scene.taken_up() } else { condition.since };
    if !explanation.is_due(scene.age(since), SILENCE) || !asked || !explanation.findings.is_empty() {
        return;
    }
    let summary = format!("node {} has not made the pod's sandbox, and says nothing about it", scene.pod.node);
    let build = found(sandbox_setup::SANDBOX, (SubjectKind::Pod, &scene.pod.name), summary)
        .fix("Look at the logs of kubelet and runtime on this node: they may be overloaded, hang in a volume, or not run.")
        .severity(Severity::Slowing)
        .sure(Confidence::Possible);
    explanation.findings.push(build.status(since, "PodReadyToStartContainers is False").now(scene));
}
