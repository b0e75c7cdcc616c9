//! `unready get`, `patch` and `timeline` against an API server that says what a test wants: HTTP/1.1 on loopback. What a real
//! one does is tested in the cluster ring; here it is what users see when there is nothing, no right, no collector.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "hostile/mod.rs"]
mod hostile;

use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Output, Stdio},
    sync::Arc,
    thread,
};

/// What a path and query are answered with: a status and an object.
type Answers = dyn Fn(&str) -> (u16, Value) + Send + Sync;

/// A kubeconfig for a server that answers so. The server's threads end with the test's process.
struct Cluster {
    place: tempfile::TempDir,
}

impl Cluster {
    fn new(answers: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers: Arc<Answers> = Arc::new(answers);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = Arc::clone(&answers);
                thread::spawn(move || serve(stream, &*answers));
            }
        });
        let place = tempfile::tempdir().unwrap();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "c", "cluster": { "server": format!("http://127.0.0.1:{port}") } }],
            "users": [{ "name": "u", "user": { "token": "t" } }],
            "contexts": [{ "name": "test", "context": { "cluster": "c", "user": "u", "namespace": "shop" } }],
        });
        fs::write(place.path().join("config"), config.to_string()).unwrap();
        Self { place }
    }

    fn unready(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unready"));
        command.args(words).env("KUBECONFIG", self.place.path().join("config")).stdin(Stdio::null());
        command.env_remove("UNREADY_COLLECTOR").env_remove("UNREADY_LOG").env_remove("KUBERNETES_SERVICE_HOST");
        command.output().unwrap()
    }
}

/// One request a connection.
fn serve(mut stream: TcpStream, answers: &Answers) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let target = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = answers(target);
    let body = body.to_string();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all((head + &body).as_bytes());
}

fn list(kind: &str, items: &[Value]) -> (u16, Value) {
    (200, json!({ "apiVersion": "v1", "kind": kind, "metadata": { "resourceVersion": "1" }, "items": items }))
}

fn failure(code: u16, reason: &str, message: &str) -> (u16, Value) {
    (code, json!({ "apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code }))
}

/// A pod that waits for its image, or one that is ready.
fn pod(name: &str, ready: bool) -> Value {
    let state = if ready {
        json!({ "running": { "startedAt": "2026-11-24T10:00:05Z" } })
    } else {
        json!({ "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image \"shop/orders:2\": ErrImagePull: not found" } })
    };
    let word = if ready { "True" } else { "False" };
    let condition = |kind: &str, word: &str| json!({ "type": kind, "status": word, "lastTransitionTime": "2026-11-24T10:00:05Z" });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "uid": format!("uid-{name}"), "creationTimestamp": "2026-11-24T10:00:00Z" },
        "spec": { "nodeName": "n1", "containers": [{ "name": "app", "image": "shop/orders:2" }] },
        "status": {
            "phase": if ready { "Running" } else { "Pending" },
            "conditions": [condition("PodScheduled", "True"), condition("ContainersReady", word), condition("Ready", word)],
            "containerStatuses": [
                { "name": "app", "image": "shop/orders:2", "imageID": "", "ready": ready, "restartCount": 0, "state": state },
            ],
        },
    })
}

/// The verdict of an agent, as its Event carries it.
fn said(pod: &str) -> Value {
    let patch = json!({
        "apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": pod, "type": "StrategicMerge",
        "body": "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"securityContext\":{\"fsGroup\":1000}}}",
    });
    json!({
        "id": "00c0ffee00c0ffee", "cause": "PermissionDenied", "severity": "Blocking", "confidence": "Certain", "subject": "/data/x",
        "workload": { "namespace": "shop", "pod": pod, "podUid": format!("uid-{pod}"), "container": "app", "node": "n1", "runtime": "containerd" },
        "summary": "open(\"/data/x\") = EACCES", "explanation": ["uid 1000 needs w"],
        "remedy": { "text": "Set fsGroup: 1000.", "patch": patch }, "firstSeen": "2026-11-24T10:00:06Z", "count": 14,
    })
}

/// An Event that an agent left on a pod; without a verdict it has its text alone.
fn told(pod: &str, verdict: Option<&Value>) -> Value {
    let annotations = verdict.map(|verdict| json!({ "unready.dev/verdict": verdict.to_string() }));
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": { "name": format!("{pod}.00c0ffee00c0ffee"), "namespace": "shop", "annotations": annotations },
        "eventTime": "2026-11-24T10:00:06.000000Z", "reason": "PermissionDenied", "type": "Warning",
        "note": "open(\"/data/x\") = EACCES. uid 1000 needs w. Fix: Set fsGroup: 1000.",
        "reportingController": "unready.dev/agent", "reportingInstance": "n1", "action": "Starting",
        "regarding": { "kind": "Pod", "namespace": "shop", "name": pod, "uid": format!("uid-{pod}"), "fieldPath": "spec.containers{app}" },
    })
}

/// Pods of namespace shop; whether there is an agent; the agents' Events.
fn shop(pods: Vec<Value>, events: Vec<Value>) -> Cluster {
    Cluster::new(move |target| {
        let named = target.split("metadata.name%3D").nth(1).map(|rest| rest.split('&').next().unwrap_or_default().to_owned());
        if target.starts_with("/api/v1/namespaces/shop/pods") {
            let is_it = |pod: &&Value| named.as_ref().is_none_or(|name| pod["metadata"]["name"] == name.as_str());
            return list("PodList", &pods.iter().filter(is_it).cloned().collect::<Vec<_>>());
        }
        if target.starts_with("/apis/events.k8s.io/v1/namespaces/shop/events") && target.contains("reportingController") {
            return list("EventList", &events);
        }
        if target.contains("/events") {
            return list("EventList", &[]);
        }
        if target.starts_with("/api/v1/pods") { list("PodList", &[]) } else { failure(404, "NotFound", "nothing is there") }
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn expect(output: &Output, status: i32) -> (String, String) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "stdout: {out}\nstderr: {err}");
    (out, err)
}

#[test]
fn an_empty_namespace_is_told_as_kubectl_does() {
    let (out, err) = expect(&shop(vec![], vec![]).unready(&["get"]), 0);
    assert!(out.is_empty(), "{out}");
    assert!(err.contains("No resources found in shop namespace."), "{err}");
}

#[test]
fn ready_pods_are_no_news() {
    let (out, err) = expect(&shop(vec![pod("a", true), pod("b", true)], vec![]).unready(&["get", "--exit-code"]), 0);
    assert!(out.is_empty(), "{out}");
    assert!(err.contains("All 2 pods in shop namespace are ready."), "{err}");
}

#[test]
fn without_an_agent_the_api_servers_account_is_given_and_said_to_be_that() {
    let cluster = shop(vec![pod("orders", false), pod("well", true)], vec![]);
    let (out, err) = expect(&cluster.unready(&["get"]), 0);
    let row = out.lines().nth(1).unwrap_or_default();
    assert!(row.starts_with("orders ") && row.contains(" ImagePull "), "{out}");
    assert!(!out.contains("well"), "{out}");
    assert!(err.contains("no collector was found") && err.contains("without what the kernel saw"), "{err}");
    assert_eq!(expect(&cluster.unready(&["get", "-o", "name"]), 0).0, "pod/orders\n");
    expect(&cluster.unready(&["get", "--exit-code"]), 3);
    let (full, _) = expect(&cluster.unready(&["get", "pod/orders"]), 0);
    assert!(full.contains("\n  sure  certain: the API server says so; no evidence from the kernel\n"), "{full}");
    let (json, _) = expect(&cluster.unready(&["get", "-o", "json"]), 0);
    let verdict: Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!((&verdict["cause"], &verdict["workload"]["pod"]), (&json!("ImagePull"), &json!("orders")));
    assert_eq!(verdict["firstSeen"].as_str().map(str::len), Some("2026-11-24T10:00:05Z".len()), "{verdict}");
}

#[test]
fn the_agents_events_stand_in_for_a_collector() {
    let cluster = shop(vec![pod("orders", false)], vec![told("orders", Some(&said("orders")))]);
    let (out, err) = expect(&cluster.unready(&["get", "pod/orders"]), 0);
    assert!(out.starts_with("pod shop/orders on n1 is not ready for "), "{out}");
    assert!(out.contains("\nPermissionDenied  shop/orders/app  open(\"/data/x\") = EACCES\n"), "{out}");
    assert!(out.contains("  why   uid 1000 needs w\n  fix   Set fsGroup: 1000.\n"), "{out}");
    assert!(out.contains("  sure  certain: seen"), "{out}");
    assert!(err.contains("told in Events"), "{err}");
    expect(&cluster.unready(&["get", "--exit-code"]), 3);
    let (out, err) = expect(&cluster.unready(&["patch", "orders", "-o", "json"]), 0);
    assert!(out.contains("\"fsGroup\":1000"), "{out}");
    assert!(err.contains("read it before you apply it"), "{err}");
}

#[test]
fn an_event_without_a_verdict_says_its_text_and_nothing_is_read_into_it() {
    let cluster = shop(vec![pod("orders", false)], vec![told("orders", None)]);
    let (out, _) = expect(&cluster.unready(&["get", "pod/orders"]), 0);
    assert!(out.contains("open(\"/data/x\") = EACCES. uid 1000 needs w. Fix: Set fsGroup: 1000."), "{out}");
    assert!(out.contains("holds its text only") && !out.contains("  fix  ") && !out.contains("  sure  "), "{out}");
    // It says nothing of how bad it is, nor whether there is a patch: that is no "none can help".
    expect(&cluster.unready(&["get", "--exit-code"]), 0);
    let (_, err) = expect(&cluster.unready(&["patch", "orders"]), 1);
    assert!(err.contains("holds no patch for this"), "{err}");
    // One that speaks of another pod is believed no more than that.
    let cluster = shop(vec![pod("orders", false)], vec![told("orders", Some(&said("billing")))]);
    let (out, _) = expect(&cluster.unready(&["get", "pod/orders"]), 0);
    assert!(out.contains("holds its text only"), "{out}");
}

/// The shop for somebody with rights in some namespaces only: whoever asks elsewhere, or for events, is refused.
fn restricted(unready: Vec<Value>) -> Cluster {
    Cluster::new(move |target| match target {
        path if path.starts_with("/api/v1/namespaces/shop/pods") && path.contains("unready") => list("PodList", &[]),
        path if path.starts_with("/api/v1/namespaces/shop/pods") => list("PodList", &[pod("orders", false)]),
        path if path.starts_with("/api/v1/namespaces/unready/pods?") && path.contains("collector") => list("PodList", &unready),
        path => failure(403, "Forbidden", &format!("User \"me\" may not ask {path}")),
    })
}

#[test]
fn a_user_of_one_namespace_is_told_one_thing() {
    let (out, err) = expect(&restricted(vec![]).unready(&["get"]), 0);
    assert!(out.contains(" ImagePull "), "{out}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains("cannot be read (") && err.contains("without what the kernel saw"), "{err}");
    assert!(!err.contains("this is what the agents told"), "{err}");
}

#[test]
fn rights_in_the_collectors_namespace_are_enough_to_look_for_it() {
    let (_, err) = expect(&restricted(vec![]).unready(&["get"]), 0);
    assert!(err.contains("no collector was found") && err.contains(" in namespace unready"), "{err}");
    let condition = json!({ "type": "Ready", "status": "True" });
    let collector = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "c-0", "namespace": "unready" },
        "spec": { "containers": [{ "name": "collector" }] }, "status": { "conditions": [condition] },
    });
    let (_, err) = expect(&restricted(vec![collector]).unready(&["get"]), 0);
    let reached = "the collector c-0 in namespace unready cannot be reached through the API server";
    assert!(err.contains(reached) && !err.contains("cannot be looked for"), "{err}");
}

#[test]
fn what_does_not_exist_and_what_is_forbidden_are_errors() {
    let (_, err) = expect(&shop(vec![pod("a", true)], vec![]).unready(&["get", "orders"]), 1);
    assert!(err.contains("error from the server (NotFound): pods \"orders\" not found"), "{err}");
    let forbidden = Cluster::new(|_| failure(403, "Forbidden", "pods is forbidden: User \"me\" cannot list resource \"pods\""));
    let (_, err) = expect(&forbidden.unready(&["get"]), 1);
    assert!(err.contains("error from the server (Forbidden): pods is forbidden"), "{err}");
    let (_, err) = expect(&forbidden.unready(&["get", "-A", "orders"]), 1);
    assert!(err.contains("a resource cannot be retrieved by name across all namespaces"), "{err}");
}

#[test]
fn a_server_that_is_away_is_named_as_that() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cluster = shop(vec![], vec![]);
    let config = fs::read_to_string(cluster.place.path().join("config")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["clusters"][0]["cluster"]["server"] = json!(format!("http://127.0.0.1:{port}"));
    fs::write(cluster.place.path().join("config"), config.to_string()).unwrap();
    let (_, err) = expect(&cluster.unready(&["get"]), 1);
    assert!(err.contains("the API server does not answer"), "{err}");
    let (_, err) = expect(&cluster.unready(&["get", "--context", "prod"]), 1);
    assert!(err.contains("there is no context \"prod\""), "{err}");
}

#[test]
fn a_patch_that_cannot_help_says_what_can() {
    let cluster = shop(vec![pod("orders", false), pod("well", true)], vec![]);
    let (out, err) = expect(&cluster.unready(&["patch", "well"]), 4);
    assert!(out.is_empty() && err.contains("there is nothing to patch"), "{err}");
}

#[test]
fn a_start_is_drawn_and_told() {
    let cluster = shop(vec![pod("orders", true)], vec![]);
    let (out, _) = expect(&cluster.unready(&["timeline", "orders"]), 0);
    assert!(out.contains("\nscheduled ") && out.contains("\napp ") && out.contains("\nready "), "{out}");
    let (json, _) = expect(&cluster.unready(&["timeline", "orders", "-o", "json"]), 0);
    let timeline: Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(timeline["spans"][0]["seconds"], json!(5.0), "{timeline}");
    expect(&cluster.unready(&["timeline"]), 2);
}

#[test]
fn unknown_causes_are_usage_with_a_suggestion() {
    let cluster = shop(vec![], vec![]);
    for words in [&["explain", "FileMising"][..], &["get", "--cause", "FileMising"]] {
        let (_, err) = expect(&cluster.unready(words), 2);
        assert!(err.contains("did you mean FileMissing"), "{err}");
    }
    let (out, _) = expect(&cluster.unready(&["explain", "filemissing"]), 0);
    assert!(out.starts_with("FileMissing\n") && out.contains("Symptom."), "{out}");
}

#[test]
fn completion_asks_the_cluster_and_keeps_its_mouth_shut_without_one() {
    let cluster = shop(vec![pod("orders", false)], vec![]);
    let (out, _) = expect(&cluster.unready(&["__complete", "timeline", "ord"]), 0);
    assert_eq!(out, "orders\n:4\n");
    let (out, err) = expect(&cluster.unready(&["__complete", "--context", "prod", "timeline", ""]), 0);
    assert_eq!((out.as_str(), err.as_str()), (":4\n", ""));
    let (out, _) = expect(&cluster.unready(&["__complete", "--context", ""]), 0);
    assert_eq!(out, "test\n:4\n");
}
