//! From a finding to a verdict: identity, times, evidence, and how sure one may be.

use super::{ask::SymptomKey, container::Container};
use crate::{
    rules::{Failure, Finding, weight, words},
    units::BootNanos,
    verdict::{Confidence, Evidence, EvidenceKind, Verdict},
};

/// Other failures that are shown beside the one that is blamed.
const ALSO_SHOWN: usize = 3;

/// How sure one may be.
pub(crate) const fn confidence(score: i32, proved: bool, rival: bool) -> Confidence {
    if proved && score >= weight::CERTAIN && !rival {
        Confidence::Certain
    } else if score >= weight::LIKELY {
        Confidence::Likely
    } else {
        Confidence::Possible
    }
}

/// Puts a verdict together. Lost events make a certain one likely (design §1).
pub(crate) fn make(container: &Container, symptom: SymptomKey, finding: &Finding, confidence: Confidence) -> Verdict {
    let mut completeness = container.completeness;
    completeness.unanswered = container.asked.unanswered(symptom).saturating_add(container.asked.refused);
    let confidence = if completeness.lost > 0 { confidence.min(Confidence::Likely) } else { confidence };
    let (first_seen, last_seen, count) = span(container, symptom);
    Verdict {
        id: id(container, finding),
        cause: finding.cause,
        layer: finding.layer.clone(),
        severity: finding.severity,
        confidence,
        completeness,
        subject: finding.subject.clone(),
        workload: container.workload.clone(),
        cgroup: container.id,
        summary: finding.summary.clone(),
        explanation: finding.explanation.clone(),
        remedy: finding.remedy.clone(),
        evidence: evidence(container, symptom, finding),
        first_seen,
        last_seen,
        count,
        resolved_at: None,
    }
}

fn span(container: &Container, symptom: SymptomKey) -> (BootNanos, BootNanos, u64) {
    let end = container.end.map_or(container.created, |(at, _)| at);
    match symptom {
        SymptomKey::Call(index) => {
            container.failures.get(index).map_or((end, end, 1), |failure| (failure.first, failure.last, failure.count))
        }
        SymptomKey::OutOfMemory => container.victim.map_or((end, end, 1), |(at, _)| (at, at, 1)),
        SymptomKey::NeverStarted | SymptomKey::Exit => (end, end, 1),
    }
}

/// The blamed call, what the rule found, how the process ended, and what else failed.
fn evidence(container: &Container, symptom: SymptomKey, finding: &Finding) -> Vec<Evidence> {
    let blamed = match symptom {
        SymptomKey::Call(index) => container.failures.get(index),
        SymptomKey::OutOfMemory | SymptomKey::NeverStarted | SymptomKey::Exit => None,
    };
    let mut all: Vec<Evidence> = blamed.iter().map(|failure| call_evidence(failure)).collect();
    all.extend(finding.evidence.iter().cloned());
    if let Some((at, status)) = container.end {
        let text = match container.main {
            Some(_) => format!("the main process ended with {}", words::exit_status(status)),
            None => format!("the runtime gave up with {}", words::exit_status(status)),
        };
        all.push(Evidence { at, kind: EvidenceKind::Exit, text });
    }
    let others = container.failures.iter().rev().filter(|failure| !weight::is_noise(failure) && !failure.by_runtime);
    for failure in others.filter(|failure| blamed.is_none_or(|blamed| !std::ptr::eq(*failure, blamed))).take(ALSO_SHOWN) {
        let also = call_evidence(failure);
        if !all.iter().any(|known| known.text == also.text) {
            all.push(Evidence { text: format!("also: {}", also.text), ..also });
        }
    }
    all
}

fn call_evidence(failure: &Failure) -> Evidence {
    Evidence { at: failure.first, kind: EvidenceKind::Call, text: words::failure(failure) }
}

/// Stable over repetitions: FNV-1a (64 bits) of whose start it is, the cause and the subject.
fn id(container: &Container, finding: &Finding) -> String {
    let cgroup = container.id.to_string();
    let parts = [
        container.workload.pod_uid.as_str(),
        cgroup.as_str(),
        container.workload.container_id.as_str(),
        finding.cause.code(),
        finding.subject.kind.word(),
        finding.subject.name.as_str(),
    ];
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
