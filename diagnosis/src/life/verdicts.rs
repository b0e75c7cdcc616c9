//! From a finding to a verdict: identity, times, evidence, and how sure one may be.

use super::{container::Container, pods::NO_CGROUP};
use crate::{
    case::finding::Finding,
    judge::{questions::SuspectId, weigh},
    platform::{OwnerState, PodFinding},
    pod::Pod,
    story::failure::Failure,
    units::{BootNanos, ClockAnchor},
    verdict::{Completeness, Confidence, Evidence, EvidenceKind, Verdict, Workload},
    words,
};

/// Other failures that are shown beside the one that is blamed.
const ALSO_SHOWN: usize = 3;

/// How sure one may be.
pub(crate) const fn confidence(score: i32, proved: bool, rival: bool) -> Confidence {
    if proved && score >= weigh::CERTAIN && !rival {
        Confidence::Certain
    } else if score >= weigh::LIKELY {
        Confidence::Likely
    } else {
        Confidence::Possible
    }
}

/// Whether what was not seen could change the word: lost events could, and any call to a kernel of its own. A failing call
/// that was seen, and whose condition was checked again, stands beside others that may have been made unseen; that an end has
/// no reason but itself does not.
fn may_be_another(completeness: Completeness, suspect: SuspectId) -> bool {
    completeness.lost > 0
        || completeness.blind.own_kernel
        || (suspect == SuspectId::Exit && (completeness.suppressed > 0 || !completeness.blind.is_empty()))
}

/// Puts a verdict together. What was not seen makes a certain one likely (design §1).
pub(crate) fn make(container: &Container, suspect: SuspectId, finding: &Finding, confidence: Confidence) -> Verdict {
    let mut completeness = container.completeness;
    completeness.unanswered =
        container.asked.unanswered(suspect).saturating_add(container.asked.refused).saturating_add(podless(container));
    let confidence = if may_be_another(completeness, suspect) { confidence.min(Confidence::Likely) } else { confidence };
    let (first_seen, last_seen, count) = span(container, suspect);
    Verdict {
        id: id(container, finding),
        cause: finding.cause(),
        layer: finding.layer_text(),
        severity: finding.severity,
        confidence,
        completeness,
        subject: finding.subject.clone(),
        workload: container.workload.clone(),
        cgroup: container.id,
        summary: finding.summary.clone(),
        explanation: finding.explanation.clone(),
        remedy: finding.remedy.clone(),
        evidence: evidence(container, suspect, finding),
        first_seen,
        last_seen,
        count,
        resolved_at: None,
    }
    .escaped()
}

fn span(container: &Container, suspect: SuspectId) -> (BootNanos, BootNanos, u64) {
    let end = container.end.map_or(container.created, |(at, _)| at);
    match suspect {
        SuspectId::Call(index) => {
            container.failures.get(index).map_or((end, end, 1), |failure| (failure.first, failure.last, failure.count))
        }
        SuspectId::OutOfMemory => container.victim.map_or((end, end, 1), |(at, _)| (at, at, 1)),
        SuspectId::NeverStarted | SuspectId::Exit => (end, end, 1),
    }
}

/// The blamed call, what the rule found, how the process ended, and what else failed.
fn evidence(container: &Container, suspect: SuspectId, finding: &Finding) -> Vec<Evidence> {
    let blamed = match suspect {
        SuspectId::Call(index) => container.failures.get(index),
        SuspectId::OutOfMemory | SuspectId::NeverStarted | SuspectId::Exit => None,
    };
    let mut all: Vec<Evidence> = blamed.iter().map(|failure| call_evidence(failure)).collect();
    all.extend(finding.evidence.iter().cloned());
    if let Some((at, status)) = container.end {
        let text = match container.main {
            Some(_) => format!("the main process ended with {}", words::exit_status(status)),
            None => format!("the runtime gave up with {}", words::exit_status(status)),
        };
        all.push(Evidence::new(at, EvidenceKind::Exit, text));
    }
    let others = container.failures.iter().rev().filter(|failure| !failure.is_noise() && !failure.by_runtime);
    for failure in others.filter(|failure| blamed.is_none_or(|blamed| !std::ptr::eq(*failure, blamed))).take(ALSO_SHOWN) {
        let also = call_evidence(failure);
        if !all.iter().any(|known| known.text == also.text) {
            all.push(Evidence { text: format!("also: {}", also.text), ..also });
        }
    }
    all
}

fn call_evidence(failure: &Failure) -> Evidence {
    Evidence::new(failure.first, EvidenceKind::Call, words::failure(failure))
}

/// 1 when the pod was waited for in vain.
fn podless(container: &Container) -> u32 {
    let place = &container.membership;
    u32::from(place.in_cluster && !place.pod_uid.is_empty() && place.spec.is_none())
}

/// A verdict on a pod, from what the API server says of it. Its times are that server's.
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
        id: hash(&identity_in_pod(&pod.uid, &workload.container, finding)),
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

/// What a verdict of a named container is told apart by. Not by the start: a container that fails again of the same is one
/// finding, counted on.
fn identity_in_pod<'a>(pod_uid: &'a str, container: &'a str, finding: &'a Finding) -> [&'a str; 5] {
    [pod_uid, container, finding.cause().code(), finding.subject.kind.word(), &finding.subject.name]
}

fn id(container: &Container, finding: &Finding) -> String {
    let workload = &container.workload;
    if !workload.pod_uid.is_empty() && !workload.container.is_empty() {
        return hash(&identity_in_pod(&workload.pod_uid, &workload.container, finding));
    }
    let cgroup = container.id.to_string();
    let parts =
        [&workload.pod_uid, &cgroup, &workload.container_id, finding.cause().code(), finding.subject.kind.word(), &finding.subject.name];
    hash(&parts)
}

/// Stable over repetitions and releases: FNV-1a, 64 bits, of the parts with a zero byte after each.
fn hash(parts: &[&str]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
