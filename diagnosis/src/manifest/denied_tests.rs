//! For each place and each rule: which change of the manifest is proposed, and that it is not when it would not help.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;
use crate::{
    case::{Suspect, finding::Finding},
    judge::explain,
    pod::Pod,
    question::{Component, IdRange, Mount, Walk},
    record::{Call, Creds},
    words::testing::{World, creds, dir, failed, failure_of, file, missing, mounted, path, walk},
};

const O_RDWR_CREAT: u64 = 0o102;
const O_RDONLY: u64 = 0;

/// A Deployment's pod with these volumes (at `/NAME`), as YAML of `spec`-like fields.
pub(crate) fn pod(yaml: &str) -> Pod {
    // By way of JSON: YAML would write the variants of enums as tags.
    let mut pod: Pod = serde_json::from_value(serde_norway::from_str(yaml).unwrap()).unwrap();
    if pod.owner.is_none() {
        pod.owner = Some(crate::pod::Owner {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: "orders".into(),
            strategy: "RollingUpdate".into(),
        });
    }
    (pod.namespace, pod.name) = ("shop".into(), "orders-1".into());
    pod
}

fn on(mount: &Mount, component: Component) -> Component {
    Component { mount: mount.clone(), ..component }
}

fn tell(world: &World, call: Call, target: &str, arg: u64, creds: Creds) -> Finding {
    let mut call = failed(call, path(target), arg, "EACCES");
    call.creds = creds;
    explain(Suspect::Call(&failure_of(call)), &world.case()).unwrap()
}

/// The pod's spec in the patch; null without one.
fn patched(finding: &Finding) -> Value {
    finding.remedy.patch.as_ref().map(|patch| patch.body["spec"]["template"]["spec"].clone()).unwrap_or_default()
}

const CLAIM: &str = "
security: { run_as_user: 1000 }
volumes: [{ name: data, source: { claim: { name: orders-data, read_only: false } } }]
containers: [{ name: app, mounts: [{ volume: data, path: /data }] }]
";

/// `/data` with this owner and mode, in which `orders.db` is to be made.
fn data(uid: u32, gid: u32, mode: u32) -> Walk {
    missing("/data/orders.db", "/data/orders.db", [on(&mounted("/data", "ext4"), dir("/data", uid, gid, mode))])
}

fn claimed(yaml: &str, walk: Walk) -> Finding {
    tell(&World::of(pod(yaml)).walked("/data/orders.db", walk), Call::Open, "/data/orders.db", O_RDWR_CREAT, creds(1000, 1000))
}

#[test]
fn the_example_of_the_design_with_its_manifest() {
    let found = claimed(CLAIM, data(0, 0, 0o755));
    assert_eq!(
        found.explanation,
        [
            "process uid 1000 gid 1000 (no groups) needs w on directory /data, which is 0:0 0755",
            "/data is volume \"data\" (PVC orders-data, ext4); the pod sets runAsUser 1000 and no fsGroup",
        ]
    );
    assert_eq!(patched(&found), json!({ "securityContext": { "fsGroup": 1000 } }));
    assert!(found.remedy.text.contains("spec.securityContext.fsGroup: 1000"), "{}", found.remedy.text);
    assert!(found.evidence.iter().any(|fact| fact.kind == crate::verdict::EvidenceKind::Spec && fact.text.contains("no fsGroup")));
}

#[test]
fn fs_group_is_the_group_that_the_process_has_unless_it_is_roots() {
    let with_group = |gid| {
        let world = World::of(pod(CLAIM)).walked("/data/orders.db", data(0, 0, 0o755));
        patched(&tell(&world, Call::Open, "/data/orders.db", O_RDWR_CREAT, creds(1000, gid)))
    };
    assert_eq!(with_group(2000)["securityContext"]["fsGroup"], 2000);
    assert_eq!(with_group(0)["securityContext"]["fsGroup"], 1000);
}

#[test]
fn a_group_that_has_the_right_is_joined_and_roots_group_is_not() {
    let found = claimed(CLAIM, data(0, 3000, 0o770));
    assert_eq!(patched(&found), json!({ "securityContext": { "supplementalGroups": [3000] } }));
    let more = CLAIM.replace("run_as_user: 1000", "run_as_user: 1000, supplemental_groups: [7]");
    assert_eq!(patched(&claimed(&more, data(0, 3000, 0o770)))["securityContext"]["supplementalGroups"], json!([7, 3000]));
    assert_eq!(patched(&claimed(CLAIM, data(0, 0, 0o775))), json!({ "securityContext": { "fsGroup": 1000 } }));
}

#[test]
fn a_private_directory_of_another_user_is_used_as_that_user() {
    let found = claimed(CLAIM, data(999, 999, 0o700));
    assert_eq!(patched(&found), json!({ "securityContext": { "runAsUser": 999 } }));
    let two = CLAIM.replace("containers: [", "containers: [{ name: proxy }, ");
    assert_eq!(
        patched(&claimed(&two, data(999, 999, 0o700))),
        json!({ "containers": [{ "name": "app", "securityContext": { "runAsUser": 999 } }] }),
        "the other containers keep their user"
    );
}

#[test]
fn an_fs_group_that_is_set_is_not_set_again() {
    let skips = CLAIM.replace("run_as_user: 1000", "run_as_user: 1000, fs_group: 2000, fs_group_change_policy: OnRootMismatch");
    let inside = missing(
        "/data/sub/orders.db",
        "/data/sub/orders.db",
        [on(&mounted("/data", "ext4"), dir("/data", 0, 2000, 0o2775)), on(&mounted("/data", "ext4"), dir("/data/sub", 0, 0, 0o755))],
    );
    let member = Creds { groups: vec![2000], ..creds(1000, 0) };
    let tell = |yaml: &str, creds: &Creds| {
        let world = World::of(pod(yaml)).walked("/data/sub/orders.db", inside.clone());
        tell(&world, Call::Open, "/data/sub/orders.db", O_RDWR_CREAT, creds.clone())
    };
    let found = tell(&skips, &member);
    assert_eq!(patched(&found), json!({ "securityContext": { "fsGroupChangePolicy": "Always" } }));
    assert!(found.explanation.iter().any(|text| text.contains("fsGroupChangePolicy OnRootMismatch")), "{:?}", found.explanation);

    let elsewhere = Creds { groups: vec![3000], ..creds(1000, 0) };
    let found = tell(&skips.replace("fs_group: 2000", "fs_group: 3000"), &elsewhere);
    assert_eq!(found.remedy.patch, None, "the top directory has another group: the kubelet did not pass over it, it cannot reach it");

    let always = CLAIM.replace("run_as_user: 1000", "run_as_user: 1000, fs_group: 2000");
    let found = tell(&always, &member);
    assert_eq!(found.remedy.patch, None, "{}", found.remedy.text);
    let said = |found: &Finding, text: &str| assert!(found.explanation.iter().any(|one| one.contains(text)), "{:?}", found.explanation);
    said(&found, "/data/sub has another group than fsGroup 2000, which the volume was given to");
    let top = CLAIM.replace("run_as_user: 1000", "run_as_user: 1000, fs_group: 1000");
    let found = claimed(&top, data(0, 0, 0o755));
    assert_eq!(found.remedy.patch, None, "{}", found.remedy.text);
    said(&found, "fsGroup 1000 was not given to the volume: its driver does not do it");
    let remedy = &found.remedy.text;
    assert!(remedy.contains("has fsGroup: 1000 already") && !remedy.contains("Set spec."), "{remedy}");
}

#[test]
fn a_local_volume_that_another_pod_had_is_mounted_anew_and_nothing_is_patched() {
    let claim = crate::pod::Claim { name: "orders-data".into(), source: "local".into(), ..crate::pod::Claim::default() };
    let tell = |yaml: &str, group: u32| {
        let world = World { claims: vec![claim.clone()], ..World::of(pod(yaml)) }.walked("/data/orders.db", data(0, group, 0o755));
        tell(&world, Call::Open, "/data/orders.db", O_RDWR_CREAT, creds(1000, 1000))
    };
    let set = CLAIM.replace("run_as_user: 1000", "run_as_user: 1000, fs_group: 1000");
    for (owner, step) in [
        ("", "`kubectl -n shop scale deployment/orders --replicas=0`"),
        ("owner: { api_version: apps/v1, kind: StatefulSet, name: orders }", "`kubectl -n shop delete pod orders-1`"),
        ("owner: { api_version: apps/v1, kind: DaemonSet, name: orders }", "`kubectl -n shop delete pod orders-1`"),
        ("owner: { api_version: v1, kind: ReplicationController, name: orders }", "scale replicationcontroller/orders --replicas=0"),
        ("is_mirror: true\nowner: { api_version: v1, kind: Node, name: node-7 }", "is a static pod"),
    ] {
        let found = tell(&format!("{set}{owner}\n"), 0);
        let also = found.remedy.also.join("\n");
        assert_eq!(found.remedy.patch, None, "{also}");
        assert!(found.remedy.text.contains("The manifest is right, it has fsGroup: 1000 already"), "{}", found.remedy.text);
        assert!(also.contains(step) && also.contains("describe pvc orders-data"), "{also}");
    }
    let in_part = set.replace("path: /data }", "path: /data, sub_path: orders }");
    assert!(tell(&in_part, 0).remedy.text.contains("The manifest is right"), "what a subPath chose is of the volume too");
    let foreign = set.replace("fs_group: 1000", "fs_group: 1000, fs_group_change_policy: OnRootMismatch");
    assert!(tell(&foreign, 0).remedy.text.contains("The manifest is right"), "its top directory differs");
    assert!(tell(&set, 1000).explanation.join("\n").contains("by another user"), "it was given, and closed later");
    assert_eq!(patched(&tell(CLAIM, 0))["securityContext"]["fsGroup"], 1000, "without an fsGroup, that is the remedy");
}

#[test]
fn a_program_that_gave_its_groups_up_gets_its_own_group() {
    let yaml = CLAIM.replace("run_as_user: 1000", "fs_group: 2000");
    let world = World::of(pod(&yaml)).running(&["/entrypoint"], None).walked("/data/orders.db", data(0, 2000, 0o2770));
    let found = tell(&world, Call::Open, "/data/orders.db", O_RDWR_CREAT, creds(999, 999));
    assert!(found.explanation.iter().any(|text| text.contains("not in group 2000 any more")), "{:?}", found.explanation);
    assert_eq!(patched(&found), json!({ "securityContext": { "fsGroup": 999 } }));
}

#[test]
fn nothing_reaches_into_a_host_path() {
    let yaml =
        CLAIM.replace("claim: { name: orders-data, read_only: false }", "host-path: { path: /srv/orders, kind: '' }") + "\nnode: node-7";
    let found = claimed(&yaml, data(0, 0, 0o755));
    assert_eq!(found.remedy.patch, None);
    assert!(found.remedy.text.contains("On node node-7, `chown 1000:1000 /srv/orders`"), "{}", found.remedy.text);
    assert!(found.explanation.iter().any(|text| text.contains("hostPath /srv/orders")), "{:?}", found.explanation);
    assert_eq!(patched(&claimed(&yaml, data(999, 999, 0o755)))["securityContext"]["runAsUser"], 999);
    let found = claimed(&yaml, data(0, 50, 0o775));
    assert_eq!(found.remedy.patch, None, "what group 50 may on the node is not for a patch to decide");
    assert!(found.remedy.text.contains("supplementalGroups: [50]"), "{}", found.remedy.text);

    let group = yaml.replace("run_as_user: 1000", "run_as_user: 1000, fs_group: 1000");
    let found = claimed(&group, data(0, 0, 0o755));
    assert!(found.explanation.iter().any(|text| text.contains("does not apply fsGroup to volume \"data\"")), "{:?}", found.explanation);
}

#[test]
fn a_claim_on_a_directory_of_a_node_is_a_host_path() {
    let claim = |source: &str| crate::pod::Claim {
        name: "orders-data".into(),
        source: source.into(),
        access_modes: vec!["ReadWriteOnce".into()],
        ..crate::pod::Claim::default()
    };
    let tell = |source: &str| {
        let world = World { claims: vec![claim(source)], ..World::of(pod(CLAIM)) }.walked("/data/orders.db", data(0, 0, 0o755));
        tell(&world, Call::Open, "/data/orders.db", O_RDWR_CREAT, creds(1000, 1000))
    };
    let found = tell("hostPath");
    assert_eq!(found.remedy.patch, None);
    assert!(found.remedy.text.contains("a directory of a node"), "{}", found.remedy.text);
    let found = tell("local");
    assert_eq!(patched(&found)["securityContext"]["fsGroup"], 1000);
    assert!(found.remedy.also.iter().any(|text| text.contains("AlreadyMountedVolume")), "{:?}", found.remedy.also);
}

#[test]
fn what_an_init_container_made_in_an_empty_dir_is_made_by_the_same_user() {
    let yaml = "
volumes: [{ name: keys, source: { empty-dir: { medium: '', size_limit: null } } }]
containers:
  - { name: prepare, kind: init, mounts: [{ volume: keys, path: /out }] }
  - { name: app, mounts: [{ volume: keys, path: /keys }], security: { run_as_user: 1000 } }
";
    let keys = mounted("/keys", "ext4");
    let place = |mode| walk([on(&keys, dir("/keys", 0, 0, 0o777)), on(&keys, file("/keys/tls.key", 0, 0, mode))]);
    let tell = |yaml: &str, mode| {
        tell(&World::of(pod(yaml)).walked("/keys/tls.key", place(mode)), Call::Open, "/keys/tls.key", O_RDONLY, creds(1000, 1000))
    };
    assert_eq!(patched(&tell(yaml, 0o600)), json!({ "initContainers": [{ "name": "prepare", "securityContext": { "runAsUser": 1000 } }] }));
    assert_eq!(patched(&tell(yaml, 0o640)), json!({ "securityContext": { "fsGroup": 1000 } }), "the group inherits, and may read");
    let two = yaml.replace("  - { name: app", "  - { name: other, kind: init, mounts: [{ volume: keys, path: /x }] }\n  - { name: app");
    assert_eq!(tell(&two, 0o600).remedy.patch, None, "which of two made it is not known");
}

const SECRET: &str = "
security: { run_as_user: 1000 }
volumes: [{ name: tls, source: { secret: { name: tls, items: [], mode: 256, optional: false } } }]
containers: [{ name: app, mounts: [{ volume: tls, path: /etc/tls, read_only: true }] }]
";

fn secret(yaml: &str) -> Finding {
    let tls = mounted("/etc/tls", "tmpfs");
    let place = walk([dir("/etc", 0, 0, 0o755), on(&tls, dir("/etc/tls", 0, 0, 0o777)), on(&tls, file("/etc/tls/tls.key", 0, 0, 0o400))]);
    tell(&World::of(pod(yaml)).walked("/etc/tls/tls.key", place), Call::Open, "/etc/tls/tls.key", O_RDONLY, creds(1000, 1000))
}

#[test]
fn a_secret_is_given_to_the_pods_group() {
    let found = secret(SECRET);
    assert!(found.explanation[1].contains("Secret tls, defaultMode 0400"), "{:?}", found.explanation);
    assert_eq!(patched(&found), json!({ "securityContext": { "fsGroup": 1000 } }));
}

#[test]
fn a_secret_is_never_given_to_everybody_also_beside_a_claim() {
    let yaml = SECRET.replace("volumes: [", "volumes: [{ name: data, source: { claim: { name: data, read_only: false } } }, ");
    let sparing = json!({ "securityContext": { "fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch" } });
    assert_eq!(patched(&secret(&yaml)), sparing, "the claim is not walked through at each start");
    let items = "items: [{ key: tls.key, path: tls.key, mode: 256 }, { key: tls.crt, path: tls.crt }]";
    assert_eq!(patched(&secret(&yaml.replace("items: []", items))), sparing);
}

#[test]
fn beside_a_claim_only_the_mode_of_a_config_map_changes() {
    let yaml = SECRET.replace("volumes: [", "volumes: [{ name: data, source: { claim: { name: data, read_only: false } } }, ");
    let yaml = yaml.replace("secret: {", "config-map: {");
    assert_eq!(patched(&secret(&yaml)), json!({ "volumes": [{ "name": "tls", "configMap": { "defaultMode": 0o444 } }] }));
}

#[test]
fn the_mode_of_a_downward_api_file_is_changed_only_where_the_volume_says_it() {
    let of = |mode: u32| {
        let yaml = SECRET.replace("volumes: [", "volumes: [{ name: data, source: { claim: { name: data, read_only: false } } }, ");
        let source = format!("downward-api: {{ paths: [tls.key], mode: {mode} }}");
        secret(&yaml.replace("secret: { name: tls, items: [], mode: 256, optional: false }", &source))
    };
    assert_eq!(patched(&of(0o400)), json!({ "volumes": [{ "name": "tls", "downwardAPI": { "defaultMode": 0o444 } }] }));
    let found = of(0o644); // and yet the file has 0400: its item says so
    assert_eq!(patched(&found)["securityContext"]["fsGroup"], 1000, "{}", found.remedy.text);
}

#[test]
fn a_group_of_the_node_is_not_given_by_a_patch_and_roots_by_nothing() {
    let yaml = "
volumes: [{ name: sock, source: { host-path: { path: /run/docker.sock, kind: Socket } } }]
containers: [{ name: app, mounts: [{ volume: sock, path: /run/docker.sock }] }]
";
    let refused = |gid| {
        let socket = Component { kind: FileKind::Socket, ..file("/run/docker.sock", 0, gid, 0o660) };
        let place = walk([dir("/run", 0, 0, 0o755), on(&mounted("/run/docker.sock", "tmpfs"), socket)]);
        tell(&World::of(pod(yaml)).walked("/run/docker.sock", place), Call::Open, "/run/docker.sock", 2, creds(1000, 1000))
    };
    for (gid, words) in [(998, "supplementalGroups: [998]"), (0, "a group of its own")] {
        let found = refused(gid);
        assert_eq!(found.remedy.patch, None, "{}", found.remedy.text);
        assert!(found.remedy.text.contains("root on the node") && found.remedy.text.contains(words), "{}", found.remedy.text);
    }
    let roots = "containers: [{ name: app, security: { run_as_user: 1000 } }]";
    let place = walk([dir("/opt", 0, 0, 0o755), file("/opt/key", 0, 0, 0o640)]);
    let world = World::of(pod(roots)).walked("/opt/key", place);
    assert_eq!(tell(&world, Call::Open, "/opt/key", O_RDONLY, creds(1000, 1000)).remedy.patch, None);
}

#[test]
fn an_empty_dir_stands_where_a_directory_was_to_be_made() {
    let yaml = "containers: [{ name: app, security: { run_as_user: 1000 } }]";
    let tell = |call, target: &str| {
        let place = missing(target, target, [dir("/usr/src/app", 0, 0, 0o755)]);
        let world = World::of(pod(yaml)).running(&["node", "server.js"], None).walked(target, place);
        tell(&world, call, target, O_RDWR_CREAT, creds(1000, 1000))
    };
    let mounts = patched(&tell(Call::Mkdir, "/usr/src/app/.next"))["containers"][0]["volumeMounts"].clone();
    assert_eq!(mounts, json!([{ "name": "usr-src-app--next", "mountPath": "/usr/src/app/.next" }]));
    let file = tell(Call::Open, "/usr/src/app/app.db");
    assert_eq!(file.remedy.patch, None, "the application would be hidden");
    assert!(file.remedy.text.contains("would hide what the image has there"), "{}", file.remedy.text);
}

#[test]
fn a_directory_of_the_image_is_covered_only_when_that_hides_nothing() {
    let yaml = "containers: [{ name: app, security: { run_as_user: 1000 } }]";
    let tell = |directory: &str, args: &[&str]| {
        let target = format!("{directory}/x.pid");
        let place = missing(&target, &target, [dir(directory, 0, 0, 0o755)]);
        tell(&World::of(pod(yaml)).running(args, None).walked(&target, place), Call::Open, &target, O_RDWR_CREAT, creds(1000, 1000))
    };
    assert_eq!(
        patched(&tell("/run/server", &["/usr/bin/server"])),
        json!({
            "volumes": [{ "name": "run-server", "emptyDir": {} }],
            "containers": [{ "name": "app", "volumeMounts": [{ "name": "run-server", "mountPath": "/run/server" }] }],
        })
    );
    for (directory, args) in [
        ("/etc/server", &["/usr/bin/server"][..]),
        ("/var/lib", &["/usr/bin/server"]),
        ("/srv/app", &["/usr/bin/node", "/srv/app/main.js"]),
        ("/srv/app", &["node", "main.js"]),
        ("/data", &["/usr/bin/server"]),
    ] {
        assert_eq!(tell(directory, args).remedy.patch, None, "{directory}");
    }
}

#[test]
fn files_of_the_image_are_used_as_their_owner() {
    let yaml = "containers: [{ name: app, security: { run_as_user: 1000 } }]";
    let used = |target: &str, call, place| tell(&World::of(pod(yaml)).walked(target, place), call, target, O_RDONLY, creds(1000, 1000));
    let of_group = walk([dir("/opt", 0, 0, 0o755), dir("/opt/app", 101, 101, 0o750), file("/opt/app/key", 101, 101, 0o640)]);
    let found = used("/opt/app/key", Call::Open, of_group);
    assert_eq!(patched(&found)["securityContext"]["supplementalGroups"], json!([101]), "the group may: the smaller step");
    let private = walk([dir("/opt", 0, 0, 0o755), dir("/opt/app", 101, 101, 0o700)]);
    let found = used("/opt/app", Call::Readdir, private);
    assert_eq!(patched(&found), json!({ "containers": [{ "name": "app", "securityContext": { "runAsUser": 101 } }] }));
    let of_root = walk([dir("/opt", 0, 0, 0o755), file("/opt/key", 0, 0, 0o600)]);
    assert_eq!(used("/opt/key", Call::Open, of_root).remedy.patch, None, "never runAsUser: 0");
}

#[test]
fn root_without_a_capability_gets_that_one_and_the_whole_list() {
    let yaml = "containers: [{ name: app, security: { add: [NET_BIND_SERVICE], drop: [ALL, CAP_DAC_OVERRIDE] } }]";
    let place = missing("/srv/a/f", "/srv/a/f", [dir("/srv", 0, 0, 0o755), dir("/srv/a", 1000, 1000, 0o755)]);
    let found = tell(&World::of(pod(yaml)).walked("/srv/a/f", place), Call::Open, "/srv/a/f", O_RDWR_CREAT, creds(0, 0));
    assert_eq!(
        patched(&found)["containers"][0]["securityContext"]["capabilities"],
        json!({ "add": ["NET_BIND_SERVICE", "DAC_OVERRIDE"], "drop": ["ALL"] })
    );
    assert!(found.explanation.iter().any(|text| text.contains("capabilities.drop ALL, CAP_DAC_OVERRIDE")), "{:?}", found.explanation);

    let found = {
        let yaml = CLAIM.replace("security: { run_as_user: 1000 }", "");
        let world = World::of(pod(&yaml)).walked("/data/orders.db", data(999, 999, 0o755));
        tell(&world, Call::Open, "/data/orders.db", O_RDWR_CREAT, creds(0, 0))
    };
    assert_eq!(patched(&found), json!({ "securityContext": { "fsGroup": 0 } }), "the volume rather than the capability");
}

#[test]
fn ids_of_a_user_namespace_are_written_as_the_pod_knows_them() {
    let map = vec![IdRange { inside: 0, outside: 100_000, count: 65_536 }];
    let place = Walk { uid_map: map.clone(), gid_map: map, ..data(100_000, 100_000, 0o755) };
    let world = World::of(pod(&(CLAIM.to_owned() + "host_users: false"))).walked("/data/orders.db", place);
    let found = tell(&world, Call::Open, "/data/orders.db", O_RDWR_CREAT, Creds { user_ns: 4_026_532_000, ..creds(101_000, 101_000) });
    assert_eq!(patched(&found), json!({ "securityContext": { "fsGroup": 1000 } }));
}

#[test]
fn where_the_user_comes_from_is_said() {
    let none = CLAIM.replace("security: { run_as_user: 1000 }", "");
    let world = |yaml: &str| World::of(pod(yaml)).running(&["/app"], None).walked("/data/orders.db", data(0, 0, 0o755));
    let said = |world: &World, uid| tell(world, Call::Open, "/data/orders.db", O_RDWR_CREAT, creds(uid, uid)).explanation.join("\n");
    assert!(said(&world(&none), 1000).contains("uid 1000 is the user of the image, unless"));
    assert!(said(&world(&none), 1000).contains("runAsUser and fsGroup are not set"));
    assert!(said(&world(CLAIM), 33).contains("uid 33 and not 1000: the program changed its user by itself"));
    let mut as_root = world(&none);
    as_root.processes[0].began = 0;
    assert!(said(&as_root, 999).contains("starts as root, and the program changed to uid 999"));
}
