//! Owners that may make no pod, for clusters without a collector: their own events tell why.

use super::{Cluster, Trouble, target::Selection};
use crate::time::now;
use std::collections::BTreeMap;
use unready_diagnosis::{
    engine,
    platform::{self, OwnerState},
    pod::{Owner, Pod},
    units::ClockAnchor,
};
use unready_kubernetes::{
    convert,
    k8s_openapi::api::{core::v1 as api, events::v1::Event},
    kube::{
        Api,
        api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
    },
};
use unready_proto::v1::Verdict;

/// The controllers' reason when the API server takes no pod (`pkg/controller/controller_utils.go`: `FailedCreatePodReason`).
const FAILED_CREATE: &str = "FailedCreate";

/// An object that events are about.
type Key = (String, String, String, String);

/// What is wrong with the owners that are of concern.
pub(crate) async fn accounts(cluster: &Cluster, selection: &Selection) -> Vec<Verdict> {
    match try_accounts(cluster, selection).await {
        Ok(verdicts) => verdicts,
        Err(trouble) => {
            tracing::debug!("whether owners may make pods is not known: {trouble}");
            Vec::new()
        }
    }
}

async fn try_accounts(cluster: &Cluster, selection: &Selection) -> Result<Vec<Verdict>, Trouble> {
    if !selection.everything && selection.owners.is_empty() {
        return Ok(Vec::new());
    }
    let params = ListParams::default().fields(&format!("reason={FAILED_CREATE}"));
    let events = cluster.ask(cluster.scoped::<Event>().list(&params)).await?.items;
    let mut verdicts = Vec::new();
    for (key, mut events) in by_object(events) {
        let (api_version, kind, namespace, name) = key;
        let Some(object) = object(cluster, &api_version, &kind, &namespace, &name).await? else { continue };
        events.sort_by_key(|event| event.last);
        let state = OwnerState {
            owner: top(&object).unwrap_or(Owner { api_version, kind, name, strategy: String::new() }),
            namespace,
            uid: object.metadata.uid.clone().unwrap_or_default(),
            wanted: wanted(&object),
            template: template(&object).map(Box::new),
            present: number(&object, "/status/replicas").or(number(&object, "/status/active")).unwrap_or(0),
            events,
        };
        if selection.includes_owner(&state.owner.to_string()) {
            let anchor = ClockAnchor::default();
            let found = platform::owner(&state, now());
            verdicts.extend(found.iter().map(|found| unready_wire::verdict(&of_owner(&state, found, anchor), anchor, "")));
        }
    }
    Ok(verdicts)
}

fn by_object(events: Vec<Event>) -> BTreeMap<Key, Vec<unready_diagnosis::pod::PodEvent>> {
    let mut all: BTreeMap<Key, Vec<_>> = BTreeMap::new();
    for event in events {
        let Some(about) = &event.regarding else { continue };
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let key = (part(&about.api_version), part(&about.kind), part(&about.namespace), part(&about.name));
        all.entry(key).or_default().push(convert::event(&event));
    }
    all
}

/// The object as it is now; `None`: it is gone, and its events outlived it.
pub(crate) async fn object(
    cluster: &Cluster,
    api_version: &str,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<DynamicObject>, Trouble> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), namespace, &resource);
    cluster.ask(api.get_opt(name)).await
}

/// Who stands above: the Deployment of a `ReplicaSet`, the `CronJob` of a Job.
fn top(object: &DynamicObject) -> Option<Owner> {
    let controller = object.metadata.owner_references.iter().flatten().find(|reference| reference.controller == Some(true))?;
    Some(Owner {
        api_version: controller.api_version.clone(),
        kind: controller.kind.clone(),
        name: controller.name.clone(),
        strategy: String::new(),
    })
}

/// The pod that it would make.
fn template(object: &DynamicObject) -> Option<Pod> {
    let spec = object.data.pointer("/spec/template/spec")?.clone();
    let spec = serde_json::from_value(spec).ok()?;
    Some(convert::pod(&api::Pod { spec: Some(spec), ..api::Pod::default() }))
}

/// `DaemonSets` count nodes, Jobs what runs at a time.
fn wanted(object: &DynamicObject) -> u32 {
    ["/status/desiredNumberScheduled", "/spec/replicas", "/spec/parallelism"].iter().find_map(|path| number(object, path)).unwrap_or(1)
}

fn number(object: &DynamicObject, path: &str) -> Option<u32> {
    u32::try_from(object.data.pointer(path)?.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn object(value: &serde_json::Value) -> DynamicObject {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn how_many_pods_are_wanted() {
        let of = |value| wanted(&object(&value));
        assert_eq!(of(json!({ "metadata": {}, "spec": { "replicas": 3 }, "status": { "replicas": 0 } })), 3);
        assert_eq!(of(json!({ "metadata": {}, "spec": { "parallelism": 2 } })), 2);
        assert_eq!(of(json!({ "metadata": {}, "status": { "desiredNumberScheduled": 7 } })), 7);
    }

    #[test]
    fn the_template_is_read() {
        let spec = json!({ "containers": [{ "name": "app", "image": "x" }] });
        let template = template(&object(&json!({ "metadata": {}, "spec": { "template": { "spec": spec } } }))).unwrap();
        assert_eq!(template.containers[0].name, "app");
    }

    #[test]
    fn a_replica_set_is_its_deployments() {
        let controller = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "orders", "uid": "u", "controller": true });
        let owner = top(&object(&json!({ "metadata": { "ownerReferences": [controller] } }))).unwrap();
        assert_eq!(owner.to_string(), "Deployment/orders");
        assert_eq!(top(&object(&json!({ "metadata": {} }))), None);
    }

    #[test]
    fn events_are_gathered_by_their_object() {
        let event = |name: &str| -> Event {
            let about = json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "namespace": "shop", "name": name });
            serde_json::from_value(json!({ "metadata": {}, "eventTime": null, "reason": "FailedCreate", "regarding": about })).unwrap()
        };
        let all = by_object(vec![event("a"), event("b"), event("a")]);
        assert_eq!(all.values().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }
}
