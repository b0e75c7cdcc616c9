//! Our JSON is proto3 JSON: the canonical mapping (by reflection on the descriptor set) reads it, and we read the canonical one.
#![allow(clippy::unwrap_used, reason = "tests")]

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, prost::Message};
use unready_proto::{
    FILE_DESCRIPTOR_SET, json,
    time::timestamp,
    v1::{
        Attempt, CallFact, Completeness, Evidence, ExecFact, ExitFact, ExitStatus, FileFact, Inode, Milestone, MountFact, Remedy,
        ResourceFact, SocketFact, Start, StartReport, Verdict, Wait, Workload, evidence::Fact,
    },
};

fn descriptor(message: &str) -> MessageDescriptor {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap().get_message_by_name(&format!("unready.v1.{message}")).unwrap()
}

/// One of each sort.
fn facts() -> Vec<Fact> {
    let inode = |mode| Some(Inode { kind: "Directory".into(), mode, uid: 0, gid: 5 });
    vec![
        Fact::Call(CallFact {
            call: "open".into(),
            target: "/data/\u{1b}".into(),
            errno: "EACCES".into(),
            count: 14,
            last: Some(timestamp(1_795_000_000_123_456_789)),
            pid: 7,
        }),
        Fact::File(FileFact { path: "/data".into(), found: inode(0o755) }),
        Fact::File(FileFact { path: "/data".into(), found: None }),
        Fact::Mount(MountFact { point: "/".into(), fstype: "overlay".into(), read_only: true }),
        Fact::Exec(ExecFact { path: "/app".into(), pid: 0 }),
        Fact::Exit(ExitFact { status: Some(ExitStatus { code: Some(0), signal: None }), pid: 9 }),
        Fact::Socket(SocketFact { address: "::".into(), port: 8080, pid: 1 }),
        Fact::Resource(ResourceFact {
            name: "memory".into(),
            unit: "bytes".into(),
            limit: Some(u64::MAX),
            used: Some(0),
            ..Default::default()
        }),
    ]
}

fn start() -> StartReport {
    let at = |millis: u64| Some(timestamp(1_795_000_000_000_000_000 + millis * 1_000_000));
    StartReport {
        id: "00c0ffee00c0ffee".into(),
        workload: full().workload,
        start: full().start,
        stage: "Ended".into(),
        note: "because".into(),
        began: at(0),
        told: at(5),
        milestones: vec![
            Milestone { at: at(1), step: "Executed".into(), path: "/app".into(), pid: 7, ..Milestone::default() },
            Milestone { at: at(2), step: "Listening".into(), address: "::".into(), port: 80, ..Milestone::default() },
            Milestone { at: at(3), step: "Ended".into(), status: Some(ExitStatus { code: None, signal: Some(9) }), ..Milestone::default() },
        ],
        attempts: vec![Attempt {
            first: at(1),
            last: at(2),
            count: u32::MAX,
            target: "readiness".into(),
            passed: true,
            outcome: "200".into(),
        }],
        waits: vec![Wait { from: at(1), until: at(2), target: "/run".into(), text: "it waits".into() }],
        dropped: 4,
        completeness: full().completeness,
    }
}

fn full() -> Verdict {
    Verdict {
        id: "00c0ffee00c0ffee".into(),
        cause: "PermissionDenied".into(),
        layer: "mode bits".into(),
        severity: "Blocking".into(),
        confidence: "Certain".into(),
        completeness: Some(Completeness { lost: 1, suppressed: u32::MAX, unanswered: 3, io_uring: true, ..Completeness::default() }),
        subject: "/data/orders.db".into(),
        subject_kind: "Path".into(),
        workload: Some(Workload {
            namespace: "shop".into(),
            pod: "orders-7d9f".into(),
            pod_uid: "0b1c".into(),
            container: "app".into(),
            container_kind: "app".into(),
            image: "shop/orders:1".into(),
            owner: "Deployment/orders".into(),
            node: "node-1".into(),
            runtime: "containerd".into(),
            command: vec!["./orders".into(), "--port=\"8080\"\n".into()],
        }),
        start: Some(Start { container_id: "abc".into(), restart_count: 4 }),
        summary: "open(\"/data/orders.db\") = EACCES".into(),
        explanation: vec!["uid 1000 needs w on /data".into(), "é \u{1b}[0m".into()],
        remedy: Some(Remedy { text: "set fsGroup".into(), ..Remedy::default() }),
        evidence: facts().into_iter().map(Some).chain([None]).map(evidence).collect(),
        first_seen: Some(timestamp(1_795_000_000_000_000_000)),
        last_seen: Some(timestamp(1_795_000_001_500_000_000)),
        count: 14,
        resolved_at: Some(timestamp(1_795_000_002_000_001_000)),
    }
}

fn evidence(fact: Option<Fact>) -> Evidence {
    Evidence { kind: "Call".into(), at: Some(timestamp(1_795_000_000_123_456_789)), text: "open = EACCES".into(), fact }
}

fn canonical(name: &str, message: &impl Message) -> DynamicMessage {
    DynamicMessage::decode(descriptor(name), message.encode_to_vec().as_slice()).unwrap()
}

/// What the canonical parser makes of a line.
fn parsed<M: Message + Default>(name: &str, line: &str) -> M {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    DynamicMessage::deserialize(descriptor(name), &mut deserializer).unwrap().transcode_to().unwrap()
}

#[test]
fn the_canonical_parser_reads_ours() {
    for verdict in [full(), Verdict::default(), Verdict { workload: Some(Workload::default()), start: Some(Start::default()), ..full() }] {
        let line = json::line(&verdict);
        assert!(!line.contains('\n'), "one line: {line}");
        assert_eq!(parsed::<Verdict>("Verdict", &line), verdict, "{line}");
    }
    for start in [start(), StartReport::default()] {
        let line = serde_json::to_string(&start).unwrap();
        assert_eq!(parsed::<StartReport>("StartReport", &line), start, "{line}");
    }
}

#[test]
fn we_read_the_canonical_form() {
    for verdict in [full(), Verdict::default()] {
        let text = serde_json::to_string(&canonical("Verdict", &verdict)).unwrap();
        assert_eq!(json::parse(&text).unwrap(), verdict, "{text}");
    }
    for start in [start(), StartReport::default()] {
        let text = serde_json::to_string(&canonical("StartReport", &start)).unwrap();
        assert_eq!(serde_json::from_str::<StartReport>(&text).unwrap(), start, "{text}");
    }
}

#[test]
fn what_is_set_is_spelt_as_the_canonical_printer_spells_it() {
    let ours: serde_json::Value = serde_json::from_str(&json::line(&spelt(full()))).unwrap();
    assert_eq!(ours, serde_json::to_value(canonical("Verdict", &spelt(full()))).unwrap());
    assert_eq!(serde_json::to_value(start()).unwrap(), serde_json::to_value(canonical("StartReport", &start())).unwrap());
}

/// Without the facts that have a zero: we print those, the canonical printer does not.
fn spelt(verdict: Verdict) -> Verdict {
    let has_zero = |evidence: &Evidence| {
        let text = serde_json::to_string(evidence).unwrap();
        ["\":0", "\":\"\"", "\":false"].iter().any(|zero| text.contains(zero))
    };
    let evidence: Vec<_> = verdict.evidence.into_iter().filter(|one| !has_zero(one)).collect();
    assert!(evidence.len() >= 4, "{evidence:?}");
    Verdict { evidence, ..verdict }
}

#[test]
fn a_fact_stands_beside_its_text() {
    let value = serde_json::to_value(evidence(facts().pop())).unwrap();
    assert_eq!(value["resource"]["limit"], "18446744073709551615", "a string, as all 64-bit numbers in proto3 JSON");
    assert_eq!((&value["resource"]["used"], &value["text"]), (&"0".into(), &"open = EACCES".into()));
    assert!(value.get("fact").is_none() && value.get("call").is_none(), "{value}");
    let number: Evidence = serde_json::from_str(r#"{"resource":{"limit":5}}"#).unwrap();
    assert!(matches!(number.fact, Some(Fact::Resource(ResourceFact { limit: Some(5), used: None, .. }))), "{number:?}");
}

#[test]
fn words_and_lists_are_there_even_when_empty() {
    let value: serde_json::Value = serde_json::from_str(&json::line(&Verdict::default())).unwrap();
    assert_eq!(value["explanation"], serde_json::json!([]));
    assert_eq!(value["count"], 0);
    assert_eq!(value["cause"], "");
    assert!(value.get("resolvedAt").is_none(), "not resolved");
    assert!(value.get("start").is_none(), "nothing is null");
    let bare = serde_json::to_value(Milestone { step: "Ready".into(), ..Milestone::default() }).unwrap();
    assert_eq!(bare, serde_json::json!({ "step": "Ready" }), "what does not belong to the step is left out");
}

#[test]
fn unknown_keys_are_ignored_and_wrong_times_refused() {
    assert_eq!(json::parse(r#"{"id":"a","patch":{"x":1},"evidence":[{"text":"t","novel":{"y":2}}]}"#).unwrap().evidence[0].text, "t");
    let error = json::parse(r#"{"firstSeen":"yesterday"}"#).unwrap_err().to_string();
    assert!(error.contains("\"yesterday\" is no RFC 3339 time"), "{error}");
}
