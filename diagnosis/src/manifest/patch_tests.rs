//! Patches land where each owner keeps the pod's spec, and say what they cannot do.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;

fn pod_of(api_version: &str, kind: &str, strategy: &str) -> Pod {
    let owner = Owner { api_version: api_version.into(), kind: kind.into(), name: "orders".into(), strategy: strategy.into() };
    Pod { namespace: "shop".into(), name: "orders-0".into(), owner: Some(owner), grace_seconds: 30, ..Pod::default() }
}

fn fragment() -> Value {
    json!({ "securityContext": { "fsGroup": 1000 } })
}

#[test]
fn each_owner_gets_the_fragment_where_it_keeps_the_pods_spec() {
    for (api, kind) in [("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"), ("apps/v1", "ReplicaSet")] {
        let patch = strategic(&pod_of(api, kind, ""), fragment()).unwrap();
        assert_eq!(patch.body["spec"]["template"]["spec"], fragment(), "{kind}");
        assert_eq!((patch.body["apiVersion"].as_str(), patch.body["kind"].as_str()), (Some(api), Some(kind)));
        assert_eq!(patch.body["metadata"], json!({ "name": "orders", "namespace": "shop" }));
        assert_eq!((patch.kind, patch.namespace.as_str()), (PatchKind::StrategicMerge, "shop"));
    }
    assert_eq!(strategic(&pod_of("v1", "ReplicationController", ""), fragment()).unwrap().body["spec"]["template"]["spec"], fragment());
    let cron = strategic(&pod_of("batch/v1", "CronJob", ""), fragment()).unwrap();
    assert_eq!(cron.body["spec"]["jobTemplate"]["spec"]["template"]["spec"], fragment());
}

#[test]
fn what_cannot_be_changed_gets_a_sentence_and_no_patch() {
    let bare = Pod { owner: None, ..pod_of("", "", "") };
    let mirror = Pod { is_mirror: true, node: "node-1".into(), ..pod_of("v1", "Node", "") };
    let cases = [
        (bare, "replace --force"),
        (mirror, "static pod"),
        (pod_of("batch/v1", "Job", ""), "delete Job/orders and create it again"),
        (pod_of("argoproj.io/v1alpha1", "Rollout", ""), "Rollout/orders (argoproj.io/v1alpha1)"),
        (pod_of("example.org/v1", "Deployment", ""), "example.org/v1"), // somebody else's kind of the same name
    ];
    for (pod, expected) in cases {
        assert_eq!(strategic(&pod, fragment()), None, "{expected}");
        assert_eq!(json(&pod, &[]), None, "{expected}");
        let said = caveats(&pod).join(" ");
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn what_the_platform_leaves_undone_is_said() {
    let cases = [
        (pod_of("apps/v1", "StatefulSet", "RollingUpdate"), "kubectl -n shop delete pod orders-0"),
        (pod_of("apps/v1", "StatefulSet", "OnDelete"), "OnDelete"),
        (pod_of("apps/v1", "DaemonSet", "OnDelete"), "OnDelete"),
        (pod_of("apps/v1", "ReplicaSet", ""), "delete pod orders-0"),
        (pod_of("batch/v1", "CronJob", ""), "--from=cronjob/orders orders-now"),
    ];
    for (pod, expected) in cases {
        let said = caveats(&pod).join(" ");
        assert!(said.contains(expected), "{said}");
        let waits = said.find(".status.observedGeneration").zip(said.find("delete pod")).map(|(waits, deletes)| waits < deletes);
        assert_eq!(waits, said.contains("delete pod").then_some(true), "the controller may know the old template still: {said}");
    }
    let at_once = Pod { grace_seconds: 0, ..pod_of("apps/v1", "StatefulSet", "RollingUpdate") };
    let said = caveats(&at_once).join(" ");
    assert!(said.contains("delete pod orders-0 --grace-period=1`"), "its object must not go before its mounts: {said}");
    assert!(caveats(&pod_of("apps/v1", "Deployment", "RollingUpdate")).is_empty());
    assert!(caveats(&pod_of("apps/v1", "DaemonSet", "RollingUpdate")).is_empty());
}

#[test]
fn fs_group_and_a_rolling_update() {
    let source = VolumeSource::Claim { name: "data".into(), read_only: false };
    let with = |strategy| {
        let volume = crate::pod::Volume { name: "data".into(), source: source.clone() };
        Pod { volumes: vec![volume], ..pod_of("apps/v1", "Deployment", strategy) }
    };
    let claim = |source: &str, mode: &str| Claim {
        name: "data".into(),
        source: source.into(),
        access_modes: vec![mode.into()],
        ..Claim::default()
    };
    let rolling = with("RollingUpdate");
    assert!(fs_group_caveats(&rolling, &[claim("local", "ReadWriteOnce")])[0].contains("AlreadyMountedVolume"));
    assert!(fs_group_caveats(&rolling, &[claim("csi (ebs.csi.aws.com)", "ReadWriteOncePod")])[0].contains("one node only"));
    assert!(fs_group_caveats(&rolling, &[claim("nfs", "ReadWriteMany")]).is_empty());
    assert!(fs_group_caveats(&rolling, &[])[0].contains("If the volume of PVC data"), "what stands behind it is not known");
    assert!(fs_group_caveats(&with("Recreate"), &[claim("local", "ReadWriteOnce")]).is_empty());
}

#[test]
fn a_json_patch_is_moved_to_the_owners_template_and_guards_its_index() {
    let container = |name: &str, kind| Container { name: name.into(), kind, ..Container::default() };
    let containers = vec![
        container("prepare", ContainerKind::Init),
        container("proxy", ContainerKind::App),
        container("app", ContainerKind::App),
        container("debug", ContainerKind::Ephemeral),
    ];
    let pod = Pod { containers, ..pod_of("apps/v1", "Deployment", "") };
    let (path, test) = same_container(&pod, &pod.containers[2]).unwrap();
    assert_eq!(path, "/containers/1");
    assert_eq!(same_container(&pod, &pod.containers[0]).unwrap().0, "/initContainers/0");
    assert_eq!(same_container(&pod, &pod.containers[3]), None);
    let patch = json(&pod, &[test, json!({ "op": "remove", "path": format!("{path}/command") })]).unwrap();
    assert_eq!(patch.kind, PatchKind::Json);
    assert_eq!(
        patch.body,
        json!([
            { "op": "test", "path": "/spec/template/spec/containers/1/name", "value": "app" },
            { "op": "remove", "path": "/spec/template/spec/containers/1/command" },
        ])
    );
}

#[test]
fn fragments_are_joined_by_the_keys_of_a_strategic_merge() {
    let app = Container { name: "app".into(), ..Container::default() };
    let mount = |path: &str| of_container(&app, json!({ "volumeMounts": [{ "name": "tmp", "mountPath": path }] }));
    let mut all = mount("/tmp");
    join(&mut all, mount("/run"));
    join(&mut all, json!({ "volumes": [{ "name": "tmp", "emptyDir": {} }] }));
    join(&mut all, of_container(&app, json!({ "command": ["a"] })));
    join(&mut all, of_container(&app, json!({ "command": ["b", "c"] })));
    let expected = json!({
        "containers": [{
            "name": "app",
            "command": ["b", "c"],
            "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }, { "name": "tmp", "mountPath": "/run" }],
        }],
        "volumes": [{ "name": "tmp", "emptyDir": {} }],
    });
    assert_eq!(all, expected);
    let debug = Container { kind: ContainerKind::Ephemeral, ..app };
    assert_eq!(of_container(&debug, json!({ "command": ["a"] })), json!({}));
}

#[test]
fn a_strategy_goes_beside_the_template() {
    let patch = strategic_with(
        &pod_of("apps/v1", "Deployment", "RollingUpdate"),
        fragment(),
        &json!({ "strategy": { "type": "Recreate", "rollingUpdate": null } }),
    );
    let spec = &patch.unwrap().body["spec"];
    assert_eq!((spec["strategy"]["type"].as_str(), &spec["template"]["spec"]), (Some("Recreate"), &fragment()));
}
