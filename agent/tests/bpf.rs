//! The kernel half on the running kernel: what each hook tells, what is counted, what is attached when.
//!
//! Needs root and a kernel that takes eBPF programs. Where it cannot run it says why, and fails if `CI` is set: a test that
//! silently does not run is worse than none. Each test has cgroups of its own; the processes in it are this program, started
//! again as the test [`actor`].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm, reason = "tests")]

use std::{
    env, fs,
    net::TcpListener,
    os::unix::{fs::MetadataExt as _, net::UnixListener, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use unready_agent::{
    bpf::{KernelHalf, LoadError, LoadOptions, Reader},
    cgroupfs::CgroupRoot,
    investigate::Investigator,
};
use unready_agent_common::{hooks::Hook, limits::SENT_PER_CGROUP_MAX, watch::Level};
use unready_diagnosis::{
    decode,
    question::{Answer, Question, Scope, View},
    record::{Call, CallFailed, Errno, FileId, Record, Target, Task},
    units::{CgroupId, Process},
};

/// Long enough for any record on a loaded machine; nothing waits for it but a failing test.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);
/// How often "repeat" fails in the same way.
const REPETITIONS: u64 = 50;

static CGROUPS: AtomicU32 = AtomicU32::new(0);

/// A loaded kernel half, or the reason why this machine cannot have one.
struct Lab {
    // Fields are dropped in this order: the ring before the maps, the runtime last.
    reader: Reader,
    kernel: KernelHalf,
    root: CgroupRoot,
    _runtime: tokio::runtime::Runtime,
}

/// A cgroup, removed with its value.
struct Cgroup {
    id: CgroupId,
    directory: PathBuf,
}

impl Lab {
    /// Loads; `None` where that is not possible and not demanded.
    fn open() -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let inside = runtime.enter();
        let loaded = KernelHalf::load(&LoadOptions::default());
        let mut kernel = match loaded {
            Ok(kernel) => kernel,
            Err(error @ (LoadError::NoObject | LoadError::NoBtf(_) | LoadError::NotPermitted(_))) => {
                assert!(env::var("CI").as_deref() != Ok("true"), "the kernel half cannot be tested here: {error}");
                eprintln!("not run: {error}");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let reader = kernel.take_reader().unwrap();
        drop(inside);
        Some(Self { reader, kernel, root: CgroupRoot::find().unwrap(), _runtime: runtime })
    }

    /// Everything attached.
    fn attached() -> Option<Self> {
        let mut lab = Self::open()?;
        lab.kernel.attach_lifecycle().unwrap();
        lab.kernel.attach_starting().unwrap();
        Some(lab)
    }

    fn cgroup(&self) -> Cgroup {
        let number = CGROUPS.fetch_add(1, Ordering::Relaxed);
        let directory = self.root.directory(&format!("/unready-test-{}-{number}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        Cgroup { id: CgroupId(fs::metadata(&directory).unwrap().ino()), directory }
    }

    /// Everything that is told until the process with this id has ended; the records of others are left out.
    fn until_exit(&mut self, pid: u32, cgroup: &Cgroup) -> Vec<Record> {
        let is_end = |record: &Record| matches!(record, Record::Exit { task, .. } if task.process.pid == pid);
        let records = self.until(is_end);
        assert!(records.iter().any(is_end), "no end of process {pid} after {PATIENCE:?}");
        records.into_iter().filter(|record| cgroup_of(record).is_none_or(|id| id == cgroup.id)).collect()
    }

    /// Everything that is told until one record is wanted, or patience ends.
    fn until(&mut self, wanted: impl Fn(&Record) -> bool) -> Vec<Record> {
        let began = Instant::now();
        let mut records = Vec::new();
        loop {
            let taken = self.reader.drain(|bytes| records.push(decode::decode(bytes).expect("decodes").1));
            if taken == 0 && (records.iter().any(&wanted) || began.elapsed() > PATIENCE) {
                return records;
            }
            if taken == 0 {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Lets an actor do something in a cgroup, and returns what was told of it.
    fn play(&mut self, what: &str, cgroup: &Cgroup) -> Vec<Record> {
        let pid = act(what, cgroup);
        self.until_exit(pid, cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..500 {
            match fs::remove_dir(&self.directory) {
                Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => std::thread::sleep(PAUSE),
                _ => break,
            }
        }
    }
}

fn cgroup_of(record: &Record) -> Option<CgroupId> {
    match record {
        Record::CgroupCreated { id, .. } | Record::CgroupRemoved { id } | Record::CgroupAttached { id, .. } => Some(*id),
        Record::Exec { task, .. } | Record::Exit { task, .. } | Record::RootChanged { task } | Record::Listening { task, .. } => {
            Some(task.cgroup)
        }
        Record::CallFailed(failure) => Some(failure.task.cgroup),
        _ => None,
    }
}

/// Runs [`actor`] in a cgroup; its process id.
fn act(what: &str, cgroup: &Cgroup) -> u32 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "actor", "--ignored", "--nocapture", "--test-threads=1"])
        .env("UNREADY_TEST_ACT", what)
        .env("UNREADY_TEST_CGROUP", &cgroup.directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    assert!(child.wait().unwrap().success(), "the actor could not {what}");
    pid
}

/// Not a test: what the processes of the tests do.
#[test]
#[ignore = "only run by the other tests, as a process of its own"]
fn actor() {
    let (Ok(what), Ok(cgroup)) = (env::var("UNREADY_TEST_ACT"), env::var("UNREADY_TEST_CGROUP")) else {
        return;
    };
    fs::write(Path::new(&cgroup).join("cgroup.procs"), "0").unwrap();
    let missing = "/nonexistent/unready";
    match what.as_str() {
        "nothing" => {}
        "open" => drop(fs::File::open(missing)),
        "repeat" => (0..REPETITIONS).for_each(|_| drop(fs::File::open(missing))),
        "flood" => (0..SENT_PER_CGROUP_MAX + 100).for_each(|number| drop(fs::File::open(format!("{missing}/{number}")))),
        "long" => drop(fs::File::open(format!("/{}", "x".repeat(254)))),
        "too-long" => drop(fs::File::open(format!("/nonexistent/{}", "x".repeat(400)))),
        "names" => names(missing),
        "sockets" => sockets(),
        "unprivileged" => unprivileged(),
        "relative" => relative(),
        "listen" => drop(TcpListener::bind("127.0.0.1:0").unwrap()),
        other => panic!("{other} is nothing to do"),
    }
}

/// One failure of each call that takes names.
fn names(missing: &str) {
    use rustix::fs::{self, AtFlags, CWD, Mode};
    let mode = Mode::from_raw_mode(0o600);
    let _ = fs::access(missing, fs::Access::READ_OK);
    let _ = fs::mkdir(format!("{missing}/mkdir"), mode);
    let _ = fs::unlink(format!("{missing}/unlink"));
    let _ = fs::unlinkat(CWD, format!("{missing}/rmdir"), AtFlags::REMOVEDIR);
    let _ = fs::rename(format!("{missing}/from"), format!("{missing}/to"));
    let _ = fs::link(format!("{missing}/old"), format!("{missing}/link"));
    let _ = fs::symlink("the/target", format!("{missing}/symlink"));
    let _ = fs::chmod(format!("{missing}/chmod"), mode);
    let _ = fs::chown(format!("{missing}/chown"), Some(fs::Uid::from_raw(12)), Some(fs::Gid::from_raw(34)));
    let _ = std::fs::OpenOptions::new().write(true).open("relative/unready");
    let _ = rustix::process::chdir(format!("{missing}/chdir"));
    let _ = fs::readlink(format!("{missing}/readlink"), Vec::new());
    let _ = fs::stat(format!("{missing}/stat"));
    let _ = Command::new(format!("{missing}/exec")).spawn();
    let directory = std::fs::File::open("/").unwrap();
    let _ = rustix::io::read(&directory, &mut [0; 8]);
    let _ = fs::fchmod(std::fs::File::open("/proc/self/ns/user").unwrap(), mode);
}

/// Relative failures in a directory that it has changed into, and through a descriptor.
fn relative() {
    use rustix::fs::{self, Mode, OFlags};
    let other = std::fs::File::open("/proc/sys").unwrap();
    env::set_current_dir("/sys/kernel").unwrap();
    let _ = fs::open("unready/file", OFlags::RDONLY, Mode::empty());
    let _ = fs::openat(&other, "unready/at", OFlags::RDONLY, Mode::empty());
    let _ = fs::rename("/nonexistent/unready/from", "unready/to");
    let _ = fs::renameat(&other, "unready/old", fs::CWD, "unready/new");
    let _ = UnixStream::connect("unready.sock");
    let _ = fs::symlink("the/target", "unready/symlink");
}

fn sockets() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let _ = TcpListener::bind(taken.local_addr().unwrap());
    let _ = TcpListener::bind("192.0.2.1:80"); // TEST-NET-1: nobody's address
    let _ = UnixStream::connect("/nonexistent/unready.sock");
    let _ = UnixListener::bind("/nonexistent/unready.sock");
    let _ = std::net::TcpStream::connect("127.0.0.1:1"); // of no interest
}

/// Gives everything up, then tries what only root may.
fn unprivileged() {
    use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    set_thread_groups(&[Gid::from_raw(71), Gid::from_raw(72)]).unwrap();
    set_thread_res_gid(Gid::from_raw(70), Gid::from_raw(70), Gid::from_raw(70)).unwrap();
    set_thread_res_uid(Uid::from_raw(60), Uid::from_raw(60), Uid::from_raw(60)).unwrap();
    let _ = set_thread_res_uid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0));
    let _ = set_thread_groups(&[Gid::from_raw(0)]);
    let _ = fs::create_dir("/unready-not-for-uid-60");
}

fn failures(records: &[Record], call: Call) -> Vec<&CallFailed> {
    let all = records.iter().filter_map(|record| if let Record::CallFailed(failure) = record { Some(&**failure) } else { None });
    all.filter(|failure| failure.call == call).collect()
}

/// The only failure of a call whose target answers.
fn the_failure(records: &[Record], call: Call, wanted: impl Fn(&Target) -> bool) -> &CallFailed {
    let all = failures(records, call);
    let found: Vec<_> = all.iter().filter(|failure| wanted(&failure.target)).collect();
    assert_eq!(found.len(), 1, "{call:?} among {all:#?}");
    found[0]
}

fn is_path(suffix: &str) -> impl Fn(&Target) -> bool {
    move |target| matches!(target, Target::Path(path) if path.path == format!("/nonexistent/unready{suffix}"))
}

#[test]
fn a_failing_open_is_told_once_and_counted() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    let records = lab.play("repeat", &cgroup);
    let failure = the_failure(&records, Call::Open, is_path(""));
    assert_eq!(failure.errno, Errno::ENOENT);
    let (_, value) = lab.kernel.repeats().find(|(key, _)| key.cgroup == cgroup.id.0 && key.hash == failure.hash).expect("was counted");
    assert_eq!(value.count, REPETITIONS);
    assert_eq!(value.tgid, failure.task.process.pid);
}

#[test]
fn every_call_with_names_is_told_with_its_arguments() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    let records = lab.play("names", &cgroup);
    for (call, suffix) in [
        (Call::Access, ""),
        (Call::Mkdir, "/mkdir"),
        (Call::Unlink, "/unlink"),
        (Call::Chmod, "/chmod"),
        (Call::Chdir, "/chdir"),
        (Call::Readlink, "/readlink"),
        (Call::Stat, "/stat"),
        (Call::Exec, "/exec"),
    ] {
        assert_eq!(the_failure(&records, call, is_path(suffix)).errno, Errno::ENOENT, "{call:?}");
    }
    let rmdir = records.iter().find_map(|record| match record {
        Record::CallFailed(failure) if is_path("/rmdir")(&failure.target) => Some(failure.call),
        _ => None,
    });
    assert!(matches!(rmdir, Some(Call::Rmdir | Call::Unlink)), "{rmdir:?}");
    let chown = the_failure(&records, Call::Chown, is_path("/chown"));
    assert_eq!(chown.arg, (12 << 32) + 34);
    let read = the_failure(&records, Call::Read, |target| matches!(target, Target::File { .. }));
    let Target::File { inode, name, .. } = &read.target else { unreachable!() };
    assert_eq!((*inode, name.as_str(), read.errno), (fs::metadata("/").unwrap().ino(), "/", Errno::EISDIR));
}

#[test]
fn two_paths_and_relative_ones_are_told_apart() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    let records = lab.play("names", &cgroup);
    for (call, one, two) in [
        (Call::Rename, "/nonexistent/unready/from", "/nonexistent/unready/to"),
        (Call::Link, "/nonexistent/unready/old", "/nonexistent/unready/link"),
        (Call::Symlink, "the/target", "/nonexistent/unready/symlink"),
    ] {
        the_failure(&records, call, |target| matches!(target, Target::Paths { from, to } if from.path == one && to.path == two));
    }
    let relative = the_failure(&records, Call::Open, |target| matches!(target, Target::Path(path) if path.path == "relative/unready"));
    assert_eq!(relative.arg & 3, 1, "flags {:o}", relative.arg);
    let Target::Path(path) = &relative.target else { unreachable!() };
    assert_eq!(path.dirfd, None);
}

fn file_id(path: &str) -> FileId {
    let metadata = fs::metadata(path).unwrap();
    FileId { device: (rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev())), inode: metadata.ino() }
}

#[test]
fn where_a_relative_path_starts_is_told() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    let records = lab.play("relative", &cgroup);
    let (here, other) = (Some(file_id("/sys/kernel")), Some(file_id("/proc/sys")));
    let path = |name: &str| {
        let wanted = |target: &Target| matches!(target, Target::Path(path) if path.path == name);
        match &the_failure(&records, Call::Open, wanted).target {
            Target::Path(path) => (path.dirfd.is_some(), path.start),
            _ => unreachable!(),
        }
    };
    assert_eq!(path("unready/file"), (false, here));
    assert_eq!(path("unready/at"), (true, other));
    let paths = |call, last: &str| {
        let wanted = |target: &Target| matches!(target, Target::Paths { to, .. } if to.path == last);
        match &the_failure(&records, call, wanted).target {
            Target::Paths { from, to } => (from.start, to.start),
            _ => unreachable!(),
        }
    };
    assert_eq!(paths(Call::Rename, "unready/to"), (None, here));
    assert_eq!(paths(Call::Rename, "unready/new"), (other, None), "there is room for one");
    assert_eq!(paths(Call::Symlink, "unready/symlink"), (None, here));
    let unix = |target: &Target| matches!(target, Target::Unix(path) if path.path == "unready.sock" && path.start == here);
    the_failure(&records, Call::Connect, unix);
}

#[test]
fn a_relative_path_is_walked_after_its_process_has_ended() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    let records = lab.play("relative", &cgroup);
    let investigator = Investigator::new(lab.root.clone());
    for record in &records {
        investigator.note(record);
    }
    let failure = the_failure(&records, Call::Open, |target| matches!(target, Target::Path(path) if path.path == "unready/file"));
    // The actor was executed before it entered the cgroup. We stand for its first program, which works elsewhere.
    let us = Process { pid: std::process::id(), start: 0 };
    let task = Task { process: us, ..failure.task.clone() };
    investigator.note(&Record::Exec { task, uid: 0, gid: 0, path: String::new(), args: Vec::new() });

    let Target::Path(path) = &failure.target else { unreachable!() };
    let scope = Scope { cgroup: cgroup.id, process: failure.task.process };
    let walk = |start| {
        let question = Question::WalkPath { scope, path: path.path.clone(), dirfd: path.dirfd, start, follow: true };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        match runtime.block_on(investigator.answer(question)) {
            Answer::Walk(walk) => walk,
            other => panic!("no walk: {other:?}"),
        }
    };
    assert!(path.start.is_some());
    let walked = walk(path.start);
    assert_eq!((walked.view, walked.resolved.as_deref()), (View::Held, Some("/sys/kernel/unready/file")));
    let elsewhere = PathBuf::from(walk(None).resolved.unwrap());
    assert_eq!(elsewhere, env::current_dir().unwrap().join("unready/file"), "without the kernel's word it is a guess");
}

#[test]
fn long_paths_are_marked_when_cut() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    let whole = lab.play("long", &cgroup);
    the_failure(&whole, Call::Open, |target| matches!(target, Target::Path(path) if path.path.len() == 255 && !path.cut));
    let cut = lab.play("too-long", &cgroup);
    the_failure(&cut, Call::Open, |target| matches!(target, Target::Path(path) if path.path.starts_with("/nonexistent/xxx") && path.cut));
}

#[test]
fn socket_addresses_are_told() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    let records = lab.play("sockets", &cgroup);
    let errno =
        |address: &str| the_failure(&records, Call::Bind, |target| matches!(target, Target::Inet { address: a, .. } if a == address)).errno;
    assert_eq!(errno("127.0.0.1"), Errno::EADDRINUSE);
    assert_eq!(errno("192.0.2.1"), Errno::EADDRNOTAVAIL);
    for call in [Call::Bind, Call::Connect] {
        let unix = the_failure(&records, call, |target| matches!(target, Target::Unix(path) if path.path == "/nonexistent/unready.sock"));
        assert_eq!(unix.errno, Errno::ENOENT, "{call:?}");
    }
    assert_eq!(failures(&records, Call::Connect).len(), 1, "a connect to an address is of no interest");
}

#[test]
fn rights_are_those_of_the_moment() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    let records = lab.play("unprivileged", &cgroup);
    let denied =
        the_failure(&records, Call::Mkdir, |target| matches!(target, Target::Path(path) if path.path == "/unready-not-for-uid-60"));
    assert_eq!(denied.errno, Errno::EACCES);
    let creds = &denied.creds;
    assert_eq!((creds.fsuid, creds.fsgid, creds.cap_effective, creds.groups.as_slice()), (60, 70, 0, &[71, 72][..]));
    assert_eq!(failures(&records, Call::Setuid).iter().filter(|failure| failure.errno == Errno::EPERM).count(), 1);
    assert_eq!(failures(&records, Call::Setgroups).iter().filter(|failure| failure.errno == Errno::EPERM).count(), 1);
}

#[test]
fn the_life_of_a_cgroup_is_told() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    let id = cgroup.id;
    let watch = lab.kernel.watched(id).expect("a new cgroup is watched at once");
    assert_eq!(watch.level, Level::Starting as u32);
    let records = lab.play("listen", &cgroup);
    assert!(
        records
            .iter()
            .any(|record| matches!(record, Record::CgroupCreated { path, .. } if cgroup.directory.ends_with(path.trim_start_matches('/'))))
    );
    assert!(records.iter().any(|record| matches!(record, Record::CgroupAttached { .. })));
    for wanted in [true, false] {
        assert!(
            records
                .iter()
                .any(|record| matches!(record, Record::Listening { address, open, .. } if address == "127.0.0.1" && *open == wanted))
        );
    }
    drop(cgroup);
    let is_end = |record: &Record| matches!(record, Record::CgroupRemoved { id: gone } if *gone == id);
    assert!(lab.until(is_end).iter().any(is_end));
    assert_eq!(lab.kernel.watched(id), None);
}

#[test]
fn cgroups_of_other_hierarchies_are_no_business_of_ours() {
    let Some(mut lab) = Lab::attached() else { return };
    let Some(v1) = lab.root.v1_memory().map(Path::to_path_buf) else {
        eprintln!("not run: this machine has no v1 hierarchy");
        return;
    };
    let directory = v1.join(format!("unready-test-{}", std::process::id()));
    let filtered = |kernel: &KernelHalf| kernel.counters().iter().find(|(hook, _)| *hook == Hook::CgroupMkdir).unwrap().1.filtered;
    let before = filtered(&lab.kernel);
    fs::create_dir(&directory).unwrap();
    let id = CgroupId(fs::metadata(&directory).unwrap().ino());
    fs::remove_dir(&directory).unwrap();
    assert!(filtered(&lab.kernel) > before);
    let cgroup = lab.cgroup();
    let is_next = |record: &Record| matches!(record, Record::CgroupCreated { id, .. } if *id == cgroup.id);
    let told = lab.until(is_next);
    assert!(told.iter().all(|record| !matches!(record, Record::CgroupCreated { id: other, path, .. } if *other == id && path.ends_with(&std::process::id().to_string()))));
}

#[test]
fn attention_decides_what_is_told() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    lab.kernel.watch(cgroup.id, Some(Level::Rest), None).unwrap();
    let at_rest = act("open", &cgroup); // neither its failing call is told nor that it began and ended

    lab.kernel.watch(cgroup.id, None, None).unwrap();
    lab.kernel.watch(cgroup.id, None, None).unwrap(); // a second time is no error
    let ignored = act("open", &cgroup);
    lab.kernel.watch(cgroup.id, Some(Level::Starting), None).unwrap();
    let pid = act("open", &cgroup);
    let records = lab.until_exit(pid, &cgroup);
    let untold = |record: &Record| match record {
        Record::Exec { task, .. } | Record::Exit { task, .. } => [at_rest, ignored].contains(&task.process.pid),
        _ => false,
    };
    assert!(!records.iter().any(untold), "{records:?}");
    the_failure(&records, Call::Open, is_path(""));
}

#[test]
fn a_flood_is_cut_off_and_counted() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    let records = lab.play("flood", &cgroup);
    let sent = records.iter().filter(|record| matches!(record, Record::CallFailed(_))).count() as u64;
    let watch = lab.kernel.watched(cgroup.id).unwrap();
    assert_eq!((sent, watch.sent), (SENT_PER_CGROUP_MAX, SENT_PER_CGROUP_MAX));
    assert!(watch.suppressed >= 100, "{watch:?}");
}

#[test]
fn the_counters_add_up() {
    let Some(mut lab) = Lab::attached() else { return };
    let cgroup = lab.cgroup();
    lab.play("names", &cgroup);
    lab.play("sockets", &cgroup);
    lab.kernel.detach_starting();
    let counters = lab.kernel.counters();
    assert_eq!(counters.len(), Hook::ALL.len());
    let failed = counters.iter().find(|(hook, _)| *hook == Hook::CallFailed).unwrap().1;
    assert!(failed.sent > 10 && failed.filtered > 0, "{failed:?}");
    assert_eq!(failed.failed, 0, "{failed:?}");
}

/// The kernel's own list of what is attached where: descriptors of ours that are links, and what they say.
fn links() -> Vec<String> {
    let descriptors = fs::read_dir("/proc/self/fdinfo").unwrap();
    let texts = descriptors.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    texts.filter(|text| text.contains("link_type:")).collect()
}

#[test]
fn at_rest_no_system_call_is_traced() {
    // The tests of this program share one table of descriptors: look at a process of its own.
    if env::var("UNREADY_TEST_ALONE").is_err() {
        let alone = Command::new(env::current_exe().unwrap())
            .args(["--exact", "at_rest_no_system_call_is_traced", "--nocapture"])
            .env("UNREADY_TEST_ALONE", "1")
            .status();
        assert!(alone.unwrap().success());
        return;
    }
    let Some(mut lab) = Lab::open() else { return };
    assert_eq!(links().len(), 0, "loading attaches nothing");
    lab.kernel.attach_lifecycle().unwrap();
    let is_system_call = |text: &String| text.contains("sys_");
    assert_eq!(links().iter().filter(|text| is_system_call(text)).count(), 0, "{:#?}", links());
    lab.kernel.attach_starting().unwrap();
    lab.kernel.attach_starting().unwrap();
    let attached = links().len();
    assert!(links().iter().any(is_system_call), "{:#?}", links());
    lab.kernel.detach_starting();
    assert!(!lab.kernel.starting_attached());
    let began = Instant::now();
    while links().iter().any(is_system_call) && began.elapsed() < PATIENCE {
        std::thread::sleep(PAUSE);
    }
    assert_eq!(links().iter().filter(|text| is_system_call(text)).count(), 0);
    lab.kernel.attach_starting().unwrap();
    assert_eq!(links().len(), attached);
}

#[test]
fn attaching_again_while_detaching_works() {
    let Some(mut lab) = Lab::attached() else { return };
    for _ in 0..5 {
        lab.kernel.detach_starting();
        lab.kernel.attach_starting().unwrap();
        let cgroup = lab.cgroup();
        let records = lab.play("open", &cgroup);
        the_failure(&records, Call::Open, is_path(""));
    }
}

#[tokio::test]
async fn the_reader_wakes_up_and_takes_all() {
    let Some(mut lab) = tokio::task::spawn_blocking(Lab::attached).await.unwrap() else { return };
    let mut kernel = KernelHalf::load(&LoadOptions { debug_log: true }).unwrap();
    let mut reader = kernel.take_reader().unwrap();
    kernel.attach_lifecycle().unwrap();
    let cgroup = lab.cgroup();
    let seen = async {
        loop {
            reader.ready().await.unwrap();
            let mut seen = false;
            reader.drain(|bytes| seen |= matches!(decode::decode(bytes), Ok((_, Record::CgroupCreated { id, .. })) if id == cgroup.id));
            if seen {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("woke up");
    let rest = lab.until(|record| matches!(record, Record::CgroupCreated { id, .. } if *id == cgroup.id));
    assert!(!rest.is_empty());
    tokio::task::spawn_blocking(move || drop((cgroup, lab))).await.unwrap();
}
