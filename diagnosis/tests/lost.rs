//! Lost records: what heals by itself, by the hierarchy, and by the API server's word.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the harness looks at what it needs")]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "what the crate may not do, its tests must")]
#![allow(unreachable_pub, dead_code, reason = "the harness is shared with the scenarios, its format documented at its heads")]

mod support;

use support::{
    node::{DENIED, Node, UID, cgroup, creating, id, pod, running},
    play::CLOCK,
    step::{START, duration},
};
use unready_diagnosis::{
    Input,
    catalogue::Cause,
    input::Loss,
    pod::{ContainerState, ContainerStatus},
    record::Record,
    snapshot::{Existing, Processes, Running, Snapshot},
    units::{BootNanos, CgroupId, Process},
    verdict::{BlindSpots, Confidence},
};

fn at(time: &str) -> BootNanos {
    START.after(duration(time))
}

fn program(pid: u32, since: &str) -> Running {
    Running { process: Process { pid, start: at(since).0 }, parent: 1, comm: "app".into(), executed: true }
}

/// A walk that found the start with this number, and these processes in it.
fn walk(time: &str, number: u32, all: Vec<Running>) -> Input {
    let path = format!("/kubepods/burstable/pod{UID}/{}", id(number));
    let there = Existing { id: cgroup(number), path, processes: Some(Processes { all, ..Processes::default() }) };
    Input::Cgroups(Snapshot { walked: at(time), cut: false, cgroups: vec![there] })
}

fn nothing(time: &str) -> Input {
    Input::Cgroups(Snapshot { walked: at(time), ..Snapshot::default() })
}

fn loss(since: &str, until: &str) -> Input {
    Input::Loss(Loss { lost: 1, since: Some(at(since)), until: Some(at(until)), ..Loss::default() })
}

fn is_starting(node: &Node, number: u32) -> bool {
    node.attention[&cgroup(number)]
}

#[test]
fn a_probe_is_no_main_process_although_the_programs_exec_was_lost() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &["10ms enter"]); // 1100 executes the program: lost
    node.step(1, "2s [7<6] exec /bin/probe");
    node.step(1, "2100ms [7<6] fails open /data/ready O_RDONLY = EACCES");
    node.step(1, "2101ms [7<6] exit 1");
    node.wait("60s");
    assert!(node.verdicts.is_empty(), "{:#?}", node.verdicts);
    node.step(1, "61s exit 3");
    node.wait("62s");
    assert_eq!(node.only().cause, Cause::Crashed, "the end of the one that entered is the container's");
}

#[test]
fn nor_where_its_entry_was_lost_too() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.begin(1, "0ms", false);
    node.step(1, "10ms as 1000:1000"); // 1100 begins, and nothing is told of it
    node.step(1, "2s [7<6] exec /bin/probe");
    node.feed(loss("1900ms", "2050ms"), at("2050ms"));
    node.step(1, "2100ms [7<6] exit 1");
    node.wait("60s");
    assert!(node.verdicts.is_empty(), "{:#?}", node.verdicts);
    node.feed(walk("61s", 1, vec![program(1100, "10ms")]), at("61s"));
    node.step(1, "70s exit 3"); // of the process that the walk found
    node.wait("80s");
    assert_eq!(node.verdicts.len(), 1, "{:#?}", node.verdicts);
    assert!(node.only().completeness.lost > 0);
}

#[test]
fn a_container_that_never_seems_to_begin_is_looked_at_closely_for_two_minutes() {
    let mut node = Node::new();
    node.start(1, &["10ms enter"]);
    node.wait("100s");
    assert!(is_starting(&node, 1));
    node.wait("121s");
    assert!(!is_starting(&node, 1));
    node.step(1, "300s exec /app");
    assert!(is_starting(&node, 1), "it was only made, and is started now");
    node.step(1, "301s fails open /data/x O_RDWR = EACCES");
    node.step(1, "301010ms exit 1");
    node.wait("302s");
    assert_eq!(node.only().cause, Cause::PermissionDenied);
}

#[test]
fn what_runs_has_begun() {
    let mut node = Node::new();
    node.start(1, &["10ms enter"]);
    node.feed(walk("5s", 1, vec![program(1100, "10ms")]), at("5s"));
    node.wait("36s");
    assert!(!is_starting(&node, 1), "it began, and was quiet");
}

#[test]
fn a_runtimes_first_stage_that_a_walk_meets_is_not_the_program() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.begin(1, "0ms", false);
    node.step(1, "1ms [5<1] attach exe"); // runc, before it takes its helpers' name
    node.feed(walk("2ms", 1, vec![Running { comm: "exe".into(), ..program(1005, "1ms") }]), at("2ms"));
    node.step(1, "3ms [5<1] exit 0");
    node.step(1, "10ms enter");
    node.step(1, "20ms exec /app");
    node.feed(walk("1s", 1, vec![program(1100, "10ms")]), at("1s"));
    node.wait("5s");
    assert!(node.verdicts.is_empty() && is_starting(&node, 1), "{:#?}", node.verdicts);
    node.step(1, "6s fails open /data/x O_RDWR = EACCES");
    node.step(1, "6010ms exit 1");
    node.wait("7s");
    assert_eq!(node.only().cause, Cause::PermissionDenied, "its own end is seen");
}

#[test]
fn a_program_that_becomes_what_its_runtime_put_there_is_met() {
    let mut node = Node::new();
    node.begin(1, "0ms", false);
    node.step(1, "1ms attach crun");
    node.step(1, "2ms enter"); // and executes the program itself: lost
    node.feed(walk("1s", 1, vec![program(1100, "1ms")]), at("1s"));
    node.wait("40s");
    assert!(!is_starting(&node, 1), "it began, and was quiet");
}

#[test]
fn a_victim_is_the_process_that_was_chosen_and_killed() {
    let is_blamed = |is_chosen_before_it_began: bool, end: &str| {
        let mut node = Node::new();
        node.begin(1, "0ms", false);
        let oom = Input::Record(Record::OomVictim { pid: 1100, asker: cgroup(1) });
        if is_chosen_before_it_began {
            node.feed(oom.clone(), at("1ms"));
        }
        node.step(1, "10ms enter");
        node.step(1, "20ms exec /app");
        if !is_chosen_before_it_began {
            node.feed(oom, at("900ms"));
        }
        node.step(1, end);
        node.wait("10s");
        node.verdicts.iter().any(|verdict| verdict.cause == Cause::OutOfMemory)
    };
    assert!(is_blamed(false, "1s killed SIGKILL"), "chosen after it began");
    assert!(!is_blamed(false, "1s exit 1"), "it ended by itself first");
    assert!(!is_blamed(true, "1s killed SIGKILL"), "another process had its number");
}

/// A container that makes cgroups below its own and gives them others' names.
fn forge(node: &mut Node, count: u64, name: impl Fn(u64) -> String) {
    for number in 0..count {
        let path = format!("/kubepods/burstable/pod{UID}/{}/{}", id(1), name(number));
        let record = Record::CgroupCreated { id: CgroupId(100_000 + number), path, existing: false };
        node.feed(Input::Record(record), at("1s"));
    }
}

#[test]
fn what_a_container_makes_takes_no_other_containers_place() {
    let forged: [&dyn Fn(u64) -> String; 4] = [
        &|number| format!("pod11111111-1111-1111-1111-111111111111/{number}"),
        &|number| format!("{number:064x}"),
        &|number| format!("pod11111111-1111-1111-1111-{number:012x}"),
        &|number| format!("part-{number}"),
    ];
    for name in forged {
        let mut node = Node::new();
        node.start(1, &["0ms enter", "10ms exec /app"]);
        forge(&mut node, 4000, name);
        let kept = node.engine.footprint();
        assert!(kept < 1600, "{kept} things are kept of it: each container, its first milestone, its timer");
        let charged = (0..4000).filter(|number| node.levels.get(&CgroupId(100_000 + number)) == Some(&Some(cgroup(1)))).count();
        assert_eq!(charged, 4000, "what is done from within them is charged to it");
        node.start(2, &["2s enter", "2010ms exec /app", "2020ms fails open /data/x O_RDWR = EACCES", "2021ms exit 1"]);
        node.wait("20s"); // what no runtime showed itself in is given up
        let charged_still = (0..4000).filter(|number| node.levels.contains_key(&CgroupId(100_000 + number))).count();
        assert_eq!(charged_still, 4000);
        assert_eq!(node.only().cause, Cause::PermissionDenied, "another container is still judged");
    }
}

#[test]
fn an_empty_cgroup_is_not_looked_at_closely() {
    let mut node = Node::new();
    node.begin(1, "0ms", false);
    node.feed(walk("5s", 1, Vec::new()), at("5s"));
    assert!(is_starting(&node, 1), "the runtime may still be at it");
    node.feed(walk("11s", 1, Vec::new()), at("11s"));
    assert!(!is_starting(&node, 1));
}

#[test]
fn a_removal_that_was_lost_leaves_nothing() {
    let mut node = Node::new();
    let before = node.engine.footprint();
    node.start(1, &["10ms enter", "20ms exec /app"]);
    node.feed(nothing("5ms"), at("25ms"));
    assert!(is_starting(&node, 1) && node.engine.footprint() > before, "the walk began before it was seen in it");
    node.feed(nothing("60s"), at("60s"));
    assert!(!is_starting(&node, 1) && node.verdicts.is_empty());
    assert_eq!(node.engine.footprint(), before);
}

#[test]
fn a_walk_brings_nothing_back_that_was_removed_meanwhile() {
    let mut node = Node::new();
    let before = node.engine.footprint();
    node.start(1, &["10ms enter", "20ms exec /app", "900ms exit 0", "1s removed"]);
    node.feed(walk("800ms", 1, vec![program(1100, "10ms")]), at("1100ms"));
    assert!(!is_starting(&node, 1) && node.engine.footprint() == before, "it is gone");
    node.wait("60s");
    assert!(node.verdicts.iter().all(|verdict| verdict.completeness.lost == 0), "{:#?}", node.verdicts);
}

#[test]
fn a_walk_that_was_cut_proves_no_removal() {
    let mut node = Node::new();
    node.start(1, &["10ms enter", "20ms exec /app"]);
    node.feed(Input::Cgroups(Snapshot { walked: at("20s"), cut: true, cgroups: Vec::new() }), at("20s"));
    assert!(is_starting(&node, 1));
}

#[test]
fn a_container_whose_record_was_lost_is_met_late() {
    let mut node = Node::new();
    node.begin(1, "0ms", false); // so that its steps can be told
    node.feed(nothing("1ms"), at("1ms"));
    node.feed(walk("5s", 1, vec![program(1100, "4s")]), at("5s"));
    assert!(is_starting(&node, 1), "it is young");
    node.step(1, "6s fails open /data/x O_RDWR = EACCES");
    node.feed(walk("50s", 2, vec![program(2100, "5s")]), at("50s"));
    assert!(!is_starting(&node, 2), "it began long ago");
}

#[test]
fn an_end_that_was_lost_is_no_failure_until_the_api_server_tells_the_code() {
    let mut node = Node::new();
    node.tell("0ms", pod(running(1, 0, false), |_| ()));
    node.start(1, &["100ms enter", "110ms exec /app", "120ms fails open /data/x O_RDWR = EACCES"]);
    node.feed(walk("5s", 1, Vec::new()), at("5s"));
    node.wait("10s");
    assert!(!is_starting(&node, 1) && node.verdicts.is_empty(), "{:#?}", node.verdicts);
    let finished = CLOCK.wall_nanos(at("0ms"));
    let state =
        ContainerState::Terminated { code: 1, signal: 0, reason: "Error".into(), message: String::new(), started: finished, finished };
    node.tell("11s", pod(ContainerStatus { state, ..running(1, 0, false) }, |_| ()));
    node.wait("20s");
    let verdict = node.only();
    assert_eq!((verdict.cause, verdict.completeness.lost), (Cause::PermissionDenied, 1));
    assert!(verdict.confidence < Confidence::Certain);
}

#[test]
fn what_was_lost_at_rest_is_not_charged_to_a_later_start() {
    let lost = |told: Input, when: &str| {
        let mut node = Node::new();
        node.begin(1, "100s", false);
        node.feed(told, at(when));
        for line in ["100100ms enter", "100110ms exec /app", "100120ms fails open /data/x O_RDWR = EACCES", "100121ms exit 1"] {
            node.step(1, line);
        }
        node.wait("102s");
        node.only().completeness.lost
    };
    assert_eq!(lost(loss("10s", "99s"), "100001ms"), 0, "it was lost before");
    assert_eq!(lost(loss("10s", "100002ms"), "100002ms"), 0, "the first reading after a long rest");
    assert_eq!(lost(loss("10s", "100050ms"), "100050ms"), 1);
    assert_eq!(lost(loss("100002ms", "100252ms"), "100090ms"), 1);
    assert_eq!(lost(Input::Loss(Loss { lost: 1, ..Loss::default() }), "100001ms"), 1, "older recordings do not tell when");
}

#[test]
fn nor_to_a_start_that_was_over() {
    let mut node = Node::new();
    node.start(1, &["0ms enter", "10ms exec /app", "20ms listen 0.0.0.0:80"]);
    node.wait("20s");
    node.feed(loss("10s", "19s"), at("20s"));
    node.step(1, "30s exit 3");
    node.wait("31s");
    assert_eq!(node.only().completeness.lost, 0);
}

#[test]
fn a_loss_that_is_told_after_the_end_is_still_of_the_start() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &DENIED);
    node.feed(loss("0ms", "250ms"), at("250ms"));
    node.wait("5s");
    assert_eq!(node.only().completeness.lost, 1);
}

fn uses(blind: BlindSpots, time: &str) -> (Input, BootNanos) {
    (Input::Loss(Loss { blind: Some((cgroup(1), blind)), ..Loss::default() }), at(time))
}

/// The verdict on a server of a pod that ends with code 0, whose container calls the kernel in such ways.
fn ended_well(blind: BlindSpots) -> (Confidence, BlindSpots) {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &["100ms enter", "110ms exec /app"]);
    let (input, time) = uses(blind, "120ms");
    node.feed(input, time);
    node.step(1, "130ms exit 0");
    node.wait("5s");
    assert_eq!(node.only().cause, Cause::ExitedEarly);
    (node.only().confidence, node.only().completeness.blind)
}

#[test]
fn an_end_without_a_reason_may_have_one_that_was_not_seen() {
    assert_eq!(ended_well(BlindSpots::default()), (Confidence::Certain, BlindSpots::default()));
    for blind in [BlindSpots { io_uring: true, ..BlindSpots::default() }, BlindSpots { compat: true, ..BlindSpots::default() }] {
        assert_eq!(ended_well(blind), (Confidence::Likely, blind));
    }
}

#[test]
fn what_is_found_late_to_be_unseen_is_said() {
    let mut node = Node::new();
    node.tell("0ms", pod(creating(), |_| ()));
    node.start(1, &DENIED);
    node.wait("1s");
    assert!(node.only().completeness.blind.is_empty());
    let (input, time) = uses(BlindSpots { io_uring: true, ..BlindSpots::default() }, "1100ms");
    node.feed(input, time);
    assert!(node.only().completeness.blind.io_uring);
}

#[test]
fn a_sandbox_has_a_kernel_of_its_own() {
    let verdict = |class: &str| {
        let mut node = Node::new();
        node.tell("0ms", pod(creating(), |pod| class.clone_into(&mut pod.runtime_class)));
        node.start(1, &["100ms enter", "110ms exec /usr/bin/runsc", "120ms exit 0"]);
        node.wait("5s");
        (node.only().confidence, node.only().completeness.blind.own_kernel)
    };
    for class in ["gvisor", "runsc", "kata", "kata-qemu-snp", "my-gvisor", "Kata_clh"] {
        assert_eq!(verdict(class), (Confidence::Likely, true), "{class}");
    }
    for class in ["", "nvidia", "crun", "strata"] {
        assert_eq!(verdict(class), (Confidence::Certain, false), "{class}");
    }
}

/// Recordings of before know nothing of windows and blind spots, and none is written where there is none.
#[test]
fn older_recordings_are_understood() {
    let old: Input = serde_json::from_str(r#"{"loss":{"lost":3,"undecodable":0,"suppressed":null}}"#).unwrap();
    let Input::Loss(loss) = old else { panic!("a loss") };
    assert_eq!(loss, Loss { lost: 3, ..Loss::default() });
    assert_eq!(serde_json::to_string(&Input::Loss(loss)).unwrap(), r#"{"loss":{"lost":3,"undecodable":0,"suppressed":null}}"#);
    let walk = walk("1s", 1, vec![program(7, "0ms")]);
    let text = serde_json::to_string(&walk).unwrap();
    assert_eq!(serde_json::from_str::<Input>(&text).unwrap(), walk, "{text}");
}
