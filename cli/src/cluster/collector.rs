//! The collector of a cluster, reached as `kubectl port-forward` would: through the API server and the kubelet, to a port that
//! listens on the pod's own loopback. Whoever may not use `pods/portforward` there does not get in.
//!
//! It is found by its labels, anew with each connection: a collector that was replaced has another name.

use super::{Cluster, Trouble};
use crate::collector::{Client, client};
use hyper_util::rt::TokioIo;
use std::{collections::BTreeSet, time::Duration};
use tonic::transport::{Channel, Endpoint, Uri};
use unready_kubernetes::installed::{self, Component, Member};
use unready_transport::peer;

/// As the chart labels it.
const LABELS: &str = Component::Collector.labels();
/// The port on which a collector is asked, unless its pod names one `query`.
const PORT: u16 = 50052;
/// Where the chart installs by default: looked at when all namespaces may not be.
const USUAL: &str = "unready";
/// A collector that vanished during a watch is noticed after this time and some seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A collector's pod.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    namespace: String,
    pod: String,
    port: u16,
}

/// Why there is no collector to ask.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoCollector {
    /// There is none.
    #[error("no collector was found (a running pod with the labels {LABELS}){}", .0.as_ref().map(|n| format!(" in namespace {n}")).unwrap_or_default())]
    Absent(Option<String>),
    /// What calls itself a collector is in other namespaces than the usual one: whoever may make a pod there could pose as one.
    #[error("there is no collector in namespace {USUAL}, and pods that call themselves one are in {}: if you trust it, name its namespace with --collector-namespace", .0.join(", "))]
    Elsewhere(Vec<String>),
    /// There is one and it is not ready.
    #[error("the collector {0} is not ready")]
    NotReady(String),
    /// It cannot be looked for.
    #[error("the collector cannot be looked for: {0}")]
    Unknown(Trouble),
    /// It cannot be reached.
    #[error("the collector {pod} in namespace {namespace} cannot be reached through the API server: {reason}")]
    Unreachable {
        /// Where it is.
        namespace: String,
        pod: String,
        reason: String,
    },
}

/// Asks the collector for verdicts, over a connection that renews itself.
pub(crate) async fn connect(cluster: &Cluster) -> Result<Client, NoCollector> {
    channel(cluster).await.map(client)
}

/// A connection to the collector that renews itself, for whatever is asked.
pub(crate) async fn channel(cluster: &Cluster) -> Result<Channel, NoCollector> {
    let found = find(cluster).await?;
    let endpoint = Endpoint::from_static("http://collector.unready").connect_timeout(cluster.patience);
    let endpoint = endpoint.http2_keep_alive_interval(KEEP_ALIVE).keep_alive_while_idle(true);
    let owned = cluster.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let cluster = owned.clone();
        async move {
            let found = find(&cluster).await?;
            forward(&cluster, &found).await.map(TokioIo::new)
        }
    });
    endpoint.connect_with_connector(connector).await.map_err(|error| NoCollector::Unreachable {
        namespace: found.namespace,
        pod: found.pod,
        reason: peer::innermost(&error),
    })
}

/// A stream of bytes to the collector's port.
async fn forward(
    cluster: &Cluster,
    found: &Found,
) -> Result<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + use<>, NoCollector> {
    let unreachable = |reason: String| NoCollector::Unreachable { namespace: found.namespace.clone(), pod: found.pod.clone(), reason };
    let forwarded = cluster.ask(installed::forward(&cluster.client, &found.namespace, &found.pod, found.port)).await;
    let stream = forwarded.map_err(|trouble| unreachable(trouble.to_string()))?;
    stream.ok_or_else(|| unreachable("the port is not forwarded".to_owned()))
}

async fn find(cluster: &Cluster) -> Result<Found, NoCollector> {
    let named = cluster.collector_namespace.as_deref();
    let seen = members(cluster, Component::Collector, named).await.map_err(NoCollector::Unknown)?;
    choose(&seen.pods, named.or((!seen.everywhere).then_some(USUAL)))
}

/// The first one that is ready: all replicas know the same. Only in the usual namespace, or the one that the user named: what a
/// collector says is shown to people and proposed as patches.
fn choose(members: &[Member], named: Option<&str>) -> Result<Found, NoCollector> {
    let trusted = named.unwrap_or(USUAL);
    let (here, elsewhere): (Vec<&Member>, Vec<&Member>) = members.iter().partition(|member| member.namespace == trusted);
    if here.is_empty() && !elsewhere.is_empty() {
        let namespaces: BTreeSet<String> = elsewhere.iter().map(|member| member.namespace.clone()).collect();
        return Err(NoCollector::Elsewhere(namespaces.into_iter().collect()));
    }
    match here.iter().find(|member| member.is_ready) {
        Some(Member { namespace, pod, ports, .. }) => {
            Ok(Found { namespace: namespace.clone(), pod: pod.clone(), port: ports.get("query").copied().unwrap_or(PORT) })
        }
        None => Err(here
            .first()
            .map_or_else(|| NoCollector::Absent(named.map(str::to_owned)), |member| NoCollector::NotReady(member.pod.clone()))),
    }
}

/// Pods of Unready itself, as far as one may look.
struct Seen {
    pods: Vec<Member>,
    /// All namespaces were looked at.
    everywhere: bool,
}

/// Pods of Unready itself. Who may not look at all namespaces gets those of the usual one, and of his own: an error only if he
/// may not look at the usual one, and there is none in his own.
async fn members(cluster: &Cluster, component: Component, named: Option<&str>) -> Result<Seen, Trouble> {
    let list = async |namespace: Option<&str>| cluster.ask(installed::members(&cluster.client, component, namespace)).await;
    match list(named).await {
        Err(trouble) if trouble.is_forbidden() && named.is_none() => {
            let usual = list(Some(USUAL)).await;
            let mut pods = Vec::new();
            if let Some(own) = cluster.namespace.as_deref().filter(|own| *own != USUAL && usual.as_ref().map_or(true, Vec::is_empty)) {
                pods = list(Some(own)).await.unwrap_or_default();
            }
            if pods.is_empty() {
                pods = usual?;
            }
            Ok(Seen { pods, everywhere: false })
        }
        answer => answer.map(|pods| Seen { pods, everywhere: named.is_none() }),
    }
}

/// Whether an agent runs anywhere; `None`: we may not look everywhere, and where we may there is none.
pub(crate) async fn has_agent(cluster: &Cluster) -> Option<bool> {
    let seen = members(cluster, Component::Agent, None).await.ok()?;
    let is_there = seen.pods.iter().any(|member| member.is_ready);
    (is_there || seen.everywhere).then_some(is_there)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn member(pod: &str, is_ready: bool) -> Member {
        Member { namespace: "unready".into(), pod: pod.into(), is_ready, ..Member::default() }
    }

    #[test]
    fn a_ready_one_is_chosen() {
        let named = Member { ports: [("ingest".to_owned(), 50051), ("query".to_owned(), 7)].into(), ..member("second", true) };
        let all = [member("starting", false), named, member("third", true)];
        let found = choose(&all, None).unwrap();
        assert_eq!((found.namespace.as_str(), found.pod.as_str(), found.port), ("unready", "second", 7));
        assert_eq!(choose(&all[2..], None).unwrap().port, PORT);
    }

    #[test]
    fn one_that_poses_elsewhere_is_not_asked() {
        let elsewhere = Member { namespace: "shop".into(), ..member("c-1", true) };
        let refused = choose(std::slice::from_ref(&elsewhere), None).unwrap_err().to_string();
        assert!(refused.contains("are in shop"), "{refused}");
        assert_eq!(choose(&[elsewhere], Some("shop")).unwrap().pod, "c-1");
    }

    #[test]
    fn it_is_said_why_there_is_none() {
        let none = choose(&[], Some("tools")).unwrap_err().to_string();
        assert!(none.starts_with("no collector was found") && none.ends_with(" in namespace tools"), "{none}");
        let starting = choose(&[member("c-1", false)], None).unwrap_err().to_string();
        assert_eq!(starting, "the collector c-1 is not ready");
    }
}
