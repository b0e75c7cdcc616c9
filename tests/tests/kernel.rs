//! The agent on a real kernel, with real containers: what is attached when, that no start is too early to be seen, that
//! no container's storm costs another one its verdict, that healthy programs are left in peace, and what it takes.
//!
//! One test runs at a time: each needs a machine on which nothing else starts. Needs root; without it nothing is proved,
//! which with `CI=true` is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test picks what it looks for")]

use rustix::process::geteuid;
use std::{
    env,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use unready_agent::recording::Reader;
use unready_diagnosis::{Input, record::Record, units::CgroupId};
use unready_tests::{
    attached::{map_bytes, taxes_system_calls, tracepoints},
    binaries::Binaries,
    cgroups::Cgroup,
    demo::{more, stage::Stage, world::World},
    lab::Lab,
    processes::{Agent, AgentOptions, Collector},
    verdicts::JsonVerdict,
    wait,
};

/// Long enough for a slow machine; nothing here measures time.
const PATIENCE: Duration = Duration::from_secs(30);

static ALONE: Mutex<()> = Mutex::new(());

/// The ground of a test, and the right to be alone; `None` without root.
fn lab(workloads: &[&str]) -> Option<(Lab, MutexGuard<'static, ()>)> {
    if !geteuid().is_root() {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "loading eBPF programs needs root");
        eprintln!("not run: loading eBPF programs needs root");
        return None;
    }
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Lab::new("test", Binaries::find().unwrap()).unwrap();
    lab.install(workloads).unwrap();
    Some((lab, alone))
}

/// Waits until something holds of the agent; the panic shows its log.
fn until(agent: &Agent, what: &str, at_most: Duration, holds: impl Fn() -> bool) {
    let waited = wait::until(what, at_most, || Ok(holds().then_some(())));
    waited.unwrap_or_else(|error| panic!("{error}; the agent's log:\n{}", agent.daemon().log()));
}

fn verdicts_of(agent: &Agent, container: &str) -> Vec<JsonVerdict> {
    agent.verdicts().unwrap().of(container).cloned().collect()
}

fn is_taxing(agent: &Agent) -> bool {
    taxes_system_calls(&tracepoints(agent.daemon().pid()).unwrap())
}

#[test]
fn system_calls_are_watched_only_while_something_starts() {
    let Some((lab, _alone)) = lab(&["exit-zero"]) else { return };
    let agent = lab.agent(AgentOptions { linger: Some(Duration::from_secs(1)), ..AgentOptions::default() }).unwrap();
    // Whatever else this machine starts calms down first.
    until(&agent, "rest", PATIENCE, || !is_taxing(&agent));
    assert!(!tracepoints(agent.daemon().pid()).unwrap().is_empty(), "level 0 is attached");

    let container = lab.run("starts", &["/bin/exit-zero"]).unwrap();
    until(&agent, "level 1", PATIENCE, || is_taxing(&agent));
    container.wait(PATIENCE).unwrap();
    drop(container);
    until(&agent, "rest again", PATIENCE, || !is_taxing(&agent));
    assert!(agent.daemon().log().contains("level 1 detached"), "{}", agent.daemon().log());
}

fn recorded(file: &Path) -> Vec<Input> {
    Reader::open(file).unwrap().map(|timed| timed.input).collect()
}

/// What a recording holds about one container.
#[derive(Default)]
struct Seen {
    executed: bool,
    failed: bool,
}

fn seen(inputs: &[Input], container: &str, program: &str, path: &str) -> Seen {
    let ids: Vec<CgroupId> = inputs.iter().filter_map(|input| created(input, container)).collect();
    let mut seen = Seen::default();
    for input in inputs {
        match input {
            Input::Record(Record::Exec { task, path, .. }) if ids.contains(&task.cgroup) => seen.executed |= path == program,
            Input::Record(Record::CallFailed(failed)) if ids.contains(&failed.task.cgroup) => {
                seen.failed |= format!("{:?}", failed.target).contains(path);
            }
            _ => {}
        }
    }
    seen
}

fn created(input: &Input, container: &str) -> Option<CgroupId> {
    match input {
        Input::Record(Record::CgroupCreated { id, path, .. }) if path.ends_with(&format!("/{container}")) => Some(*id),
        _ => None,
    }
}

#[test]
fn from_rest_the_first_calls_of_a_hundred_containers_are_seen() {
    const AT_ONCE: usize = 10;
    const EACH: usize = 10;
    let Some((lab, _alone)) = lab(&["first-calls"]) else { return };
    let recording = lab.directory().join("first.unready");
    let agent = lab.agent(AgentOptions { record: Some(&recording), ..AgentOptions::default() }).unwrap();
    until(&agent, "rest", PATIENCE, || !is_taxing(&agent));

    let names: Vec<String> = (0..AT_ONCE * EACH).map(|n| format!("first-{n}")).collect();
    let containers: Vec<_> = thread::scope(|scope| {
        let lab = &lab;
        let start = move |names: &[String]| -> Vec<_> { names.iter().map(|name| start_first(lab, name)).collect() };
        let workers: Vec<_> = names.chunks(EACH).map(|names| scope.spawn(move || start(names))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let unexplained = || names.iter().filter(|name| !is_explained(&agent, name)).count();
    until(&agent, "a verdict for each container", PATIENCE, || unexplained() == 0);
    drop(containers);
    drop(agent);

    let inputs = recorded(&recording);
    for name in &names {
        let seen = seen(&inputs, name, "/bin/first-calls", &format!("/missing/{name}"));
        assert!(seen.executed && seen.failed, "{name}: first execve seen: {}, first failing open seen: {}", seen.executed, seen.failed);
    }
}

fn start_first(lab: &Lab, name: &str) -> unready_tests::runc::Container {
    let container = lab.run(name, &["/bin/first-calls", &format!("/missing/{name}")]).unwrap();
    container.wait(PATIENCE).unwrap();
    container
}

/// Its own verdict, and no other.
fn is_explained(agent: &Agent, name: &str) -> bool {
    let verdicts = verdicts_of(agent, name);
    matches!(verdicts.as_slice(), [one] if one.cause == "FileMissing" && one.subject == format!("/missing/{name}"))
}

#[test]
fn a_storm_in_one_container_costs_another_no_verdict() {
    let Some((lab, _alone)) = lab(&["storm", "first-calls"]) else { return };
    let agent = lab.agent(AgentOptions::default()).unwrap();
    let _same = lab.run("storm-same", &["/bin/storm", "same", "/missing/storm"]).unwrap();
    let _new = lab.run("storm-new", &["/bin/storm", "new", "/missing/storm"]).unwrap();
    thread::sleep(Duration::from_secs(1));
    for n in 0..5 {
        let name = format!("calm-{n}");
        let _container = start_first(&lab, &name);
        until(&agent, "the verdict of the calm container", PATIENCE, || is_explained(&agent, &name));
    }
    let anonymous = agent.daemon().anonymous().unwrap();
    assert!(anonymous < 32 << 20, "what the storm costs the agent is bounded: {anonymous} bytes");
}

#[test]
fn healthy_programs_are_left_in_peace() {
    let Some((lab, _alone)) = lab(&["serve", "optional-log", "wait-for-key", "exit-zero"]) else { return };
    lab.base().directory("keys", unready_tests::rootfs::Access::root()).unwrap();
    let agent = lab.agent(AgentOptions::default()).unwrap();
    let _server = lab.run("serves", &["/bin/serve", "8080"]).unwrap();
    let _unlogged = lab.run("unlogged", &["/bin/optional-log", "8080", "/var/log/access.log"]).unwrap();
    let _done = lab.run("done", &["/bin/exit-zero"]).unwrap();
    let script = "cat /etc/none; [ -e /opt/none ] || ls /nowhere; id; exec sleep 1000";
    let _script = lab.run("script", &["/bin/sh", "-c", script]).unwrap();
    let waits = lab.run("waits", &["/bin/wait-for-key", "/keys/tls.key", "8080"]).unwrap();
    thread::sleep(Duration::from_millis(300));
    lab.base().file("keys/tls.key", "secret\n", unready_tests::rootfs::Access::root()).unwrap();
    until(&agent, "the server to listen", PATIENCE, || waits.listens_on(8080));
    thread::sleep(Duration::from_secs(3));
    for name in ["serves", "unlogged", "done", "script", "waits"] {
        assert_eq!(verdicts_of(&agent, name), Vec::new(), "{name} is healthy");
    }
}

#[test]
fn what_the_demo_does_not_show_is_explained_too() {
    let Some((lab, _alone)) = lab(&[]) else { return };
    let world = World::build(lab).unwrap();
    let collector = Collector::start(world.lab().binaries(), world.lab().directory()).unwrap();
    let agent = world.lab().agent(AgentOptions { collector: Some(collector.url()), ..AgentOptions::default() }).unwrap();
    let stage = Stage { world: &world, agent: &agent, collector: &collector };
    let acts = stage.play(more::SCENARIOS).unwrap();
    let wrong = stage.outcome(&acts).unwrap().wrong;
    assert!(wrong.is_empty(), "{}", wrong.into_iter().flat_map(|(_, all)| all).collect::<Vec<_>>().join("\n"));
}

#[test]
fn two_hundred_and_fifty_cgroups_cost_no_more_than_promised() {
    const MIB: u64 = 1 << 20;
    let Some((lab, _alone)) = lab(&["first-calls"]) else { return };
    let make = |n: usize| Cgroup::new(lab.hierarchies(), format!("{}/pod{n}", lab.cgroup())).unwrap();
    let _before: Vec<Cgroup> = (0..125).map(make).collect();
    let agent = lab.agent(AgentOptions::default()).unwrap();
    let _after: Vec<Cgroup> = (125..250).map(make).collect();
    // A container that is explained after them shows that they were handled.
    let _container = start_first(&lab, "last");
    until(&agent, "the last container's verdict", PATIENCE, || is_explained(&agent, "last"));

    let (daemon, maps) = (agent.daemon(), map_bytes(agent.daemon().pid()).unwrap());
    // The promise is about what is shipped; of a debug build only what it allocates can be judged.
    let (what, resident) = if lab.binaries().are_debug() { ("anonymous", daemon.anonymous()) } else { ("resident", daemon.resident()) };
    let resident = resident.unwrap();
    assert!(resident <= 24 * MIB, "{what} memory is {} KiB", resident >> 10);
    assert!(maps > 0 && maps <= 16 * MIB, "the maps take {} KiB", maps >> 10);
}

#[test]
fn the_agent_ends_when_it_is_told_to() {
    let Some((lab, _alone)) = lab(&["serve"]) else { return };
    let mut agent = lab.agent(AgentOptions::default()).unwrap();
    let _server = lab.run("serves", &["/bin/serve", "8080"]).unwrap();
    let begin = Instant::now();
    agent.daemon_mut().end();
    assert!(begin.elapsed() < Duration::from_secs(5), "ended by SIGTERM, not killed");
}

#[test]
fn what_the_agent_knows_when_it_is_told_to_end_is_said() {
    let Some((lab, _alone)) = lab(&["first-calls"]) else { return };
    let mut agent = lab.agent(AgentOptions::default()).unwrap();
    let names: Vec<String> = (0..8).map(|n| format!("late-{n}")).collect();
    let _containers: Vec<_> = names.iter().map(|name| start_first(&lab, name)).collect();
    agent.daemon_mut().end();
    // The last one ended a moment before the agent was told to: its verdict is on stdout all the same.
    until(&agent, "every verdict", PATIENCE, || names.iter().all(|name| is_explained(&agent, name)));
}
