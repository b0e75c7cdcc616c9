//! Several patches of one object become one, where they do not contradict each other.
//!
//! Strategic merge patches are joined as the API server would apply them one after the other: objects key by key, lists of
//! named things element by element (the `patchMergeKey` tags of `k8s.io/api/core/v1/types.go`), and all other lists as a
//! whole, since the later would replace the earlier. Lists of capabilities and groups that are added are united instead:
//! each patch holds what was there before and its own.
//!
//! A contradiction (two values for one field) is not resolved here: both patches stay, and whoever reads them decides.

use serde_json::{Map, Value};
use unready_proto::v1::{Patch, Verdict};

/// One patch and the verdicts that it answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document<'a> {
    /// Whom it changes, and how it is to be read.
    pub(crate) patch: &'a Patch,
    /// The patch itself.
    pub(crate) body: Value,
    /// Whom it helps.
    pub(crate) verdicts: Vec<&'a Verdict>,
    /// Flags that name the cluster, for the commands that are shown: empty, or with a blank before them.
    pub(crate) flags: String,
    /// The field over which it contradicts an earlier document of the same object.
    pub(crate) contradiction: Option<String>,
}

/// A patch that is not JSON: a collector or agent of another version.
#[derive(Debug, thiserror::Error)]
#[error("the patch of {kind}/{name} cannot be read: {error}")]
pub(crate) struct Unreadable {
    kind: String,
    name: String,
    error: serde_json::Error,
}

/// The documents that these verdicts' patches make, in the order of the verdicts.
pub(crate) fn documents(verdicts: &[Verdict]) -> Result<Vec<Document<'_>>, Unreadable> {
    let mut all: Vec<Document<'_>> = Vec::new();
    for verdict in verdicts {
        let Some(patch) = verdict.remedy.as_ref().and_then(|remedy| remedy.patch.as_ref()) else { continue };
        let body: Value =
            serde_json::from_str(&patch.body).map_err(|error| Unreadable { kind: patch.kind.clone(), name: patch.name.clone(), error })?;
        add(&mut all, verdict, patch, body);
    }
    Ok(all)
}

fn add<'a>(all: &mut Vec<Document<'a>>, verdict: &'a Verdict, patch: &'a Patch, body: Value) {
    let mut contradiction = None;
    for document in all.iter_mut().filter(|document| is_same_target(document.patch, patch)) {
        let joined = if patch.r#type == "Json" {
            if document.body == body { Ok(body.clone()) } else { Err(String::new()) }
        } else {
            merge(&document.body, &body, "")
        };
        match joined {
            Ok(joined) => {
                document.body = joined;
                document.verdicts.push(verdict);
                return;
            }
            Err(field) => contradiction = Some(field).filter(|field| !field.is_empty()),
        }
    }
    all.push(Document { patch, body, verdicts: vec![verdict], flags: String::new(), contradiction });
}

fn is_same_target(one: &Patch, other: &Patch) -> bool {
    (&one.api_version, &one.kind, &one.namespace, &one.name, &one.r#type)
        == (&other.api_version, &other.kind, &other.namespace, &other.name, &other.r#type)
}

/// Both patches in one; the error is the path of a field for which they have different values.
fn merge(one: &Value, other: &Value, path: &str) -> Result<Value, String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => objects(one, other, path).map(Value::Object),
        (Value::Array(one), Value::Array(other)) => lists(one, other, path).map(Value::Array),
        (one, other) if one == other => Ok(one.clone()),
        _ => Err(path.to_owned()),
    }
}

fn objects(one: &Map<String, Value>, other: &Map<String, Value>, path: &str) -> Result<Map<String, Value>, String> {
    // `$patch: replace` changes what the keys beside it mean.
    if one.get("$patch") != other.get("$patch") {
        return Err(path.to_owned());
    }
    let mut all = one.clone();
    for (key, value) in other {
        let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let joined = all.get(key).map_or_else(|| Ok(value.clone()), |known| merge(known, value, &inner))?;
        all.insert(key.clone(), joined);
    }
    Ok(all)
}

fn lists(one: &[Value], other: &[Value], path: &str) -> Result<Vec<Value>, String> {
    if one == other {
        return Ok(one.to_vec());
    }
    if is_united(path) {
        let new = other.iter().filter(|value| !one.contains(value));
        return Ok(one.iter().chain(new).cloned().collect());
    }
    let Some(key) = merge_key(path) else { return Err(path.to_owned()) };
    let mut all = one.to_vec();
    for element in other {
        let name = element.get(key);
        let place = all.iter_mut().find(|known| name.is_some() && known.get(key) == name);
        match place {
            Some(known) => *known = merge(known, element, path)?,
            None => all.push(element.clone()),
        }
    }
    Ok(all)
}

/// Lists to which patches only add.
fn is_united(path: &str) -> bool {
    path.ends_with("capabilities.add") || path.ends_with("capabilities.drop") || path.ends_with(".supplementalGroups")
}

/// By which field elements are the same thing.
pub(super) fn merge_key(path: &str) -> Option<&'static str> {
    match path.rsplit('.').next().unwrap_or_default() {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "ports" => Some("containerPort"),
        "hostAliases" => Some("ip"),
        "topologySpreadConstraints" => Some("topologyKey"),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;
    use unready_proto::v1::{Remedy, Workload};

    pub(in super::super) fn verdict(pod: &str, name: &str, kind: &str, body: &Value) -> Verdict {
        let patch = Patch {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: name.into(),
            r#type: kind.into(),
            body: body.to_string(),
        };
        Verdict {
            cause: "PermissionDenied".into(),
            severity: "Blocking".into(),
            summary: "open = EACCES".into(),
            workload: Some(Workload { namespace: "shop".into(), pod: pod.into(), container: "app".into(), ..Workload::default() }),
            remedy: Some(Remedy { text: "Do it.".into(), patch: Some(patch), also: vec!["Then wait.".into()] }),
            ..Verdict::default()
        }
    }

    pub(in super::super) fn spec(pod_spec: Value) -> Value {
        let mut body = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "orders", "namespace": "shop" },
            "spec": { "template": {} },
        });
        body["spec"]["template"]["spec"] = pod_spec;
        body
    }

    fn merged(bodies: &[Value]) -> Vec<(Value, Option<String>, usize)> {
        let verdicts: Vec<Verdict> = bodies.iter().map(|body| verdict("a", "orders", "StrategicMerge", body)).collect();
        documents(&verdicts)
            .unwrap()
            .into_iter()
            .map(|d| (d.body["spec"]["template"]["spec"].clone(), d.contradiction, d.verdicts.len()))
            .collect()
    }

    #[test]
    fn named_things_are_merged_by_name() {
        let one = spec(json!({
            "securityContext": { "fsGroup": 1000 },
            "containers": [{ "name": "app", "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }] }],
            "volumes": [{ "name": "tmp", "emptyDir": {} }],
        }));
        let other = spec(json!({
            "containers": [
                { "name": "app", "volumeMounts": [{ "name": "run", "mountPath": "/run" }], "resources": { "limits": { "memory": "256Mi" } } },
                { "name": "log", "command": ["/bin/log"] },
            ],
            "volumes": [{ "name": "run", "emptyDir": {} }, { "name": "tmp", "emptyDir": {} }],
        }));
        let expected = json!({
            "securityContext": { "fsGroup": 1000 },
            "containers": [
                {
                    "name": "app",
                    "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }, { "name": "run", "mountPath": "/run" }],
                    "resources": { "limits": { "memory": "256Mi" } },
                },
                { "name": "log", "command": ["/bin/log"] },
            ],
            "volumes": [{ "name": "tmp", "emptyDir": {} }, { "name": "run", "emptyDir": {} }],
        });
        assert_eq!(merged(&[one, other]), [(expected, None, 2)]);
    }

    #[test]
    fn replicas_say_the_same() {
        let same = spec(json!({ "securityContext": { "fsGroup": 1000 } }));
        assert_eq!(merged(&[same.clone(), same.clone(), same]).len(), 1);
    }

    #[test]
    fn added_capabilities_are_united() {
        let add =
            |names: &[&str]| spec(json!({ "containers": [{ "name": "app", "securityContext": { "capabilities": { "add": names } } }] }));
        let all = merged(&[add(&["NET_BIND_SERVICE"]), add(&["CHOWN", "NET_BIND_SERVICE"])]);
        assert_eq!(all[0].0["containers"][0]["securityContext"]["capabilities"]["add"], json!(["NET_BIND_SERVICE", "CHOWN"]));
    }

    #[test]
    fn contradictions_stay_apart_and_name_their_field() {
        let user = |id: u32| spec(json!({ "containers": [{ "name": "app", "securityContext": { "runAsUser": id } }] }));
        let all = merged(&[user(1000), user(0), user(1000)]);
        assert_eq!(all.iter().map(|one| one.2).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(all[1].1.as_deref(), Some("spec.template.spec.containers.securityContext.runAsUser"));
        let command = |word: &str| spec(json!({ "containers": [{ "name": "app", "command": [word] }] }));
        assert_eq!(merged(&[command("a"), command("b")])[1].1.as_deref(), Some("spec.template.spec.containers.command"));
        let gone = spec(json!({ "containers": [{ "name": "app", "$patch": "delete" }] }));
        assert_eq!(merged(&[command("a"), gone]).len(), 2);
    }

    #[test]
    fn json_patches_are_kept_whole() {
        let replace = json!([{ "op": "replace", "path": "/spec/x", "value": 1 }]);
        let remove = json!([{ "op": "remove", "path": "/spec/y" }]);
        let verdicts = [&replace, &remove, &replace].map(|body| verdict("a", "orders", "Json", body));
        let all = documents(&verdicts).unwrap();
        assert_eq!(all.iter().map(|d| (d.body.clone(), d.verdicts.len())).collect::<Vec<_>>(), [(replace, 2), (remove, 1)]);
    }

    #[test]
    fn owners_and_sorts_of_patches_are_told_apart() {
        let body = spec(json!({}));
        let verdicts = [
            verdict("a", "orders", "StrategicMerge", &body),
            verdict("b", "billing", "StrategicMerge", &body),
            verdict("a", "orders", "Json", &json!([])),
        ];
        assert_eq!(documents(&verdicts).unwrap().len(), 3);
    }

    #[test]
    fn what_is_no_json_is_an_error_with_a_name() {
        let mut broken = verdict("a", "orders", "Json", &json!([]));
        broken.remedy.as_mut().unwrap().patch.as_mut().unwrap().body = "[{".into();
        assert!(documents(&[broken]).unwrap_err().to_string().starts_with("the patch of Deployment/orders cannot be read: "));
    }
}
