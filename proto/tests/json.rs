//! Our JSON is proto3 JSON: the canonical mapping (by reflection on the descriptor set) reads it, and we read the canonical one.
#![allow(clippy::unwrap_used, reason = "tests")]

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, prost::Message as _};
use unready_proto::{
    FILE_DESCRIPTOR_SET, json,
    time::timestamp,
    v1::{Completeness, Evidence, Remedy, Start, Verdict, Workload},
};

fn descriptor() -> MessageDescriptor {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap().get_message_by_name("unready.v1.Verdict").unwrap()
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
        evidence: vec![Evidence { kind: "Call".into(), at: Some(timestamp(1_795_000_000_123_456_789)), text: "open = EACCES".into() }],
        first_seen: Some(timestamp(1_795_000_000_000_000_000)),
        last_seen: Some(timestamp(1_795_000_001_500_000_000)),
        count: 14,
        resolved_at: Some(timestamp(1_795_000_002_000_001_000)),
    }
}

fn canonical(verdict: &Verdict) -> DynamicMessage {
    DynamicMessage::decode(descriptor(), verdict.encode_to_vec().as_slice()).unwrap()
}

#[test]
fn the_canonical_parser_reads_ours() {
    for verdict in [full(), Verdict::default(), Verdict { workload: Some(Workload::default()), start: Some(Start::default()), ..full() }] {
        let line = json::line(&verdict);
        assert!(!line.contains('\n'), "one line: {line}");
        let mut deserializer = serde_json::Deserializer::from_str(&line);
        let read = DynamicMessage::deserialize(descriptor(), &mut deserializer).unwrap();
        assert_eq!(read.transcode_to::<Verdict>().unwrap(), verdict, "{line}");
    }
}

#[test]
fn we_read_the_canonical_form() {
    for verdict in [full(), Verdict::default()] {
        let text = serde_json::to_string(&canonical(&verdict)).unwrap();
        assert_eq!(json::parse(&text).unwrap(), verdict, "{text}");
    }
}

#[test]
fn what_is_set_is_spelt_as_the_canonical_printer_spells_it() {
    let ours: serde_json::Value = serde_json::from_str(&json::line(&full())).unwrap();
    assert_eq!(ours, serde_json::to_value(canonical(&full())).unwrap());
}

#[test]
fn words_and_lists_are_there_even_when_empty() {
    let value: serde_json::Value = serde_json::from_str(&json::line(&Verdict::default())).unwrap();
    assert_eq!(value["explanation"], serde_json::json!([]));
    assert_eq!(value["count"], 0);
    assert_eq!(value["cause"], "");
    assert!(value.get("resolvedAt").is_none(), "not resolved");
    assert!(value.get("start").is_none(), "nothing is null");
}

#[test]
fn unknown_keys_are_ignored_and_wrong_times_refused() {
    assert_eq!(json::parse(r#"{"id":"a","patch":{"x":1}}"#).unwrap().id, "a");
    let error = json::parse(r#"{"firstSeen":"yesterday"}"#).unwrap_err().to_string();
    assert!(error.contains("\"yesterday\" is no RFC 3339 time"), "{error}");
}
