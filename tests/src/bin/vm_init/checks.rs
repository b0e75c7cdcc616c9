//! One check a hook, and what of the kernel's structures it proves to be read rightly.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each check picks its own kind of record out of the stream; another one is not its business"
)]

use crate::{
    act::{self, GID, GROUPS, MISSING, REPETITIONS, STATUS, UID},
    machine, stepped,
    watcher::{Cgroup, Watcher},
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fmt, fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};
use unready_agent_common::{hooks::Hook, watch::USES_IO_URING};
use unready_diagnosis::record::{Call, CallFailed, Errno, ExitStatus, Record, Target, Task};

/// What the cgroup of "eat" may use; the program itself needs some 4 MiB.
const MEMORY_MAX: &str = "16M";

/// What became of one check.
pub(crate) struct Outcome {
    name: &'static str,
    kind: Kind,
}

enum Kind {
    Ok,
    Absent(String),
    Failed(String),
}

impl Outcome {
    /// It failed.
    pub(crate) fn failed(name: &'static str, reason: &str) -> Self {
        Self { name, kind: Kind::Failed(reason.replace('\n', " | ")) }
    }

    /// Whether it failed.
    pub(crate) const fn is_failure(&self) -> bool {
        matches!(self.kind, Kind::Failed(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Ok => write!(f, "{} ok", self.name),
            Kind::Absent(why) => write!(f, "{} absent {why}", self.name),
            Kind::Failed(why) => write!(f, "{} FAILED {why}", self.name),
        }
    }
}

type Check = fn(&mut Watcher) -> Result<()>;

/// Hook, or what is checked of it.
const CHECKS: &[(&str, Check)] = &[
    ("cgroup-mkdir", cgroup_mkdir),
    ("cgroup-attach", cgroup_attach),
    ("cgroup-rmdir", cgroup_rmdir),
    ("exec", exec),
    ("exit", exit),
    ("exit-once", exit_once),
    ("call-failed", call_failed),
    ("repeats", repeats),
    ("storm", storm),
    ("crowd", crowd),
    ("credentials", credentials),
    ("descriptor", descriptor),
    ("root-changed", root_changed),
    ("io-uring", io_uring),
    ("listen", listen),
    ("oom-victim", oom_victim),
    ("reattach", reattach),
    ("counters", counters),
    ("clock-set", clock_set),
];

/// Runs them all.
pub(crate) fn run() -> Result<Vec<Outcome>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let _inside = runtime.enter();
    let mut watcher = Watcher::start()?;
    println!("NOTE kernel {}: loaded in {} ms, attached in {} ms", machine::kernel(), watcher.load.as_millis(), watcher.attach.as_millis());
    for sentence in watcher.kernel.degraded() {
        println!("NOTE {sentence}");
    }
    let outcomes = CHECKS.iter().map(|(name, check)| Outcome { name, kind: judge(check(&mut watcher)) }).collect();
    for (hook, missed) in watcher.kernel.missed().into_iter().filter(|(_, missed)| *missed > 0) {
        println!("NOTE {hook:?} was not shown {missed} events");
    }
    Ok(outcomes)
}

fn judge(result: Result<()>) -> Kind {
    match result {
        Ok(()) => Kind::Ok,
        Err(error) => match error.downcast_ref::<Absent>() {
            Some(Absent(why)) => Kind::Absent(why.clone()),
            None => Outcome::failed("", &format!("{error:#}")).kind,
        },
    }
}

/// This machine cannot show it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Absent(String);

/// Everything that a process which does one thing leaves behind.
struct Scene {
    cgroup: Cgroup,
    pid: u32,
    records: Vec<Record>,
}

impl Scene {
    fn play(watcher: &mut Watcher, what: &str) -> Result<Self> {
        let cgroup = watcher.cgroup()?;
        let (pid, _) = Watcher::act(what, &cgroup)?;
        let records = watcher.records(|record| matches!(record, Record::Exit { task, .. } if task.process.pid == pid));
        Ok(Self { cgroup, pid, records })
    }

    /// The first record that answers.
    fn find<'a, T>(&'a self, what: &str, pick: impl Fn(&'a Record) -> Option<T>) -> Result<T> {
        self.records.iter().find_map(pick).with_context(|| format!("no {what} among {} records", self.records.len()))
    }

    /// Failures of one call on one target.
    fn failures(&self, call: Call, wanted: impl Fn(&Target) -> bool) -> Vec<&CallFailed> {
        let failures = self.records.iter().filter_map(|record| match record {
            Record::CallFailed(failure) => Some(&**failure),
            _ => None,
        });
        failures.filter(|failure| failure.call == call && failure.task.cgroup == self.cgroup.id && wanted(&failure.target)).collect()
    }

    /// Whether a task is the process that acted, with all that is known of one.
    fn is_actor(&self, task: &Task) -> Result<()> {
        ensure!(task.cgroup == self.cgroup.id, "cgroup {} instead of {}", task.cgroup, self.cgroup.id);
        ensure!(task.process.pid == self.pid, "process {} instead of {}", task.process.pid, self.pid);
        ensure!(task.process.start > 0, "no start time");
        ensure!(task.parent == std::process::id(), "parent {} instead of {}", task.parent, std::process::id());
        ensure!(!task.comm.is_empty(), "no name");
        Ok(())
    }
}

fn is_path(target: &Target, wanted: &str) -> bool {
    matches!(target, Target::Path(path) if path.path == wanted)
}

fn cgroup_mkdir(watcher: &mut Watcher) -> Result<()> {
    let cgroup = watcher.cgroup()?;
    ensure!(watcher.is_starting(&cgroup), "a new cgroup is not watched");
    let is_it =
        |record: &Record| matches!(record, Record::CgroupCreated { id, path, existing: false } if *id == cgroup.id && *path == cgroup.path);
    ensure!(watcher.records(is_it).iter().any(is_it), "no record of {}", cgroup.path);
    Ok(())
}

fn cgroup_attach(watcher: &mut Watcher) -> Result<()> {
    let scene = Scene::play(watcher, "exit")?;
    scene.find("attach record", |record| match record {
        Record::CgroupAttached { id, pid, comm } => (*id == scene.cgroup.id && *pid == scene.pid && !comm.is_empty()).then_some(()),
        _ => None,
    })
}

fn cgroup_rmdir(watcher: &mut Watcher) -> Result<()> {
    let cgroup = watcher.cgroup()?;
    let gone = cgroup.id;
    drop(cgroup);
    let is_it = |record: &Record| matches!(record, Record::CgroupRemoved { id } if *id == gone);
    ensure!(watcher.records(is_it).iter().any(is_it), "no record");
    ensure!(watcher.kernel.watched(gone).is_none(), "a cgroup that is gone is still watched");
    Ok(())
}

fn exec(watcher: &mut Watcher) -> Result<()> {
    let scene = Scene::play(watcher, "exec")?;
    scene.find("exec record", |record| match record {
        Record::Exec { task, path, args, uid: 0, .. } => {
            let is_it = task.cgroup == scene.cgroup.id && task.parent == scene.pid && path.ends_with("exe");
            (is_it && args.last().is_some_and(|last| last == "exec-has-happened")).then_some(())
        }
        _ => None,
    })
}

fn exit(watcher: &mut Watcher) -> Result<()> {
    let scene = Scene::play(watcher, "exit")?;
    let (task, status) = scene.find("exit record", |record| match record {
        Record::Exit { task, status } if task.process.pid == scene.pid => Some((task, *status)),
        _ => None,
    })?;
    scene.is_actor(task)?;
    ensure!(status == ExitStatus::Code(STATUS), "{status:?} instead of code {STATUS}");
    Ok(())
}

/// Several times, for it is a race that must not be lost.
fn exit_once(watcher: &mut Watcher) -> Result<()> {
    for _ in 0..20 {
        let scene = Scene::play(watcher, "threads")?;
        let ends =
            scene.records.iter().filter(|record| matches!(record, Record::Exit { task, .. } if task.process.pid == scene.pid)).count();
        ensure!(ends == 1, "the end of one process was told {ends} times");
    }
    Ok(())
}

fn call_failed(watcher: &mut Watcher) -> Result<()> {
    let scene = Scene::play(watcher, "open")?;
    let failures = scene.failures(Call::Open, |target| is_path(target, MISSING));
    let [failure] = failures.as_slice() else { bail!("{} records of one failing open", failures.len()) };
    scene.is_actor(&failure.task)?;
    ensure!(failure.errno == Errno::ENOENT, "{:?}", failure.errno);
    ensure!(failure.arg & 0o2_000_000 != 0, "flags {:o} lack O_CLOEXEC", failure.arg);
    Ok(())
}

fn repeats(watcher: &mut Watcher) -> Result<()> {
    let scene = Scene::play(watcher, "repeat")?;
    let sent = scene.failures(Call::Open, |target| is_path(target, MISSING));
    let [sent] = sent.as_slice() else { bail!("{} records of one failure repeated {REPETITIONS} times", sent.len()) };
    let mut all = watcher.kernel.repeats();
    let (_, value) = all.find(|(key, _)| key.cgroup == scene.cgroup.id.0 && key.hash == sent.hash).context("it was not counted")?;
    ensure!(value.count == REPETITIONS && value.tgid == scene.pid, "{value:?}");
    Ok(())
}

/// Many at once on few CPUs: on kernels whose tracepoints can be preempted a program is not run for everyone. None may be
/// missed, none counted twice.
fn storm(watcher: &mut Watcher) -> Result<()> {
    const ACTORS: usize = 6;
    let cgroup = watcher.cgroup()?;
    at_once("storm", ACTORS, &cgroup)?;
    let of_cgroup = watcher.kernel.repeats().filter(|(key, _)| key.cgroup == cgroup.id.0);
    let seen = of_cgroup.map(|(_, value)| value.count).max().unwrap_or(0);
    let done = ACTORS as u64 * act::STORM;
    ensure!(seen == done, "{seen} of {done} failing calls were seen");
    Ok(())
}

/// The same with processes that come and go.
fn crowd(watcher: &mut Watcher) -> Result<()> {
    const ACTORS: usize = 40;
    let cgroup = watcher.cgroup()?;
    let pids = at_once("exit", ACTORS, &cgroup)?;
    let last = pids.last().copied().unwrap_or_default();
    let records = watcher.records(|record| matches!(record, Record::Exit { task, .. } if task.process.pid == last));
    let ends = records.iter().filter(|record| matches!(record, Record::Exit { task, .. } if pids.contains(&task.process.pid))).count();
    ensure!(ends == ACTORS, "the end of {ends} of {ACTORS} processes was told");
    Ok(())
}

/// Lets several do the same at the same time; their process ids.
fn at_once(what: &str, actors: usize, cgroup: &Cgroup) -> Result<Vec<u32>> {
    let actors: Vec<_> = (0..actors).map(|_| Watcher::start_act(what, cgroup)).collect::<Result<_>>()?;
    let pids = actors.iter().map(std::process::Child::id).collect();
    for mut actor in actors {
        actor.wait().context("wait for a process")?;
    }
    Ok(pids)
}

fn credentials(watcher: &mut Watcher) -> Result<()> {
    let folder = act::private_folder();
    let _ = fs::create_dir(&folder);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
    let scene = Scene::play(watcher, "denied")?;
    fs::remove_dir(&folder)?;
    let failures = scene.failures(Call::Open, |target| is_path(target, &format!("{folder}/key")));
    let [failure] = failures.as_slice() else { bail!("{} records of one denied open", failures.len()) };
    let creds = &failure.creds;
    ensure!(failure.errno == Errno::EACCES, "{:?}", failure.errno);
    ensure!([creds.uid, creds.euid, creds.fsuid] == [UID; 3] && [creds.gid, creds.egid, creds.fsgid] == [GID; 3], "{creds:?}");
    ensure!(creds.groups == GROUPS && !creds.groups_cut && creds.cap_effective == 0, "{creds:?}");
    let namespace = fs::metadata("/proc/self/ns/user").context("the user namespace")?.ino();
    ensure!(u64::from(creds.user_ns) == namespace, "user namespace {} instead of {namespace}", creds.user_ns);
    Ok(())
}

fn descriptor(watcher: &mut Watcher) -> Result<()> {
    let own = act::own_file().metadata()?;
    let scene = Scene::play(watcher, "descriptor")?;
    let failures = scene.failures(Call::Chdir, |target| matches!(target, Target::File { .. }));
    let [failure] = failures.as_slice() else { bail!("{} records of one failing fchdir", failures.len()) };
    let Target::File { device, inode, name, .. } = &failure.target else { bail!("no file") };
    ensure!(*inode == own.ino() && !name.is_empty(), "inode {inode} {name:?} instead of {}", own.ino());
    let (major, minor) = (rustix::fs::major(own.dev()), rustix::fs::minor(own.dev()));
    ensure!(*device == (major, minor), "device {device:?} instead of {major}:{minor}");
    Ok(())
}

fn root_changed(watcher: &mut Watcher) -> Result<()> {
    let scene = Scene::play(watcher, "chroot")?;
    let task = scene.find("record of a chroot", |record| if let Record::RootChanged { task } = record { Some(task) } else { None })?;
    scene.is_actor(task)
}

fn listen(watcher: &mut Watcher) -> Result<()> {
    let scene = Scene::play(watcher, "listen")?;
    let of_scene = |wanted: bool| {
        scene.find(if wanted { "record of a listener" } else { "record of a listener's end" }, move |record| match record {
            Record::Listening { task, address, port, open } if *open == wanted => Some((task, address, *port)),
            _ => None,
        })
    };
    let (task, address, port) = of_scene(true)?;
    scene.is_actor(task)?;
    ensure!(address == "0.0.0.0" && port > 0, "{address}:{port}");
    ensure!(of_scene(false)?.2 == port, "another port closed");
    Ok(())
}

/// Nothing is told of it, but it is noted where verdicts about the cgroup look.
fn io_uring(watcher: &mut Watcher) -> Result<()> {
    let cgroup = watcher.cgroup()?;
    let noted = |watcher: &Watcher| watcher.kernel.watched(cgroup.id).is_some_and(|watch| watch.traits & USES_IO_URING != 0);
    ensure!(!noted(watcher), "noted of a cgroup in which nothing has happened");
    let (_, status) = Watcher::act("io-uring", &cgroup)?;
    ensure!(status.success(), "no ring was made: {status}");
    ensure!(noted(watcher), "a ring was made, and not noted");
    Ok(())
}

fn oom_victim(watcher: &mut Watcher) -> Result<()> {
    let cgroup = watcher.cgroup()?;
    let parent = cgroup.directory.parent().context("a cgroup without parent")?;
    let _ = fs::write(parent.join("cgroup.subtree_control"), "+memory");
    if fs::write(cgroup.directory.join("memory.max"), MEMORY_MAX).is_err() {
        bail!(Absent("the memory controller is not in the unified hierarchy".to_owned()));
    }
    let _ = fs::write(cgroup.directory.join("memory.swap.max"), "0");
    let (pid, _) = Watcher::act("eat", &cgroup)?;
    let is_it = |record: &Record| matches!(record, Record::OomVictim { pid: victim, asker } if *victim == pid && *asker == cgroup.id);
    ensure!(watcher.records(is_it).iter().any(is_it), "no record of process {pid}");
    Ok(())
}

/// Detached and attached in one breath: the second must not be refused for the first that is still going on.
fn reattach(watcher: &mut Watcher) -> Result<()> {
    for _ in 0..3 {
        watcher.kernel.detach_starting();
        ensure!(!watcher.kernel.starting_attached(), "still attached");
        watcher.kernel.attach_starting()?;
        let scene = Scene::play(watcher, "open")?;
        ensure!(scene.failures(Call::Open, |target| is_path(target, MISSING)).len() == 1, "nothing was seen after attaching again");
    }
    Ok(())
}

fn counters(watcher: &mut Watcher) -> Result<()> {
    for (hook, row) in watcher.kernel.counters() {
        ensure!(row.adds_up(), "{hook:?} does not add up: {row:?}");
        ensure!(row.failed == 0 && row.ring_full == 0, "{hook:?} lost something: {row:?}");
        let seen = if hook == Hook::IoUring { row.counted } else { row.sent };
        ensure!(seen > 0 || hook == Hook::OomVictim, "{hook:?} saw nothing");
    }
    Ok(())
}

/// The whole agent while the wall clock is set, on and back. Only where nobody else lives by that clock.
fn clock_set(_: &mut Watcher) -> Result<()> {
    if std::process::id() != 1 {
        bail!(Absent("the clock of a machine that is not ours is not set".to_owned()));
    }
    stepped::run()
}
