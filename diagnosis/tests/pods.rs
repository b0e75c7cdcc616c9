//! Containers as parts of pods: names that come late, starts that follow each other, the kubelet's word on readiness.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the harness looks at what it needs")]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "what the crate may not do, its tests must")]
#![allow(unreachable_pub, dead_code, reason = "the harness is shared with the scenarios, its format documented at its heads")]

mod support;

use std::time::Duration;
use support::{
    node::{DENIED, Node, UID, cgroup, creating, id, pod, probed, ready, running},
    step::START,
};
use unready_diagnosis::{
    Input,
    answer::PodAnnotations,
    catalogue::Cause,
    cluster::PodChange,
    pod::{ContainerKind, ContainerState, ContainerStatus, Owner, Pod, Probe, RestartPolicy},
    question::{Answer, Stop, Walk},
    record::Errno,
};

#[test]
fn a_verdict_has_the_pods_names_kind_image_and_owner() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &DENIED);
    node.wait("500ms");
    let workload = &node.only().workload;
    assert_eq!((workload.namespace.as_str(), workload.pod.as_str(), workload.container.as_str()), ("shop", "orders-7d9f", "app"));
    assert_eq!((workload.kind, workload.image.as_str(), workload.restarts), (Some(ContainerKind::App), "orders:1", 0));
    assert_eq!(workload.owner.as_ref().map(ToString::to_string).as_deref(), Some("Deployment/orders"));
}

#[test]
fn a_verdict_waits_for_a_pod_that_the_api_server_tells_of_late() {
    let mut node = Node::new();
    node.feed(Input::Pods(PodChange::Reset(Vec::new())), START);
    node.start(1, &DENIED);
    node.wait("2s");
    assert!(node.verdicts.is_empty(), "the pod may still come");
    node.tell("2100ms", pod(creating(), |_| ()));
    node.wait("2200ms");
    assert_eq!(node.only().workload.owner.as_ref().map(|owner| owner.name.as_str()), Some("orders"));
}

#[test]
fn without_the_api_server_the_runtime_tells_the_name() {
    let mut node = Node::new();
    node.feed(Input::Pods(PodChange::Unreachable), START);
    node.start(1, &DENIED);
    node.wait("10s");
    let verdict = node.only();
    assert_eq!((verdict.workload.pod.as_str(), verdict.workload.container.as_str()), ("orders-7d9f", "app"));
    assert!(verdict.completeness.unanswered > 0, "the manifest is missing from the evidence");
}

#[test]
fn without_any_name_it_is_said_all_the_same() {
    let mut node = Node::new();
    node.who = None;
    node.feed(Input::Pods(PodChange::Unreachable), START);
    node.start(1, &DENIED);
    node.wait("9s");
    assert!(node.verdicts.is_empty());
    node.wait("20s");
    assert_eq!(node.only().workload.container_id, id(1));
}

#[test]
fn without_kubernetes_nothing_is_waited_for() {
    let mut node = Node::new();
    node.start(1, &DENIED);
    node.wait("400ms");
    assert_eq!(node.only().cause, Cause::PermissionDenied);
}

#[test]
fn a_container_that_fails_again_of_the_same_is_one_verdict() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &DENIED);
    node.wait("1s");
    let first = node.only().clone();
    node.tell("2s", pod(ContainerStatus { last_id: id(1), ..running(1, 0, false) }, |_| ()));
    node.start(2, &["10s enter", "10100ms exec /app", "10110ms fails open /data/x O_RDWR = EACCES", "10120ms exit 1"]);
    node.wait("12s");
    let again = node.only();
    assert_eq!((again.id.as_str(), again.count, again.first_seen), (first.id.as_str(), 2, first.first_seen));
    assert!(again.last_seen > first.last_seen);
    assert_eq!((again.workload.restarts, again.workload.container_id.clone()), (1, id(2)));
}

#[test]
fn a_start_that_fails_of_something_else_got_over_the_first() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &DENIED);
    node.start(2, &["10s enter", "10100ms exec /app", "10110ms fails open /etc/app.yaml O_RDONLY = ENOENT", "10120ms exit 1"]);
    node.wait("12s");
    let state: Vec<_> = node.verdicts.iter().map(|verdict| (verdict.cause, verdict.resolved_at.is_some())).collect();
    assert_eq!(state, [(Cause::PermissionDenied, true), (Cause::FileMissing, false)]);
}

#[test]
fn when_the_kubelet_says_ready_all_is_over() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), probed));
    node.start(1, &DENIED);
    node.start(2, &["10s enter", "10100ms exec /app", "10200ms listen 0.0.0.0:8080"]);
    node.wait("15s");
    assert_eq!(node.only().resolved_at, None, "it listens, and the probe has not succeeded yet");
    node.tell("16s", pod(running(2, 1, true), probed));
    assert!(node.only().resolved_at.is_some());
    assert_eq!(node.attention.get(&cgroup(2)), Some(&false));
}

#[test]
fn a_probed_server_that_listens_for_a_while_and_fails_is_explained() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), probed));
    let lines = ["1ms enter", "10ms exec /app", "20ms listen 0.0.0.0:8080", "3s fails open /tls/key O_RDONLY = EACCES", "3010ms exit 1"];
    node.start(1, &lines);
    node.wait("6s");
    assert_eq!(node.only().cause, Cause::PermissionDenied);
}

#[test]
fn an_old_word_on_readiness_does_not_take_back_a_crash() {
    let mut node = Node::new();
    let serving = || pod(running(1, 0, true), |pod| (probed(pod), ready(pod)).1);
    node.tell("0ms", pod(creating(), probed));
    node.start(1, &["1ms enter", "10ms exec /app", "20ms listen 0.0.0.0:8080"]);
    node.tell("2s", serving());
    node.step(1, "60s exit 1");
    node.tell("60050ms", serving());
    node.wait("62s");
    assert_eq!((node.only().cause, node.only().resolved_at), (Cause::Crashed, None));
}

#[test]
fn a_worker_without_a_probe_got_over_it_when_its_pod_has_been_ready_for_a_while() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &DENIED);
    node.start(2, &["10s enter", "10100ms exec /app"]);
    node.tell("11s", pod(running(2, 1, true), ready));
    node.wait("20s");
    assert_eq!(node.only().resolved_at, None, "each start of a crash loop is ready for a moment");
    node.wait("45s");
    assert!(node.only().resolved_at.is_some());
    assert_eq!(node.attention.get(&cgroup(2)), Some(&false));
}

#[test]
fn a_job_that_succeeded_at_last_is_well() {
    let mut node = Node::new();
    let job = |pod: &mut Pod| pod.restart_policy = RestartPolicy::OnFailure;
    node.tell("0ms", pod(creating(), job));
    node.start(1, &DENIED);
    node.start(2, &["10s enter", "10100ms exec /app", "11s exit 0"]);
    node.wait("12s");
    assert!(node.only().resolved_at.is_some());
}

#[test]
fn a_late_word_on_an_old_start_changes_nothing_that_a_later_one_said() {
    let mut node = Node::new();
    node.slow_files = true;
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &["100ms enter", "110ms exec /app", "120ms fails open /etc/app.yaml O_RDONLY = ENOENT", "121ms exit 1"]);
    node.start(2, &["1s enter", "1010ms exec /app", "1020ms fails open /data/x O_RDWR = EACCES", "1021ms exit 1"]);
    node.wait("2s");
    let late: Vec<_> = std::mem::take(&mut node.open);
    assert!(!late.is_empty(), "the file was waited for");
    for id in late {
        let stopped = Some(Stop { path: "/etc/app.yaml".into(), errno: Errno::ENOENT, alike: Vec::new() });
        let walk = Walk { resolved: Some("/etc/app.yaml".into()), stopped, ..Walk::default() };
        node.feed(Input::Answer { id, answer: Answer::Walk(walk) }, START.after(Duration::from_secs(4)));
    }
    node.wait("5s");
    let state: Vec<_> = node.verdicts.iter().map(|verdict| (verdict.cause, verdict.resolved_at.is_some())).collect();
    assert_eq!(state, [(Cause::FileMissing, true), (Cause::PermissionDenied, false)]);
}

#[test]
fn a_job_that_failed_before_we_came_has_an_answer() {
    let failed = |id: String| {
        let end =
            ContainerState::Terminated { code: 3, signal: 0, reason: "Error".into(), message: String::new(), started: 1, finished: 2 };
        let status = ContainerStatus { name: "app".into(), id, state: end, ..ContainerStatus::default() };
        pod(status, |pod| {
            pod.status.phase = "Failed".into();
            pod.restart_policy = RestartPolicy::Never;
        })
    };
    let mut node = Node::new();
    node.tell("0ms", failed(id(7)));
    node.wait("10s");
    assert_eq!((node.only().cause, node.only().workload.container.as_str()), (Cause::Crashed, "app"));
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |pod| pod.restart_policy = RestartPolicy::Never));
    node.start(1, &DENIED);
    node.tell("1s", failed(id(1)));
    node.wait("10s");
    assert_eq!(node.only().cause, Cause::PermissionDenied, "an end that was seen is told once");
}

#[test]
fn siblings_are_no_successors() {
    let failed = |uid: &str, kind: &str| {
        let owner = Some(Owner { kind: kind.into(), name: "x".into(), ..Owner::default() });
        let end = ContainerState::Terminated {
            code: 1,
            signal: 0,
            reason: "Error".into(),
            message: String::new(),
            started: 1,
            finished: 60_000_000_000,
        };
        let status = ContainerStatus { name: "app".into(), state: end, ..ContainerStatus::default() };
        let mut pod = Pod { uid: uid.into(), owner, created: 1, ..pod(status, |_| ()) };
        pod.status.phase = "Failed".into();
        pod
    };
    let newer = |seconds: u64, kind: &str| Pod { created: seconds * 1_000_000_000, ..failed("z", kind) };
    assert!(failed("a", "Deployment").is_replaced_by(&newer(61, "Deployment")));
    assert!(!failed("a", "Deployment").is_replaced_by(&newer(30, "Deployment")), "it was there before");
    for kind in ["Job", "Node", "StatefulSet", "Workflow"] {
        assert!(!failed("a", kind).is_replaced_by(&newer(61, kind)), "{kind}");
    }
}

#[test]
fn what_keeps_a_container_from_starting_again_is_told_in_place_of_the_old_story() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &DENIED);
    node.wait("1s");
    let state = ContainerState::Waiting { reason: "ImagePullBackOff".into(), message: "Back-off pulling image \"orders:1\"".into() };
    let last = ContainerState::Terminated { code: 1, signal: 0, reason: "Error".into(), message: String::new(), started: 1, finished: 2 };
    let status = ContainerStatus { name: "app".into(), last_id: id(1), state, last: Some(last), restarts: 1, ..ContainerStatus::default() };
    node.tell("60s", pod(status, |_| ()));
    node.wait("70s");
    let state: Vec<_> = node.verdicts.iter().map(|verdict| (verdict.cause, verdict.resolved_at.is_some())).collect();
    assert_eq!(state, [(Cause::PermissionDenied, true), (Cause::ImagePull, false)], "{:#?}", node.verdicts);
}

#[test]
fn what_was_said_of_a_deleted_pod_is_over_also_when_it_comes_late() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &DENIED[..3]);
    node.feed(Input::Pods(PodChange::Delete { uid: UID.into() }), START.after(Duration::from_millis(120)));
    node.step(1, DENIED[3]);
    node.wait("2s");
    assert!(node.only().resolved_at.is_some());
    node.wait("2m".replace('m', "00s").as_str());
    assert!(node.engine.footprint() < 12, "the pod is forgotten, the container (its cgroup is there) is not: {}", node.engine.footprint());
}

#[test]
fn a_list_after_an_outage_tells_which_pods_went() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &DENIED);
    node.feed(Input::Pods(PodChange::Unreachable), START.after(Duration::from_secs(1)));
    assert_eq!(node.only().resolved_at, None);
    node.feed(Input::Pods(PodChange::Reset(Vec::new())), START.after(Duration::from_mins(1)));
    assert!(node.only().resolved_at.is_some());
}

#[test]
fn a_failed_pod_is_history_once_its_owner_made_another() {
    let rejected = |uid: &str, created: u64| {
        let mut pod = Pod { uid: uid.into(), name: uid.into(), created, ..pod(creating(), |_| ()) };
        pod.status.containers.clear();
        (pod.status.phase, pod.status.reason) = ("Failed".into(), "SysctlForbidden".into());
        pod.status.message = "Pod was rejected: forbidden sysctl: \"kernel.msgmax\" not allowlisted".into();
        pod
    };
    let mut node = Node::new();
    for (at, uid, created) in [("0ms", "a", 1), ("1s", "b", 2), ("2s", "c", 2)] {
        node.tell(at, rejected(uid, created));
    }
    node.wait("10s");
    let open: Vec<_> = node.verdicts.iter().filter(|verdict| verdict.resolved_at.is_none()).collect();
    assert_eq!(open.iter().map(|verdict| verdict.workload.pod.as_str()).collect::<Vec<_>>(), ["c"], "{:#?}", node.verdicts);
    assert_eq!(open[0].cause, Cause::PodRejected);
    let mut node = Node::new();
    node.tell("0ms", rejected("newer", 5));
    node.tell("1s", rejected("older", 4));
    assert_eq!(node.only().workload.pod, "newer", "in whatever order they are told");
}

#[test]
fn the_sandbox_is_nobodys_start() {
    let mut node = Node::new();
    node.who = Some(PodAnnotations { is_sandbox: true, ..PodAnnotations::default() });
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &DENIED);
    node.wait("30s");
    assert!(node.verdicts.is_empty());
}

#[test]
fn exit_0_is_wrong_only_where_a_server_is_expected() {
    let ends = ["100ms enter", "110ms exec /app", "5s exit 0"];
    let said = |change: &dyn Fn(&mut Pod)| {
        let mut node = Node::new();
        node.tell("0ms", pod(creating(), change));
        node.start(1, &ends);
        node.wait("10s");
        node.verdicts.iter().map(|verdict| verdict.cause).collect::<Vec<_>>()
    };
    assert_eq!(said(&|_| ()), [Cause::ExitedEarly]);
    assert!(said(&|pod| pod.restart_policy = RestartPolicy::OnFailure).is_empty(), "a Job's pod");
    assert!(said(&|pod| pod.containers[0].kind = ContainerKind::Init).is_empty(), "an init container");
    assert_eq!(said(&|pod| pod.containers[0].kind = ContainerKind::Sidecar), [Cause::ExitedEarly]);
    assert!(said(&|pod| pod.deleted = Some(1)).is_empty(), "the pod is being deleted");
    let alive = |period| move |pod: &mut Pod| pod.containers[0].liveness = Some(Probe { period, failures: 3, ..Probe::default() });
    assert!(said(&alive(1)).is_empty(), "the liveness probe may have had it ended");
    assert_eq!(said(&alive(10)), [Cause::ExitedEarly], "that probe had no time to");
}

#[test]
fn a_container_that_ran_before_us_and_is_not_ready_is_looked_at() {
    let mut node = Node::new();
    node.begin(1, "0ms", true);
    node.begin(2, "0ms", true);
    node.feed(Input::Pods(PodChange::Reset(vec![pod(running(1, 0, false), probed)])), START.after(Duration::from_secs(1)));
    assert_eq!((node.attention.get(&cgroup(1)), node.attention.get(&cgroup(2))), (Some(&true), Some(&false)));
    node.step(1, "10s fails open /data/x O_RDWR = EACCES x20 over 40s");
    node.wait("60s");
    assert_eq!(node.only().workload.container, "app");
}

#[test]
fn a_ready_container_that_ran_before_us_is_left_alone() {
    let mut node = Node::new();
    node.begin(1, "0ms", true);
    node.feed(Input::Pods(PodChange::Reset(vec![pod(running(1, 0, true), probed)])), START);
    assert_eq!(node.attention.get(&cgroup(1)), Some(&false));
    assert_eq!(node.starts, 0, "its start was not seen: it would replace the account of who saw it");
}

#[test]
fn no_more_pods_are_kept_than_allowed() {
    let mut node = Node::new();
    let many = (0..50).map(|number| Pod { uid: format!("uid-{number}"), ..pod(creating(), |_| ()) }).collect();
    node.feed(Input::Pods(PodChange::Reset(many)), START);
    assert!(node.engine.footprint() <= 8 * 8, "{}", node.engine.footprint());
}
