//! The watch of a node's pods, against a server that misbehaves.

use crate::server::{self, Answer, Server, client, failure, pod, pods, status};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};
use tokio::{sync::mpsc::Receiver, time::timeout};
use unready_diagnosis::cluster::PodChange;
use unready_kubernetes::watch::node_pods;

async fn next(changes: &mut Receiver<PodChange>) -> PodChange {
    timeout(Duration::from_secs(40), changes.recv()).await.unwrap().unwrap()
}

fn names(change: PodChange) -> Vec<String> {
    let PodChange::Reset(pods) = change else { panic!("is no reset: {change:?}") };
    pods.into_iter().map(|pod| pod.name).collect()
}

fn added(pod: &Value) -> Value {
    json!({ "type": "ADDED", "object": pod })
}

/// A list of pods that may change, and a watch into which the test speaks.
struct Cluster {
    listed: Mutex<Vec<Value>>,
    watches: Mutex<Vec<mpsc::Sender<Value>>>,
}

impl Cluster {
    fn with(names: &[&str]) -> Arc<Self> {
        Arc::new(Self { listed: Mutex::new(names.iter().map(|name| pod(name, 10)).collect()), watches: Mutex::default() })
    }

    fn serve(self: &Arc<Self>) -> Server {
        Server::start(self.script())
    }

    fn script(self: &Arc<Self>) -> Arc<server::Script> {
        let cluster = Arc::clone(self);
        Arc::new(move |request: &server::Request| {
            if request.line.contains("/replicasets/") || request.line.contains("/deployments/") {
                failure(403, "Forbidden")
            } else if request.line.contains("watch=true") {
                let (speak, hear) = mpsc::channel();
                cluster.watches.lock().unwrap().push(speak);
                Answer::Watch(hear)
            } else {
                pods(&cluster.listed.lock().unwrap(), 10)
            }
        })
    }

    /// Into the watch that is open, or will be.
    async fn say(&self, line: Value) {
        for _ in 0..1500 {
            if let Some(watch) = self.watches.lock().unwrap().last() {
                watch.send(line).unwrap();
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nobody watches");
    }

    fn end_watches(&self) {
        self.watches.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn lists_then_follows() {
    let cluster = Cluster::with(&["a", "b"]);
    let server = cluster.serve();
    let mut changes = node_pods(client(server.address()), "node-1");
    assert_eq!(names(next(&mut changes).await), ["a", "b"]);
    cluster.say(added(&pod("c", 11))).await;
    let PodChange::Apply(applied) = next(&mut changes).await else { panic!("is no apply") };
    assert_eq!(applied.name, "c");
    cluster.say(json!({ "type": "DELETED", "object": pod("a", 12) })).await;
    assert_eq!(next(&mut changes).await, PodChange::Delete { uid: "uid-a".into() });
    let list = &server.requests("GET /api/v1/pods?")[0].line;
    assert!(list.contains("fieldSelector=spec.nodeName%3Dnode-1") && list.contains("limit="), "{list}");
}

#[tokio::test]
async fn owners_that_we_may_not_see_are_told_by_the_pods_labels() {
    let cluster = Cluster::with(&["a"]);
    let server = cluster.serve();
    let mut changes = node_pods(client(server.address()), "node-1");
    let PodChange::Reset(pods) = next(&mut changes).await else { panic!("is no reset") };
    assert_eq!(pods[0].owner.as_ref().unwrap().to_string(), "Deployment/web");
}

#[tokio::test]
async fn a_version_that_is_too_old_means_a_new_list() {
    let cluster = Cluster::with(&["a"]);
    let server = cluster.serve();
    let mut changes = node_pods(client(server.address()), "node-1");
    assert_eq!(names(next(&mut changes).await), ["a"]);
    *cluster.listed.lock().unwrap() = vec![pod("z", 99)];
    cluster.say(json!({ "type": "ERROR", "object": status(410, "Expired") })).await;
    assert_eq!(names(next(&mut changes).await), ["z"], "and nobody was away");
}

#[tokio::test]
async fn a_watch_that_ends_is_taken_up_where_it_was() {
    let cluster = Cluster::with(&["a"]);
    let server = cluster.serve();
    let mut changes = node_pods(client(server.address()), "node-1");
    next(&mut changes).await;
    cluster.say(added(&pod("b", 17))).await;
    next(&mut changes).await;
    cluster.end_watches();
    cluster.say(added(&pod("c", 18))).await;
    let PodChange::Apply(applied) = next(&mut changes).await else { panic!("is no apply") };
    assert_eq!(applied.name, "c");
    let last = server.requests("GET /api/v1/pods?").pop().unwrap().line;
    assert!(last.contains("resourceVersion=17"), "{last}");
}

#[tokio::test]
async fn an_outage_is_said_once_and_ends_with_a_new_list() {
    let cluster = Cluster::with(&["a"]);
    let server = cluster.serve();
    let address = server.address();
    let mut changes = node_pods(client(address), "node-1");
    assert_eq!(names(next(&mut changes).await), ["a"]);
    drop(server);
    cluster.end_watches();
    assert_eq!(next(&mut changes).await, PodChange::Unreachable);
    assert!(timeout(Duration::from_secs(3), changes.recv()).await.is_err(), "it is said once");
    *cluster.listed.lock().unwrap() = vec![pod("b", 20)];
    let _server = Server::start_at(address, cluster.script());
    assert_eq!(names(next(&mut changes).await), ["b"]);
}

#[tokio::test]
async fn a_short_outage_is_not_worth_a_word() {
    let cluster = Cluster::with(&["a"]);
    let server = cluster.serve();
    let address = server.address();
    let mut changes = node_pods(client(address), "node-1");
    next(&mut changes).await;
    drop(server);
    cluster.end_watches();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let _server = Server::start_at(address, cluster.script());
    assert!(timeout(Duration::from_secs(7), changes.recv()).await.is_err(), "a watch that was taken up again is no outage");
    cluster.say(added(&pod("b", 20))).await;
    assert!(matches!(next(&mut changes).await, PodChange::Apply(_)));
}

#[tokio::test]
async fn silence_is_an_outage_too() {
    let server = Server::start(Arc::new(|_: &server::Request| Answer::Silence));
    let mut changes = node_pods(client(server.address()), "node-1");
    assert_eq!(next(&mut changes).await, PodChange::Unreachable);
}

#[tokio::test]
async fn a_lack_of_rights_is_an_outage_too() {
    let server = Server::start(Arc::new(|_: &server::Request| failure(403, "Forbidden")));
    let mut changes = node_pods(client(server.address()), "node-1");
    assert_eq!(next(&mut changes).await, PodChange::Unreachable);
}
