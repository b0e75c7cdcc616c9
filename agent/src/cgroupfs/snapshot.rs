//! The cgroups that exist and what runs in the containers among them, for the engine to compare its knowledge with.
//!
//! A container may have made a hundred thousand cgroups below its own, or processes in it. What lies outside of containers is
//! walked first, then a bounded part of each container; what was left out is marked, so that its absence proves nothing. One
//! walk takes a bounded time, and is to be made off the pipeline's task.

use super::CgroupRoot;
use crate::clock;
use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use unready_diagnosis::{
    attribution::{self, Place},
    snapshot::{Existing, Processes, Running, Snapshot},
    units::{BootNanos, CgroupId, Process},
};

/// What one walk may find and take. With paths of 200 bytes, 8,192 cgroups are 2 MiB while it is compared.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Cgroups in all.
    pub cgroups: usize,
    /// Cgroups below one container that lies in no other.
    pub below: usize,
    /// Processes of a container that are looked at.
    pub looked_at: usize,
    /// Processes of a container that are told of, the oldest.
    pub told: usize,
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cgroups: 8192, below: 1024, looked_at: 256, told: 16, time: Duration::from_secs(2) }
    }
}

impl CgroupRoot {
    /// The cgroups that exist now. It reads thousands of small files: not on a task that others wait for.
    pub fn snapshot(&self, limits: &Limits) -> Snapshot {
        Walk::new(self.path.clone(), PathBuf::from("/proc"), *limits).run(clock::now())
    }
}

/// A directory to be read, and the outermost container that it lies in.
struct Pending {
    directory: PathBuf,
    inside: Option<usize>,
}

/// A container, by its place in the list.
struct Found {
    index: usize,
    /// The outermost container around it, itself at the least.
    outermost: usize,
    looked_at: usize,
}

struct Walk {
    root: PathBuf,
    proc: PathBuf,
    limits: Limits,
    until: Instant,
    snapshot: Snapshot,
    outside: VecDeque<Pending>,
    inside: VecDeque<Pending>,
    containers: BTreeMap<String, Found>,
    /// Cgroups below an outermost container; more than the limit: not all were read.
    below: BTreeMap<usize, usize>,
}

impl Walk {
    fn new(root: PathBuf, proc: PathBuf, limits: Limits) -> Self {
        let outside = VecDeque::from([Pending { directory: root.clone(), inside: None }]);
        let until = Instant::now() + limits.time;
        let (snapshot, inside, containers, below) = (Snapshot::default(), VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        Self { root, proc, limits, until, snapshot, outside, inside, containers, below }
    }

    fn run(mut self, walked: BootNanos) -> Snapshot {
        self.snapshot.walked = walked;
        while let Some(pending) = self.outside.pop_front().or_else(|| self.inside.pop_front()) {
            if self.is_late() {
                self.leave_out(pending.inside);
                continue;
            }
            self.read(&pending);
        }
        self.finish()
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Not all of this was looked at.
    fn leave_out(&mut self, inside: Option<usize>) {
        match inside {
            Some(outermost) => {
                self.below.insert(outermost, usize::MAX);
            }
            None => self.snapshot.cut = true,
        }
    }

    fn read(&mut self, pending: &Pending) {
        let Ok(entries) = fs::read_dir(&pending.directory) else { return }; // removed meanwhile
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let is_full = self.snapshot.cgroups.len() >= self.limits.cgroups || self.is_late();
            if is_full || pending.inside.is_some_and(|outermost| self.counts_too_many(outermost)) {
                self.leave_out(pending.inside);
                return;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            self.take(CgroupId(metadata.ino()), entry.path(), pending.inside);
        }
    }

    /// Counts one more cgroup below a container.
    fn counts_too_many(&mut self, outermost: usize) -> bool {
        let count = self.below.entry(outermost).or_default();
        *count = count.saturating_add(1);
        *count > self.limits.below
    }

    fn take(&mut self, id: CgroupId, directory: PathBuf, inside: Option<usize>) {
        let Ok(below) = directory.strip_prefix(&self.root) else { return };
        let path = format!("/{}", below.display());
        let index = self.snapshot.cgroups.len();
        let place = attribution::place(&path);
        let is_container = matches!(place, Place::Container { .. });
        let processes = is_container.then(Processes::default);
        self.snapshot.cgroups.push(Existing { id, path: path.clone(), processes });
        let inside = inside.or_else(|| is_container.then_some(index));
        if let (true, Some(outermost)) = (is_container, inside) {
            self.containers.insert(path.clone(), Found { index, outermost, looked_at: 0 });
        }
        let of = if let Place::Nested { container } = place { container } else { path };
        self.look(&of, &directory);
        let queue = if inside.is_some() { &mut self.inside } else { &mut self.outside };
        queue.push_back(Pending { directory, inside });
    }

    /// Adds what runs in a cgroup to its container, if it has one.
    fn look(&mut self, container: &str, directory: &Path) {
        let Some(found) = self.containers.get_mut(container) else { return };
        let Some(processes) = self.snapshot.cgroups.get_mut(found.index).and_then(|existing| existing.processes.as_mut()) else { return };
        let Some(pids) = pids(directory, self.limits.looked_at) else {
            processes.cut = true; // a threaded cgroup cannot be read; one that is gone has no processes
            return;
        };
        for pid in pids {
            found.looked_at += 1;
            if pid == 0 || found.looked_at > self.limits.looked_at {
                processes.cut = true; // 0: it lies in a process namespace that cannot be seen from ours
                break;
            }
            processes.all.extend(stat(&self.proc, pid));
        }
    }

    fn finish(mut self) -> Snapshot {
        for found in self.containers.values() {
            let all_read = self.below.get(&found.outermost).is_none_or(|count| *count <= self.limits.below);
            let Some(processes) = self.snapshot.cgroups.get_mut(found.index).and_then(|existing| existing.processes.as_mut()) else {
                continue;
            };
            processes.cut |= !all_read;
            processes.all.sort_by_key(|running| (running.process.start, running.process.pid));
            processes.left_out = u32::try_from(processes.all.len().saturating_sub(self.limits.told)).unwrap_or(u32::MAX);
            processes.all.truncate(self.limits.told);
        }
        self.snapshot
    }
}

/// The processes of a cgroup, one more than the limit at most. `None`: they cannot be told.
fn pids(directory: &Path, limit: usize) -> Option<Vec<u32>> {
    const LINE: u64 = 11;
    let file = match fs::File::open(directory.join("cgroup.procs")) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(Vec::new()),
        Err(_) => return None,
    };
    let most = limit.saturating_add(1);
    let bytes = u64::try_from(most).unwrap_or(u64::MAX).saturating_mul(LINE);
    let lines = BufReader::new(file.take(bytes)).lines().take(most);
    let mut pids = Vec::new();
    for line in lines {
        match line {
            Ok(line) => pids.extend(line.trim().parse::<u32>().ok()),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => break, // removed meanwhile
            Err(_) => return None,
        }
    }
    Some(pids)
}

/// A process that runs, by `/proc/PID/stat`; `None`: it has ended.
fn stat(proc: &Path, pid: u32) -> Option<Running> {
    let text = fs::read(proc.join(pid.to_string()).join("stat")).ok()?;
    parse(pid, &String::from_utf8_lossy(&text))
}

fn parse(pid: u32, text: &str) -> Option<Running> {
    /// Nanoseconds of a clock tick as user space sees it: `USER_HZ` is 100 on x86-64 and arm64.
    const TICK: u64 = unready_diagnosis::snapshot::TICK;
    /// `PF_FORKNOEXEC` (include/linux/sched.h): forked, and nothing executed yet.
    const FORKED: u64 = 0x40;
    let (comm, rest) = text.split_once('(')?.1.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    // Numbered from the state, the third field of proc_pid_stat(5).
    let (state, parent, flags, threads, start) = (fields.first()?, number(1)?, number(6)?, number(17)?, number(19)?);
    let has_ended = matches!(*state, "Z" | "X") && threads <= 1; // a first thread may end before the others
    let process = Process { pid, start: start.saturating_mul(TICK) };
    let parent = u32::try_from(parent).unwrap_or_default();
    (!has_ended).then(|| Running { process, parent, comm: comm.to_owned(), executed: flags & FORKED == 0 })
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end where its premise fails")]
mod tests {
    use super::*;

    const ID: &str = "3f5a0c9be1d24786a5b09c1d2e3f40516273849506a7b8c9d0e1f20314253647";

    /// A hierarchy and a /proc made of plain files.
    struct Tree {
        cgroups: tempfile::TempDir,
        proc: tempfile::TempDir,
    }

    impl Tree {
        fn new() -> Self {
            let directory = || tempfile::tempdir().expect("a temporary directory");
            Self { cgroups: directory(), proc: directory() }
        }

        fn cgroup(&self, path: &str, pids: &[u32]) {
            let directory = self.cgroups.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(&directory).expect("a directory");
            let lines: Vec<String> = pids.iter().map(u32::to_string).collect();
            fs::write(directory.join("cgroup.procs"), lines.join("\n")).expect("a file");
        }

        fn process(&self, pid: u32, comm: &str, (state, parent, flags, ticks): (&str, u32, u64, u64)) {
            let directory = self.proc.path().join(pid.to_string());
            fs::create_dir_all(&directory).expect("a directory");
            let text = format!("{pid} ({comm}) {state} {parent} {pid} {pid} 0 -1 {flags} 1 0 0 0 1 1 0 0 20 0 1 0 {ticks} 1 1\n");
            fs::write(directory.join("stat"), text).expect("a file");
        }

        fn walk(&self, limits: Limits) -> Snapshot {
            Walk::new(self.cgroups.path().to_owned(), self.proc.path().to_owned(), limits).run(BootNanos(7))
        }
    }

    fn of<'a>(snapshot: &'a Snapshot, path: &str) -> &'a Existing {
        snapshot.cgroups.iter().find(|existing| existing.path == path).expect("it was found")
    }

    fn processes<'a>(snapshot: &'a Snapshot, path: &str) -> &'a Processes {
        of(snapshot, path).processes.as_ref().expect("it is a container")
    }

    #[test]
    fn a_container_with_its_processes_and_those_below_it() {
        let tree = Tree::new();
        let container = format!("/docker/{ID}");
        tree.cgroup("/system.slice/ssh.service", &[9]);
        tree.cgroup(&container, &[21, 20]);
        tree.cgroup(&format!("{container}/init.scope"), &[22, 23]);
        tree.process(20, "my (odd) app", ("S", 1, 0x40_0000, 500));
        tree.process(21, "worker", ("S", 20, 0x40_0040, 501));
        tree.process(22, "helper", ("R", 20, 0, 502));
        tree.process(23, "gone", ("Z", 20, 0, 400));
        let snapshot = tree.walk(Limits::default());
        assert!(!snapshot.cut && snapshot.walked == BootNanos(7));
        assert!(of(&snapshot, "/system.slice/ssh.service").processes.is_none(), "no container");
        assert!(of(&snapshot, &format!("{container}/init.scope")).processes.is_none(), "part of one");
        let found = processes(&snapshot, &container);
        let pids: Vec<u32> = found.all.iter().map(|running| running.process.pid).collect();
        assert_eq!(pids, [20, 21, 22], "the oldest first, those that ended left out");
        let oldest = &found.all[0];
        assert_eq!((oldest.comm.as_str(), oldest.parent, oldest.executed), ("my (odd) app", 1, true));
        assert_eq!(oldest.process.start, 5_000_000_000);
        assert!(!found.all[1].executed, "forked only");
        assert!(!found.cut);
    }

    #[test]
    fn what_is_left_out_is_marked() {
        let tree = Tree::new();
        let (many, few) = (format!("/docker/{ID}"), format!("/docker/{}", ID.replace('3', "4")));
        let pids: Vec<u32> = (100..130).collect();
        tree.cgroup(&many, &pids);
        tree.cgroup(&few, &pids[..3]);
        for pid in &pids {
            tree.process(*pid, "app", ("S", 1, 0, u64::from(*pid)));
        }
        for index in 0..50 {
            tree.cgroup(&format!("{many}/{index}"), &[]);
        }
        let snapshot = tree.walk(Limits { looked_at: 20, ..Limits::default() });
        assert!(processes(&snapshot, &many).cut, "not every process was looked at");
        let told = tree.walk(Limits { told: 4, ..Limits::default() });
        let told = processes(&told, &many);
        assert_eq!((told.cut, told.all.len(), told.left_out), (false, 4, 26), "the oldest are told of");
        assert_eq!(told.all[0].process.pid, 100);

        let snapshot = tree.walk(Limits { below: 10, ..Limits::default() });
        assert!(processes(&snapshot, &many).cut, "not every cgroup of it was looked at");
        assert!(!processes(&snapshot, &few).cut && !snapshot.cut, "that is its own business");
        assert!(snapshot.cgroups.len() <= 14, "{}", snapshot.cgroups.len());

        assert!(tree.walk(Limits { cgroups: 2, ..Limits::default() }).cut);
        assert!(tree.walk(Limits { time: Duration::ZERO, ..Limits::default() }).cut);
    }

    #[test]
    fn a_process_of_this_machine() {
        let own = std::process::id();
        let running = stat(Path::new("/proc"), own).expect("this process runs");
        assert!(running.executed && running.process.pid == own);
        let started = BootNanos(running.process.start);
        assert!(started <= clock::now() && clock::now().since(started) < Duration::from_hours(1), "by the clock of records");
    }
}
