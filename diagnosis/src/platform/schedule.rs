//! `Unschedulable`: a pod without a node.
//!
//! The scheduler's condition `PodScheduled` says why (reason `Unschedulable`, message in `schedule_message`). A pod with scheduling gates is
//! not looked at by it: nothing is wrong, it waits for whoever set the gate. A pod of which no scheduler says anything has the name of
//! one that does not run. While an autoscaler makes a node, the pod is late and no more.

use super::{
    Explanation, PodFinding, Scene,
    build::{Build, found, moment},
    scene::last,
    schedule_message::{Hindrance, Reason, Unfit, parse},
};
use crate::{
    catalogue::{Layer, unschedulable},
    pod::{Claim, Pod, PodEvent},
    verdict::{Confidence, EvidenceKind, Severity, SubjectKind},
    words,
};
use std::time::Duration;

/// Volumes may be provisioned and other pods may end.
const PATIENCE: Duration = Duration::from_secs(3);
/// A claim that is just being provisioned.
const PROVISIONING: Duration = Duration::from_secs(30);
/// No scheduler takes so long to say anything.
const UNSEEN: Duration = Duration::from_secs(30);
/// For how long an autoscaler's announcement excuses a pod.
const SCALING: Duration = Duration::from_mins(15);
const AGAIN: Duration = Duration::from_secs(30);
const SHOWN: usize = 5;

/// Adds what is known about scheduling.
pub(super) fn explain(scene: &Scene<'_>, explanation: &mut Explanation) {
    let pod = scene.pod;
    // Every pod begins as Pending; one of which no phase is known has not been heard of from the API server.
    if pod.status.phase != "Pending" || !pod.scheduling_gates.is_empty() {
        return;
    }
    let condition = pod.condition("PodScheduled").filter(|condition| condition.status == "False" && !condition.message.is_empty());
    let Some(condition) = condition else {
        if explanation.is_due(scene.age(pod.created), UNSEEN) {
            explanation.findings.push(unseen(scene));
        }
        return;
    };
    if !explanation.is_due(scene.age(pod.created), PATIENCE) {
        return;
    }
    explanation.needs_events = true;
    explanation.look_in(AGAIN);
    let unfit = parse(&condition.message);
    let concerns_claims = unfit.reasons.iter().any(|reason| reason.hindrance == Hindrance::Claims);
    if concerns_claims {
        explanation.needs_claims = pod.claim_names().map(str::to_owned).collect();
    }
    if concerns_claims && is_provisioning(scene) && !explanation.is_due(scene.age(pod.created), PROVISIONING) {
        return;
    }
    let since = if condition.since == 0 { pod.created } else { condition.since };
    let build = say(scene, &unfit, &condition.message);
    let scaling = scaling(scene);
    let build = match scaling {
        Some(event) => build
            .because(format!("an autoscaler is at it: {}", event.message))
            .fix("Wait for the new node; nothing is to be done unless it does not come.")
            .severity(Severity::Slowing),
        None => build.because_if(refused_scaling(scene)),
    };
    let fact = format!("PodScheduled is False, {}: {}", condition.reason, condition.message);
    explanation.findings.push(build.event_if(scaling).status(since, &fact).since(since).now(scene));
}

/// It is pending, and what is needed to fulfil it is there.
fn is_provisioning(scene: &Scene<'_>) -> bool {
    scene.pod.claim_names().all(|name| {
        scene
            .claims
            .iter()
            .find(|claim| claim.name == name)
            .is_none_or(|claim| claim.exists && claim.phase != "Lost" && !lacks_class(claim))
    })
}

const fn lacks_class(claim: &Claim) -> bool {
    !claim.storage_class.is_empty() && !claim.class_exists
}

fn scaling<'a>(scene: &Scene<'a>) -> Option<&'a PodEvent> {
    let event = scene.last_with(&["TriggeredScaleUp", "Nominated"])?;
    let refused = scene.last_with(&["NotTriggerScaleUp"]).map_or(0, last);
    (scene.age(last(event)) < SCALING && last(event) >= refused).then_some(event)
}

fn refused_scaling(scene: &Scene<'_>) -> Option<String> {
    let event = scene.last_with(&["NotTriggerScaleUp"])?;
    Some(format!("the autoscaler makes no node for it: {}", super::message::quote(&event.message, 300)))
}

fn unseen(scene: &Scene<'_>) -> PodFinding {
    let pod = scene.pod;
    let (name, is_default) = match pod.scheduler.as_str() {
        "" | "default-scheduler" => ("default-scheduler", true),
        other => (other, false),
    };
    let summary = format!("no scheduler has looked at the pod: {name} does not run, or does not get to it");
    let build = found(unschedulable::SCHEDULER, (SubjectKind::Pod, &pod.name), summary)
        .because(format!("it was created {} and has no condition PodScheduled", moment(pod.created)))
        .sure(Confidence::Likely);
    let build = if is_default {
        build.fix("See whether kube-scheduler runs (`kubectl -n kube-system get pods`, or the control plane's provider), and its log.")
    } else {
        build
            .because(format!("its schedulerName is {name}"))
            .fix(format!("Install scheduler {name}, or take schedulerName out of the manifest: the default scheduler then places it."))
            .change(pod, serde_json::json!({ "schedulerName": "default-scheduler" }))
    };
    build.since(pod.created).now(scene)
}

fn say(scene: &Scene<'_>, unfit: &Unfit<'_>, message: &str) -> Build {
    let pod = scene.pod;
    let Some(first) = unfit.reasons.first() else { return unknown(pod, message) };
    let summary = match unfit.reasons.as_slice() {
        [one] if one.nodes == 0 => format!("no node takes the pod: {}", in_words(one)),
        reasons => {
            let parts = reasons.iter().map(|reason| in_words(reason)).collect::<Vec<_>>();
            format!("none of {} takes the pod: {}", words::plural(u64::from(unfit.nodes), "node"), words::list(parts, SHOWN))
        }
    };
    let build = found(layer_of(first.hindrance), (SubjectKind::Pod, &pod.name), summary);
    let mut seen = Vec::new();
    let mut build = build.fix(remedy(scene, first));
    for reason in &unfit.reasons {
        if !seen.contains(&reason.hindrance) {
            seen.push(reason.hindrance);
            build = details(build, scene, reason.hindrance);
        }
    }
    build
}

fn unknown(pod: &Pod, message: &str) -> Build {
    let no_nodes = message.contains("no nodes available") || message.starts_with("0/0 nodes");
    let (layer, summary, remedy) = if no_nodes {
        (
            unschedulable::NO_NODES,
            "the cluster has no node that a pod could run on".to_owned(),
            "Add a node, or see why none has registered: `kubectl get nodes`.",
        )
    } else {
        let said = format!("the scheduler cannot place the pod: {}", super::message::core(message));
        (unschedulable::OTHER_PREDICATE, said, "See what the scheduler says; its log has more.")
    };
    found(layer, (SubjectKind::Pod, &pod.name), summary).fix(remedy).sure(if no_nodes { Confidence::Certain } else { Confidence::Likely })
}

const fn layer_of(hindrance: Hindrance) -> Layer {
    match hindrance {
        Hindrance::Resources => unschedulable::RESOURCES,
        Hindrance::Claims => unschedulable::CLAIMS,
        Hindrance::Selection => unschedulable::NODE_SELECTION,
        Hindrance::HostPorts => unschedulable::HOST_PORTS,
        Hindrance::Spreading => unschedulable::SPREADING,
        Hindrance::Cordoned => unschedulable::CORDONED,
        Hindrance::Taints => unschedulable::TAINTS,
        Hindrance::Other => unschedulable::OTHER_PREDICATE,
    }
}

/// `4 have not enough memory`.
fn in_words(reason: &Reason<'_>) -> String {
    let Reason { nodes, hindrance, text } = reason;
    if *nodes == 0 {
        return (*text).to_owned();
    }
    let (has, does) = if *nodes == 1 { ("has", "does") } else { ("have", "do") };
    match hindrance {
        Hindrance::Resources if text.starts_with("Too many pods") => format!("{nodes} {has} as many pods as allowed"),
        Hindrance::Resources => format!("{nodes} {has} not enough {}", text.trim_start_matches("Insufficient ")),
        Hindrance::Taints => match super::message::between(text, "{", "}") {
            Some(taint) => format!("{nodes} {has} the taint {}, which the pod does not tolerate", taint.trim().trim_end_matches(':')),
            None => format!("{nodes} {has} taints that the pod does not tolerate"),
        },
        Hindrance::Selection if text.contains("node name") => {
            format!("{nodes} {} not the one that it names", if *nodes == 1 { "is" } else { "are" })
        }
        Hindrance::Selection => format!("{nodes} {does} not match its nodeSelector or node affinity"),
        Hindrance::HostPorts => format!("{nodes} {has} its hostPort in use"),
        Hindrance::Cordoned => format!("{nodes} {} cordoned or not ready", if *nodes == 1 { "is" } else { "are" }),
        Hindrance::Spreading | Hindrance::Claims | Hindrance::Other => format!("{nodes}: {}", text.trim_start_matches("node(s) ")),
    }
}

fn details(build: Build, scene: &Scene<'_>, hindrance: Hindrance) -> Build {
    let pod = scene.pod;
    match hindrance {
        Hindrance::Resources => {
            match requests(pod) {
                asked if asked.is_empty() => build.because("what counts is what the pod requests, not what its nodes use"),
                asked => build
                    .because(format!("the pod requests {asked}; what counts is what is requested on a node, not what is used"))
                    .fact(EvidenceKind::Spec, pod.created, format!("resources.requests: {asked}")),
            }
        }
        Hindrance::Selection if !pod.node_selector.is_empty() => {
            let labels = words::list(pod.node_selector.iter().map(|(key, value)| format!("{key}={value}")), SHOWN);
            build.because(format!("its nodeSelector asks for {labels}")).fact(
                EvidenceKind::Spec,
                pod.created,
                format!("nodeSelector: {labels}"),
            )
        }
        Hindrance::Claims => pod.claim_names().filter_map(|name| claim_trouble(scene, name)).fold(build, Build::because),
        Hindrance::Selection | Hindrance::HostPorts | Hindrance::Spreading | Hindrance::Cordoned | Hindrance::Taints | Hindrance::Other => {
            build
        }
    }
}

/// `container app: cpu 2, memory 64Gi`, for the containers that request something.
fn requests(pod: &Pod) -> String {
    let of =
        |requests: &[(String, String)]| requests.iter().map(|(name, quantity)| format!("{name} {quantity}")).collect::<Vec<_>>().join(", ");
    let asking = pod.containers.iter().filter(|container| !container.requests.is_empty());
    words::list(asking.map(|container| format!("{} in container {}", of(&container.requests), container.name)), SHOWN)
}

/// What is wrong with a claim, as far as it was asked about.
fn claim_trouble(scene: &Scene<'_>, name: &str) -> Option<String> {
    let claim = scene.claims.iter().find(|claim| claim.name == name)?;
    let class = &claim.storage_class;
    if !claim.exists {
        return Some(format!("PVC {name} does not exist"));
    }
    if lacks_class(claim) {
        return Some(format!("PVC {name} asks for StorageClass {class}, which does not exist"));
    }
    match claim.phase.as_str() {
        "Lost" => Some(format!("PVC {name} has lost its PersistentVolume {}", claim.volume)),
        "Pending" if class.is_empty() => {
            Some(format!("PVC {name} is Pending and names no StorageClass: only a PersistentVolume made by hand can fulfil it"))
        }
        "Pending" if claim.binding_mode == "WaitForFirstConsumer" => {
            Some(format!("PVC {name} is Pending until a node is chosen (WaitForFirstConsumer), as it should"))
        }
        "Pending" => Some(format!("PVC {name} is Pending: StorageClass {class} has not made a volume for it")),
        "Bound" => Some(format!(
            "PVC {name} is bound to PersistentVolume {}{}",
            claim.volume,
            if claim.source.is_empty() { String::new() } else { format!(" ({})", claim.source) }
        )),
        _ => None,
    }
}

fn remedy(scene: &Scene<'_>, reason: &Reason<'_>) -> String {
    let pod = scene.pod;
    match reason.hindrance {
        Hindrance::Resources if reason.text.starts_with("Too many pods") => "Add a node, or raise the kubelet's maxPods.".to_owned(),
        Hindrance::Resources => "Request less (resources.requests), end pods that are not needed, or add a node that is large enough.".to_owned(),
        Hindrance::Taints => "Let the pod tolerate the taint (tolerations) if it belongs there, or add nodes without it. Taints node.kubernetes.io/… say what is wrong with the node itself.".to_owned(),
        Hindrance::Cordoned => "If the node's maintenance is over: `kubectl uncordon NODE`.".to_owned(),
        Hindrance::Selection => "Correct nodeSelector or affinity, or give a node the labels: `kubectl get nodes --show-labels`.".to_owned(),
        Hindrance::HostPorts => "Do without hostPort (a Service does), or run at most one such pod on a node.".to_owned(),
        Hindrance::Spreading => "Run fewer replicas than there are nodes or zones, add one, or make the rule a preference (preferredDuringScheduling…, whenUnsatisfiable: ScheduleAnyway).".to_owned(),
        Hindrance::Claims => claim_remedy(scene, reason.text),
        Hindrance::Other => format!("See what keeps the node: {}. `kubectl -n {} describe pod {}` has the whole sentence.", reason.text, pod.namespace, pod.name),
    }
}

fn claim_remedy(scene: &Scene<'_>, text: &str) -> String {
    let claims = || scene.pod.claim_names().filter_map(|name| scene.claims.iter().find(|claim| claim.name == name));
    if let Some(claim) = claims().find(|claim| !claim.exists) {
        return format!("Create PersistentVolumeClaim {} in namespace {}, or correct claimName.", claim.name, scene.pod.namespace);
    }
    if let Some(claim) = claims().find(|claim| lacks_class(claim)) {
        return format!(
            "Create StorageClass {}, or make claim {} anew with one that exists (`kubectl get storageclass`): the class of a claim cannot be changed.",
            claim.storage_class, claim.name
        );
    }
    if let Some(claim) = claims().find(|claim| claim.phase == "Lost") {
        return format!("Restore the PersistentVolume, or delete claim {} and make it anew; its data are in the lost volume.", claim.name);
    }
    match text {
        text if text.contains("not found") => "Create the claim that is named, or correct claimName.".to_owned(),
        text if text.contains("unbound") => {
            "See why the claim is not bound: `kubectl describe pvc`. Its provisioner may not run, or no PersistentVolume fits its size, class and access mode.".to_owned()
        }
        text if text.contains("zone") || text.contains("affinity") => {
            "The volume lies in one zone or on one node, and the pod cannot run there: make room there, or take a StorageClass with volumeBindingMode WaitForFirstConsumer for new claims.".to_owned()
        }
        text if text.contains("max volume count") => "The nodes have as many volumes as they can attach: add a node, or use fewer volumes.".to_owned(),
        _ => "Look at the pod's claims: `kubectl describe pvc`.".to_owned(),
    }
}
