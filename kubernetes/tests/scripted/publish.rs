//! The publisher, against a server that has the Event already, forgets it, refuses it, or is away.

use crate::server::{Answer, Request, Server, client, failure, status};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use unready_kubernetes::events::{CONTROLLER, Publisher};
use unready_proto::v1::{Verdict, Workload};

const CREATE: &str = "POST /apis/events.k8s.io/v1/namespaces/shop/events";
const PATCH: &str = "PATCH /api/v1/namespaces/shop/events/orders.00c0ffee00c0ffee";

fn verdict(summary: &str, count: u32) -> Verdict {
    let [namespace, pod, pod_uid, container] = ["shop", "orders", "u-1", "app"].map(str::to_owned);
    let workload = Some(Workload { namespace, pod, pod_uid, container, ..Workload::default() });
    Verdict { id: "00c0ffee00c0ffee".into(), cause: "Crashed".into(), summary: summary.into(), count, workload, ..Verdict::default() }
}

/// What was sent comes back, as the API server would answer.
fn echo(request: &Request) -> Answer {
    let mut object: Value = serde_json::from_str(&request.body).unwrap_or_default();
    if request.line.starts_with("PATCH") {
        object = json!({ "metadata": { "name": "orders.00c0ffee00c0ffee", "namespace": "shop" }, "involvedObject": {} });
    }
    Answer::Object(200, object)
}

async fn until(server: &Server, start: &str, count: usize) -> Vec<Request> {
    for _ in 0..1500 {
        let requests = server.requests(start);
        if requests.len() >= count {
            return requests;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no {count} × {start} within 30 s");
}

#[tokio::test]
async fn one_event_a_verdict() {
    let server = Server::start(Arc::new(echo));
    let publisher = Publisher::spawn(client(server.address()), "node-1");
    publisher.offer(&verdict("exit code 1", 1));
    let created = until(&server, CREATE, 1).await;
    let event: Value = serde_json::from_str(&created[0].body).unwrap();
    assert_eq!((&event["note"], &event["reportingController"]), (&json!("exit code 1."), &json!(CONTROLLER)));
    assert_eq!((&event["reportingInstance"], &event["regarding"]["uid"]), (&json!("node-1"), &json!("u-1")));
    publisher.offer(&verdict("exit code 1, three times", 3));
    let patched = until(&server, PATCH, 1).await;
    let change: Value = serde_json::from_str(&patched[0].body).unwrap();
    assert_eq!((&change["message"], &change["series"]["count"]), (&json!("exit code 1, three times."), &json!(3)));
    assert_eq!(publisher.finish(Duration::from_secs(5)).await.published, 2);
    assert_eq!(server.requests("").len(), 2);
}

#[tokio::test]
async fn an_event_of_an_earlier_agent_is_taken_over() {
    let server = Server::start(Arc::new(
        |request: &Request| if request.line.starts_with("POST") { failure(409, "AlreadyExists") } else { echo(request) },
    ));
    let publisher = Publisher::spawn(client(server.address()), "node-1");
    publisher.offer(&verdict("exit code 1", 2));
    until(&server, PATCH, 1).await;
    assert_eq!(publisher.finish(Duration::from_secs(5)).await.published, 1);
}

#[tokio::test]
async fn nothing_is_lost_while_the_server_is_away() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let script =
        move |request: &Request| if count.fetch_add(1, Ordering::SeqCst) < 2 { failure(503, "ServiceUnavailable") } else { echo(request) };
    let server = Server::start(Arc::new(script));
    let publisher = Publisher::spawn(client(server.address()), "node-1");
    publisher.offer(&verdict("exit code 1", 1));
    until(&server, CREATE, 3).await;
    assert_eq!(publisher.finish(Duration::from_secs(5)).await.published, 1);
}

#[tokio::test]
async fn a_namespace_in_deletion_is_not_tried_again() {
    let ending = |_: &Request| {
        let mut answer = status(403, "Forbidden");
        answer["details"] = json!({ "causes": [{ "reason": "NamespaceTerminating", "message": "namespace shop is being terminated", "field": "metadata.namespace" }] });
        Answer::Object(403, answer)
    };
    let server = Server::start(Arc::new(ending));
    let publisher = Publisher::spawn(client(server.address()), "node-1");
    publisher.offer(&verdict("exit code 1", 1));
    until(&server, CREATE, 1).await;
    let counts = publisher.finish(Duration::from_secs(5)).await;
    assert_eq!((counts.refused, counts.waiting), (1, 0));
    assert_eq!(server.requests("").len(), 1);
}

#[tokio::test]
async fn what_waits_at_the_end_is_sent() {
    let server = Server::start(Arc::new(echo));
    let publisher = Publisher::spawn(client(server.address()), "node-1");
    publisher.offer(&verdict("exit code 1", 1));
    until(&server, CREATE, 1).await;
    publisher.offer(&verdict("exit code 1", 40)); // a count alone would wait for a minute
    publisher.finish(Duration::from_secs(5)).await;
    assert_eq!(server.requests(PATCH).len(), 1);
}

#[tokio::test]
async fn a_verdict_without_a_pods_name_is_left_out() {
    let server = Server::start(Arc::new(echo));
    let publisher = Publisher::spawn(client(server.address()), "node-1");
    publisher.offer(&Verdict { workload: None, ..verdict("x", 1) });
    assert_eq!(publisher.finish(Duration::from_secs(5)).await.published, 0);
    assert!(server.requests("").is_empty());
}
