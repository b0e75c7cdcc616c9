//! Pods of Unready itself: found by their labels, and reached as `kubectl port-forward` would, through the API server and the
//! kubelet. Whoever may not use `pods/portforward` there does not get in.

use k8s_openapi::api::core::v1 as api;
use kube::{Api, Client, api::ListParams};
use std::collections::BTreeMap;
use tokio::io::{AsyncRead, AsyncWrite};

/// Which part of Unready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The agents, one for each node.
    Agent,
    Collector,
}

impl Component {
    /// As the chart labels it.
    pub const fn labels(self) -> &'static str {
        match self {
            Self::Agent => "app.kubernetes.io/name=unready,app.kubernetes.io/component=agent",
            Self::Collector => "app.kubernetes.io/name=unready,app.kubernetes.io/component=collector",
        }
    }
}

/// A pod that calls itself a part of Unready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub namespace: String,
    pub pod: String,
    /// It is ready, and not about to go.
    pub is_ready: bool,
    /// Its ports that have a name.
    pub ports: BTreeMap<String, u16>,
}

impl Member {
    fn of(pod: &api::Pod) -> Self {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let is_ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let ports = containers.flat_map(|container| container.ports.iter().flatten());
        let named = ports.filter_map(|port| Some((port.name.clone()?, u16::try_from(port.container_port).ok()?)));
        Self {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            pod: pod.metadata.name.clone().unwrap_or_default(),
            is_ready: is_ready && pod.metadata.deletion_timestamp.is_none(),
            ports: named.collect(),
        }
    }
}

/// Those of a namespace, or of all.
pub async fn members(client: &Client, component: Component, namespace: Option<&str>) -> kube::Result<Vec<Member>> {
    let params = ListParams::default().labels(component.labels());
    let list = crate::scoped::<api::Pod>(client, namespace).list(&params).await?;
    Ok(list.items.iter().map(Member::of).collect())
}

/// A stream of bytes to a port of a pod's own loopback; `None`: the port is not forwarded.
pub async fn forward(
    client: &Client,
    namespace: &str,
    pod: &str,
    port: u16,
) -> kube::Result<Option<impl AsyncRead + AsyncWrite + Send + Unpin + use<>>> {
    let pods: Api<api::Pod> = Api::namespaced(client.clone(), namespace);
    let mut forwarder = pods.portforward(pod, &[port]).await?;
    Ok(forwarder.take_stream(port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::{Value, json};

    fn pod(ready: &str, ports: &Value) -> api::Pod {
        serde_json::from_value(json!({
            "metadata": { "name": "c-0", "namespace": "unready" },
            "spec": { "containers": [{ "name": "collector", "ports": ports }] },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        }))
        .unwrap()
    }

    #[test]
    fn a_pod_is_told_with_its_ports() {
        let ports = json!([{ "name": "ingest", "containerPort": 50051 }, { "containerPort": 9 }, { "name": "query", "containerPort": 7 }]);
        let member = Member::of(&pod("True", &ports));
        assert_eq!((member.namespace.as_str(), member.pod.as_str(), member.is_ready), ("unready", "c-0", true));
        assert_eq!(member.ports, [("ingest".to_owned(), 50051), ("query".to_owned(), 7)].into());
        assert!(!Member::of(&pod("False", &json!([]))).is_ready);
        let mut leaving = pod("True", &json!([]));
        leaving.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-11-24T10:00:00Z")).unwrap());
        assert!(!Member::of(&leaving).is_ready);
    }
}
