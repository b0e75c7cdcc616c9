//! Verdicts from the API server's explanation: their times are that server's.

use super::{OwnerState, PodFinding};
use crate::{
    pod::Pod,
    units::{BootNanos, CgroupId, ClockAnchor},
    verdict::{Completeness, Evidence, Verdict, Workload},
};

/// What is said to belong to no cgroup: a verdict on a pod as a whole.
pub const NO_CGROUP: CgroupId = CgroupId(0);

/// A verdict on a pod, from what the API server says of it.
pub fn of_pod(pod: &Pod, found: &PodFinding, clock: ClockAnchor) -> Verdict {
    let PodFinding { finding, container, confidence, since, last, count } = found;
    let container = container.as_deref().and_then(|name| pod.container(name));
    let moment = |at: u64| if at == 0 { BootNanos(0) } else { clock.boot_nanos(at) };
    let workload = Workload {
        namespace: pod.namespace.clone(),
        pod: pod.name.clone(),
        pod_uid: pod.uid.clone(),
        container: container.map(|container| container.name.clone()).unwrap_or_default(),
        kind: container.map(|container| container.kind),
        image: container.map(|container| container.image.clone()).unwrap_or_default(),
        owner: pod.owner.clone(),
        restarts: container.and_then(|container| pod.status_of(&container.name)).map_or(0, |status| status.restarts),
        ..Workload::default()
    };
    Verdict {
        id: finding.id_in_pod(&pod.uid, &workload.container),
        cause: finding.cause(),
        layer: finding.layer_text(),
        severity: finding.severity,
        confidence: *confidence,
        completeness: Completeness::default(),
        subject: finding.subject.clone(),
        workload,
        cgroup: NO_CGROUP,
        summary: finding.summary.clone(),
        explanation: finding.explanation.clone(),
        remedy: finding.remedy.clone(),
        evidence: finding.evidence.iter().map(|fact| Evidence { at: moment(fact.at.0), ..fact.clone() }).collect(),
        first_seen: moment(*since),
        last_seen: moment(*last),
        count: *count,
        resolved_at: None,
    }
    .escaped()
}

/// A verdict on an owner that has no pod, or too few.
pub fn of_owner(state: &OwnerState, found: &PodFinding, clock: ClockAnchor) -> Verdict {
    let nobody = Pod { namespace: state.namespace.clone(), uid: state.uid.clone(), owner: Some(state.owner.clone()), ..Pod::default() };
    let mut verdict = of_pod(&nobody, found, clock);
    verdict.workload.pod_uid.clear(); // the uid is the owner's
    verdict
}
