//! From a finding to a verdict: identity, times, evidence, and how sure one may be.

use super::{
    questions::{Questions, SuspectId},
    start::Start,
    weights::Weights,
};
use crate::{
    case::{finding::Finding, look},
    story::{fact, fact::Fact},
    units::BootNanos,
    verdict::{Completeness, Confidence, Evidence, EvidenceKind, Verdict, id_of},
    words,
};

/// Other failures that are shown beside the one that is blamed.
const ALSO_SHOWN: usize = 3;

/// How sure one may be.
pub(super) const fn confidence(weights: &Weights, score: i32, proved: bool, rival: bool) -> Confidence {
    if proved && score >= weights.certain && !rival {
        Confidence::Certain
    } else if score >= weights.likely {
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
pub(super) fn make(start: &Start<'_>, asked: &Questions, suspect: SuspectId, finding: &Finding, confidence: Confidence) -> Verdict {
    let unanswered = asked.unanswered(suspect).saturating_add(asked.refused).saturating_add(u32::from(start.lacks_pod));
    let completeness = Completeness { unanswered, ..start.completeness };
    let confidence = if may_be_another(completeness, suspect) { confidence.min(Confidence::Likely) } else { confidence };
    let (first_seen, last_seen, count) = span(start, suspect);
    Verdict {
        id: id(start, finding),
        cause: finding.cause(),
        layer: finding.layer_text(),
        severity: finding.severity,
        confidence,
        completeness,
        subject: finding.subject.clone(),
        workload: start.workload.clone(),
        cgroup: start.cgroup,
        summary: finding.summary.clone(),
        explanation: finding.explanation.clone(),
        remedy: finding.remedy.clone(),
        evidence: evidence(start, suspect, finding),
        first_seen,
        last_seen,
        count,
        resolved_at: None,
    }
    .escaped()
}

/// Whether a verdict says more than it did. What could not be found out is no news by itself, but that something was not seen is.
pub(super) fn is_news(before: &Verdict, verdict: &Verdict) -> bool {
    let (then, now) = (before.completeness, verdict.completeness);
    let lacks_more = (then.lost == 0 && now.lost > 0) || then.blind != now.blind;
    lacks_more || (Verdict { completeness: then, ..verdict.clone() }) != *before
}

fn span(start: &Start<'_>, suspect: SuspectId) -> (BootNanos, BootNanos, u64) {
    let end = start.end.map_or(start.created, |(at, _)| at);
    match suspect {
        SuspectId::Call(index) => {
            start.story.failures.get(index).map_or((end, end, 1), |failure| (failure.first, failure.last, failure.count))
        }
        SuspectId::OutOfMemory => start.story.victim.map_or((end, end, 1), |(at, _)| (at, at, 1)),
        SuspectId::NeverStarted | SuspectId::Exit => (end, end, 1),
    }
}

/// The blamed call, what the rule found, how the process ended, and what else failed.
fn evidence(start: &Start<'_>, suspect: SuspectId, finding: &Finding) -> Vec<Evidence> {
    let failures = &start.story.failures;
    let blamed = match suspect {
        SuspectId::Call(index) => failures.get(index),
        SuspectId::OutOfMemory | SuspectId::NeverStarted | SuspectId::Exit => None,
    };
    let mut all: Vec<Evidence> = blamed.iter().map(|failure| look::call_fact(failure, failure.first)).collect();
    all.extend(finding.evidence.iter().cloned());
    all.extend(end(start));
    let others = failures.iter().rev().filter(|failure| !failure.is_noise() && !failure.by_runtime);
    for failure in others.filter(|failure| blamed.is_none_or(|blamed| !std::ptr::eq(*failure, blamed))).take(ALSO_SHOWN) {
        let also = look::call_fact(failure, failure.first);
        if !all.iter().any(|known| known.text == also.text) {
            all.push(Evidence { text: format!("also: {}", also.text), ..also });
        }
    }
    all
}

fn end(start: &Start<'_>) -> Option<Evidence> {
    let (at, status) = start.end?;
    let who = if start.main.is_some() { "the main process ended with" } else { "the runtime gave up with" };
    let fact = fact::Exit { status, pid: start.main.map_or(0, |main| main.pid) };
    Some(Evidence::new(at, EvidenceKind::Exit, format!("{who} {}", words::exit_status(status))).with(Fact::Exit(fact)))
}

fn id(start: &Start<'_>, finding: &Finding) -> String {
    let workload = start.workload;
    if !workload.pod_uid.is_empty() && !workload.container.is_empty() {
        return finding.id_in_pod(&workload.pod_uid, &workload.container);
    }
    let cgroup = start.cgroup.to_string();
    let subject = &finding.subject;
    id_of(&[&workload.pod_uid, &cgroup, &workload.container_id, finding.cause().code(), subject.kind.word(), &subject.name])
}
