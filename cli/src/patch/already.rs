//! Patches that the object has already: the pod is one that was made before, and the patch would change nothing.
//!
//! So it is after a change that the controller does not carry out by itself (a `StatefulSet`'s pod that never was ready), and
//! when a pod was deleted before the controller had seen the change: its successor is made of the old template. What is
//! left to be done is what had to be done beside the patch. Verdicts are made without a look at the owner's template: here
//! it is asked for, as it is now.

use super::merge;
use crate::cluster::Cluster;
use serde_json::Value;
use std::collections::BTreeMap;
use unready_kubernetes::objects::{self, Sort};
use unready_proto::v1::{Patch, Verdict};

/// Objects that are asked for; patches of more are shown as they are.
const MOST: usize = 100;
/// What must be asked for: API version, kind, namespace, name.
type Key = (String, String, String, String);

/// Takes away the patches that change nothing any more, and says so in their place.
pub(super) async fn strip(cluster: &Cluster, mut verdicts: Vec<Verdict>) -> Vec<Verdict> {
    let mut known: BTreeMap<Key, Option<Value>> = BTreeMap::new();
    for verdict in &mut verdicts {
        let Some(patch) = verdict.remedy.as_ref().and_then(|remedy| remedy.patch.as_ref()) else { continue };
        let key = (patch.api_version.clone(), patch.kind.clone(), patch.namespace.clone(), patch.name.clone());
        if !known.contains_key(&key) && known.len() < MOST {
            let object = fetch(cluster, patch).await;
            known.insert(key.clone(), object);
        }
        if known.get(&key).and_then(Option::as_ref).is_some_and(|object| is_there(object, patch)) {
            say_so(verdict);
        }
    }
    verdicts
}

/// Without an answer the patch is shown: applied twice it does no harm.
async fn fetch(cluster: &Cluster, patch: &Patch) -> Option<Value> {
    let Patch { api_version, kind, namespace, name, .. } = patch;
    match cluster.ask(objects::find(&cluster.client, Sort { api_version, kind }, namespace, name)).await {
        Ok(object) => object.map(|object| object.fields),
        Err(trouble) => {
            tracing::debug!("whether {}/{} has the patch already is not known: {trouble}", patch.kind, patch.name);
            None
        }
    }
}

/// A strategic merge would change nothing. What operations would do is not tried.
fn is_there(object: &Value, patch: &Patch) -> bool {
    let body: Option<Value> = serde_json::from_str(&patch.body).ok();
    let spec = body.as_ref().and_then(|body| body.get("spec")).filter(|_| patch.r#type != "Json");
    spec.zip(object.get("spec")).is_some_and(|(wanted, has)| holds("spec", has, wanted))
}

/// All that a strategic merge would set in `field` is set.
fn holds(field: &str, has: &Value, wanted: &Value) -> bool {
    match (has, wanted, merge::merge_key(field)) {
        (Value::Object(has), Value::Object(wanted), _) => wanted.iter().all(|(key, value)| match has.get(key) {
            _ if key.starts_with('$') => false, // a directive: what it does is not tried
            None => value.is_null(),
            Some(known) => holds(key, known, value),
        }),
        (Value::Array(has), Value::Array(wanted), Some(key)) => wanted.iter().all(|one| {
            let name = one.get(key);
            name.is_some() && has.iter().any(|known| known.get(key) == name && holds(field, known, one))
        }),
        (has, wanted, _) => has == wanted,
    }
}

fn say_so(verdict: &mut Verdict) {
    let pod = verdict.workload.as_ref().map(|workload| workload.pod.clone()).unwrap_or_default();
    let Some(remedy) = &mut verdict.remedy else { return };
    let Some(patch) = remedy.patch.take() else { return };
    let pod = if pod.is_empty() { "the pod".to_owned() } else { format!("pod {pod}") };
    remedy.text = format!("{}/{} has this change already, and {pod} was made before it, or of its old template.", patch.kind, patch.name);
    if remedy.also.is_empty() {
        remedy.text.push_str(" Its controller replaces it: wait for that.");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::merge::tests::{spec, verdict};
    use super::*;
    use serde_json::json;

    fn patch(body: &Value) -> Patch {
        verdict("orders-0", "orders", "StrategicMerge", body).remedy.unwrap().patch.unwrap()
    }

    fn owner() -> Value {
        spec(json!({
            "securityContext": { "fsGroup": 1000, "runAsUser": 1000 },
            "containers": [
                { "name": "proxy", "image": "b" },
                { "name": "app", "image": "a", "command": ["x", "y"], "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp", "readOnly": true }] },
            ],
        }))
    }

    #[test]
    fn a_patch_that_changes_nothing_is_found_out() {
        let app = |fields: Value| {
            let mut container = json!({ "name": "app" });
            container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            json!({ "containers": [container] })
        };
        let cases = [
            (json!({ "securityContext": { "fsGroup": 1000 } }), true),
            (json!({ "securityContext": { "fsGroup": 2000 } }), false),
            (json!({ "securityContext": { "fsGroup": 1000, "fsGroupChangePolicy": "Always" } }), false),
            (app(json!({ "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }] })), true),
            (app(json!({ "volumeMounts": [{ "name": "tmp", "mountPath": "/run" }] })), false),
            (app(json!({ "command": ["x", "y"] })), true),
            (app(json!({ "command": ["x"] })), false),
            (app(json!({ "resources": null })), true),
            (app(json!({ "image": null })), false),
            (app(json!({ "$patch": "delete" })), false),
            (json!({ "containers": [{ "name": "other", "image": "a" }] }), false),
        ];
        for (fragment, there) in cases {
            assert_eq!(is_there(&owner(), &patch(&spec(fragment.clone()))), there, "{fragment}");
        }
        let operations = json!([{ "op": "add", "path": "/spec/x", "value": 1 }]);
        let one = verdict("orders-0", "orders", "Json", &operations).remedy.unwrap().patch.unwrap();
        assert!(!is_there(&owner(), &one), "what operations would do is not tried");
    }

    #[test]
    fn in_its_place_stands_what_is_left_to_be_done() {
        let mut one = verdict("orders-0", "orders", "StrategicMerge", &owner());
        say_so(&mut one);
        let remedy = one.remedy.as_ref().unwrap();
        assert!(remedy.patch.is_none() && remedy.text.contains("orders has this change already, and pod orders-0 was made before it"));
        assert_eq!(remedy.also, ["Then wait."], "what must be done beside a patch is left to be done");
        let text = super::super::print::otherwise(&one);
        assert!(text.contains("has this change already") && text.ends_with("Then wait."), "{text}");
    }
}
