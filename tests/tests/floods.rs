//! What one container can do to the agent: nothing. Under each kind of flood, and under all at once, the agent answers its health
//! check, another container gets its verdict, and what was not told is counted. At rest the agent sleeps, whatever runs.
//!
//! One test runs at a time. Needs root; without it nothing is proved, which with `CI=true` is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test picks what it looks for")]

use rustix::process::geteuid;
use std::{
    env, fs,
    io::Read as _,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use unready_agent::recording::Reader;
use unready_diagnosis::{Input, input::Loss, record::Record, units::CgroupId};
use unready_tests::{
    attached::{taxes_system_calls, tracepoints},
    binaries::Binaries,
    cgroups::Cgroup,
    http,
    lab::Lab,
    processes::{Agent, AgentOptions},
    verdicts::JsonVerdict,
    wait,
};

const PATIENCE: Duration = Duration::from_secs(30);
/// How long a flood lasts.
const FLOOD: Duration = Duration::from_secs(5);
/// The same while all is recorded, which costs more than it does otherwise.
const RECORDED: Duration = Duration::from_secs(3);
/// What is promised of the health check, for nineteen of twenty: the machine's own hiccups are not the agent's.
const ANSWER: Duration = Duration::from_millis(100);
/// What each answer takes at most: the kubelet's default patience.
const LATEST: Duration = Duration::from_secs(1);
/// What is promised of another container's verdict, from its end on.
const VERDICT: Duration = Duration::from_secs(1);
/// Of a core.
const SHARE: f64 = 0.10;
/// Records of one container that may reach the agent while the flood lasts: the bursts of a few budgets, and their rates.
const TOLD: u64 = 4096;
const MEMORY: u64 = 32 << 20;

static ALONE: Mutex<()> = Mutex::new(());

fn lab(workloads: &[&str]) -> Option<(Lab, MutexGuard<'static, ()>)> {
    if !geteuid().is_root() {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "loading eBPF programs needs root");
        eprintln!("not run: loading eBPF programs needs root");
        return None;
    }
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Lab::new("flood", Binaries::find().unwrap()).unwrap();
    lab.install(workloads).unwrap();
    Some((lab, alone))
}

/// A process in a cgroup that is named as a container's; ended on drop.
struct Flood {
    child: Child,
    cgroup: Cgroup,
}

impl Flood {
    fn start(lab: &Lab, number: u32, kind: &str, time: Duration) -> Self {
        let path = format!("{}/kubepods/besteffort/pod01234567-89ab-cdef-0123-{number:012x}/{number:064x}", lab.cgroup());
        let cgroup = Cgroup::new(lab.hierarchies(), path).unwrap();
        let program = lab.binaries().workload("flood").unwrap();
        let script = "echo $$ > \"$1/cgroup.procs\"; exec \"$2\" \"$3\" \"$4\" \"$1\"";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "flood"]).arg(cgroup.directory()).arg(program).args([kind, &time.as_secs().to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        Self { child, cgroup }
    }

    /// How often it did what it does.
    fn finish(&mut self) -> u64 {
        let mut said = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success());
        said.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("the flood said {said:?}"))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long `/livez` took to answer.
fn live(address: SocketAddr) -> Duration {
    let begin = Instant::now();
    http::get(address, "/livez").unwrap(); // another status than 200 is an error
    begin.elapsed()
}

/// Asks for its health as long as the flood lasts, ten times a second.
fn watch_health(address: SocketAddr) -> Vec<Duration> {
    let end = Instant::now() + FLOOD;
    let mut answers = Vec::new();
    while Instant::now() < end {
        answers.push(live(address));
        thread::sleep(Duration::from_millis(100)); // a pace, not a wait
    }
    answers
}

/// Processor time of a process, user and system.
fn cpu(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap(); // fields 14 and 15 of proc(5)
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

fn of(agent: &Agent, container: &str) -> Vec<JsonVerdict> {
    agent.verdicts().unwrap().of(container).cloned().collect()
}

/// From a container's end to its own exact verdict.
fn explained(lab: &Lab, agent: &Agent, name: &str) -> Duration {
    let path = format!("/missing/{name}");
    let container = lab.run(name, &["/bin/first-calls", &path]).unwrap_or_else(|error| panic!("{error:#}"));
    container.wait(PATIENCE).unwrap();
    let ended = Instant::now();
    let waited = wait::until(&format!("the verdict on {name}"), PATIENCE, || Ok((!of(agent, name).is_empty()).then_some(())));
    waited.unwrap_or_else(|error| panic!("{error}; the agent's log:\n{}", agent.daemon().log()));
    let taken = ended.elapsed();
    let verdicts = of(agent, name);
    assert!(matches!(verdicts.as_slice(), [one] if one.cause == "FileMissing" && one.subject == path), "{verdicts:?}");
    taken
}

/// Records of a cgroup that its budget did not let pass, by the recording.
fn suppressed(inputs: &[Input], path: &str) -> u64 {
    let ids: Vec<CgroupId> = inputs.iter().filter_map(|input| created(input, path)).collect();
    let counts = inputs.iter().filter_map(|input| match input {
        Input::Loss(Loss { suppressed: Some((id, count)), .. }) if ids.contains(id) => Some(*count),
        _ => None,
    });
    counts.sum()
}

/// Records of a cgroup, and of those below it.
fn told(inputs: &[Input], path: &str) -> u64 {
    let mut ids = Vec::new();
    let mut told = 0;
    for input in inputs {
        let Input::Record(record) = input else { continue };
        if let Record::CgroupCreated { id, path: new, .. } = record
            && new.starts_with(path)
        {
            ids.push(*id);
        }
        told += u64::from(cgroup_of(record).is_some_and(|id| ids.contains(&id)));
    }
    told
}

fn cgroup_of(record: &Record) -> Option<CgroupId> {
    Some(match record {
        Record::CgroupCreated { id, .. } | Record::CgroupRemoved { id } | Record::CgroupAttached { id, .. } => *id,
        Record::Exec { task, .. } | Record::Exit { task, .. } | Record::RootChanged { task } | Record::Listening { task, .. } => {
            task.cgroup
        }
        Record::CallFailed(call) => call.task.cgroup,
        _ => return None,
    })
}

fn created(input: &Input, of: &str) -> Option<CgroupId> {
    match input {
        Input::Record(Record::CgroupCreated { id, path, .. }) if path == of => Some(*id),
        _ => None,
    }
}

fn lost(inputs: &[Input]) -> u64 {
    inputs.iter().map(|input| if let Input::Loss(loss) = input { loss.lost } else { 0 }).sum()
}

/// Drowns the agent in these, and sees that it does not: first what it costs and answers, then what it was told and what not.
fn withstands(kinds: &[&str]) {
    let Some((lab, _alone)) = lab(&["first-calls"]) else { return };
    lives_on(&lab, kinds);
    accounts_for(&lab, kinds);
}

fn start_all(lab: &Lab, kinds: &[&str], time: Duration) -> Vec<Flood> {
    (1..).zip(kinds).map(|(number, kind)| Flood::start(lab, number, kind, time)).collect()
}

fn lives_on(lab: &Lab, kinds: &[&str]) {
    let metrics = http::free_port().unwrap();
    let agent = lab.agent(AgentOptions { metrics: Some(metrics), ..AgentOptions::default() }).unwrap();
    let pid = agent.daemon().pid();
    let (began, spent) = (Instant::now(), cpu(pid));
    let mut floods = start_all(lab, kinds, FLOOD);
    let (mut answers, verdicts) = thread::scope(|scope| {
        let health = scope.spawn(move || watch_health(metrics));
        let verdicts: Vec<Duration> = (0..3).map(|n| explained(lab, &agent, &format!("calm-{n}"))).collect();
        (health.join().unwrap(), verdicts)
    });
    let done: Vec<u64> = floods.iter_mut().map(Flood::finish).collect();
    let share = cpu(pid).saturating_sub(spent).as_secs_f64() / began.elapsed().as_secs_f64();
    let memory = agent.daemon().resident().unwrap();
    answers.sort_unstable();
    println!("{kinds:?} {done:?}: share {share:.3}, {} KiB, verdicts {verdicts:?}, answers at most {:?}", memory >> 10, answers.last());

    let nineteen_of_twenty = answers[answers.len() * 19 / 20];
    assert!(nineteen_of_twenty <= ANSWER, "under {kinds:?} the health check took {nineteen_of_twenty:?}, at worst {:?}", answers.last());
    assert!(answers.iter().all(|answer| *answer <= LATEST), "under {kinds:?} the health check took {:?}", answers.last());
    assert!(verdicts.iter().all(|taken| *taken <= VERDICT), "under {kinds:?} another container's verdict took {verdicts:?}");
    let most = if lab.binaries().are_debug() { 3.0 * SHARE } else { SHARE }; // the promise is about what is shipped
    assert!(share <= most, "{kinds:?} cost the agent {share:.3} of a core");
    let most = if lab.binaries().are_debug() { MEMORY + MEMORY / 4 } else { MEMORY };
    assert!(memory <= most, "{} KiB are resident", memory >> 10);
}

fn accounts_for(lab: &Lab, kinds: &[&str]) {
    let recording = lab.directory().join("flood.unready");
    let agent = lab.agent(AgentOptions { record: Some(&recording), ..AgentOptions::default() }).unwrap();
    let mut floods = start_all(lab, kinds, RECORDED);
    let done: Vec<u64> = floods.iter_mut().map(Flood::finish).collect();
    let paths: Vec<String> = floods.iter().map(|flood| flood.cgroup.path().to_owned()).collect();
    drop((floods, agent));
    let inputs: Vec<Input> = Reader::open(&recording).unwrap().map(|timed| timed.input).collect();
    assert_eq!(lost(&inputs), 0, "the ring had room for what was let through");
    for ((kind, path), done) in kinds.iter().zip(&paths).zip(done) {
        let (told, counted) = (told(&inputs, path), suppressed(&inputs, path));
        println!("{kind}: {done} times, {told} records, {counted} counted as not told");
        assert!(told <= TOLD, "{kind}: {told} records reached the agent");
        assert!(counted > 0 || done <= TOLD, "{kind}: {done} times, and nothing was counted as not told");
    }
}

#[test]
fn a_flood_of_forks() {
    withstands(&["fork"]);
}

#[test]
fn a_flood_of_execs() {
    withstands(&["exec"]);
}

#[test]
fn a_flood_of_listeners() {
    withstands(&["listen"]);
}

#[test]
fn a_flood_of_roots() {
    withstands(&["chroot"]);
}

#[test]
fn a_flood_of_failing_opens() {
    withstands(&["open"]);
}

#[test]
fn a_flood_of_cgroups() {
    withstands(&["cgroups"]);
}

#[test]
fn a_flood_of_cgroups_that_are_named_as_other_things() {
    withstands(&["names"]);
}

#[test]
fn a_main_process_that_executes_itself() {
    withstands(&["reexec"]);
}

#[test]
fn all_floods_at_once() {
    withstands(&["fork", "exec", "listen", "chroot", "open", "cgroups", "names", "reexec"]);
}

#[test]
fn at_rest_the_agent_sleeps_whatever_settled_containers_execute() {
    const WATCHED: Duration = Duration::from_mins(1); // a walk through the hierarchy is due once in it
    const CALLS_A_SECOND: u64 = 50;
    let Some((lab, _alone)) = lab(&["serve", "exit-zero"]) else { return };
    let metrics = http::free_port().unwrap();
    let options = AgentOptions { metrics: Some(metrics), linger: Some(Duration::from_secs(1)), ..AgentOptions::default() };
    let agent = lab.agent(options).unwrap();
    let script = "/bin/serve 8080 & while :; do /bin/exit-zero; done";
    let containers: Vec<_> = (0..3).map(|n| lab.run(&format!("churns-{n}"), &["/bin/sh", "-c", script]).unwrap()).collect();
    wait::until("rest", PATIENCE, || Ok((!taxes_system_calls(&tracepoints(agent.daemon().pid())?)).then_some(()))).unwrap();

    let file = lab.directory().join("calls");
    let mut strace = Command::new("strace");
    strace.args(["-c", "-f", "-o"]).arg(&file).args(["-p", &agent.daemon().pid().to_string()]).stderr(Stdio::null());
    let mut strace = strace.spawn().expect("strace is there: cargo xtask setup installs it");
    thread::sleep(WATCHED); // a measured stretch of time, not a wait
    live(metrics); // something to count, so that the table shows that it was watched
    rustix::process::kill_process(rustix::process::Pid::from_child(&strace), rustix::process::Signal::INT).unwrap();
    strace.wait().unwrap();
    drop(containers);
    let table = fs::read_to_string(&file).unwrap();
    let total = table.lines().find(|line| line.ends_with("total")).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let total = total.unwrap_or_else(|| panic!("strace counted nothing:\n{table}"));
    assert!(total <= CALLS_A_SECOND * WATCHED.as_secs(), "{total} system calls in {WATCHED:?} at rest:\n{table}");
}
