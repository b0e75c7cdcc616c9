//! The collector against a real API server: what has no node, the lease, the published authority, tokens.
//!
//! These tests make and remove namespaces, so they run only in a cluster that is named for it: `UNREADY_CLUSTER` is the path
//! of its kubeconfig (`cargo xtask cluster kubeconfig` prints one). Without it they say so and do nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        authentication::v1::TokenRequest,
        core::v1::{ConfigMap, Namespace, Pod, ResourceQuota, ServiceAccount},
        events::v1::Event,
    },
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use unready_collector::{
    certificate::self_signed,
    cluster,
    ingest::identity::Judge,
    metrics::Metrics,
    store::{Keep, Selection, Store as _, sqlite::Sqlite},
};
use unready_kubernetes::{
    authority::Publication,
    client::{self, Access},
    lease::Lease,
};
use unready_proto::v1::{Filter, Verdict};

const DEADLINE: Duration = Duration::from_mins(1);

/// How to reach the cluster for tests.
fn access() -> Option<Access> {
    let Some(kubeconfig) = env::var_os("UNREADY_CLUSTER") else {
        eprintln!("not run: UNREADY_CLUSTER does not name the kubeconfig of a cluster for tests (`cargo xtask cluster up`)");
        return None;
    };
    Some(Access { kubeconfig: Some(kubeconfig.into()), context: None })
}

/// A namespace, removed at the end.
struct Lab {
    client: Client,
    name: String,
}

impl Lab {
    async fn new(purpose: &str) -> Option<Self> {
        let client = client::connect(&access()?).await.unwrap();
        let name = format!("unready-collector-{purpose}-{}", std::process::id());
        let namespace = object(json!({ "metadata": { "name": name } }));
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        Some(Self { client, name })
    }

    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    async fn create<K>(&self, value: Value)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + serde::Serialize + DeserializeOwned + Clone + std::fmt::Debug,
    {
        self.api::<K>().create(&PostParams::default(), &object(value)).await.unwrap();
    }

    async fn end(self) {
        Api::<Namespace>::all(self.client).delete(&self.name, &DeleteParams::default()).await.unwrap();
    }
}

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(DEADLINE, asking).await.unwrap_or_else(|_| panic!("in time: {what}"))
}

/// The watch in process.
struct Watch {
    store: Arc<Sqlite>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Watch {
    fn start(client: Client, directory: &TempDir) -> Self {
        let store = Arc::new(Sqlite::open(&directory.path().join("db"), Keep::verdicts(1000)).unwrap());
        let (stop, stopped) = oneshot::channel();
        let watched = Arc::clone(&store);
        let task = tokio::spawn(async move {
            cluster::run(client, None, "test", watched, Arc::default(), async {
                let _ = stopped.await;
            })
            .await;
        });
        Self { store, stop, task }
    }

    /// Of this namespace, by their words.
    async fn find(&self, namespace: &str, cause: &str, summary: &str) -> Option<Verdict> {
        let filter = Filter { namespace: namespace.to_owned(), cause: cause.to_owned(), include_resolved: true, ..Filter::default() };
        let page = self.store.list(Selection::Latest(filter), 100).await.unwrap();
        page.verdicts.into_iter().find(|verdict| verdict.summary.contains(summary))
    }

    async fn said(&self, namespace: &str, cause: &str, summary: &str) -> Verdict {
        let open = async || self.find(namespace, cause, summary).await.filter(|verdict| verdict.resolved_at.is_none());
        eventually(&format!("{cause} {summary}"), open).await
    }

    async fn resolved(&self, namespace: &str, cause: &str, summary: &str) -> Verdict {
        let over = async || self.find(namespace, cause, summary).await.filter(|verdict| verdict.resolved_at.is_some());
        eventually(&format!("the end of {cause} {summary}"), over).await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }
}

fn homeless(name: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": { "nodeSelector": { "unready.test/none": name }, "containers": [{ "name": "app", "image": "unready.test/none:1" }] }
    })
}

fn deployment(name: &str) -> Value {
    let labels = json!({ "app": name });
    json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": 1, "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": {
                // No node takes it: it need not run.
                "nodeSelector": { "unready.test/none": name }, "terminationGracePeriodSeconds": 0,
                "containers": [{ "name": "app", "image": "unready.test/none:1" }]
            } }
        }
    })
}

#[tokio::test]
async fn what_has_no_node_is_said_and_taken_back() {
    let Some(place) = Lab::new("watch").await else { return };
    let (directory, namespace) = (tempfile::tempdir().unwrap(), place.name.clone());
    place
        .create::<ResourceQuota>(json!({ "metadata": { "name": "none" }, "spec": { "hard": { "count/configmaps": "9", "pods": "2" } } }))
        .await;
    // The first two use the quota up.
    for name in ["first", "second"] {
        place.create::<Pod>(homeless(name)).await;
    }
    place.create::<Deployment>(deployment("orders")).await;
    let watch = Watch::start(place.client.clone(), &directory);

    let unscheduled = watch.said(&namespace, "Unschedulable", "nodeSelector").await;
    let workload = unscheduled.workload.clone().unwrap();
    assert!(workload.node.is_empty() && !workload.pod_uid.is_empty(), "{workload:?}");
    let denied = watch.said(&namespace, "AdmissionDenied", "ResourceQuota none is used up").await;
    assert_eq!(denied.workload.unwrap().owner, "Deployment/orders");
    let event = eventually("an Event on the Deployment", async || {
        let about = ListParams::default().fields("regarding.kind=Deployment,regarding.name=orders,reason=AdmissionDenied");
        place.api::<Event>().list(&about).await.unwrap().items.pop()
    })
    .await;
    let owner = place.api::<Deployment>().get("orders").await.unwrap();
    assert_eq!(event.regarding.unwrap().uid, owner.metadata.uid, "it is about the Deployment that people write");
    assert!(event.note.unwrap().contains("ResourceQuota none is used up"));

    // Room: the pod is made. One pod goes: it needs no node any more.
    let room = Patch::Merge(json!({ "spec": { "hard": { "pods": "9" } } }));
    place.api::<ResourceQuota>().patch("none", &PatchParams::default(), &room).await.unwrap();
    place.api::<Pod>().delete("first", &DeleteParams::default()).await.unwrap();
    watch.resolved(&namespace, "AdmissionDenied", "ResourceQuota none is used up").await;
    eventually("the end of what was said of the first pod", async || {
        let filter = Filter { namespace: namespace.clone(), pod: "first".into(), include_resolved: true, ..Filter::default() };
        let page = watch.store.list(Selection::Latest(filter), 9).await.unwrap();
        page.verdicts.into_iter().find(|verdict| verdict.resolved_at.is_some())
    })
    .await;

    // What ends while nobody looks is found out by the next one.
    watch.stop().await;
    place.api::<Pod>().delete("second", &DeleteParams::default()).await.unwrap();
    let watch = Watch::start(place.client.clone(), &directory);
    eventually("the end of what was said of the second pod", async || {
        let filter = Filter { namespace: namespace.clone(), pod: "second".into(), include_resolved: true, ..Filter::default() };
        let page = watch.store.list(Selection::Latest(filter), 9).await.unwrap();
        page.verdicts.into_iter().find(|verdict| verdict.resolved_at.is_some())
    })
    .await;
    watch.stop().await;
    place.end().await;
}

/// The API server behind a wire that can be cut.
struct Wire {
    client: Client,
    is_whole: watch::Sender<bool>,
}

impl Wire {
    async fn new(access: &Access) -> Self {
        let mut config = client::configuration(access).await.unwrap();
        let (host, port) = (config.cluster_url.host().unwrap().to_owned(), config.cluster_url.port_u16().unwrap_or(443));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        config.cluster_url = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        config.tls_server_name = Some(host.clone());
        let (is_whole, whole) = watch::channel(true);
        tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut whole, host) = (whole.clone(), host.clone());
                open.spawn(async move {
                    if !*whole.borrow() {
                        return;
                    }
                    let mut far = TcpStream::connect((host.as_str(), port)).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = whole.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { client: Client::try_from(config).unwrap(), is_whole }
    }
}

#[tokio::test]
async fn an_outage_of_the_api_server_changes_nothing_and_loses_nothing() {
    let Some(place) = Lab::new("outage").await else { return };
    let (directory, namespace) = (tempfile::tempdir().unwrap(), place.name.clone());
    let wire = Wire::new(&access().unwrap()).await;
    place.create::<Pod>(homeless("before")).await;
    let watch = Watch::start(wire.client.clone(), &directory);
    let before = watch.said(&namespace, "Unschedulable", "").await;

    wire.is_whole.send_replace(false);
    place.create::<Pod>(homeless("meanwhile")).await;
    place.api::<Pod>().delete("before", &DeleteParams::default()).await.unwrap();
    sleep(Duration::from_secs(7)).await;
    let same = watch.find(&namespace, "Unschedulable", "").await.unwrap();
    assert!(same.resolved_at.is_none() && same.id == before.id, "nothing is taken back without knowledge: {same:?}");
    wire.is_whole.send_replace(true);

    let of = async |pod: &str, is_over: bool| {
        let filter = Filter { namespace: namespace.clone(), pod: pod.to_owned(), include_resolved: true, ..Filter::default() };
        let page = watch.store.list(Selection::Latest(filter), 9).await.unwrap();
        page.verdicts.into_iter().find(|verdict| verdict.resolved_at.is_some() == is_over)
    };
    eventually("what came during the outage", async || of("meanwhile", false).await).await;
    eventually("what went during the outage", async || of("before", true).await).await;
    watch.stop().await;
    place.end().await;
}

#[tokio::test]
async fn one_collector_at_a_time_holds_the_lease_and_gives_it_back() {
    let Some(place) = Lab::new("lease").await else { return };
    let working = Arc::new(AtomicU32::new(0));
    let start = |identity: &'static str| {
        let lease = Lease::new(place.client.clone(), &place.name, "collector", identity);
        let (stop, stopped) = oneshot::channel::<()>();
        let (holds, held) = watch::channel(false);
        let working = Arc::clone(&working);
        let task = tokio::spawn(async move {
            let work = || async {
                let _one = One::more(&working);
                holds.send_replace(true);
                std::future::pending::<()>().await;
            };
            lease
                .lead(|_| {}, work, async {
                    let _ = stopped.await;
                })
                .await;
        });
        (stop, held, task)
    };
    let (stop, mut held, task) = start("one");
    timeout(DEADLINE, held.wait_for(|held| *held)).await.unwrap().unwrap();
    let (stop_two, mut held_two, task_two) = start("two");
    sleep(Duration::from_secs(5)).await;
    assert_eq!(working.load(Ordering::SeqCst), 1, "two waits");
    let asked = Instant::now();
    stop.send(()).unwrap();
    task.await.unwrap();
    timeout(DEADLINE, held_two.wait_for(|held| *held)).await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(12), "it was given back, so nobody waits for it to run out: {:?}", asked.elapsed());
    stop_two.send(()).unwrap();
    task_two.await.unwrap();
    place.end().await;
}

/// Counts who works, and fails when two do.
struct One<'a>(&'a AtomicU32);

impl<'a> One<'a> {
    fn more(count: &'a AtomicU32) -> Self {
        assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "two at a time");
        Self(count)
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_authority_is_published_beside_others_and_taken_back() {
    let Some(place) = Lab::new("authority").await else { return };
    let api = place.api::<ConfigMap>();
    let keys = async || api.get("ca").await.unwrap().data.unwrap_or_default().into_keys().collect::<Vec<_>>();
    let made = self_signed(&["collector".to_owned()], "pod-1").unwrap();
    let publication = Publication::new(place.client.clone(), &place.name, "ca", "pod-1", made.authority.clone());

    publication.renew().await.unwrap();
    assert_eq!(keys().await, ["pod-1"], "it is made when it is not there");
    place.create::<Pod>(homeless("pod-2")).await;
    let others = Patch::Merge(json!({ "data": { "pod-1": "changed", "pod-2": "alive", "pod-3": "gone" } }));
    api.patch("ca", &PatchParams::default(), &others).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let kept = tokio::spawn(async move {
        publication
            .keep(async {
                let _ = stopped.await;
            })
            .await;
    });
    eventually("the key of a pod that is gone is removed", async || (keys().await == ["pod-1", "pod-2"]).then_some(())).await;
    assert_eq!(api.get("ca").await.unwrap().data.unwrap()["pod-1"], made.authority, "ours is put right");
    stop.send(()).unwrap();
    kept.await.unwrap();
    assert_eq!(keys().await, ["pod-2"], "ours is taken back, the other's stays");
    place.end().await;
}

#[tokio::test]
async fn the_api_server_judges_tokens() {
    let Some(place) = Lab::new("token").await else { return };
    place.create::<ServiceAccount>(json!({ "metadata": { "name": "agent" } })).await;
    let request: TokenRequest = object(json!({ "metadata": {}, "spec": { "audiences": ["unready-collector"] } }));
    let token = eventually("a token", async || {
        let made = place.api::<ServiceAccount>().create_token_request("agent", &PostParams::default(), &request).await.ok()?;
        made.status.map(|status| status.token)
    })
    .await;
    let review = place.client.review(token.clone(), "unready-collector".to_owned()).await.unwrap();
    assert!(review.authenticated);
    assert_eq!(review.audiences, ["unready-collector"]);
    let user = format!("system:serviceaccount:{}:agent", place.name);
    assert_eq!(review.user, user);
    let other = place.client.review(token, "somebody-else".to_owned()).await.unwrap();
    assert!(!other.authenticated, "a token for us is none for others");
    let nonsense = place.client.review("nonsense".to_owned(), "unready-collector".to_owned()).await.unwrap();
    assert!(!nonsense.authenticated);
    place.end().await;
}
