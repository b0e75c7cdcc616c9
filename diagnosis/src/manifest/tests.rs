//! What the manifest adds to refusals without a path, to missing files, mounts, limits and commands.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::{
    advice::{Advice, change},
    denied::tests::pod,
    patch,
};
use crate::{
    case::{Manifest, Suspect, finding::Finding},
    judge::explain,
    question::{Answer, Component, ExecFormat, FileKind, Listener, Memory, Mount, Question, RuntimeSpec, Usage, Walk},
    record::{Call, Creds, ExitStatus, Target},
    units::CgroupId,
    verdict::Remedy,
    words::testing::{FAILED_AT, PROCESS, World, creds, dir, failed, failure_of, file, missing, mounted, path, walk},
};
use serde_json::{Value, json};

const O_RDWR_CREAT: u64 = 0o102;

fn tell(world: &World, call: Call, target: Target, arg: u64, errno: &str, creds: Creds) -> Finding {
    let mut call = failed(call, target, arg, errno);
    call.creds = creds;
    explain(Suspect::Call(&failure_of(call)), &world.case()).unwrap()
}

fn not_there(world: &World, name: &str) -> Finding {
    tell(world, Call::Open, path(name), 0, "ENOENT", creds(1000, 1000))
}

fn patched(finding: &Finding) -> Value {
    finding.remedy.patch.as_ref().map(|patch| patch.body["spec"]["template"]["spec"].clone()).unwrap_or_default()
}

fn why(finding: &Finding) -> String {
    finding.explanation.join("\n")
}

// ── Refusals without a path ──────────────────────────────────────────────────────────────────────────────────────────

fn low_port(yaml: &str, creds: Creds) -> Finding {
    let world = World::of(pod(yaml));
    let question = Question::UnprivilegedPort { scope: world.case().scope(PROCESS) };
    let world = world.answer(question, Answer::UnprivilegedPort(1024));
    tell(&world, Call::Bind, Target::Inet { address: "0.0.0.0".into(), port: 80 }, 0, "EACCES", creds)
}

#[test]
fn a_low_port_is_given_by_what_counts_for_the_user() {
    let plain = "containers: [{ name: app }]";
    let sysctls = json!({ "securityContext": { "sysctls": [{ "name": "net.ipv4.ip_unprivileged_port_start", "value": "80" }] } });
    assert_eq!(patched(&low_port(plain, creds(1000, 1000))), sysctls);
    let dropped = "containers: [{ name: app, security: { drop: [ALL] } }]";
    assert_eq!(
        patched(&low_port(dropped, creds(0, 0)))["containers"][0]["securityContext"]["capabilities"],
        json!({ "add": ["NET_BIND_SERVICE"] })
    );
    let on_host = low_port("{ host_network: true, containers: [{ name: app }] }", creds(1000, 1000));
    assert_eq!(on_host.remedy.patch, None, "a pod may not set a sysctl of the node's network");
    assert!(why(&on_host).contains("hostNetwork") && on_host.remedy.text.contains("8080"), "{}", on_host.remedy.text);
}

#[test]
fn a_pod_on_the_nodes_network_is_given_no_sysctl_and_no_target_port() {
    let yaml = "{ host_network: true, containers: [{ name: app, security: { drop: [ALL] } }] }";
    let unread = || {
        let target = Target::Inet { address: "::".into(), port: 81 };
        tell(&World::of(pod(yaml)), Call::Bind, target, 0, "EACCES", creds(1000, 1000))
    };
    for (case, found) in [("user", low_port(yaml, creds(1000, 1000))), ("root", low_port(yaml, creds(0, 0))), ("sysctl unread", unread())] {
        let Remedy { text, patch, .. } = &found.remedy;
        assert!(!text.contains("sysctl") && !text.contains("targetPort") && text.contains("a port from 1024 on"), "{case}: {text}");
        let added = patch.as_ref().map(|patch| &patch.body["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilities"]);
        assert_eq!(added, (case == "root").then_some(&json!({ "add": ["NET_BIND_SERVICE"] })), "{case}");
    }
}

#[test]
fn sysctls_that_are_there_stay() {
    let others = low_port("{ security: { sysctls: [net.core.somaxconn] }, containers: [{ name: app }] }", creds(1000, 1000));
    assert_eq!(
        others.remedy.patch.unwrap().body,
        json!([{
            "op": "add", "path": "/spec/template/spec/securityContext/sysctls/-",
            "value": { "name": "net.ipv4.ip_unprivileged_port_start", "value": "80" },
        }])
    );
    let same = low_port("{ security: { sysctls: [net.ipv4.ip_unprivileged_port_start] }, containers: [{ name: app }] }", creds(1000, 1000));
    assert_eq!(
        same.remedy.patch.unwrap().body,
        json!([
            {
                "op": "test", "path": "/spec/template/spec/securityContext/sysctls/0/name",
                "value": "net.ipv4.ip_unprivileged_port_start",
            },
            { "op": "replace", "path": "/spec/template/spec/securityContext/sysctls/0/value", "value": "80" },
        ])
    );
}

#[test]
fn a_change_of_user_needs_root_and_two_capabilities() {
    let tell = |yaml: &str, creds: Creds| tell(&World::of(pod(yaml)), Call::Setuid, Target::Nothing, 33, "EPERM", creds);
    let found = tell("containers: [{ name: app, security: { drop: [ALL] } }]", creds(0, 0));
    assert_eq!(patched(&found)["containers"][0]["securityContext"]["capabilities"], json!({ "add": ["SETUID", "SETGID"] }));
    let yaml = "containers: [{ name: app, security: { run_as_user: 1000, allow_privilege_escalation: false } }]";
    let found = tell(yaml, creds(1000, 1000));
    assert_eq!(found.remedy.patch, None, "a capability does not count for it");
    assert!(why(&found).contains("allowPrivilegeEscalation: false keeps"), "{}", why(&found));
}

#[test]
fn a_filter_is_told_with_its_profile() {
    let place = walk([dir("/data", 1000, 1000, 0o755)]);
    let yaml = "{ security: { seccomp: RuntimeDefault }, containers: [{ name: app, security: { app_armor: Localhost tight } }] }";
    let world = World::of(pod(yaml)).walked("/data", Walk { seccomp: Some(true), ..place });
    let found = tell(&world, Call::Chmod, path("/data"), 0o700, "EPERM", creds(1000, 1000));
    assert_eq!(found.layer.word, "seccomp");
    assert!(
        why(&found).contains("the container sets appArmorProfile Localhost tight; the pod sets seccompProfile RuntimeDefault"),
        "{}",
        why(&found)
    );
}

#[test]
fn a_port_of_the_nodes_network_is_said_to_be() {
    let yaml = "{ host_network: true, containers: [{ name: app }] }";
    let world = World::of(pod(yaml));
    let question = Question::FindListener { scope: world.case().scope(PROCESS), port: 9100 };
    let listener = Listener {
        pid: Some(501),
        comm: Some("node_exporter".into()),
        cgroup_path: Some("/system.slice/node_exporter.service".into()),
        address: "::".into(),
        since: None,
    };
    let world = world.answer(question, Answer::Listener(Some(listener)));
    let found = tell(&world, Call::Bind, Target::Inet { address: "::".into(), port: 9100 }, 0, "EADDRINUSE", creds(0, 0));
    assert!(why(&found).contains("hostNetwork: true"), "{}", why(&found));
    assert!(found.remedy.also.iter().any(|text| text.contains("strategy Recreate")), "{:?}", found.remedy.also);
}

#[test]
fn a_port_that_the_pod_itself_has_is_no_matter_of_the_old_pod() {
    let (own, beside) = ("a1".repeat(32), "b2".repeat(32));
    let yaml = format!(
        "
host_network: true
owner: {{ api_version: apps/v1, kind: Deployment, name: orders, strategy: RollingUpdate }}
containers: [{{ name: app }}, {{ name: web }}]
status: {{ containers: [{{ name: app, id: {own}, state: {{ running: {{ since: 0 }} }} }}, {{ name: web, id: {beside}, state: {{ running: {{ since: 0 }} }} }}] }}
"
    );
    for (id, remedy, recreate) in [
        (own.as_str(), "only one process of the container", false),
        (beside.as_str(), "give app or container web of this pod another port", false),
        (&"c3".repeat(32), "another port than 8080, or take hostNetwork off", true),
    ] {
        let world = World::of(pod(&yaml));
        let question = Question::FindListener { scope: world.case().scope(PROCESS), port: 8080 };
        let cgroup = format!("/kubepods/besteffort/pod8a0c7b64-53f2-4d1e-9a57-0b1c2d3e4f50/{id}");
        let (pid, comm, cgroup_path) = (Some(501), Some("httpd".into()), Some(cgroup));
        let listener = Listener { pid, comm, cgroup_path, address: "::".into(), since: None };
        let world = world.answer(question, Answer::Listener(Some(listener)));
        let found = tell(&world, Call::Bind, Target::Inet { address: "::".into(), port: 8080 }, 0, "EADDRINUSE", creds(0, 0));
        assert!(found.remedy.text.contains(remedy), "{id}: {}", found.remedy.text);
        assert_eq!(found.remedy.also.iter().any(|text| text.contains("Recreate")), recreate, "{id}: {:?}", found.remedy.also);
    }
}

// ── Missing files ────────────────────────────────────────────────────────────────────────────────────────────────────

fn world_without(yaml: &str, name: &str) -> World {
    World::of(pod(yaml)).walked(name, missing(name, name, [dir("/etc", 0, 0, 0o755)]))
}

#[test]
fn a_mount_path_that_differs_by_a_letter_is_noticed() {
    let yaml = "
volumes: [{ name: conf, source: { config-map: { name: app, items: [{ key: app.yaml, path: app.yaml }], mode: null, optional: false } } }]
containers: [{ name: app, mounts: [{ volume: conf, path: /etc/confg }] }]
";
    let found = not_there(&world_without(yaml, "/etc/config/app.yaml"), "/etc/config/app.yaml");
    assert!(why(&found).contains("is mounted at /etc/confg, one letter beside /etc/config"), "{}", why(&found));
    assert_eq!(patched(&found)["containers"][0]["volumeMounts"], json!([{ "name": "conf", "mountPath": "/etc/config" }]));
    let found = not_there(&world_without(yaml, "/etc/config/web.yaml"), "/etc/config/web.yaml");
    assert_eq!(found.remedy.patch, None, "the volume does not have this file");
}

#[test]
fn a_volume_that_nobody_mounts_gives_its_file() {
    let yaml = "
volumes: [{ name: conf, source: { config-map: { name: app, items: [{ key: a, path: app.yaml }], mode: null, optional: false } } }]
containers: [{ name: app }]
";
    let found = not_there(&world_without(yaml, "/etc/app.yaml"), "/etc/app.yaml");
    assert_eq!(
        patched(&found)["containers"][0]["volumeMounts"],
        json!([{ "name": "conf", "mountPath": "/etc/app.yaml", "subPath": "app.yaml", "readOnly": true }])
    );
}

#[test]
fn what_the_manifest_cannot_bring_is_said_without_a_patch() {
    let volume = |source: &str| {
        format!(
            "volumes: [{{ name: v, source: {source} }}]\ncontainers: [{{ name: app, mounts: [{{ volume: v, path: /etc/app }}] }}]\nnode: node-7"
        )
    };
    let cases = [
        ("{ host-path: { path: /srv/app, kind: '' } }", "on node node-7 there is no /srv/app/x.yaml", "put /srv/app/x.yaml on every node"),
        (
            "{ secret: { name: app, items: [], mode: null, optional: true } }",
            "optional: the pod starts without it",
            "Create Secret app with the key x.yaml",
        ),
        (
            "{ empty-dir: { medium: '', size_limit: null } }",
            "no other container mounts it",
            "Let an init container put x.yaml into volume v",
        ),
        ("{ downward-api: { paths: [labels], mode: null } }", "its items give labels", "Add an item with path x.yaml"),
        (
            "{ projected: { sources: [{ token: { path: token, audience: '' } }, { config-map: { name: ca, items: [], optional: false } }], mode: null } }",
            "give token and all keys of ConfigMap ca",
            "Add a source or an item",
        ),
        ("{ claim: { name: data, read_only: false } }", "is hidden by the volume", "Put /etc/app/x.yaml into the volume"),
    ];
    for (source, reason, remedy) in cases {
        let found = not_there(&world_without(&volume(source), "/etc/app/x.yaml"), "/etc/app/x.yaml");
        assert!(why(&found).contains(reason), "{source}: {}", why(&found));
        assert!(found.remedy.text.contains(remedy) || source.contains("claim"), "{source}: {}", found.remedy.text);
        assert_eq!(found.remedy.patch, None, "{source}");
    }
}

#[test]
fn a_directory_that_something_is_to_be_made_in_is_an_empty_dir() {
    let make = |name: &str| {
        let world = World::of(pod("containers: [{ name: app }]")).walked(name, missing(name, "/var/cache", [dir("/var", 0, 0, 0o755)]));
        tell(&world, Call::Mkdir, path(name), 0o755, "ENOENT", creds(0, 0))
    };
    assert_eq!(patched(&make("/var/cache/app/x"))["containers"][0]["volumeMounts"][0]["mountPath"], "/var/cache/app");
    assert_eq!(make("/var/cache/x").remedy.patch, None, "others' directories may lie there");
}

#[test]
fn a_path_of_the_image_is_said_to_be_one() {
    let found = not_there(&world_without("containers: [{ name: app }]", "/etc/app/x.yaml"), "/etc/app/x.yaml");
    assert!(why(&found).contains("no volume of the pod is mounted at /etc/app"), "{}", why(&found));
}

#[test]
fn a_directory_of_the_node_for_a_file() {
    let yaml = "
volumes: [{ name: conf, source: { host-path: { path: /etc/shop.conf, kind: '' } } }]
containers: [{ name: app, mounts: [{ volume: conf, path: /etc/shop.conf }] }]
";
    let mount = Mount { root: "/etc/shop.conf".into(), ..mounted("/etc/shop.conf", "ext4") };
    let place = walk([Component { mount, ..dir("/etc/shop.conf", 0, 0, 0o755) }]);
    let found = tell(
        &World::of(pod(yaml)).walked("/etc/shop.conf", place),
        Call::Open,
        path("/etc/shop.conf"),
        O_RDWR_CREAT,
        "EISDIR",
        creds(0, 0),
    );
    assert!(
        why(&found).contains("/etc/shop.conf is a directory on the node: without a type, the runtime makes an empty one"),
        "{}",
        why(&found)
    );
    assert_eq!(found.remedy.patch, None);
}

#[test]
fn a_directory_that_is_meant_to_be_one_gets_no_sub_path() {
    let yaml = "
volumes: [{ name: conf, source: { config-map: { name: app, items: [], mode: null, optional: false } } }]
containers: [{ name: app, mounts: [{ volume: conf, path: /etc/conf.d }] }]
";
    let place = walk([Component { mount: mounted("/etc/conf.d", "ext4"), ..dir("/etc/conf.d", 0, 0, 0o755) }]);
    let found =
        tell(&World::of(pod(yaml)).walked("/etc/conf.d", place), Call::Open, path("/etc/conf.d"), O_RDWR_CREAT, "EISDIR", creds(0, 0));
    assert_eq!(found.remedy.patch, None, "{}", found.remedy.text);
}

// ── Read-only places ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn read_only_is_taken_off_where_it_is_set_and_nowhere_else() {
    let at = |point: &str| Mount { read_only: true, ..mounted(point, "ext4") };
    let tell = |yaml: &str, claims: Vec<crate::pod::Claim>| {
        let place = missing("/data/x", "/data/x", [Component { mount: at("/data"), ..dir("/data", 0, 0, 0o755) }]);
        let world = World { claims, ..World::of(pod(yaml)) }.walked("/data/x", place);
        tell(&world, Call::Open, path("/data/x"), O_RDWR_CREAT, "EROFS", creds(0, 0))
    };
    let yaml = "
volumes: [{ name: data, source: { claim: { name: orders, read_only: true } } }]
containers: [{ name: app, mounts: [{ volume: data, path: /data }] }]
";
    assert_eq!(
        patched(&tell(yaml, Vec::new())),
        json!({ "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "orders", "readOnly": false } }] })
    );
    let read_only = crate::pod::Claim { name: "orders".into(), read_only: true, ..crate::pod::Claim::default() };
    let found = tell(yaml, vec![read_only]);
    assert_eq!(found.remedy.patch, None, "the volume itself is read-only");
    assert!(found.remedy.text.contains("The PersistentVolume itself is read-only"), "{}", found.remedy.text);
    let image = yaml.replace("claim: { name: orders, read_only: true }", "image: { reference: registry.example/data:1 }");
    assert!(tell(&image, Vec::new()).remedy.text.starts_with("An image volume is always read-only."));
}

#[test]
fn a_read_only_root_is_covered_only_when_the_manifest_asked_for_it_and_nothing_is_hidden() {
    let tell = |yaml: &str, target: &str, directory: &str| {
        let mount = Mount { read_only: true, ..mounted("/", "overlay") };
        let place = missing(target, target, [Component { mount, ..dir(directory, 0, 0, 0o755) }]);
        tell(&World::of(pod(yaml)).walked(target, place), Call::Open, path(target), O_RDWR_CREAT, "EROFS", creds(0, 0))
    };
    let yaml = "containers: [{ name: app, security: { read_only_root: true } }]";
    assert!(patched(&tell(yaml, "/var/cache/app/x", "/var/cache/app"))["volumes"][0]["emptyDir"].is_object());
    assert_eq!(tell(yaml, "/etc/app.pid", "/etc").remedy.patch, None);
    assert_eq!(tell("containers: [{ name: app }]", "/var/cache/app/x", "/var/cache/app").remedy.patch, None);
    let hidden = tell(yaml, "/usr/src/app/x", "/usr/src/app");
    assert_eq!(hidden.remedy.patch, None);
    assert!(hidden.remedy.text.contains("An emptyDir at /usr/src/app would hide"), "{}", hidden.remedy.text);
}

#[test]
fn what_admission_puts_in_is_not_patched_into_the_template() {
    let pod = pod("containers: [{ name: istio-proxy }, { name: app }]");
    let changed = |index: usize| {
        let container = &pod.containers[index];
        let mut advice = Advice::new(tell_of_root("/var/cache/app").remedy, FAILED_AT);
        let spec = Manifest { pod: &pod, container, claims: &[] };
        let fragment = patch::of_container(container, json!({ "securityContext": { "runAsUser": 7 } }));
        change(&mut advice, &spec, "Set it.".to_owned(), fragment);
        advice.into_parts().2
    };
    assert_eq!(changed(0).patch, None);
    assert!(changed(0).text.starts_with("Set it. Container istio-proxy is put into the pod by Istio"), "{}", changed(0).text);
    assert!(changed(1).patch.is_some());
}

/// A file that cannot be made in a directory of a read-only root.
fn tell_of_root(directory: &str) -> Finding {
    let target = format!("{directory}/x");
    let mount = Mount { read_only: true, ..mounted("/", "overlay") };
    let place = missing(&target, &target, [Component { mount, ..dir(directory, 0, 0, 0o755) }]);
    let world = World::of(pod("containers: [{ name: app }]")).walked(&target, place);
    tell(&world, Call::Open, path(&target), O_RDWR_CREAT, "EROFS", creds(0, 0))
}

#[test]
fn names_of_new_volumes_are_labels_and_free() {
    let yaml = "
volumes: [{ name: var-cache-my-dir, source: { empty-dir: { medium: '', size_limit: null } } }]
containers: [{ name: app, security: { read_only_root: true } }]
";
    let name = |directory: &str| {
        let target = format!("{directory}/x");
        let mount = Mount { read_only: true, ..mounted("/", "overlay") };
        let place = missing(&target, &target, [Component { mount, ..dir(directory, 0, 0, 0o755) }]);
        let found = tell(&World::of(pod(yaml)).walked(&target, place), Call::Open, path(&target), O_RDWR_CREAT, "EROFS", creds(0, 0));
        patched(&found)["volumes"][0]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(name("/var/cache/My_Dir"), "var-cache-my-dir-2");
    let long = name(&format!("/var/cache/{}/end", "a".repeat(80)));
    assert!(long.len() <= 63 && long.ends_with("a-end"), "{long}");
}

// ── Limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_memory_limit_is_raised_only_when_it_is_the_one_that_was_met() {
    let tell = |yaml: &str, limit: Option<u64>| {
        let memory = Memory { limit, peak: limit, ..Memory::default() };
        let world = World::of(pod(yaml)).running(&["/app"], None).answer(Question::Memory { cgroup: CgroupId(7) }, Answer::Memory(memory));
        explain(Suspect::OutOfMemory { at: FAILED_AT, victim: PROCESS }, &world.case()).unwrap()
    };
    let yaml = "containers: [{ name: app, memory_limit: 67108864 }]";
    assert_eq!(
        patched(&tell(yaml, Some(64 << 20))),
        json!({ "containers": [{ "name": "app", "resources": { "limits": { "memory": "128Mi" } } }] })
    );
    assert_eq!(tell(yaml, Some(96 << 20)).remedy.patch, None, "the kernel has another limit than the manifest");
    let found = tell("containers: [{ name: app }]", None);
    assert!(found.remedy.patch.is_none() && why(&found).contains("sets no resources.limits.memory"), "{}", why(&found));
}

#[test]
fn a_full_disk_of_the_node_is_no_fault_of_the_manifest() {
    let yaml = "
volumes: [{ name: spool, source: { empty-dir: { medium: '', size_limit: 1048576 } } }]
containers: [{ name: app, mounts: [{ volume: spool, path: /spool }] }]
";
    let world = World::of(pod(yaml));
    let usage = Usage { mount: mounted("/spool", "ext4"), bytes: 1 << 30, ..Usage::default() };
    let question = Question::Usage { scope: world.case().scope(PROCESS), path: "/spool/q".into(), start: None };
    let found = tell(&world.answer(question, Answer::Usage(usage)), Call::Open, path("/spool/q"), O_RDWR_CREAT, "ENOSPC", creds(0, 0));
    assert_eq!(found.remedy.patch, None);
    assert!(why(&found).contains("refuses no write"), "{}", why(&found));
}

// ── Commands ─────────────────────────────────────────────────────────────────────────────────────────────────────────

fn told(yaml: &str, args: &[&str]) -> Finding {
    let world = World::of(pod(yaml));
    let spec = RuntimeSpec {
        args: args.iter().map(ToString::to_string).collect(),
        cwd: "/".into(),
        path: Some("/bin".into()),
        ..RuntimeSpec::default()
    };
    let question = Question::RuntimeSpec { cgroup: CgroupId(7), container_id: String::new() };
    explain(Suspect::NeverStarted { at: FAILED_AT }, &world.answer(question, Answer::RuntimeSpec(spec)).case()).unwrap()
}

#[test]
fn args_of_an_image_without_an_entry_point_are_executed() {
    let found = told("containers: [{ name: app, args: [--port, '80'] }]", &["--port", "80"]);
    assert!(why(&found).contains("the image has no entry point"), "{}", why(&found));
    assert_eq!(found.remedy.patch, None, "which program was meant is not known");
}

#[test]
fn a_line_for_a_shell_is_given_to_one() {
    let found = told("containers: [{ name: app, command: ['migrate && serve'] }]", &["migrate && serve"]);
    assert_eq!(patched(&found)["containers"][0]["command"], json!(["/bin/sh", "-c", "migrate && serve"]));
}

#[test]
fn a_script_is_started_by_its_interpreter_only_if_it_can_be_read() {
    let tell = |mode| {
        let world =
            World::of(pod("containers: [{ name: app, command: [/run.sh, up] }]")).running(&["/run.sh"], Some(ExitStatus::Code(126)));
        let place = walk([file("/run.sh", 0, 0, mode)]);
        let format = ExecFormat::Script { interpreter: "/bin/sh -e".into(), exists: true, crlf: false };
        let world = world.walked("/run.sh", place).read("/run.sh", Some(file("/run.sh", 0, 0, mode)), format);
        tell(&world, Call::Exec, path("/run.sh"), 0, "EACCES", creds(1000, 1000))
    };
    assert_eq!(patched(&tell(0o644))["containers"][0]["command"], json!(["/bin/sh", "-e", "/run.sh", "up"]));
    assert_eq!(tell(0o600).remedy.patch, None);
    assert_eq!(file("/run.sh", 0, 0, 0o644).kind, FileKind::File);
}
