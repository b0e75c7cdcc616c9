//! Domain verdicts and starts to `unready.v1`: boot times become dates, enums their words, counters saturate at 32 bits.
//!
//! - [`verdict()`]: a finding; its evidence has facts.
//! - [`start()`]: how a start of a container goes.
//! - [`outlet`]: the last thing before text leaves a process.
//!
//! Pure; the two sorts of types are different on purpose, so that neither the engine nor the wire pulls at the other.
#![forbid(unsafe_code)]

mod fact;
pub mod outlet;
mod start;

pub use start::start;

use unready_diagnosis::{
    units::{BootNanos, ClockAnchor},
    verdict::{Completeness, Evidence, Patch, PatchKind, Remedy, Verdict, Workload},
};
use unready_proto::{prost_types::Timestamp, time::timestamp, v1};

/// What the collector and `-o json` are told of a verdict that was found on `node`.
pub fn verdict(verdict: &Verdict, anchor: ClockAnchor, node: &str) -> v1::Verdict {
    v1::Verdict {
        id: verdict.id.clone(),
        cause: verdict.cause.code().to_owned(),
        layer: verdict.layer.clone(),
        severity: verdict.severity.word().to_owned(),
        confidence: verdict.confidence.word().to_owned(),
        completeness: Some(completeness(verdict.completeness)),
        subject: verdict.subject.name.clone(),
        subject_kind: verdict.subject.kind.word().to_owned(),
        workload: Some(workload(&verdict.workload, node)),
        start: Some(which(&verdict.workload)),
        summary: verdict.summary.clone(),
        explanation: verdict.explanation.clone(),
        remedy: Some(remedy(&verdict.remedy)),
        evidence: verdict.evidence.iter().map(|fact| evidence(fact, anchor)).collect(),
        first_seen: date(verdict.first_seen, anchor),
        last_seen: date(verdict.last_seen, anchor),
        count: narrow(verdict.count),
        resolved_at: verdict.resolved_at.and_then(|at| date(at, anchor)),
    }
}

fn completeness(completeness: Completeness) -> v1::Completeness {
    v1::Completeness {
        lost: narrow(completeness.lost),
        suppressed: narrow(completeness.suppressed),
        unanswered: completeness.unanswered,
        io_uring: completeness.blind.io_uring,
        compat_calls: completeness.blind.compat,
        own_kernel: completeness.blind.own_kernel,
    }
}

fn workload(workload: &Workload, node: &str) -> v1::Workload {
    v1::Workload {
        namespace: workload.namespace.clone(),
        pod: workload.pod.clone(),
        pod_uid: workload.pod_uid.clone(),
        container: workload.container.clone(),
        node: node.to_owned(),
        runtime: workload.runtime.clone(),
        command: workload.command.clone(),
        container_kind: workload.kind.map(|kind| kind.word().to_owned()).unwrap_or_default(),
        image: workload.image.clone(),
        owner: workload.owner.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

/// Which start of the container.
fn which(workload: &Workload) -> v1::Start {
    v1::Start { container_id: workload.container_id.clone(), restart_count: workload.restarts }
}

fn remedy(remedy: &Remedy) -> v1::Remedy {
    v1::Remedy { text: remedy.text.clone(), patch: remedy.patch.as_ref().map(patch), also: remedy.also.clone() }
}

fn patch(patch: &Patch) -> v1::Patch {
    let kind = match patch.kind {
        PatchKind::StrategicMerge => "StrategicMerge",
        PatchKind::Json => "Json",
    };
    v1::Patch {
        api_version: patch.target.api_version.clone(),
        kind: patch.target.kind.clone(),
        namespace: patch.namespace.clone(),
        name: patch.target.name.clone(),
        r#type: kind.to_owned(),
        body: patch.body.to_string(),
    }
}

fn evidence(evidence: &Evidence, anchor: ClockAnchor) -> v1::Evidence {
    let fact = evidence.fact.as_ref().map(|fact| fact::fact(fact, anchor));
    v1::Evidence { kind: evidence.kind.word().to_owned(), at: date(evidence.at, anchor), text: evidence.text.clone(), fact }
}

/// Boot time 0 stands for "unknown": nothing that we observe happens at the very boot.
fn date(at: BootNanos, anchor: ClockAnchor) -> Option<Timestamp> {
    (at.0 != 0).then(|| timestamp(anchor.wall_nanos(at)))
}

fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_diagnosis::{
        catalogue::Cause,
        units::CgroupId,
        verdict::{BlindSpots, Confidence, EvidenceKind, Severity, Subject, SubjectKind},
    };

    const ANCHOR: ClockAnchor = ClockAnchor { boot: BootNanos(5_000_000_000), wall: 1_795_000_000_000_000_000 };

    fn domain() -> Verdict {
        Verdict {
            id: "00c0ffee00c0ffee".into(),
            cause: Cause::PermissionDenied,
            layer: "mode bits".into(),
            severity: Severity::Blocking,
            confidence: Confidence::Certain,
            completeness: Completeness {
                lost: u64::MAX,
                suppressed: 2,
                unanswered: 1,
                blind: BlindSpots { io_uring: true, ..BlindSpots::default() },
            },
            subject: Subject { kind: SubjectKind::Path, name: "/data/orders.db".into() },
            workload: Workload { namespace: "shop".into(), container_id: "abc".into(), command: vec!["x".into()], ..Default::default() },
            cgroup: CgroupId(7),
            summary: "open = EACCES".into(),
            explanation: vec!["because".into()],
            remedy: Remedy { text: "do this".into(), ..Remedy::default() },
            evidence: vec![
                Evidence::new(BootNanos(4_000_000_000), EvidenceKind::Call, "open"),
                Evidence::new(BootNanos(0), EvidenceKind::Gap, "gone"),
            ],
            first_seen: BootNanos(4_000_000_000),
            last_seen: BootNanos(6_000_000_001),
            count: 1 << 40,
            resolved_at: None,
        }
    }

    #[test]
    fn words_are_the_catalogues() {
        let wire = verdict(&domain(), ANCHOR, "node-1");
        assert_eq!((wire.cause.as_str(), wire.severity.as_str(), wire.confidence.as_str()), ("PermissionDenied", "Blocking", "Certain"));
        assert_eq!((wire.subject.as_str(), wire.subject_kind.as_str()), ("/data/orders.db", "Path"));
        assert_eq!(wire.evidence.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>(), ["Call", "Gap"]);
    }

    #[test]
    fn times_are_dates_on_both_sides_of_the_anchor() {
        let wire = verdict(&domain(), ANCHOR, "node-1");
        assert_eq!(wire.first_seen, Some(timestamp(1_794_999_999_000_000_000)));
        assert_eq!(wire.last_seen, Some(timestamp(1_795_000_001_000_000_001)));
        assert_eq!(wire.evidence[0].at, wire.first_seen);
        assert_eq!(wire.evidence[1].at, None, "an unknown time stays unknown");
        assert_eq!(wire.resolved_at, None);
        let resolved = Verdict { resolved_at: Some(BootNanos(7_000_000_000)), ..domain() };
        assert_eq!(verdict(&resolved, ANCHOR, "").resolved_at, Some(timestamp(1_795_000_002_000_000_000)));
    }

    #[test]
    fn counts_stay_at_their_maximum() {
        let wire = verdict(&domain(), ANCHOR, "node-1");
        assert_eq!(wire.count, u32::MAX);
        let completeness = v1::Completeness { lost: u32::MAX, suppressed: 2, unanswered: 1, io_uring: true, ..v1::Completeness::default() };
        assert_eq!(wire.completeness, Some(completeness));
    }

    #[test]
    fn the_workload_gets_its_node_and_the_start_its_id() {
        let wire = verdict(&domain(), ANCHOR, "node-1");
        let workload = wire.workload.as_ref().map(|w| (w.namespace.as_str(), w.node.as_str(), w.command.len()));
        assert_eq!(workload, Some(("shop", "node-1", 1)));
        assert_eq!(wire.start.map(|s| s.container_id), Some("abc".to_owned()));
    }
}
