//! A wall clock that is set while containers start: no age and no order changes, nothing is lost or said twice.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the harness looks at what it needs")]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "what the crate may not do, its tests must")]
#![allow(unreachable_pub, dead_code, reason = "the harness is shared with the scenarios, its format documented at its heads")]

mod support;

use std::time::Duration;
use support::{
    clock::Step,
    node::{DENIED, Node, creating, id, pod, probed, ready, running},
    play::{Answering, CLOCK, Played, in_time, play, play_stepped},
    scenario::load_all,
    step::START,
};
use unready_diagnosis::{
    Input,
    catalogue::Cause,
    pod::{Condition, ContainerState, ContainerStatus, Pod, PodEvent},
    question::{Answer, Component, FileKind, Mount, Walk},
};

const HOUR: i64 = 3600;
/// An hour on, an hour back; a year (a clock that had lost its battery), and little.
const STEPS: [i64; 5] = [HOUR, -HOUR, 365 * 24 * HOUR, 2, -2];

fn condition(kind: &str, status: &str, since: u64) -> Condition {
    Condition { kind: kind.into(), status: status.into(), since, ..Condition::default() }
}

/// A pod that the kubelet prepares since a date.
fn preparing(since: u64) -> Pod {
    pod(creating(), |pod| {
        pod.status.phase = "Pending".into();
        pod.created = since;
        pod.status.started = Some(since);
        pod.status.conditions = vec![condition("PodScheduled", "True", since), condition("PodReadyToStartContainers", "False", since)];
    })
}

fn event(reason: &str, message: &str, at: u64) -> PodEvent {
    PodEvent { reason: reason.into(), message: message.into(), first: at, last: at, count: 1, is_warning: true, ..PodEvent::default() }
}

/// What differs between two plays, but for dates in sentences.
fn differences(one: &Played, other: &Played) -> Vec<String> {
    let gist = |played: &Played| -> Vec<String> {
        let mut all: Vec<String> = played
            .verdicts
            .iter()
            .map(|v| {
                let times = (v.first_seen, v.last_seen, v.resolved_at, v.evidence.iter().map(|fact| fact.at).collect::<Vec<_>>());
                format!("{} {} {} {} {} {} ×{} {times:?}", v.id, v.cause, v.layer, v.subject.name, v.severity, v.confidence, v.count)
            })
            .collect();
        all.push(format!("said {}", played.said));
        all
    };
    let (one, other) = (gist(one), gist(other));
    let missing = one.iter().filter(|line| !other.contains(line)).map(|line| format!("  - {line}"));
    missing.chain(other.iter().filter(|line| !one.contains(line)).map(|line| format!("  + {line}"))).collect()
}

/// Every story that is known, with a clock that is set in its midst: what is said, when, and how often, stays the same.
#[test]
fn no_scenario_minds_a_step() {
    let moments = [60_u64, 1_500, 7_000, 25_000, 70_000];
    let mut wrong = Vec::new();
    for scenario in load_all().into_iter().filter(|scenario| scenario.owner.is_none()) {
        let name = scenario.name();
        let complaints = in_time(&name.clone(), move || {
            let mut complaints = Vec::new();
            for answering in [Answering::Prompt, Answering::Late] {
                let still = play(&scenario, answering);
                // So little, and back, that what was stamped before cannot be told from what was stamped after: at worst it is that much off.
                let by = STEPS.into_iter().filter(|by| !(-10..0).contains(by));
                for (at, by) in by.flat_map(|by| moments.map(|at| (at, by))) {
                    let step = Step { at: START.after(Duration::from_millis(at)), by: by * 1_000_000_000 };
                    let differences = differences(&still, &play_stepped(&scenario, answering, step));
                    if !differences.is_empty() {
                        complaints.push(format!("{answering:?}, {by} s after {at} ms:\n{}", differences.join("\n")));
                    }
                }
            }
            complaints
        });
        wrong.extend(complaints.into_iter().map(|complaint| format!("{name}, {complaint}")));
    }
    assert!(wrong.is_empty(), "{} times:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_crash_loop_goes_on_as_one_verdict() {
    for by in STEPS {
        let mut node = Node::new();
        node.tell("0ms", pod(creating(), |_| ()));
        node.start(1, &DENIED);
        node.wait("1s");
        let first = node.only().clone();
        let crashed = ContainerState::Terminated {
            code: 1,
            signal: 0,
            reason: "Error".into(),
            message: String::new(),
            started: node.date("100ms"),
            finished: node.date("121ms"),
        };
        let status = ContainerStatus { name: "app".into(), id: id(1), state: crashed, ..ContainerStatus::default() };
        node.tell("2s", pod(status.clone(), |_| ()));
        node.set_clock("5s", by);
        assert_eq!(node.said.len(), 1, "nothing is said because of a step: {:#?}", node.said);
        node.start(2, &["10s enter", "10100ms exec /app", "10110ms fails open /data/x O_RDWR = EACCES", "10120ms exit 1"]);
        node.tell("11s", pod(ContainerStatus { last_id: id(1), ..running(2, 1, false) }, |_| ()));
        node.wait("60s");
        let again = node.only();
        assert_eq!((again.id.as_str(), again.count, again.first_seen, again.resolved_at), (first.id.as_str(), 2, first.first_seen, None));
        assert_eq!(node.said.len(), 2, "{by}: {:#?}", node.said);
        // In dates, by the clock as it runs now: both ends are as far apart as they were.
        assert_eq!(node.clock.wall_nanos(again.last_seen), CLOCK.wall_nanos(again.last_seen).saturating_add_signed(by * 1_000_000_000));
    }
}

#[test]
fn a_crash_loop_that_only_the_api_server_tells_of_goes_on_too() {
    for by in STEPS {
        let ended = |node: &Node, number: u32, restarts: u32, started: &str, finished: &str| {
            let state = ContainerState::Terminated {
                code: 3,
                signal: 0,
                reason: "Error".into(),
                message: String::new(),
                started: node.date(started),
                finished: node.date(finished),
            };
            ContainerStatus { name: "app".into(), id: id(number), restarts, state, ..ContainerStatus::default() }
        };
        let mut node = Node::without_kernel();
        let first = ended(&node, 1, 0, "1s", "2s");
        node.tell("3s", pod(first.clone(), |_| ()));
        node.wait("4s");
        assert_eq!(node.only().cause, Cause::Crashed);
        node.set_clock("5s", by);
        node.tell("6s", pod(first.clone(), |_| ()));
        node.wait("30s");
        assert_eq!(node.said.len(), 1, "{by}: {:#?}", node.said);
        // Long after, when a clock that was set back shows the same hour again.
        node.tell("4000s", pod(first, |_| ()));
        assert_eq!(node.said.len(), 1, "{by}: {:#?}", node.said);
        let second = ended(&node, 2, 1, "4010s", "4011s");
        node.tell("4012s", pod(second, |_| ()));
        node.wait("4020s");
        assert_eq!((node.said.len(), node.only().count, node.only().resolved_at), (2, 2, None), "{by}");
        assert_eq!(node.only().last_seen, START.after(Duration::from_secs(4011)));
    }
}

#[test]
fn a_pod_that_is_prepared_is_neither_late_before_its_time_nor_forgotten() {
    for by in STEPS {
        let mut node = Node::new();
        let since = node.date("0ms");
        node.events = vec![event("Scheduled", "Successfully assigned shop/orders-7d9f to node-1", since)];
        node.tell("1s", preparing(since));
        node.set_clock("20s", by);
        node.tell("21s", preparing(since));
        node.wait("140s");
        assert!(node.said.is_empty(), "{by}: {:#?}", node.said);
        node.wait("200s");
        assert_eq!(node.only().cause, Cause::SandboxSetup, "{by}: the sandbox is late by now");
        assert_eq!(node.said.len(), 1);
    }
}

#[test]
fn what_is_said_of_a_pod_that_is_prepared_is_neither_resolved_nor_said_again() {
    for by in STEPS {
        let mut node = Node::new();
        let since = node.date("0ms");
        let denied = "Failed to create pod sandbox: rpc error: no ip addresses available in range set";
        node.events = vec![event("FailedCreatePodSandBox", denied, node.date("4s"))];
        node.tell("1s", preparing(since));
        node.wait("30s");
        assert_eq!(node.only().cause, Cause::SandboxSetup);
        let (said, verdict) = (node.said.len(), node.only().clone());
        node.set_clock("60s", by);
        // Two hours on, so that a clock that was set back shows everything twice; with all told again now and then.
        for seconds in (70..7_500).step_by(400) {
            node.tell(&format!("{seconds}s"), preparing(since));
        }
        node.wait("8000s");
        assert_eq!((node.said.len(), node.only().resolved_at), (said, None), "{by}: {:#?}", node.said);
        assert_eq!(node.only(), &verdict);
    }
}

#[test]
fn what_the_api_server_stamped_by_its_own_clock_is_as_old_as_our_knowledge_of_it() {
    for by in [HOUR, -HOUR] {
        // Our clock is put wrong; the API server's, which stamps the pod, stays right.
        let mut node = Node::new();
        node.set_clock("0ms", by);
        let right = CLOCK.wall_nanos(START.after(Duration::from_secs(30)));
        node.events = vec![event("Scheduled", "Successfully assigned shop/orders-7d9f to node-1", right)];
        node.tell("31s", preparing(right));
        for seconds in (40..170).step_by(10) {
            node.tell(&format!("{seconds}s"), preparing(right));
        }
        assert!(node.said.is_empty(), "{by}: {:#?}", node.said);
        node.wait("240s");
        assert_eq!(node.only().cause, Cause::SandboxSetup, "{by}: it is late by now");
    }
}

#[test]
fn our_clock_was_behind_and_is_put_right() {
    // The API server stamps with the right time, an hour ahead of ours.
    let mut node = Node::new();
    let right = |seconds: u64| CLOCK.wall_nanos(START.after(Duration::from_secs(3600 + seconds)));
    node.events = vec![event("Scheduled", "Successfully assigned shop/orders-7d9f to node-1", right(0))];
    node.tell("1s", preparing(right(0)));
    node.set_clock("10s", HOUR);
    node.tell("11s", preparing(right(0)));
    node.wait("140s");
    assert!(node.said.is_empty(), "{:#?}", node.said);
    node.wait("240s");
    assert_eq!(node.only().cause, Cause::SandboxSetup, "it is not waited for another hour");
}

#[test]
fn a_grace_period_neither_ends_at_once_nor_never() {
    for by in [HOUR, -HOUR] {
        let mut node = Node::new();
        let deadline = |node: &Node, seconds: &str| node.date(seconds) + 30_000_000_000;
        let ending = |deadline: u64| {
            pod(running(1, 0, true), |pod| {
                pod.deleted = Some(deadline);
                pod.grace_seconds = 30;
                pod.containers[0].pre_stop = Some("exec sleep 5".into());
            })
        };
        node.set_clock("1s", by);
        let by_us = deadline(&node, "5s");
        node.tell("5s", ending(by_us));
        node.wait("30s");
        assert!(node.said.is_empty(), "{by}: {:#?}", node.said);
        node.wait("40s");
        assert_eq!(node.only().cause, Cause::HookFailed, "{by}");
        // Known before the step: the time that is left is the same.
        let mut node = Node::new();
        let before = deadline(&node, "5s");
        node.tell("5s", ending(before));
        node.set_clock("10s", by);
        node.tell("12s", ending(before));
        node.wait("30s");
        assert!(node.said.is_empty(), "{by}: {:#?}", node.said);
        node.wait("40s");
        assert_eq!(node.only().cause, Cause::HookFailed, "{by}");
    }
}

/// How often something was taken back.
fn resolutions(node: &Node) -> usize {
    let mut open = false;
    let turns = node.said.iter().filter(|verdict| std::mem::replace(&mut open, verdict.resolved_at.is_none()) && !open);
    turns.count()
}

#[test]
fn a_pod_that_gets_ready_is_resolved_once() {
    let by_its_probe = |by| {
        let mut node = Node::new();
        node.tell("0ms", pod(creating(), probed));
        node.start(1, &DENIED);
        node.start(2, &["10s enter", "10100ms exec /app", "10200ms listen 0.0.0.0:8080"]);
        node.set_clock("15s", by);
        assert_eq!((node.said.len(), node.only().resolved_at), (1, None), "{by}");
        node.tell("16s", pod(running(2, 1, true), probed));
        node.tell("17s", pod(running(2, 1, true), probed));
        node.wait("120s");
        node
    };
    // Without a probe, by being ready for a while, in the midst of which the clock is set.
    let by_time = |by| {
        let mut node = Node::new();
        node.tell("0ms", pod(creating(), |_| ()));
        node.start(1, &DENIED);
        node.start(2, &["10s enter", "10100ms exec /app"]);
        node.tell("11s", pod(running(2, 1, true), ready));
        node.set_clock("15s", by);
        node.wait("35s");
        assert_eq!(node.only().resolved_at, None, "{by}: each start of a crash loop is ready for a moment");
        node.wait("120s");
        node
    };
    for story in [&by_its_probe as &dyn Fn(i64) -> Node, &by_time] {
        let still = story(0);
        for by in STEPS {
            let node = story(by);
            assert_eq!((resolutions(&node), node.only().resolved_at.is_some()), (1, true), "{by}: {:#?}", node.said);
            assert_eq!(node.said, still.said, "{by}");
        }
    }
}

#[test]
fn a_verdict_that_was_resolved_before_the_step_recurs_after_it() {
    for by in STEPS {
        let mut node = Node::new();
        node.tell("0ms", pod(creating(), probed));
        node.start(1, &DENIED);
        node.start(2, &["10s enter", "10100ms exec /app", "10200ms listen 0.0.0.0:8080"]);
        node.tell("16s", pod(running(2, 1, true), probed));
        assert!(node.only().resolved_at.is_some());
        let said = node.said.len();
        node.set_clock("20s", by);
        assert_eq!(node.said.len(), said, "{by}");
        node.step(2, "25s exit 0");
        node.start(3, &["30s enter", "30100ms exec /app", "30110ms fails open /data/x O_RDWR = EACCES", "30120ms exit 1"]);
        node.wait("35s");
        let again = node.verdicts.iter().find(|verdict| verdict.cause == Cause::PermissionDenied).unwrap();
        assert_eq!((again.count, again.resolved_at), (2, None), "{by}");
    }
}

#[test]
fn a_sentence_with_a_date_is_not_said_again_for_its_date() {
    for by in STEPS {
        let mut node = Node::new();
        let since = node.date("0ms");
        let waits = |pod: &mut Pod| {
            pod.readiness_gates = vec!["example.com/lb".into()];
            pod.status.conditions = vec![condition("ContainersReady", "True", since)];
        };
        node.tell("1s", pod(running(1, 0, true), waits));
        node.wait("300s");
        assert_eq!(node.only().cause, Cause::ReadinessGate);
        let said = node.said.len();
        node.set_clock("400s", by);
        node.tell("410s", pod(running(1, 0, true), waits));
        node.wait("5000s");
        assert_eq!((node.said.len(), node.only().resolved_at), (said, None), "{by}: {:#?}", node.said);
    }
}

#[test]
fn a_pod_is_not_replaced_by_its_sibling_for_a_step() {
    let named = |uid: &str, created: u64, finished: Option<u64>| {
        let state = match finished {
            Some(finished) => ContainerState::Terminated {
                code: 3,
                signal: 0,
                reason: "Error".into(),
                message: String::new(),
                started: created,
                finished,
            },
            None => ContainerState::Running { since: created },
        };
        let status = ContainerStatus { name: "app".into(), state, ..ContainerStatus::default() };
        let mut pod = Pod { uid: uid.into(), name: uid.into(), created, ..pod(status, |_| ()) };
        pod.status.phase = if finished.is_some() { "Failed" } else { "Running" }.into();
        pod
    };
    for by in [HOUR, -HOUR] {
        let mut node = Node::without_kernel();
        let (a, b) = (node.date("0ms"), node.date("10s"));
        node.tell("0ms", named("a", a, None));
        node.tell("10s", named("b", b, None));
        node.set_clock("100s", by);
        let finished = node.date("200s");
        node.tell("201s", named("a", a, Some(finished)));
        node.tell("202s", named("b", b, None));
        node.wait("230s");
        assert_eq!(node.only().resolved_at, None, "{by}: b was there before");
        let c = node.date("240s");
        node.tell("240s", named("c", c, None));
        assert!(node.only().resolved_at.is_some(), "{by}: c was made for it");
    }
}

/// A file from before the failure does not become one that came too late, nor the reverse.
#[test]
fn the_dates_of_files_are_compared_by_the_clock_that_stamped_them() {
    for by in [HOUR, -HOUR] {
        for (born, late) in [("50ms", false), ("150ms", true)] {
            let mut node = Node::new();
            node.slow_files = true;
            node.tell("0ms", pod(creating(), |_| ()));
            node.start(1, &["100ms enter", "110ms exec /app", "120ms fails open /etc/app.yaml O_RDONLY = ENOENT", "121ms exit 1"]);
            let seconds = born.trim_end_matches("ms").parse::<u64>().unwrap();
            let born = CLOCK.wall_nanos(START.after(Duration::from_millis(seconds)));
            node.set_clock("300ms", by);
            let file = Component {
                path: "/etc/app.yaml".into(),
                kind: FileKind::File,
                mode: 0o644,
                uid: 0,
                gid: 0,
                acl: Vec::new(),
                immutable: false,
                append_only: false,
                link: None,
                mount: Mount::default(),
                born: Some(born),
                changed: Some(born),
            };
            for id in std::mem::take(&mut node.open) {
                let walk = Walk { resolved: Some("/etc/app.yaml".into()), components: vec![file.clone()], ..Walk::default() };
                node.feed(Input::Answer { id, answer: Answer::Walk(walk) }, START.after(Duration::from_millis(320)));
            }
            node.wait("10s");
            let text = node.only().explanation.join("\n");
            assert_eq!(text.contains("appeared 30 ms after"), late, "{by}: {text}");
            assert!(late || !text.contains("appeared"), "{by}: {text}");
            // And once more when all is explained again by a clock that was set back.
            node.set_clock("11s", -by);
            node.tell("12s", pod(creating(), |_| ()));
            assert_eq!(node.only().explanation.join("\n"), text, "{by}");
        }
    }
}

/// Former clocks, and what each date of a pod and of its events was taken for: neither grows with the steps.
#[test]
fn a_clock_that_is_set_again_and_again_takes_no_more_room() {
    let mut node = Node::new();
    let since = node.date("0ms");
    node.tell("1s", preparing(since));
    let mut told = Vec::new();
    for number in 0..1_000_u64 {
        let (by, at) = (if number.is_multiple_of(2) { HOUR } else { -HOUR }, format!("{}s", 60 + number * 10));
        node.set_clock(&at, by);
        // Dates that were not there before, each time.
        let now = node.date(&at);
        node.events = vec![event("Scheduled", "Successfully assigned shop/orders-7d9f to node-1", now)];
        let mut pod = preparing(since);
        pod.status.conditions[0].since = now;
        node.tell(&at, pod);
        told.push(node.engine.footprint());
    }
    // 16 clocks; a pod with its event, verdict, timer and question, and what few dates they have.
    assert!(told[100] >= 16 && told.iter().all(|told| *told < 28), "{told:?}");
}
