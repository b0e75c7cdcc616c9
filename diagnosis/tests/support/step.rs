//! One line of a scenario: `TIME [PID] WHAT …`, in the words of strace where there are any.
//!
//! ```text
//! 0ms  exec /usr/bin/app --port 80           a program is executed (its name is the last part of the path)
//! 1ms  [101<100] exec /bin/sh -c "a b"       by process 101, child of 100; without it: process 100, child of 1
//! 2ms  as 101:101:2000 caps=none             the process's rights from here on
//! 3ms  fails open /data/x O_RDWR|O_CREAT = EACCES x14 over 3.2s
//! 4ms  fails rename /tmp/a /data/a = EROFS   (link, symlink: TEXT LINK)
//! 4ms  fails open dirfd:5/x O_RDONLY = ENOENT
//! 4ms  fails mkdir start:8:16:77/x = EACCES           the working directory by device and inode
//! 5ms  fails write 4 wal.log 8:1 77 = ENOSPC (descriptor, name, device, inode; sync, read, readdir too)
//! 6ms  fails bind 0.0.0.0:80 = EACCES        (or /run/x.sock, @abstract)
//! 7ms  says Permission denied                a line on stderr
//! 8ms  listen 0.0.0.0:80 · unlisten 0.0.0.0:80
//! 9ms  oom                                   the kernel chooses this process
//! 9ms  exit 1 · killed SIGKILL
//! 0ms  attach runc:[2:INIT] · enter          the runtime: moved into the cgroup, entered the root
//! 2s   status {phase: Running, containers: [...]}   the pod's status from here on: the keys given replace those before
//! 3s   event {reason: FailedMount, message: ...}    one more event of the pod; claim {name: …} likewise
//! 9s   deleted · gone · tick                        the pod: a deletion timestamp, no longer there; nothing at all
//! 9ms  ready · give-up · lost 3 · removed
//! ```

use std::{collections::BTreeMap, time::Duration};
use unready_diagnosis::{
    input::{Input, Loss, RunChange},
    record::{Call, CallFailed, Creds, Errno, ExitStatus, FileId, PathArg, Record, Target, Task},
    units::{BootNanos, CgroupId, Process},
};

/// When the cgroup of a scenario is made; its steps count from here.
pub const START: BootNanos = BootNanos(1_000_000_000_000);

/// Turns lines into inputs and remembers the processes that they speak of.
#[derive(Debug)]
pub struct Reader {
    cgroup: CgroupId,
    start: BootNanos,
    /// Added to every process id.
    first_pid: u32,
    creds: Creds,
    user_ns: u32,
    processes: BTreeMap<u32, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    start: u64,
    parent: u32,
    comm: String,
    creds: Creds,
    ended: bool,
}

impl Reader {
    pub fn new(cgroup: CgroupId, start: BootNanos, first_pid: u32, creds: Option<&str>, user_ns: u32) -> Self {
        let creds = Creds { user_ns, ..rights(creds.unwrap_or("0:0")) };
        Self { cgroup, start, first_pid, creds, user_ns, processes: BTreeMap::new() }
    }

    /// Whether every process that was spoken of has ended.
    pub fn all_ended(&self) -> bool {
        !self.processes.is_empty() && self.processes.values().all(|known| known.ended)
    }

    /// The inputs of one line.
    pub fn read(&mut self, line: &str) -> Vec<(BootNanos, Input)> {
        let (time, rest) = line.split_once(' ').unwrap_or_else(|| panic!("a step needs a time and a word: {line:?}"));
        let at = self.start.after(duration(time));
        let rest = rest.trim_start();
        let (pid, parent, rest) = actor(rest);
        let (pid, parent) = (self.first_pid + pid, parent.map(|parent| self.first_pid + parent));
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let rest = rest.trim_start();
        self.meet(pid, parent, at);
        let cgroup = self.cgroup;
        let one = |record| vec![(at, Input::Record(record))];
        match verb {
            "exec" => one(self.exec(pid, rest)),
            "as" => {
                self.known(pid).creds = Creds { user_ns: self.user_ns, ..rights(rest) };
                Vec::new()
            }
            "exit" => one(self.exit(pid, ExitStatus::Code(number(rest)))),
            "killed" => one(self.exit(pid, ExitStatus::Signal(signal(rest)))),
            "oom" => one(Record::OomVictim { pid, asker: cgroup }),
            "attach" => {
                rest.clone_into(&mut self.known(pid).comm);
                one(Record::CgroupAttached { id: cgroup, pid, comm: rest.to_owned() })
            }
            "enter" => one(Record::RootChanged { task: self.task(pid) }),
            "listen" | "unlisten" => {
                let (address, port) = address(rest).unwrap_or_else(|| panic!("no address: {line:?}"));
                one(Record::Listening { task: self.task(pid), address, port, open: verb == "listen" })
            }
            "says" => one(Record::Output { cgroup, line: rest.to_owned() }),
            "removed" => one(Record::CgroupRemoved { id: cgroup }),
            "ready" => vec![(at, Input::Run(RunChange::Ready { cgroup }))],
            "give-up" => vec![(at, Input::Run(RunChange::GiveUp { cgroup }))],
            "lost" => vec![(at, Input::Loss(Loss { lost: number(rest), ..Loss::default() }))],
            "fails" => self.fails(pid, rest, at),
            _ => panic!("unknown step {verb:?} in {line:?}"),
        }
    }

    fn known(&mut self, pid: u32) -> &mut Known {
        self.processes.get_mut(&pid).expect("met before")
    }

    /// Another process is met when its number is used again after its end, or for the first time.
    fn meet(&mut self, pid: u32, parent: Option<u32>, at: BootNanos) {
        let creds = parent.and_then(|parent| self.processes.get(&parent)).map_or_else(|| self.creds.clone(), |known| known.creds.clone());
        let comm =
            parent.and_then(|parent| self.processes.get(&parent)).map_or_else(|| "runc:[2:INIT]".to_owned(), |known| known.comm.clone());
        let fresh = Known { start: at.0, parent: parent.unwrap_or(1), comm, creds, ended: false };
        self.processes.entry(pid).or_insert(fresh);
    }

    fn task(&self, pid: u32) -> Task {
        let known = &self.processes[&pid];
        let process = Process { pid, start: known.start };
        Task { cgroup: self.cgroup, process, tid: pid, parent: known.parent, comm: known.comm.clone() }
    }

    fn exec(&mut self, pid: u32, rest: &str) -> Record {
        let words = words(rest);
        let path = words.first().unwrap_or_else(|| panic!("exec of what?")).clone();
        let base = path.rsplit('/').next().unwrap_or_default();
        self.known(pid).comm = base.chars().take(15).collect();
        let (uid, gid) = (self.known(pid).creds.uid, self.known(pid).creds.gid);
        Record::Exec { task: self.task(pid), uid, gid, path, args: words }
    }

    fn exit(&mut self, pid: u32, status: ExitStatus) -> Record {
        self.known(pid).ended = true;
        Record::Exit { task: self.task(pid), status }
    }

    fn fails(&self, pid: u32, rest: &str, at: BootNanos) -> Vec<(BootNanos, Input)> {
        let (call, outcome) = rest.rsplit_once(" = ").unwrap_or_else(|| panic!("fails CALL … = ERRNO, not {rest:?}"));
        let mut outcome = outcome.split_whitespace();
        let errno = outcome.next().and_then(Errno::from_name).unwrap_or_else(|| panic!("unknown errno in {rest:?}"));
        let times = outcome.next().map_or(1, |times| number::<u64>(times.trim_start_matches('x')));
        let over = outcome.nth(1).map_or(Duration::ZERO, duration);
        let words = words(call);
        let (call, arg, target) = call_of(&words);
        let hash = hash(&format!("{target:?}{arg}"));
        let creds = self.processes[&pid].creds.clone();
        let failed = CallFailed { task: self.task(pid), creds, call, errno, arg, target, hash };
        let mut inputs = vec![(at, Input::Record(Record::CallFailed(Box::new(failed))))];
        for (count, last) in readings(times, over) {
            let last = at.after(last);
            let again = Record::Repeated { cgroup: self.cgroup, hash, call, errno, count, last, pid };
            inputs.push((last.after(Duration::from_millis(1)), Input::Record(again)));
        }
        inputs
    }
}

/// What the kernel's counters say, read twice a second: how often by when.
fn readings(times: u64, over: Duration) -> Vec<(u64, Duration)> {
    const INTERVAL: Duration = Duration::from_millis(500);
    if times < 2 {
        return Vec::new();
    }
    let gap = over / u32::try_from(times - 1).unwrap();
    let count_at = |when: Duration| 1 + u64::try_from(when.as_nanos() / gap.as_nanos().max(1)).unwrap();
    let on_the_way = (1_u32..).map(|n| INTERVAL * n).take_while(|when| *when < over).map(|when| (count_at(when).min(times), when));
    on_the_way.chain([(times, over)]).filter(|(count, _)| *count > 1).collect()
}

/// `[101<100] …`
fn actor(rest: &str) -> (u32, Option<u32>, &str) {
    let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else { return (100, None, rest) };
    let (pid, parent) = inside.split_once('<').map_or((inside, None), |(pid, parent)| (pid, Some(number(parent))));
    (number(pid), parent, after.trim_start())
}

fn call_of(words: &[String]) -> (Call, u64, Target) {
    let word = |index: usize| words.get(index).map_or_else(|| panic!("too few words: {words:?}"), String::as_str);
    let path = |index| Target::Path(path_arg(word(index)));
    let two = || Target::Paths { from: path_arg(word(1)), to: path_arg(word(2)) };
    match word(0) {
        "open" => (Call::Open, open_flags(word(2)), path(1)),
        "access" => (Call::Access, access_mode(word(2)), path(1)),
        "exec" => (Call::Exec, 0, path(1)),
        "mkdir" => (Call::Mkdir, 0o755, path(1)),
        "unlink" => (Call::Unlink, 0, path(1)),
        "rmdir" => (Call::Rmdir, 0, path(1)),
        "rename" => (Call::Rename, 0, two()),
        "link" => (Call::Link, 0, two()),
        "symlink" => (Call::Symlink, 0, two()),
        "chmod" => (Call::Chmod, octal(word(2)).into(), path(1)),
        "chown" => {
            let (uid, gid) = word(2).split_once(':').unwrap_or_else(|| panic!("uid:gid in {words:?}"));
            (Call::Chown, number::<u64>(uid) << 32 | number::<u64>(gid), path(1))
        }
        "truncate" => (Call::Truncate, 0, path(1)),
        "chdir" => (Call::Chdir, 0, path(1)),
        "mknod" => (Call::Mknod, 0, path(1)),
        "readlink" => (Call::Readlink, 0, path(1)),
        "stat" => (Call::Stat, 0, path(1)),
        "setuid" => (Call::Setuid, number(word(1)), Target::Nothing),
        "setgid" => (Call::Setgid, number(word(1)), Target::Nothing),
        "setgroups" => (Call::Setgroups, number(word(1)), Target::Nothing),
        "write" => (Call::Write, 0, file(words)),
        "sync" => (Call::Sync, 0, file(words)),
        "read" => (Call::Read, 0, file(words)),
        "readdir" => (Call::Readdir, 0, file(words)),
        "bind" => (Call::Bind, 0, socket(word(1))),
        "connect" => (Call::Connect, 0, socket(word(1))),
        "socket" => (Call::Socket, number(word(1)), Target::Nothing),
        "accept" => (Call::Accept, 0, Target::Nothing),
        "clone" => (Call::Clone, 0x3d_0f00, Target::Nothing), // as pthread_create does
        "fork" => (Call::Clone, 0x11, Target::Nothing),
        other => panic!("unknown call {other:?}"),
    }
}

fn path_arg(word: &str) -> PathArg {
    if let Some((start, path)) = word.strip_prefix("start:").and_then(|rest| rest.split_once('/')) {
        let [major, minor, inode] = start.split(':').collect::<Vec<_>>()[..] else { panic!("start:MAJOR:MINOR:INODE/PATH, not {word:?}") };
        let start = FileId { device: (number(major), number(minor)), inode: number(inode) };
        return PathArg { start: Some(start), ..PathArg::new(path) };
    }
    let relative = word.strip_prefix("dirfd:").and_then(|rest| rest.split_once('/'));
    relative.map_or_else(|| PathArg::new(word), |(fd, path)| PathArg { dirfd: Some(number(fd)), ..PathArg::new(path) })
}

fn file(words: &[String]) -> Target {
    let [_, fd, name, device, inode] = words else { panic!("CALL FD NAME MAJOR:MINOR INODE, not {words:?}") };
    let (major, minor) = device.split_once(':').unwrap_or_else(|| panic!("a device is MAJOR:MINOR, not {device:?}"));
    Target::File { fd: number(fd), device: (number(major), number(minor)), inode: number(inode), name: name.clone() }
}

fn socket(word: &str) -> Target {
    match address(word) {
        Some((address, port)) => Target::Inet { address, port },
        None => Target::Unix(PathArg::new(word)),
    }
}

/// `0.0.0.0:80`, `:::80`, `[::1]:80`.
fn address(word: &str) -> Option<(String, u16)> {
    let (address, port) = word.rsplit_once(':')?;
    Some((address.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}

fn open_flags(text: &str) -> u64 {
    // The numbers of x86-64, include/uapi/asm-generic/fcntl.h.
    let flag = |name| match name {
        "O_RDONLY" => 0,
        "O_WRONLY" => 1,
        "O_RDWR" => 2,
        "O_CREAT" => 0o100,
        "O_EXCL" => 0o200,
        "O_TRUNC" => 0o1000,
        "O_APPEND" => 0o2000,
        "O_DIRECTORY" => 0o20_0000,
        "O_NOFOLLOW" => 0o40_0000,
        "O_CLOEXEC" => 0o200_0000,
        _ => panic!("unknown open flag {name:?}"),
    };
    text.split('|').map(flag).sum()
}

fn access_mode(text: &str) -> u64 {
    let mode = |name| match name {
        "F_OK" => 0,
        "X_OK" => 1,
        "W_OK" => 2,
        "R_OK" => 4,
        _ => panic!("unknown access mode {name:?}"),
    };
    text.split('|').map(mode).sum()
}

/// `uid:gid[:group,group…] [caps=NAME,…|all|none]`; root has all capabilities unless told otherwise.
pub fn rights(text: &str) -> Creds {
    let mut words = text.split_whitespace();
    let mut ids = words.next().unwrap_or_else(|| panic!("uid:gid, not {text:?}")).split(':');
    let uid = number(ids.next().unwrap_or_default());
    let gid = number(ids.next().unwrap_or_default());
    let groups = ids.next().map(|list| list.split(',').map(number).collect()).unwrap_or_default();
    let caps = words.next().map(|word| word.strip_prefix("caps=").unwrap_or_else(|| panic!("caps=…, not {word:?}")));
    let cap_effective = match caps {
        Some("all") => u64::MAX >> 23,
        None if uid == 0 => u64::MAX >> 23,
        None | Some("none") => 0,
        Some(names) => names.split(',').map(|name| 1_u64 << capability(name)).sum(),
    };
    Creds { uid, gid, euid: uid, egid: gid, fsuid: uid, fsgid: gid, cap_effective, groups, ..Creds::default() }
}

fn capability(name: &str) -> u32 {
    match name {
        "CHOWN" => 0,
        "DAC_OVERRIDE" => 1,
        "DAC_READ_SEARCH" => 2,
        "FOWNER" => 3,
        "KILL" => 5,
        "SETGID" => 6,
        "SETUID" => 7,
        "NET_BIND_SERVICE" => 10,
        "NET_RAW" => 13,
        "SYS_CHROOT" => 18,
        "SYS_ADMIN" => 21,
        _ => panic!("unknown capability {name:?}"),
    }
}

fn signal(name: &str) -> u8 {
    match name {
        "SIGINT" => 2,
        "SIGILL" => 4,
        "SIGABRT" => 6,
        "SIGBUS" => 7,
        "SIGKILL" => 9,
        "SIGSEGV" => 11,
        "SIGTERM" => 15,
        "SIGSYS" => 31,
        _ => panic!("unknown signal {name:?}"),
    }
}

/// `12ms`, `1.5s`, `300us`.
pub fn duration(text: &str) -> Duration {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (digits, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit))).unwrap_or_else(|| panic!("no unit: {text:?}"));
    Duration::from_secs_f64(digits.parse::<f64>().unwrap_or_else(|error| panic!("{text:?}: {error}")) * unit)
}

pub fn octal(text: &str) -> u32 {
    u32::from_str_radix(text, 8).unwrap_or_else(|error| panic!("{text:?} is not octal: {error}"))
}

pub fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text:?}"))
}

/// Splits at blanks; double quotes keep a word together.
fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => all.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}

/// FNV-1a: any hash will do, as long as the same target has the same.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
