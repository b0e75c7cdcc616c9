//! Pods as API servers write them, in whole and by corner.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use serde_json::{Value, json};
use unready_diagnosis::pod::{ContainerKind, ContainerState, EnvSource, KeyPath, Owner, ProjectedSource, VolumeMount, VolumeSource};

fn read(text: &str) -> Pod {
    pod(&serde_json::from_str(text).unwrap())
}

fn of(value: Value) -> Pod {
    pod(&serde_json::from_value(value).unwrap())
}

fn of_spec_of(spec: &Value) -> Pod {
    of(json!({ "metadata": { "name": "p", "namespace": "n" }, "spec": spec }))
}

fn seconds(at: u64) -> u64 {
    at * 1_000_000_000
}

#[test]
fn a_whole_pod() {
    let pod = read(include_str!("../../tests/pods/orders.json"));
    assert_eq!((pod.namespace.as_str(), pod.name.as_str(), pod.node.as_str()), ("shop", "orders-7d9f6c8b4-x2x9q", "node-1"));
    assert_eq!((pod.uid.as_str(), pod.is_mirror), ("0d1b2c3a-5c4d-4a8a-8b7b-8b5f7e4b9a0f", false));
    assert_eq!(
        pod.owner,
        Some(Owner { api_version: "apps/v1".into(), kind: "Deployment".into(), name: "orders".into(), strategy: String::new() })
    );
    assert_eq!(pod.created, seconds(1_795_000_000));
    let names: Vec<_> = pod.containers.iter().map(|container| (container.name.as_str(), container.kind)).collect();
    let expected = [
        ("migrate", ContainerKind::Init),
        ("proxy", ContainerKind::Sidecar),
        ("app", ContainerKind::App),
        ("backup", ContainerKind::App),
        ("debugger", ContainerKind::Ephemeral),
    ];
    assert_eq!(names, expected);
    let statuses: Vec<_> = pod.status.containers.iter().map(|status| status.name.as_str()).collect();
    assert_eq!(statuses, ["migrate", "proxy", "app", "backup", "debugger"], "in the order of the spec, not of the kubelet");
    assert_eq!((pod.security.run_as_user, pod.security.fs_group), (Some(1000), Some(2000)));
    assert_eq!(pod.security.supplemental_groups, [3000]);
    assert_eq!(pod.security.seccomp, "RuntimeDefault");
    assert!(!pod.is_ready());
}

#[test]
fn a_whole_container() {
    let pod = read(include_str!("../../tests/pods/orders.json"));
    let app = pod.container("app").unwrap();
    assert_eq!((app.memory_limit, app.cpu_limit, app.storage_limit), (Some(268_435_456), Some(500), Some(1_000_000_000)));
    assert_eq!(app.ports, [("http".to_owned(), 8080), (String::new(), 9090)]);
    let readiness = app.readiness.as_ref().unwrap();
    assert_eq!((readiness.action.as_str(), readiness.port.as_str()), ("GET http://:http/readyz", "http"));
    assert_eq!((readiness.period, readiness.timeout, readiness.failures, readiness.initial_delay), (5, 1, 3, 2));
    assert_eq!(app.liveness.as_ref().unwrap().action, "exec /bin/grpc_health_probe -addr=:9090");
    assert_eq!(app.post_start.as_deref(), Some("exec /bin/register"));
    assert_eq!(app.pre_stop.as_deref(), Some("sleep 5s"));
    assert_eq!((app.security.read_only_root, app.security.allow_privilege_escalation), (Some(true), Some(false)));
    assert_eq!(app.security.drop, ["ALL"]);
    assert_eq!(app.security.seccomp, "Localhost profiles/orders.json");
    let mount = VolumeMount { volume: "data".into(), path: "/data".into(), sub_path: "orders".into(), ..VolumeMount::default() };
    assert!(app.mounts.contains(&mount), "{:?}", app.mounts);
    let keys = app.mounts.iter().find(|mount| mount.path == "/keys").unwrap();
    assert!(keys.read_only && keys.recursive_read_only);
    let status = pod.status_of("app").unwrap();
    assert_eq!((status.id.as_str(), status.last_id.as_str(), status.restarts), ("aa11", "aa10", 3));
    assert!(matches!(&status.state, ContainerState::Waiting { reason, .. } if reason == "CrashLoopBackOff"));
    assert!(matches!(status.last, Some(ContainerState::Terminated { code: 1, finished, .. }) if finished == seconds(1_795_000_095)));
}

#[test]
fn values_of_the_environment_stay_where_they_are() {
    let pod = read(include_str!("../../tests/pods/orders.json"));
    let sources = &pod.container("app").unwrap().env_from;
    let key = |variable: &str, kind: &str, name: &str, key: &str, optional| {
        let [variable, kind, name, key] = [variable, kind, name, key].map(str::to_owned);
        EnvSource { variable, kind, name, key, optional }
    };
    let expected = [
        key("DB_PASSWORD", "Secret", "orders-db", "password", false),
        key("MODE", "ConfigMap", "orders", "mode", true),
        key("", "ConfigMap", "common", "", false),
        key("", "Secret", "extra", "", true),
    ];
    assert_eq!(*sources, expected);
    let all = serde_json::to_string(&pod).unwrap();
    for secret in ["hunter2", "a-secret-annotation", "manager-of-fields"] {
        assert!(include_str!("../../tests/pods/orders.json").contains(secret), "the fixture has it");
        assert!(!all.contains(secret), "{secret} is kept");
    }
}

#[test]
fn volumes_of_all_kinds() {
    let pod = read(include_str!("../../tests/pods/orders.json"));
    let source = |name: &str| pod.volumes.iter().find(|volume| volume.name == name).unwrap().source.clone();
    assert_eq!(source("data"), VolumeSource::Claim { name: "orders-data".into(), read_only: false });
    assert_eq!(source("scratch"), VolumeSource::Claim { name: "orders-7d9f6c8b4-x2x9q-scratch".into(), read_only: false });
    let items = vec![KeyPath { key: "tls.key".into(), path: "key.pem".into(), mode: Some(0o400) }];
    assert_eq!(source("keys"), VolumeSource::Secret { name: "orders-tls".into(), items, mode: Some(0o440), optional: false });
    assert_eq!(source("tmp"), VolumeSource::EmptyDir { medium: "Memory".into(), size_limit: Some(67_108_864) });
    assert_eq!(source("log"), VolumeSource::HostPath { path: "/var/log/orders".into(), kind: "DirectoryOrCreate".into() });
    assert_eq!(source("models"), VolumeSource::Image { reference: "models:1".into() });
    assert_eq!(source("inline"), VolumeSource::Csi { driver: "secrets-store.csi.k8s.io".into(), read_only: true });
    assert_eq!(source("share"), VolumeSource::Other("nfs".into()));
    let VolumeSource::Projected { sources, mode } = source("kube-api-access") else { panic!("is projected") };
    assert_eq!(mode, Some(0o644));
    assert_eq!(sources[0], ProjectedSource::Token { path: "token".into(), audience: String::new() });
    assert_eq!(sources[2], ProjectedSource::DownwardApi { paths: vec!["namespace".into()] });
    assert_eq!(sources[3], ProjectedSource::Other("clusterTrustBundle".into()));
}

#[test]
fn a_static_pod_is_known_by_its_hash() {
    let pod = read(include_str!("../../tests/pods/mirror.json"));
    assert!(pod.is_mirror);
    assert_eq!(pod.uid, "5c4d94ca8a2ef8b7b8b5f7e4b9a0f3d1");
    assert_eq!(pod.api_uid, "9a0f5c4d-1111-4222-8333-444455556666");
    assert_eq!(pod.owner.unwrap().to_string(), "Node/node-1");
}

#[test]
fn a_sandbox_is_known_by_its_runtime_class() {
    assert!(of(json!({ "metadata": {}, "spec": { "containers": [], "runtimeClassName": "kata-qemu" } })).has_own_kernel());
    assert!(!of(json!({ "metadata": {}, "spec": { "containers": [] } })).has_own_kernel());
}

#[test]
fn nothing_is_required() {
    let bare = of(json!({ "metadata": {} }));
    assert_eq!(bare, Pod::default());
    assert_eq!(of_spec_of(&json!({ "containers": [{ "name": "a" }] })).grace_seconds, 30);
}

#[test]
fn owners_by_what_the_pod_tells() {
    let owner = |kind: &str, name: &str, labels: Value| {
        let reference = json!({ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": true });
        let other = json!({ "apiVersion": "x/v1", "kind": "Other", "name": "y", "uid": "v" });
        of(json!({ "metadata": { "labels": labels, "ownerReferences": [other, reference] } })).owner.unwrap().to_string()
    };
    assert_eq!(owner("ReplicaSet", "web-6d4b", json!({ "pod-template-hash": "6d4b" })), "Deployment/web");
    assert_eq!(owner("ReplicaSet", "web-6d4b", json!({ "pod-template-hash": "other" })), "ReplicaSet/web-6d4b");
    assert_eq!(owner("ReplicaSet", "-6d4b", json!({ "pod-template-hash": "6d4b" })), "ReplicaSet/-6d4b");
    assert_eq!(owner("ReplicaSet", "web", json!({})), "ReplicaSet/web");
    assert_eq!(owner("StatefulSet", "db-6d4b", json!({ "pod-template-hash": "6d4b" })), "StatefulSet/db-6d4b");
    let uncontrolled = json!({ "metadata": { "ownerReferences": [{ "apiVersion": "v1", "kind": "X", "name": "y", "uid": "u" }] } });
    assert_eq!(of(uncontrolled).owner, None);
}

#[test]
fn probes_in_words() {
    let action = |probe: Value| {
        let pod = of_spec_of(&json!({ "containers": [{ "name": "a", "startupProbe": probe }] }));
        pod.containers[0].startup.clone().unwrap()
    };
    let get = json!({ "httpGet": { "port": 8443, "scheme": "HTTPS", "host": "h", "path": "x" }, "timeoutSeconds": 0, "periodSeconds": 7 });
    assert_eq!(action(get.clone()).action, "GET https://h:8443/x");
    assert_eq!((action(get.clone()).timeout, action(get).period), (1, 7), "zero is not set");
    assert_eq!(action(json!({ "tcpSocket": { "port": "db" } })).action, "TCP :db");
    assert_eq!(action(json!({ "grpc": { "port": 9000, "service": "orders" } })).action, "gRPC :9000 orders");
    let endless = action(json!({ "exec": { "command": ["ä".repeat(2000)] } })).action;
    assert!(endless.len() <= MAX_WORD && endless.starts_with("exec ää"));
}

#[test]
fn an_event_by_the_older_api_is_told_by_the_newer_one() {
    let mut new = json!({ "metadata": { "creationTimestamp": "2026-11-18T11:06:40Z" }, "reason": "FailedMount", "type": "Warning" });
    new["regarding"] = json!({ "fieldPath": "spec.containers{app}" });
    new["note"] = json!("no such secret");
    new["deprecatedSource"] = json!({ "component": "kubelet" });
    new["deprecatedFirstTimestamp"] = json!("2026-11-18T11:06:41Z");
    new["deprecatedLastTimestamp"] = json!("2026-11-18T11:07:41Z");
    new["deprecatedCount"] = json!(7);
    let event = event(&serde_json::from_value(new).unwrap());
    assert_eq!((event.source.as_str(), event.count, event.is_warning), ("kubelet", 7, true));
    assert_eq!((event.message.as_str(), event.field.as_str()), ("no such secret", "spec.containers{app}"));
    assert_eq!((event.first, event.last), (seconds(1_795_000_001), seconds(1_795_000_061)));
}

#[test]
fn a_series_goes_before_deprecated_counts() {
    let value = json!({
        "metadata": {}, "reason": "BackOff", "eventTime": "2026-11-18T11:06:40.5Z", "reportingController": "kubelet",
        "series": { "count": 4, "lastObservedTime": "2026-11-18T11:06:42.25Z" }
    });
    let event = event(&serde_json::from_value(value).unwrap());
    assert_eq!((event.count, event.source.as_str()), (4, "kubelet"));
    assert_eq!((event.first, event.last), (seconds(1_795_000_000) + 500_000_000, seconds(1_795_000_002) + 250_000_000));
}

#[test]
fn long_messages_are_cut() {
    let status = json!({ "status": { "message": "x".repeat(100_000) }, "metadata": {} });
    assert_eq!(of(status).status.message.len(), MAX_MESSAGE);
}
