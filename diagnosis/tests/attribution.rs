//! Attribution: real cgroup paths of the runtimes, drivers and distributions that are met in the field, and any string.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use unready_diagnosis::attribution::{Place, Runtime, around, last_component, place};

const ID: &str = "3f5a0c9be1d24786a5b09c1d2e3f40516273849506a7b8c9d0e1f20314253647";
const OUTER: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
const POD: &str = "8a0c7b64-53f2-4d1e-9a57-0b1c2d3e4f50";
const POD_: &str = "8a0c7b64_53f2_4d1e_9a57_0b1c2d3e4f50";
const STATIC: &str = "d2f0a1b3c4e5968778695a4b3c2d1e0f";

/// `{ID}` and its kin stand for the constants above.
fn fill(template: &str) -> String {
    template.replace("{ID}", ID).replace("{OUTER}", OUTER).replace("{POD}", POD).replace("{POD_}", POD_).replace("{STATIC}", STATIC)
}

fn pod(uid: &str) -> Place {
    Place::Pod { pod_uid: uid.to_owned() }
}

fn of_pod(runtime: Runtime) -> Place {
    Place::Container { runtime, pod_uid: Some(POD.to_owned()), container_id: ID.to_owned() }
}

fn alone(runtime: Runtime, id: &str) -> Place {
    Place::Container { runtime, pod_uid: None, container_id: id.to_owned() }
}

fn below(container: &str) -> Place {
    Place::Nested { container: fill(container) }
}

#[test]
fn what_lies_below_a_container_is_known_whatever_it_is_called() {
    for (path, expected) in [
        ("/kubepods/burstable/pod{POD}/{ID}", None),
        ("/kubepods/burstable/pod{POD}", None),
        ("/system.slice/x.service/made", None),
        ("/kubepods/burstable/pod{POD}/{ID}/made", Some("/kubepods/burstable/pod{POD}/{ID}")),
        ("/kubepods/burstable/pod{POD}/{ID}/pod{POD}/made", Some("/kubepods/burstable/pod{POD}/{ID}")),
        ("/kubepods/burstable/pod{POD}/{ID}/{OUTER}", Some("/kubepods/burstable/pod{POD}/{ID}")),
        ("/docker/{OUTER}/kubelet/kubepods/pod{POD}/{ID}", Some("/docker/{OUTER}")),
        ("/docker/{OUTER}/", None),
    ] {
        assert_eq!(around(&fill(path)), expected.map(fill).as_deref(), "{path}");
    }
}

fn table() -> Vec<(&'static str, Place)> {
    let static_pod = |runtime| Place::Container { runtime, pod_uid: Some(STATIC.to_owned()), container_id: ID.to_owned() };
    vec![
        // Kubernetes, cgroupfs driver.
        ("/kubepods", Place::Other),
        ("/kubepods/burstable", Place::Other),
        ("/kubepods/pod{POD}", pod(POD)),
        ("/kubepods/burstable/pod{POD}", pod(POD)),
        ("/kubepods/besteffort/pod{POD}", pod(POD)),
        ("/kubepods/pod{POD}/{ID}", of_pod(Runtime::Containerd)),
        ("/kubepods/burstable/pod{POD}/{ID}", of_pod(Runtime::Containerd)),
        ("/kubepods/besteffort/pod{POD}/{ID}", of_pod(Runtime::Containerd)),
        ("/kubepods/burstable/pod{POD}/crio-{ID}", of_pod(Runtime::CriO)),
        ("/kubepods/burstable/pod{POD}/crio-conmon-{ID}", Place::Other),
        ("/kubepods/burstable/pod{STATIC}/{ID}", static_pod(Runtime::Containerd)),
        ("/kubepods/burstable/pod{STATIC}", pod(STATIC)),
        // A manifest that sets its own uid.
        ("/kubepods/burstable/podmy-static-pod", pod("my-static-pod")),
        // Kubernetes, systemd driver.
        ("/kubepods.slice", Place::Other),
        ("/kubepods.slice/kubepods-burstable.slice", Place::Other),
        ("/kubepods.slice/kubepods-pod{POD_}.slice", pod(POD)),
        ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice", pod(POD)),
        ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{POD_}.slice", pod(POD)),
        ("/kubepods.slice/kubepods-pod{POD_}.slice/cri-containerd-{ID}.scope", of_pod(Runtime::Containerd)),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice/cri-containerd-{ID}.scope",
            of_pod(Runtime::Containerd),
        ),
        ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice/crio-{ID}.scope", of_pod(Runtime::CriO)),
        ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice/crio-conmon-{ID}.scope", Place::Other),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice/crio-{ID}.scope/container",
            below("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice/crio-{ID}.scope"),
        ),
        ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{POD_}.slice/docker-{ID}.scope", of_pod(Runtime::Docker)),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice/cri-containerd-{ID}.scope",
            static_pod(Runtime::Containerd),
        ),
        ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podmy_static_pod.slice", pod("my-static-pod")),
        // A systemd path given to a runtime with the cgroupfs driver (containerd without SystemdCgroup).
        ("/system.slice/containerd.service/kubepods-burstable-pod{POD_}.slice:cri-containerd:{ID}", of_pod(Runtime::Containerd)),
        ("/kubepods-besteffort-pod{POD_}.slice:cri-containerd:{ID}", of_pod(Runtime::Containerd)),
        ("/kubepods-burstable-pod{STATIC}.slice:crio:{ID}", static_pod(Runtime::CriO)),
        ("/system.slice:docker:{ID}", alone(Runtime::Docker, ID)),
        ("/user.slice:runc:web", alone(Runtime::Runc, "web")),
        // --cgroup-root, --kubelet-cgroups, kind, minikube, k3s, nested kubelets.
        ("/kubelet/kubepods/burstable/pod{POD}/{ID}", of_pod(Runtime::Containerd)),
        ("/my-root/kubepods/pod{POD}/{ID}", of_pod(Runtime::Containerd)),
        ("/my.slice/my-kubepods.slice/my-kubepods-pod{POD_}.slice/crio-{ID}.scope", of_pod(Runtime::CriO)),
        ("/k8s.slice/pod{POD}/{ID}", of_pod(Runtime::Containerd)),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{POD_}.slice/cri-containerd-{ID}.scope",
            of_pod(Runtime::Containerd),
        ),
        (
            "/docker/{OUTER}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{POD_}.slice",
            pod(POD),
        ),
        (
            "/docker/{OUTER}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{POD_}.slice/cri-containerd-{ID}.scope",
            of_pod(Runtime::Containerd),
        ),
        (
            "/system.slice/docker-{OUTER}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{POD_}.slice/cri-containerd-{ID}.scope",
            of_pod(Runtime::Containerd),
        ),
        ("/docker/{OUTER}/kubelet/kubepods/besteffort/pod{POD}/{ID}", of_pod(Runtime::Containerd)),
        ("/docker/{OUTER}/kubelet.slice", below("/docker/{OUTER}")),
        ("/docker/{OUTER}/kubelet.slice/kubelet.service", below("/docker/{OUTER}")),
        ("/machine.slice/libpod-{OUTER}.scope/container/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{POD_}.slice", pod(POD)),
        // Docker.
        ("/docker", Place::Other),
        ("/docker/{ID}", alone(Runtime::Docker, ID)),
        ("/system.slice/docker-{ID}.scope", alone(Runtime::Docker, ID)),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope", alone(Runtime::Docker, ID)),
        ("/docker/{OUTER}/docker/{ID}", alone(Runtime::Docker, ID)),
        ("/actions_job/{ID}", alone(Runtime::Unknown, ID)),
        ("/ecs/d2f0a1b3c4e5968778695a4b3c2d1e0f/{ID}", alone(Runtime::Unknown, ID)),
        ("/system.slice/docker.service", Place::Other),
        ("/system.slice/docker-compose-app.scope", Place::Other),
        // Docker in a pod: the inner container is another one, in the same pod.
        (
            "/kubepods/burstable/pod{POD}/{OUTER}/docker/{ID}",
            Place::Container { runtime: Runtime::Docker, pod_uid: Some(POD.to_owned()), container_id: ID.to_owned() },
        ),
        // Podman.
        ("/machine.slice/libpod-{ID}.scope", alone(Runtime::Podman, ID)),
        ("/machine.slice/libpod-{ID}.scope/container", below("/machine.slice/libpod-{ID}.scope")),
        ("/machine.slice/libpod-conmon-{ID}.scope", Place::Other),
        ("/machine.slice/machine-libpod_pod_{OUTER}.slice", Place::Other),
        ("/machine.slice/machine-libpod_pod_{OUTER}.slice/libpod-{ID}.scope", alone(Runtime::Podman, ID)),
        ("/libpod_parent", Place::Other),
        ("/libpod_parent/libpod-{ID}", alone(Runtime::Podman, ID)),
        ("/libpod_parent/libpod-conmon-{ID}", Place::Other),
        ("/libpod_parent/{OUTER}", Place::Other),
        ("/libpod_parent/{OUTER}/libpod-{ID}", alone(Runtime::Podman, ID)),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container",
            below("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
        ),
        ("/system.slice/web.service/libpod-payload-{ID}", alone(Runtime::Podman, ID)),
        // containerd by itself.
        ("/default/{ID}", alone(Runtime::Containerd, ID)),
        ("/default/redis", alone(Runtime::Containerd, "redis")),
        ("/k8s.io/{ID}", alone(Runtime::Containerd, ID)),
        ("/system.slice/nerdctl-{ID}.scope", alone(Runtime::Containerd, ID)),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/nerdctl-{ID}.scope", alone(Runtime::Containerd, ID)),
        // runc by itself.
        ("/system.slice/runc-web.scope", alone(Runtime::Runc, "web")),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/runc-my-web-1.scope", alone(Runtime::Runc, "my-web-1")),
        ("/system.slice/runc-web.scope/init.scope", below("/system.slice/runc-web.scope")),
        ("/web", Place::Other),
        // Inside a container.
        ("/kubepods/burstable/pod{POD}/{ID}/init.scope", below("/kubepods/burstable/pod{POD}/{ID}")),
        ("/kubepods/burstable/pod{POD}/{ID}/system.slice/ssh.service", below("/kubepods/burstable/pod{POD}/{ID}")),
        ("/docker/{ID}/system.slice/system-getty.slice/getty@tty1.service", below("/docker/{ID}")),
        ("/system.slice/docker-{ID}.scope/user.slice/user-1000.slice/session-1.scope", below("/system.slice/docker-{ID}.scope")),
        // unready run.
        ("/unready", Place::Other),
        ("/unready/run-1234", Place::Run { name: "run-1234".to_owned() }),
        ("/unready/run-1234/workers", below("/unready/run-1234")),
        ("/unready/agent", Place::Other),
        // No containers.
        ("", Place::Other),
        ("/", Place::Other),
        ("/init.scope", Place::Other),
        ("/system.slice/ssh.service", Place::Other),
        ("/system.slice/system-getty.slice/getty@tty1.service", Place::Other),
        ("/user.slice/user-1000.slice/session-2.scope", Place::Other),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-podman.slice", Place::Other),
        ("/lxc.payload.web", Place::Other),
        ("/lxc.payload.web/system.slice/nginx.service", Place::Other),
        ("/lxc/web", Place::Other),
        ("/machine.slice/systemd-nspawn@web.service/payload", Place::Other),
        ("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", Place::Other),
        ("/kubepods/burstable/pod{POD}/crio-conmon-{ID}/inner", Place::Other),
    ]
}

#[test]
fn real_paths() {
    let rows = table();
    assert!(rows.len() >= 45);
    let wrong: Vec<String> = rows
        .into_iter()
        .map(|(template, expected)| (fill(template), expected))
        .filter(|(path, expected)| place(path) != *expected)
        .map(|(path, expected)| format!("{path}\n  expected {expected:?}\n  got      {:?}", place(&path)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_trailing_or_double_slash_changes_nothing() {
    assert_eq!(place(&fill("/docker//{ID}/")), alone(Runtime::Docker, ID));
    assert_eq!(last_component("/a//web/"), "web");
    assert_eq!(last_component("/"), "");
}

#[test]
fn every_runtime_has_its_own_word() {
    use Runtime::{Containerd, CriO, Docker, Podman, Runc, Unknown, UnreadyRun};
    let words: std::collections::BTreeSet<_> =
        [Containerd, CriO, Docker, Podman, Runc, Unknown, UnreadyRun].into_iter().map(Runtime::word).collect();
    assert_eq!(words.len(), 7);
}

/// Pieces from which paths are made that come close to real ones.
fn piece() -> impl Strategy<Value = String> {
    let known = [
        "/",
        "//",
        ":",
        "-",
        "_",
        "pod",
        "-pod",
        "kubepods",
        ".slice",
        ".scope",
        "docker",
        "docker-",
        "crio-",
        "conmon-",
        "cri-containerd-",
        "libpod-",
        "default",
        "unready",
        "run-",
        "runc-",
        "container",
        "é",
        "\u{0}",
        ID,
        POD,
        POD_,
        STATIC,
    ];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), ".{0,4}"]
}

proptest! {
    #[test]
    fn any_string_has_a_place(path in ".{0,300}") {
        place(&path);
        last_component(&path);
    }

    #[test]
    fn an_enclosing_container_is_a_prefix_and_is_one_itself(pieces in prop::collection::vec(piece(), 0..24)) {
        let path = pieces.concat();
        if let Place::Nested { container } = place(&path) {
            prop_assert!(path.starts_with(&container));
            prop_assert!(matches!(place(&container), Place::Container { .. } | Place::Run { .. }), "{container}");
        }
    }

    #[test]
    fn what_lies_below_a_container_belongs_to_it(names in prop::collection::vec("[a-z]{1,8}(\\.service|\\.scope|\\.slice)?", 1..4)) {
        let container = format!("/docker/{ID}");
        let path = format!("{container}/{}", names.join("/"));
        prop_assert_eq!(place(&path), Place::Nested { container });
    }
}
