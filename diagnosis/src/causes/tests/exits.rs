//! What is said when no failing call explains the end.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::text;
use crate::{
    case::{Case, Suspect, finding::Finding},
    catalogue::{Cause, crashed, out_of_memory, runtime_file_missing},
    causes, judge,
    pod::{Container, Pod},
    question::{Answer, Memory, Question},
    record::{Call, ExitStatus},
    units::{BootNanos, Process},
    words::testing::{FAILED_AT, PROCESS, World, failed, failure_of, missing, path},
};

const AT: BootNanos = BootNanos(FAILED_AT.0 + 1_000_000);

fn killed(victim: Process, case: &Case<'_>) -> Option<Finding> {
    judge::explain(Suspect::OutOfMemory { at: AT, victim }, case)
}

fn ended(world: &World, status: ExitStatus) -> Option<Finding> {
    judge::explain(Suspect::Exit { at: AT, status, process: PROCESS }, &world.case())
}

fn used(limit: Option<u64>, kills: u64) -> Memory {
    Memory { limit, peak: limit, current: Some(0), oom_kills: Some(kills) }
}

fn with_memory(world: World, memory: Memory) -> World {
    let question = Question::Memory { cgroup: world.case().cgroup };
    world.answer(question, Answer::Memory(memory))
}

#[test]
fn out_of_memory_tells_limit_victim_and_remedy() {
    let world = with_memory(World::pod().running(&["python3"], None), used(Some(64 << 20), 1));
    let finding = killed(PROCESS, &world.case()).unwrap();
    assert_eq!((finding.layer, finding.proved), (out_of_memory::MAIN_PROCESS, true));
    assert!(text(&finding).contains("memory limit of 64 MiB") && finding.remedy.text.contains("GOMEMLIMIT=57MiB"), "{}", text(&finding));
    let child = killed(Process { pid: 101, start: 2 }, &world.case()).unwrap();
    assert_eq!(child.layer, out_of_memory::CHILD_PROCESS);
    assert!(text(&child).contains("may run on without it"), "{}", text(&child));
    let unlimited = with_memory(World::pod(), used(None, 1));
    assert!(text(&killed(PROCESS, &unlimited.case()).unwrap()).contains("of the pod or of the node"));
    assert!(text(&killed(PROCESS, &World::pod().case()).unwrap()).contains("limit is not known"));
}

#[test]
fn a_kill_is_out_of_memory_only_if_the_cgroup_counts_one() {
    let killed = ExitStatus::Signal(9);
    assert!(causes::questions(Suspect::Exit { at: AT, status: killed, process: PROCESS }, &World::pod().case()).len() == 1);
    let counted = ended(&with_memory(World::pod(), used(Some(1 << 20), 1)), killed).unwrap();
    assert_eq!((counted.cause(), counted.proved), (Cause::OutOfMemory, false));
    let other = ended(&with_memory(World::pod(), used(Some(1 << 20), 0)), killed).unwrap();
    assert_eq!((other.cause(), other.layer), (Cause::Crashed, crashed::SIGNAL));
    assert!(other.remedy.text.contains("who killed it"), "{}", other.remedy.text);
}

#[test]
fn exit_zero_is_early_only_for_who_must_answer_a_probe() {
    assert!(ended(&World::local(), ExitStatus::Code(0)).is_none());
    let probed = World { probe: Some("http://127.0.0.1:8080/".into()), ..World::local().running(&["/app/server"], None) };
    let finding = ended(&probed, ExitStatus::Code(0)).unwrap();
    assert_eq!((finding.cause(), finding.proved), (Cause::ExitedEarly, true));
    assert!(finding.summary.contains("/app/server ended with exit code 0, 2 ms after it was started"), "{}", finding.summary);
}

#[test]
fn a_crash_carries_what_was_seen_last() {
    let failure = failure_of(failed(Call::Open, path("/etc/app.conf"), 0, "ENOENT"));
    let world = World::local().running(&["/app/server"], None).failing(&failure).said("reading configuration").said("panic: no address");
    let finding = ended(&world, ExitStatus::Code(2)).unwrap();
    assert_eq!((finding.cause(), finding.layer), (Cause::Crashed, crashed::EXIT_CODE));
    let evidence: Vec<&str> = finding.evidence.iter().map(|fact| fact.text.as_str()).collect();
    assert_eq!(evidence, ["open(\"/etc/app.conf\", O_RDONLY) = ENOENT", "reading configuration", "panic: no address"]);
    assert!(text(&finding).contains("the last that it wrote to stderr: panic: no address"), "{}", text(&finding));
}

#[test]
fn codes_and_signals_are_said_in_words() {
    let cases = [
        (ExitStatus::Code(127), "not found"),
        (ExitStatus::Code(139), "SIGSEGV"),
        (ExitStatus::Signal(11), "invalid memory access"),
        (ExitStatus::Signal(4), "CPU"),
        (ExitStatus::Signal(31), "seccomp"),
    ];
    for (status, expected) in cases {
        let finding = ended(&World::pod(), status).unwrap();
        assert!(text(&finding).contains(expected), "{}", text(&finding));
        assert!(finding.remedy.text.contains("kubectl logs --previous"));
    }
}

#[test]
fn the_log_of_a_known_pod_is_named_by_a_whole_command() {
    let pod = Pod {
        namespace: "shop".into(),
        name: "orders-7d9f".into(),
        containers: vec![Container { name: "app".into(), ..Container::default() }],
        ..Pod::default()
    };
    let finding = ended(&World::of(pod).running(&["/app/server"], None), ExitStatus::Code(1)).unwrap();
    assert!(finding.remedy.text.contains("`kubectl -n shop logs orders-7d9f -c app --previous`"), "{}", finding.remedy.text);
    assert!(finding.summary.contains("ended with exit code 1, 2 ms after"), "{}", finding.summary);
}

fn account(world: World, entry: bool) -> World {
    let question = Question::Account { scope: world.case().scope(PROCESS), uid: 1000 };
    world.answer(question, Answer::Account { file: true, entry })
}

#[test]
fn a_missing_account_needs_the_programs_complaint() {
    let complains =
        World::local().running(&["initdb"], None).said("initdb: error: could not look up effective user ID 1000: user does not exist");
    let suspect = Suspect::Exit { at: AT, status: ExitStatus::Code(1), process: PROCESS };
    assert!(causes::questions(suspect, &complains.case()).iter().any(|question| matches!(question, Question::Account { uid: 1000, .. })));
    let finding = ended(&account(complains, false), ExitStatus::Code(1)).unwrap();
    assert_eq!((finding.cause(), finding.layer), (Cause::RuntimeFileMissing, runtime_file_missing::ACCOUNT));
    let there = World::local().running(&["initdb"], None).said("could not look up effective user ID 1000");
    assert_eq!(ended(&account(there, true), ExitStatus::Code(1)).unwrap().cause(), Cause::Crashed, "the entry is there");
    let silent = World::local().running(&["app"], None).said("cannot connect");
    assert_eq!(ended(&account(silent, false), ExitStatus::Code(1)).unwrap().cause(), Cause::Crashed, "most programs need none");
}

#[test]
fn a_complaint_of_certificates_leads_to_the_bundle() {
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    let failure = failure_of(failed(Call::Open, path(bundle), 0, "ENOENT"));
    let world = World::local().running(&["/server"], None).failing(&failure).walked(bundle, missing(bundle, bundle, []));
    assert_eq!(ended(&world, ExitStatus::Code(1)).unwrap().cause(), Cause::Crashed, "it said nothing of certificates");
    let world = world.said("x509: certificate signed by unknown authority");
    assert_eq!(ended(&world, ExitStatus::Code(1)).unwrap().cause(), Cause::RuntimeFileMissing);
}
