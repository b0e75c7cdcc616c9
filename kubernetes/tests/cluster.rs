//! Against the API server of a real cluster: the one of `KUBECONFIG`, where `UNREADY_CLUSTER` is set, as the ring `cluster` does.
//! Elsewhere nothing is tried, and that is said. Each test makes a namespace and takes it away.
#![allow(clippy::unwrap_used, reason = "tests")]

use k8s_openapi::api::core::v1::{Event, Namespace, Node, Pod as ApiPod};
use kube::{
    Api, Client, Config,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, PostParams},
};
use serde_json::{Value, json};
use std::{env, process, thread, time::Duration};
use tokio::{
    sync::mpsc::Receiver,
    time::{sleep, timeout},
};
use unready_diagnosis::{
    cluster::{ClusterAnswer, ClusterQuestion, PodChange},
    pod::Pod,
};
use unready_kubernetes::{
    ask,
    client::{self, Access},
    events::{self, Publisher},
    pods,
    watch::node_pods,
};
use unready_proto::v1::{Verdict, Workload};

const PATIENCE: Duration = Duration::from_mins(1);

fn access() -> Option<Access> {
    if env::var_os("UNREADY_CLUSTER").is_none() {
        eprintln!("not tried: needs a cluster, `cargo xtask test --ring cluster` has one");
        return None;
    }
    assert!(env::var_os("KUBECONFIG").is_some(), "KUBECONFIG names the cluster");
    Some(Access::default())
}

/// A namespace of this test's own.
struct Lab {
    client: Client,
    namespace: String,
    node: String,
}

impl Lab {
    async fn open(name: &str) -> Option<Self> {
        let client = client::connect(&access()?).await.unwrap();
        let namespace = format!("unready-{name}-{}", process::id());
        let lab = Self { node: ready_node(&client).await, client, namespace };
        let object = serde_json::from_value(json!({ "metadata": { "name": lab.namespace } })).unwrap();
        Api::<Namespace>::all(lab.client.clone()).create(&PostParams::default(), &object).await.unwrap();
        // Pods are refused until the namespace has its service account.
        lab.until("the default service account", async || lab.get("v1", "ServiceAccount", "default").await).await;
        Some(lab)
    }

    fn api(&self, version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    async fn get(&self, version: &str, kind: &str, name: &str) -> Option<DynamicObject> {
        self.api(version, kind).get_opt(name).await.unwrap()
    }

    async fn create(&self, object: Value) -> DynamicObject {
        let (version, kind) = (object["apiVersion"].as_str().unwrap().to_owned(), object["kind"].as_str().unwrap().to_owned());
        let object = serde_json::from_value(object).unwrap();
        self.api(&version, &kind).create(&PostParams::default(), &object).await.unwrap()
    }

    /// A pod on the node whose image nobody has.
    async fn pod(&self, name: &str) -> DynamicObject {
        self.create(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": self.pod_spec() })).await
    }

    fn pod_spec(&self) -> Value {
        let container = json!({ "name": "app", "image": "unready.invalid/absent:1", "imagePullPolicy": "IfNotPresent" });
        json!({ "nodeName": self.node, "terminationGracePeriodSeconds": 0, "containers": [container] })
    }

    async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
    }
}

/// Also when the test fails: on a thread of its own, because a destructor cannot wait.
impl Drop for Lab {
    fn drop(&mut self) {
        let namespace = self.namespace.clone();
        let delete = async move {
            let client = client::connect(&Access::default()).await.unwrap();
            Api::<Namespace>::all(client).delete(&namespace, &DeleteParams::default()).await.map(drop)
        };
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let deleted = thread::spawn(move || runtime().block_on(delete)).join();
        if !thread::panicking() {
            deleted.unwrap().unwrap();
        }
    }
}

async fn ready_node(client: &Client) -> String {
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await.unwrap();
    let is_ready = |node: &&Node| {
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref()).into_iter().flatten();
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    nodes.items.iter().find(is_ready).and_then(|node| node.metadata.name.clone()).unwrap()
}

/// The first change that says what is looked for; others' pods come and go meanwhile.
async fn heard<T>(changes: &mut Receiver<PodChange>, look: impl Fn(PodChange) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look(changes.recv().await.unwrap()) {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.unwrap()
}

fn applied(namespace: &str, change: PodChange) -> Option<Pod> {
    match change {
        PodChange::Apply(pod) if pod.namespace == namespace => Some(*pod),
        PodChange::Apply(_) | PodChange::Delete { .. } | PodChange::Reset(_) | PodChange::Unreachable => None,
    }
}

#[tokio::test]
async fn pods_of_the_node_are_followed() {
    let Some(lab) = Lab::open("watch").await else { return };
    let mut changes = node_pods(lab.client.clone(), &lab.node);
    heard(&mut changes, |change| matches!(change, PodChange::Reset(_)).then_some(())).await;
    let created = lab.pod("short-lived").await;
    let pod = heard(&mut changes, |change| applied(&lab.namespace, change)).await;
    assert_eq!((Some(&pod.uid), pod.name.as_str(), &pod.node), (created.metadata.uid.as_ref(), "short-lived", &lab.node));
    lab.api("v1", "Pod").delete("short-lived", &DeleteParams::default()).await.unwrap();
    heard(&mut changes, |change| (change == PodChange::Delete { uid: pod.uid.clone() }).then_some(())).await;
}

#[tokio::test]
async fn owners_are_followed_to_the_top() {
    let Some(lab) = Lab::open("owner").await else { return };
    let mut changes = node_pods(lab.client.clone(), &lab.node);
    let template = json!({ "metadata": { "labels": { "app": "web" } }, "spec": lab.pod_spec() });
    let mut template = template;
    template["spec"].as_object_mut().unwrap().remove("terminationGracePeriodSeconds");
    let selector = json!({ "matchLabels": { "app": "web" } });
    lab.create(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "strategy": { "type": "Recreate" }, "selector": selector, "template": template } }))
        .await;
    let pod = heard(&mut changes, |change| applied(&lab.namespace, change)).await;
    let owner = pod.owner.unwrap();
    assert_eq!((owner.to_string().as_str(), owner.strategy.as_str()), ("Deployment/web", "Recreate"));
}

#[tokio::test]
async fn a_job_of_a_cron_job_is_the_cron_jobs() {
    let Some(lab) = Lab::open("cron").await else { return };
    let mut changes = node_pods(lab.client.clone(), &lab.node);
    let mut spec = lab.pod_spec();
    spec["restartPolicy"] = json!("Never");
    let job = json!({ "template": { "spec": spec } });
    let cron = json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "nightly" },
        "spec": { "schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": { "spec": job } } });
    let cron = lab.create(cron).await;
    let controller =
        json!([{ "apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": cron.metadata.uid, "controller": true }]);
    lab.create(
        json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "nightly-1", "ownerReferences": controller }, "spec": job }),
    )
    .await;
    let pod = heard(&mut changes, |change| applied(&lab.namespace, change)).await;
    assert_eq!(pod.owner.unwrap().to_string(), "CronJob/nightly");
}

#[tokio::test]
async fn events_of_a_pod_and_of_no_other() {
    let Some(lab) = Lab::open("events").await else { return };
    let question = |pod: &DynamicObject| ClusterQuestion::PodEvents {
        namespace: lab.namespace.clone(),
        pod: "absent-image".into(),
        uid: pod.metadata.uid.clone().unwrap(),
    };
    let first = question(&lab.pod("absent-image").await);
    let events = lab
        .until("the kubelet's events", async || match ask::answer(&lab.client, first.clone()).await {
            ClusterAnswer::PodEvents(events) => events.iter().any(|event| event.reason == "Failed").then_some(events),
            other @ (ClusterAnswer::Claim(_) | ClusterAnswer::Unknown { .. }) => panic!("{other:?}"),
        })
        .await;
    assert!(events.is_sorted_by_key(|event| event.last), "oldest first");
    let failed = events.iter().find(|event| event.reason == "Failed").unwrap();
    assert_eq!((failed.source.as_str(), failed.field.as_str(), failed.is_warning), ("kubelet", "spec.containers{app}", true));
    let other = ClusterQuestion::PodEvents { namespace: lab.namespace.clone(), pod: "absent-image".into(), uid: "another".into() };
    assert_eq!(ask::answer(&lab.client, other).await, ClusterAnswer::PodEvents(vec![]), "an earlier pod of this name is another one");
}

#[tokio::test]
async fn claims_and_what_stands_behind_them() {
    let Some(lab) = Lab::open("claims").await else { return };
    let ask =
        async |name: &str| match ask::answer(&lab.client, ClusterQuestion::Claim { namespace: lab.namespace.clone(), name: name.into() })
            .await
        {
            ClusterAnswer::Claim(claim) => claim,
            other @ (ClusterAnswer::PodEvents(_) | ClusterAnswer::Unknown { .. }) => panic!("{other:?}"),
        };
    assert!(!ask("absent").await.exists);
    lab.create(json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
        "spec": { "storageClassName": "no-such-class", "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } } }))
        .await;
    let claim = ask("data").await;
    assert!(claim.exists && !claim.class_exists && !claim.read_only);
    assert_eq!(claim.storage_class, "no-such-class");
}

#[tokio::test]
async fn what_is_forbidden_is_not_known_and_says_so() {
    let Some(lab) = Lab::open("rights").await else { return };
    let mut config: Config = client::configuration(&access().unwrap()).await.unwrap();
    config.auth_info.impersonate = Some(format!("system:serviceaccount:{}:default", lab.namespace));
    let nobody = Client::try_from(config).unwrap();
    let question = ClusterQuestion::Claim { namespace: lab.namespace.clone(), name: "data".into() };
    let ClusterAnswer::Unknown { reason } = ask::answer(&nobody, question).await else { panic!("it is allowed") };
    assert!(reason.contains("forbids") && reason.contains("persistentvolumeclaims"), "{reason}");
}

#[tokio::test]
async fn a_verdict_is_one_event_of_its_pod() {
    let Some(lab) = Lab::open("publish").await else { return };
    let pod = lab.pod("orders").await;
    let workload = Workload {
        namespace: lab.namespace.clone(),
        pod: "orders".into(),
        pod_uid: pod.metadata.uid.clone().unwrap(),
        container: "app".into(),
        ..Workload::default()
    };
    let verdict = |summary: &str, count: u32| Verdict {
        id: "00c0ffee00c0ffee".into(),
        cause: "ImagePull".into(),
        summary: summary.into(),
        count,
        workload: Some(workload.clone()),
        ..Verdict::default()
    };
    // As `kubectl describe pod` asks for them.
    let about = format!("involvedObject.name=orders,involvedObject.uid={},reportingComponent=unready.dev/agent", workload.pod_uid);
    let events = Api::<Event>::namespaced(lab.client.clone(), &lab.namespace);
    // An agent may run on that node, and have found the same.
    let is_ours = |event: &Event| event.metadata.name.as_deref() == Some("orders.00c0ffee00c0ffee");
    let ours = async || {
        let all = events.list(&ListParams::default().fields(&about)).await.unwrap().items;
        all.into_iter().filter(is_ours).collect::<Vec<_>>()
    };
    let publisher = Publisher::spawn(lab.client.clone(), &lab.node);
    publisher.offer(&verdict("the image cannot be pulled", 1));
    let first = lab.until("the Event", async || ours().await.into_iter().next()).await;
    assert_eq!(first.message.as_deref(), Some("the image cannot be pulled."));
    assert_eq!((first.type_.as_deref(), first.series), (Some("Warning"), None));
    publisher.offer(&verdict("the image cannot be pulled: no such host", 5));
    let counted = lab.until("the series", async || ours().await.into_iter().find(|event| event.series.is_some())).await;
    assert_eq!(counted.message.as_deref(), Some("the image cannot be pulled: no such host."));
    assert_eq!(counted.series.unwrap().count, Some(5));
    drop(publisher);

    // Another instance takes the same Event on, and ends it.
    let publisher = Publisher::spawn(lab.client.clone(), &lab.node);
    let ended = unready_proto::time::timestamp(1_795_000_000_000_000_000);
    publisher.offer(&Verdict { resolved_at: Some(ended), ..verdict("the image cannot be pulled", 6) });
    assert_eq!(publisher.finish(PATIENCE).await.published, 1);
    let all = ours().await;
    assert_eq!(all.len(), 1, "one series a verdict");
    assert_eq!((all[0].type_.as_deref(), all[0].message.as_deref()), (Some("Normal"), Some("Resolved: the image cannot be pulled.")));
    let (told, _) = events::read::page(&lab.client, Some(&lab.namespace), None).await.unwrap();
    let last = Verdict { resolved_at: Some(ended), ..verdict("the image cannot be pulled", 6) };
    assert!(told.contains(&last), "the verdict is in its annotation: {told:?}");
}

#[tokio::test]
async fn a_pod_reads_as_the_server_writes_it() {
    let Some(lab) = Lab::open("convert").await else { return };
    lab.pod("plain").await;
    let pod = pods::get(&lab.client, &lab.namespace, "plain").await.unwrap().unwrap();
    assert_eq!((pod.grace_seconds, pod.service_account.as_str(), pod.scheduler.as_str()), (0, "default", "default-scheduler"));
    assert!(pod.volumes.iter().any(|volume| volume.name.starts_with("kube-api-access")), "the token that the server adds");
    assert!(pod.created > 0 && !pod.is_ready());
}
