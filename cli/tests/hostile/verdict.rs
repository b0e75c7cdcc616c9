//! A verdict with the same text in every field that holds text. No field is left to a default: one that is added has to be
//! filled here before anything compiles.

use unready_proto::time::timestamp;
use unready_proto::v1::{Completeness, Evidence, Patch, Remedy, Start, Verdict, Workload};

/// The verdict; `body`: of its patch.
pub(crate) fn hostile(text: &str, body: &str) -> Verdict {
    let text = || text.to_owned();
    let fact = |kind: &str| Evidence { kind: kind.to_owned(), at: Some(timestamp(1_795_000_000_000_000_000)), text: text() };
    Verdict {
        id: text(),
        cause: text(),
        layer: text(),
        severity: text(),
        confidence: text(),
        completeness: Some(Completeness { lost: 1, suppressed: 2, unanswered: 3, ..Completeness::default() }),
        subject: text(),
        subject_kind: text(),
        workload: Some(Workload {
            namespace: text(),
            pod: text(),
            pod_uid: text(),
            container: text(),
            container_kind: text(),
            image: text(),
            owner: format!("{0}/{0}", text()),
            node: text(),
            runtime: text(),
            command: vec![text(), text()],
        }),
        start: Some(Start { container_id: text(), restart_count: 1 }),
        summary: text(),
        explanation: vec![text(), text()],
        remedy: Some(Remedy {
            text: text(),
            patch: Some(Patch {
                api_version: format!("{0}/{0}", text()),
                kind: text(),
                namespace: text(),
                name: text(),
                r#type: "StrategicMerge".to_owned(),
                body: body.to_owned(),
            }),
            also: vec![text()],
        }),
        evidence: vec![fact("Output"), fact(&text())],
        first_seen: Some(timestamp(1_795_000_000_000_000_000)),
        last_seen: Some(timestamp(1_795_000_001_000_000_000)),
        count: 7,
        resolved_at: None,
    }
}
