//! A verdict with the same text in every field that holds text. No field is left to a default: one that is added has to be
//! filled here before anything compiles.

use unready_proto::time::timestamp;
use unready_proto::v1::{
    CallFact, Completeness, Evidence, ExecFact, ExitFact, ExitStatus, FileFact, Inode, MountFact, Patch, Remedy, ResourceFact, SocketFact,
    Start, Verdict, Workload, evidence::Fact,
};

/// The verdict; `body`: of its patch.
pub(crate) fn hostile(text: &str, body: &str) -> Verdict {
    let text = || text.to_owned();
    let at = Some(timestamp(1_795_000_000_000_000_000));
    let fact = |kind: &str, fact| Evidence { kind: kind.to_owned(), at, text: text(), fact };
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
        evidence: [None].into_iter().chain(facts(&text).map(Some)).map(|one| fact(&text(), one)).chain([fact("Output", None)]).collect(),
        first_seen: Some(timestamp(1_795_000_000_000_000_000)),
        last_seen: Some(timestamp(1_795_000_001_000_000_000)),
        count: 7,
        resolved_at: None,
    }
}

/// One of each sort.
fn facts(text: &impl Fn() -> String) -> [Fact; 7] {
    [
        Fact::Call(CallFact { call: text(), target: text(), errno: text(), count: 1, last: None, pid: 2 }),
        Fact::File(FileFact { path: text(), found: Some(Inode { kind: text(), mode: 1, uid: 2, gid: 3 }) }),
        Fact::Mount(MountFact { point: text(), fstype: text(), read_only: true }),
        Fact::Exec(ExecFact { path: text(), pid: 1 }),
        Fact::Exit(ExitFact { status: Some(ExitStatus { code: Some(1), signal: None }), pid: 1 }),
        Fact::Socket(SocketFact { address: text(), port: 1, pid: 2 }),
        Fact::Resource(ResourceFact { name: text(), unit: text(), scope: text(), limit: Some(1), used: Some(2) }),
    ]
}
