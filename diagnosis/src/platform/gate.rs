//! `ReadinessGate`: all containers are ready, the pod is not, because a condition that `spec.readinessGates` names is not True.
//!
//! Somebody outside must set it (KEP-580). Which controller that is, the condition's name tells for those that are well known.

use super::{
    Explanation, Scene,
    build::{found, moment},
};
use crate::{catalogue::readiness_gate, pod::Condition, verdict::SubjectKind};
use std::time::Duration;

/// Load balancers need some time to find a new pod healthy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prefixes of condition types, and who sets them (their own documentation).
const SETTERS: [(&str, &str, &str); 7] = [
    ("target-health.elbv2.k8s.aws/", "the AWS Load Balancer Controller", "when the target group finds the pod healthy"),
    ("target-health.alb.ingress.k8s.aws/", "the AWS ALB Ingress Controller", "when the target group finds the pod healthy"),
    ("cloud.google.com/load-balancer-neg-ready", "GKE's NEG controller", "when the load balancer finds the pod's endpoint healthy"),
    ("networking.gke.io/", "a controller of GKE", "when its part is done"),
    ("service.readiness.alibabacloud.com/", "Alibaba Cloud's cloud controller manager", "when the pod is behind the load balancer"),
    ("InPlaceUpdateReady", "OpenKruise's controller (kruise-controller-manager)", "when an update in place has ended"),
    ("KruisePodReady", "OpenKruise's controller (kruise-controller-manager)", "when nothing of its own keeps the pod back"),
];

/// Who would set a condition, and when.
pub(super) fn setter(gate: &str) -> Option<(&'static str, &'static str)> {
    SETTERS.iter().find(|(prefix, ..)| gate.starts_with(prefix)).map(|(_, who, when)| (*who, *when))
}

/// Gates that are not True.
pub(super) fn open<'a>(scene: &Scene<'a>) -> impl Iterator<Item = (&'a str, Option<&'a Condition>)> {
    let pod = scene.pod;
    let of = move |gate: &'a String| (gate.as_str(), pod.condition(gate));
    pod.readiness_gates.iter().map(of).filter(|(_, condition)| condition.is_none_or(|condition| condition.status != "True"))
}

/// Since when all containers are ready.
pub(super) fn containers_ready(scene: &Scene<'_>) -> Option<u64> {
    let ready = scene.pod.condition("ContainersReady").filter(|condition| condition.status == "True")?;
    Some(if ready.since == 0 { scene.taken_up() } else { ready.since })
}

/// Adds the gates that keep the pod back.
pub(super) fn explain(scene: &Scene<'_>, explanation: &mut Explanation) {
    let Some(since) = containers_ready(scene) else { return };
    if open(scene).next().is_none() || !explanation.is_due(scene.age(since), PATIENCE) {
        return;
    }
    for (gate, condition) in open(scene) {
        let (layer, is) = match condition {
            None => (readiness_gate::GATE_ABSENT, "nobody has set it".to_owned()),
            Some(condition) if condition.reason.is_empty() => (readiness_gate::GATE_FALSE, format!("it is {}", condition.status)),
            Some(condition) => (readiness_gate::GATE_FALSE, format!("it is {} ({})", condition.status, condition.reason)),
        };
        let summary =
            format!("all containers are ready since {}, and the pod is not: readiness gate {gate} keeps it back, {is}", moment(since));
        let build = found(layer, (SubjectKind::Condition, gate), summary);
        let build =
            build.because_if(condition.filter(|condition| !condition.message.is_empty()).map(|condition| condition.message.clone()));
        let build = match setter(gate) {
            Some((who, when)) => build.because(format!("{who} sets it {when}")).fix(remedy(who, condition.is_some())),
            None => build.because("no controller is known here for a condition of this name").fix(format!(
                "Find out who is to set {gate}, and see whether that runs and knows of this pod; if nobody is, take it out of readinessGates."
            )),
        };
        let fact =
            condition.map_or_else(|| format!("the pod has no condition {gate}"), |condition| format!("{gate} is {}", condition.status));
        explanation.findings.push(build.status(since, &fact).now(scene));
    }
}

fn remedy(who: &str, is_set: bool) -> String {
    if is_set {
        format!("See what {who} waits for: its log, and the health check of the load balancer (port, path, firewall).")
    } else {
        format!("See whether {who} runs and knows of this pod: its log; the Ingress, Service or TargetGroupBinding must select the pod.")
    }
}
