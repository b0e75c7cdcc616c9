//! The investigator against real processes, namespaces and files: above all, that it still answers when they are gone.
//!
//! Most tests make mount namespaces of their own and so need root; they say so and pass where they have it not,
//! except with `CI=true`, where only a file system may excuse a test.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use rustix::{
    fs::{IFlags, ioctl_getflags, ioctl_setflags},
    io::Errno as Io,
};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::{MetadataExt, symlink},
        process::ExitStatusExt,
    },
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use unready_agent::{cgroupfs::CgroupRoot, investigate::Investigator};
use unready_diagnosis::{
    question::{AclTag, Answer, ExecFormat, Executable, FileKind, Memory, Question, Scope, View, Walk},
    record::{Errno, FileId, Record, Task},
    units::{BootNanos, CgroupId, Process},
};

const CGROUP: CgroupId = CgroupId(4711);

/// A container as a runtime makes it: its own mount, network and (asked for) user namespace, a root entered by
/// `pivot_root`, a volume on `/data`, working in `/app`. It lives until its input ends; `$2` runs first, `$3` at the end.
const CONTAINER: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 root "$1"
cd "$1"
mkdir usr proc old data app etc tmp
mount --rbind /usr usr
for name in bin sbin lib lib64; do
    if [ -L "/$name" ]; then ln -s "$(readlink "/$name")" "$name"
    elif [ -d "/$name" ]; then mkdir "$name"; mount --bind "/$name" "$name"; fi
done
mount --rbind /proc proc
mount -t tmpfs -o size=1m,mode=750,noexec volume data
echo secret > data/tls.key
chmod 600 data/tls.key
chown 12:34 data/tls.key
echo app:x:1000:1000::/:/bin/false > etc/passwd
ln -s ../../../../../../data/tls.key app/up
ln -s /data/tls.key app/absolute
ln -s loop app/loop
pivot_root . old
umount -l old
cd /app
eval "$2"
echo ready
read line || true
eval "$3"
"#;

struct Container {
    child: Child,
    output: BufReader<ChildStdout>,
    place: TempDir,
    task: Task,
}

fn has_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("making a mount namespace needs root");
    }
    root
}

/// Something that a machine for tests has is missing: a reason to pass over a test, but not in CI.
fn skip(reason: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "in CI this must run: {reason}");
    eprintln!("skipped: {reason}");
}

impl Container {
    fn start(before: &str, after: &str) -> Self {
        Self::with_namespaces(&["-m", "-n"], before, after)
    }

    fn with_namespaces(namespaces: &[&str], before: &str, after: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut child = Command::new("unshare")
            .args(namespaces)
            .args(["sh", "-c", CONTAINER, "sh"])
            .arg(place.path())
            .args([before, after])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the container did not start");
        let task = task(child.id());
        Self { child, output, place, task }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn noted_by(&self, investigator: &Investigator) {
        investigator.note(&Record::RootChanged { task: self.task.clone() });
        investigator.note(&executed(&self.task));
        wait_until_noted(investigator, self.task.cgroup);
    }

    /// Lets it end, and waits until its process is gone.
    fn end(&mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}, signal {:?}", status.signal());
        assert!(self.place.path().exists());
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Notes are made by other threads, while the process that they are of may end.
fn wait_until_noted(investigator: &Investigator, cgroup: CgroupId) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !investigator.is_noted(cgroup) {
        assert!(Instant::now() < deadline, "the note of {cgroup} is not made");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn task(pid: u32) -> Task {
    Task { cgroup: CGROUP, process: process(pid), tid: pid, parent: std::process::id(), comm: "sh".to_owned() }
}

/// With its start time, as the kernel half sends it.
fn process(pid: u32) -> Process {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks: u64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    Process { pid, start: ticks * 10_000_000 }
}

fn executed(task: &Task) -> Record {
    Record::Exec { task: task.clone(), uid: 0, gid: 0, path: "/bin/sh".to_owned(), args: Vec::new() }
}

/// An investigator over a directory that stands for the cgroup hierarchy, with one cgroup in it.
struct Node {
    hierarchy: TempDir,
    investigator: Investigator,
}

impl Node {
    fn new() -> Self {
        let hierarchy = tempfile::tempdir().unwrap();
        fs::create_dir(hierarchy.path().join("box")).unwrap();
        let text = format!("31 24 0:27 / {} rw - cgroup2 cgroup2 rw\n", hierarchy.path().display());
        let root = CgroupRoot::from_mountinfo(&text).unwrap();
        let investigator = Investigator::new(root).with_state_roots(vec![hierarchy.path().join("state")]);
        investigator.note(&Record::CgroupCreated { id: CGROUP, path: "/box".to_owned(), existing: false });
        Self { hierarchy, investigator }
    }

    fn note(&self, record: &Record, cgroup: CgroupId) {
        self.investigator.note(record);
        wait_until_noted(&self.investigator, cgroup);
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.hierarchy.path().join("box").join(name), text).unwrap();
    }

    async fn ask(&self, question: Question) -> Answer {
        self.investigator.answer(question).await
    }

    async fn walk(&self, process: Process, path: &str) -> Walk {
        let question = Question::WalkPath { scope: scope(process), path: path.to_owned(), dirfd: None, start: None, follow: true };
        let answer = self.ask(question).await;
        let Answer::Walk(walk) = answer else { panic!("no walk of {path}: {answer:?}") };
        walk
    }

    async fn executable(&self, process: Process, path: &str) -> Executable {
        let answer = self.ask(Question::ReadExecutable { scope: scope(process), path: path.to_owned(), start: None }).await;
        let Answer::Executable(executable) = answer else { panic!("{path} was not read: {answer:?}") };
        executable
    }
}

fn scope(process: Process) -> Scope {
    Scope { cgroup: CGROUP, process }
}

fn paths(walk: &Walk) -> Vec<&str> {
    walk.components.iter().map(|component| component.path.as_str()).collect()
}

/// The test's own process: it sees the machine's files.
fn me() -> Process {
    process(std::process::id())
}

#[tokio::test]
async fn the_held_root_answers_when_all_processes_are_gone() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let mut container = Container::start("", "");
    container.noted_by(&node.investigator);
    let process = container.task.process;
    assert_eq!(node.walk(process, "/data/tls.key").await.view, View::Process);
    container.end();

    let walk = node.walk(process, "/data/tls.key").await;
    assert_eq!(walk.view, View::Held);
    assert_eq!(walk.resolved.as_deref(), Some("/data/tls.key"));
    assert_eq!(paths(&walk), ["/", "/data", "/data/tls.key"]);
    assert_eq!(walk.stopped, None);
    let [root, data, key] = walk.components.as_slice() else { panic!("{walk:?}") };
    assert_eq!((root.mount.point.as_str(), root.mount.fstype.as_str(), root.mode), ("/", "tmpfs", 0o755));
    assert_eq!((data.mount.point.as_str(), data.mount.source.as_str(), data.mode), ("/data", "volume", 0o750));
    assert_eq!((key.kind, key.mode, key.uid, key.gid), (FileKind::File, 0o600, 12, 34));
    assert!(key.mount.noexec && !key.mount.read_only);
    assert!(key.changed.is_some());
    assert!(walk.at > BootNanos(0));

    // A relative path starts where the program was when it was executed.
    let relative = node.walk(process, "../data/tls.kye").await;
    assert_eq!(relative.resolved.as_deref(), Some("/data/tls.kye"));
    let stop = relative.stopped.unwrap();
    assert_eq!((stop.path.as_str(), stop.errno, stop.alike), ("/data/tls.kye", Errno::ENOENT, vec!["tls.key".to_owned()]));

    node.investigator.release(CGROUP);
    assert_eq!(node.investigator.held(), 0);
    let question = Question::WalkPath { scope: scope(process), path: "/data".to_owned(), dirfd: None, start: None, follow: true };
    assert!(matches!(node.ask(question).await, Answer::Gone { .. }));
}

#[tokio::test]
async fn links_do_not_lead_out_of_the_container() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let mut container = Container::start("", "");
    container.noted_by(&node.investigator);
    let process = container.task.process;
    for alive in [true, false] {
        let up = node.walk(process, "up").await;
        assert_eq!(paths(&up), ["/", "/app", "/app/up", "/data", "/data/tls.key"]);
        assert_eq!(up.components[2].link.as_deref(), Some("../../../../../../data/tls.key"));
        assert_eq!(paths(&node.walk(process, "/app/absolute").await).last(), Some(&"/data/tls.key"));
        assert_eq!(node.walk(process, "loop").await.stopped.unwrap().errno, Errno::ELOOP);
        assert_eq!(paths(&node.walk(process, "../../../..").await).last(), Some(&"/"));
        // Below a file there is nothing, and a file is not a directory.
        let stop = node.walk(process, "/data/tls.key/x").await.stopped.unwrap();
        assert_eq!((stop.path.as_str(), stop.errno), ("/data/tls.key", Errno::ENOTDIR));
        assert_eq!(node.walk(process, "/data/tls.key/").await.stopped.unwrap().errno, Errno::ENOTDIR);
        if alive {
            container.end();
        }
    }
}

#[tokio::test]
async fn the_links_of_proc_mean_the_process_of_the_question() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let mut container = Container::start("", "");
    container.noted_by(&node.investigator);
    let process = container.task.process;
    let own = node.walk(process, "/proc/self/status").await;
    assert_eq!(paths(&own).last(), Some(&format!("/proc/{}/status", container.pid()).as_str()));
    let output = node.walk(process, "/proc/self/fd/1").await;
    assert_eq!(output.components.last().unwrap().kind, FileKind::Fifo);
    let through_root = node.walk(process, "/proc/self/root/data/tls.key").await;
    assert_eq!(paths(&through_root).last(), Some(&"/data/tls.key"));
    container.end();
    let question = Question::WalkPath { scope: scope(process), path: "/proc/self/fd/1".to_owned(), dirfd: None, start: None, follow: true };
    assert!(matches!(node.ask(question).await, Answer::Gone { .. }));
}

#[tokio::test]
async fn a_volume_made_read_only_after_its_root_was_held() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let mut container = Container::start("", "mount -o remount,ro /data");
    container.noted_by(&node.investigator);
    container.end();
    let walk = node.walk(container.task.process, "/data/tls.key").await;
    let mount = &walk.components.last().unwrap().mount;
    assert!(mount.read_only, "{mount:?}");
    assert!(mount.options.split(',').any(|option| option == "ro"));
    assert!(!walk.components[0].mount.read_only);
}

#[tokio::test]
async fn another_process_of_the_cgroup_answers() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let container = Container::start("", "");
    node.file("cgroup.procs", &format!("{}\n", container.pid()));
    let gone = Process { start: 1, ..container.task.process };
    let walk = node.walk(gone, "/data/tls.key").await;
    assert_eq!(walk.view, View::Sibling);
    assert_eq!(paths(&walk).last(), Some(&"/data/tls.key"));
}

#[tokio::test]
async fn what_a_helper_of_the_runtime_saw_is_not_the_containers() {
    let node = Node::new();
    let mut helper = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let task = task(helper.id());
    node.note(&executed(&task), CGROUP);
    assert_eq!(node.walk(task.process, "/").await.view, View::Process);
    drop(helper.stdin.take());
    helper.wait().unwrap();
    assert_eq!(node.walk(task.process, "/").await.view, View::Held); // as a service of the node
    node.note(&Record::RootChanged { task: task.clone() }, CGROUP); // and now it turns out to be a container, too late
    let question = Question::WalkPath { scope: scope(task.process), path: "/".to_owned(), dirfd: None, start: None, follow: true };
    assert!(matches!(node.ask(question.clone()).await, Answer::Gone { .. }));
    node.note(&executed(&Task { process: me(), ..task }), CGROUP);
    assert!(matches!(node.ask(question).await, Answer::Gone { .. }));
}

#[tokio::test]
async fn owners_in_a_user_namespace() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let mut child = Command::new("unshare")
        .args(["-U", "--map-user=7", "--map-group=8", "sh", "-c", "echo ready; read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    let task = task(child.id());
    node.note(&Record::RootChanged { task: task.clone() }, CGROUP);
    let alive = node.walk(task.process, "/").await;
    drop(child.stdin.take());
    child.wait().unwrap();
    let held = node.walk(task.process, "/").await;
    assert_eq!((alive.uid_map.len(), alive.uid_map[0].inside, alive.uid_map[0].outside), (1, 7, 0));
    assert_eq!((held.view, &held.uid_map, &held.gid_map), (View::Held, &alive.uid_map, &alive.gid_map));
    assert_eq!(node.walk(me(), "/").await.uid_map, []);
}

#[tokio::test]
async fn the_network_namespace_is_read_when_its_processes_are_gone() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let mut container = Container::start("echo 81 > /proc/sys/net/ipv4/ip_unprivileged_port_start", "");
    container.noted_by(&node.investigator);
    let process = container.task.process;
    for alive in [true, false] {
        assert_eq!(node.ask(Question::UnprivilegedPort { scope: scope(process) }).await, Answer::UnprivilegedPort(81));
        assert_eq!(node.ask(Question::LocalAddresses { scope: scope(process) }).await, Answer::Addresses(Vec::new()));
        assert_eq!(node.ask(Question::FindListener { scope: scope(process), port: 81 }).await, Answer::Listener(None));
        if alive {
            container.end();
        }
    }
    let Answer::Addresses(ours) = node.ask(Question::LocalAddresses { scope: scope(me()) }).await else { panic!("no addresses") };
    assert!(ours.contains(&"127.0.0.1".to_owned()));
}

#[tokio::test]
async fn who_listens() {
    let node = Node::new();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let Answer::Listener(Some(listener)) = node.ask(Question::FindListener { scope: scope(me()), port }).await else {
        panic!("nobody listens")
    };
    assert_eq!((listener.pid, listener.address.as_str()), (Some(std::process::id()), "127.0.0.1"));
    assert!(listener.comm.is_some() && listener.since.is_some());
}

#[tokio::test]
async fn what_the_runtime_was_told_outlives_its_bundle() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let bundle = tempfile::tempdir().unwrap();
    let config = r#"{"process": {"args": ["sleep", "1"], "cwd": "/data", "env": ["PATH=/nowhere:/usr/bin"]}, "root": {"path": "rootfs"}}"#;
    fs::write(bundle.path().join("config.json"), config).unwrap();
    let mut runtime = Command::new("cat").current_dir(bundle.path()).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut container = Container::start("", "");
    let entered = Task { parent: runtime.id(), ..container.task.clone() };
    node.note(&Record::RootChanged { task: entered }, CGROUP);
    container.end();
    drop(runtime.stdin.take());
    runtime.wait().unwrap();
    drop(bundle);

    let question = Question::RuntimeSpec { cgroup: CGROUP, container_id: "box".to_owned() };
    let Answer::RuntimeSpec(spec) = node.ask(question).await else { panic!("no description") };
    assert_eq!(
        (spec.args, spec.cwd.as_str(), spec.path.as_deref()),
        (vec!["sleep".into(), "1".into()], "/data", Some("/nowhere:/usr/bin"))
    );
    let command = spec.command.unwrap();
    assert_eq!(command.path, "/usr/bin/sleep");
    assert!(matches!(command.format, ExecFormat::Elf { .. }), "{command:?}");
    // Its first program was never seen, so it works where the description says.
    assert_eq!(node.walk(container.task.process, "x").await.resolved.as_deref(), Some("/data/x"));
}

#[tokio::test]
async fn a_bundle_on_the_host_is_better_than_nothing() {
    let node = Node::new();
    let (bundle, volume) = (node.hierarchy.path().join("state/box"), node.hierarchy.path().join("volume"));
    for directory in ["rootfs/etc", "rootfs/data"] {
        fs::create_dir_all(bundle.join(directory)).unwrap();
    }
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("key"), "x").unwrap();
    symlink("/data/key", bundle.join("rootfs/etc/key")).unwrap();
    let config = format!(
        r#"{{"process": {{"args": ["app"], "cwd": "/"}}, "root": {{"path": "rootfs", "readonly": true}}, "mounts": [
            {{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}},
            {{"destination": "/data", "type": "bind", "source": "{}", "options": ["rbind", "noexec"]}}]}}"#,
        volume.display()
    );
    fs::write(bundle.join("config.json"), config).unwrap();
    let gone = Process { pid: u32::MAX, start: 1 };
    let walk = node.walk(gone, "/etc/key").await;
    assert_eq!(walk.view, View::Bundle);
    assert_eq!(paths(&walk), ["/", "/etc", "/etc/key", "/data", "/data/key"]);
    let (root, key) = (&walk.components[0].mount, &walk.components[4].mount);
    assert_eq!((root.point.as_str(), root.read_only), ("/", true));
    assert_eq!((key.point.as_str(), key.root.as_str(), key.noexec, key.read_only), ("/data", volume.to_str().unwrap(), true, false));
    assert_eq!(node.walk(gone, "etc").await.resolved.as_deref(), Some("/etc")); // `cwd` of the description
    let lost = Question::WalkPath { scope: scope(gone), path: "/tmp/x".to_owned(), dirfd: None, start: None, follow: true };
    assert!(matches!(node.ask(lost).await, Answer::Gone { reason } if reason.contains("/tmp")));
}

#[tokio::test]
async fn what_no_runtime_describes() {
    let node = Node::new();
    let question = Question::RuntimeSpec { cgroup: CGROUP, container_id: "box".to_owned() };
    assert!(matches!(node.ask(question).await, Answer::Gone { reason } if reason.contains("box")));
}

#[tokio::test]
async fn limits_usage_accounts_and_mounts_of_what_is_gone() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let mut container = Container::start("ulimit -Sn 123", "");
    container.noted_by(&node.investigator);
    let scope = scope(container.task.process);
    container.end();
    let Answer::Limits(limits) = node.ask(Question::Limits { scope }).await else { panic!("no limits") };
    assert_eq!(limits.open_files_soft, Some(123));
    assert!(limits.system_files.is_some());
    let Answer::Usage(usage) = node.ask(Question::Usage { scope, path: "/data/to/be/made".to_owned(), start: None }).await else {
        panic!("no usage")
    };
    assert_eq!((usage.bytes, usage.mount.point.as_str()), (1 << 20, "/data"));
    assert!(usage.bytes_available < usage.bytes);
    let account = |uid| node.ask(Question::Account { scope, uid });
    assert_eq!(account(1000).await, Answer::Account { file: true, entry: true });
    assert_eq!(account(1001).await, Answer::Account { file: true, entry: false });

    let question = Question::FindMount { scope, device: (0, 0xffff), fd: 1, inode: 1, name: "x".to_owned() };
    let Answer::Mount { mount: Some(mount), path: None } = node.ask(question).await else {
        return; // no such device: what is expected
    };
    panic!("a mount of a device that there is not: {mount:?}");
}

#[tokio::test]
async fn the_mount_and_path_of_an_open_file() {
    let node = Node::new();
    let file = tempfile::NamedTempFile::new_in(node.hierarchy.path()).unwrap();
    let (fd, stat) = {
        use std::os::fd::AsRawFd;
        (file.as_file().as_raw_fd(), rustix::fs::fstat(file.as_file()).unwrap())
    };
    let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let question = |device, inode| Question::FindMount { scope: scope(me()), device, fd, inode, name: String::new() };
    let Answer::Mount { mount, path } = node.ask(question(device, stat.st_ino)).await else { panic!() };
    assert_eq!(path.as_deref().map(Path::new), Some(file.path()));
    assert!(mount.is_none_or(|mount| file.path().starts_with(mount.point)));
    let other = (device.0, device.1 + 1);
    assert!(matches!(node.ask(question(other, stat.st_ino)).await, Answer::Mount { path: None, .. }));
    // The number was used again for another file.
    assert!(matches!(node.ask(question(device, stat.st_ino + 1)).await, Answer::Mount { path: None, .. }));
}

#[tokio::test]
async fn memory_of_a_cgroup_that_was_removed() {
    let node = Node::new();
    for (name, text) in [("memory.max", "4096\n"), ("memory.current", "100\n"), ("memory.peak", "200\n"), ("memory.events", "oom_kill 0\n")]
    {
        node.file(name, text);
    }
    node.note(&executed(&task(std::process::id())), CGROUP);
    node.file("memory.events", "oom_kill 1\n");
    node.note(&Record::OomVictim { pid: 1, asker: CGROUP }, CGROUP);
    fs::remove_dir_all(node.hierarchy.path().join("box")).unwrap();
    node.note(&Record::CgroupRemoved { id: CGROUP }, CGROUP);
    let expected = Memory { limit: Some(4096), peak: Some(200), current: Some(100), oom_kills: Some(1) };
    assert_eq!(node.ask(Question::Memory { cgroup: CGROUP }).await, Answer::Memory(expected));
    assert!(matches!(node.ask(Question::Memory { cgroup: CgroupId(1) }).await, Answer::Gone { .. }));
}

fn boot_now() -> BootNanos {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    BootNanos(u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap())
}

#[tokio::test]
async fn a_file_that_appears_late() {
    let node = Node::new();
    let place = tempfile::tempdir().unwrap();
    for renamed in [false, true] {
        let path = place.path().join(format!("key-{renamed}"));
        let maker = {
            let path = path.clone();
            std::thread::spawn(move || {
                let other = path.with_extension("tmp");
                fs::write(&other, "x").unwrap();
                std::thread::sleep(Duration::from_millis(150));
                let before = boot_now();
                if renamed {
                    fs::rename(other, path).unwrap();
                } else {
                    fs::write(path, "x").unwrap();
                }
                (before, boot_now())
            })
        };
        let question = Question::AwaitPath { scope: scope(me()), path: path.to_str().unwrap().to_owned(), for_millis: 10_000 };
        let Answer::Appeared { at: Some(at) } = node.ask(question.clone()).await else { panic!("it did not appear") };
        let (before, after) = maker.join().unwrap();
        let tick = Duration::from_millis(11);
        assert!(at.after(tick) >= before && at <= after.after(Duration::from_millis(500)), "{before:?} {at:?} {after:?}");
        // Asked again later, it still tells when the file came, not when it was asked.
        tokio::time::sleep(Duration::from_millis(60)).await;
        let Answer::Appeared { at: Some(again) } = node.ask(question).await else { panic!("it is gone") };
        assert!(again.after(tick) >= before && again <= after.after(tick), "{before:?} {again:?} {after:?}");
    }
}

#[tokio::test]
async fn a_file_that_never_appears() {
    let node = Node::new();
    let question = Question::AwaitPath { scope: scope(me()), path: "/no/such/file".to_owned(), for_millis: 40 };
    assert_eq!(node.ask(question).await, Answer::Appeared { at: None });
}

#[tokio::test]
async fn access_control_lists() {
    let node = Node::new();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("file");
    fs::write(&path, "").unwrap();
    let Ok(output) = Command::new("setfacl").args(["-m", "u:1234:r,g:99:rw"]).arg(&path).env("LC_ALL", "C").output() else {
        return skip("setfacl is missing (package acl)");
    };
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("Operation not supported"), "{error}");
        eprintln!("skipped: this file system has no access control lists");
        return;
    }
    let walk = node.walk(me(), path.to_str().unwrap()).await;
    let entries = &walk.components.last().unwrap().acl;
    let perm = |tag| entries.iter().find(|entry| entry.tag == tag).map(|entry| entry.perm);
    assert_eq!((perm(AclTag::User(1234)), perm(AclTag::Group(99)), perm(AclTag::Mask)), (Some(4), Some(6), Some(6)));
    assert!(walk.components[0].acl.is_empty());
}

#[tokio::test]
async fn flags_of_inodes() {
    let node = Node::new();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("file");
    fs::write(&path, "").unwrap();
    let opened = fs::File::open(&path).unwrap();
    let before = match ioctl_getflags(&opened).and_then(|flags| ioctl_setflags(&opened, flags | IFlags::IMMUTABLE).map(|()| flags)) {
        Ok(flags) => flags,
        Err(Io::NOTTY | Io::OPNOTSUPP) => {
            eprintln!("skipped: this file system has no inode flags");
            return;
        }
        Err(Io::PERM) => return skip("making a file immutable needs CAP_LINUX_IMMUTABLE"),
        Err(error) => panic!("{error}"),
    };
    let walk = node.walk(me(), path.to_str().unwrap()).await;
    ioctl_setflags(&opened, before).unwrap();
    let file = walk.components.last().unwrap();
    assert!(file.immutable && !file.append_only);
}

#[tokio::test]
async fn a_relative_path_of_nobody_knows_where() {
    let node = Node::new();
    let question = |dirfd| Question::WalkPath { scope: scope(me()), path: "x".to_owned(), dirfd, start: None, follow: true };
    let Answer::Walk(walk) = node.ask(question(Some(9999))).await else { panic!() };
    assert_eq!((walk.resolved, walk.components), (None, Vec::new()));
    let directory = fs::File::open(node.hierarchy.path()).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&directory);
    let Answer::Walk(walk) = node.ask(question(Some(fd))).await else { panic!() };
    assert_eq!(walk.resolved.unwrap(), node.hierarchy.path().join("x").to_str().unwrap());
}

/// Device and inode of a file that a container sees.
fn file_id(pid: u32, path: &str) -> FileId {
    let metadata = fs::metadata(format!("/proc/{pid}/root{path}")).unwrap();
    FileId { device: (rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev())), inode: metadata.ino() }
}

#[tokio::test]
async fn a_relative_path_starts_where_the_kernel_saw_it() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let mut container = Container::start("mkdir -p /data/sub/deep /srv", "");
    container.noted_by(&node.investigator);
    let process = container.task.process;
    let id = |path| file_id(process.pid, path);
    let unknown = FileId { inode: u64::MAX, ..id("/data") };
    let cases = [
        (Some(id("/app")), Some("/app/x")),
        (Some(id("/data")), Some("/data/x")),
        (Some(id("/data/sub")), Some("/data/sub/x")),
        (Some(id("/srv")), Some("/srv/x")),
        (Some(id("/")), Some("/x")),
        (Some(id("/data/sub/deep")), None),
        (Some(unknown), None),
        (None, Some("/app/x")),
    ];
    for alive in [true, false] {
        for (start, expected) in cases {
            let question = |dirfd| Question::WalkPath { scope: scope(process), path: "x".to_owned(), dirfd, start, follow: true };
            let Answer::Walk(walk) = node.ask(question(None)).await else { panic!("no walk from {start:?}") };
            assert_eq!(walk.resolved.as_deref(), expected, "alive: {alive}, from {start:?}");
            // A descriptor of that directory, which was closed, or used again.
            let Answer::Walk(walk) = node.ask(question(Some(0))).await else { panic!("no walk from {start:?}") };
            assert_eq!(walk.resolved.as_deref(), expected.filter(|_| start.is_some()), "alive: {alive}, from a descriptor of {start:?}");
        }
        if alive {
            container.end();
        }
    }
}

#[tokio::test]
async fn a_relative_path_starts_where_another_process_works() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let container = Container::start("mkdir -p /data/sub/deep; cd /data/sub/deep", "");
    node.file("cgroup.procs", &format!("{}\n", container.pid()));
    let gone = Process { start: 1, ..container.task.process };
    let start = Some(file_id(container.pid(), "/data/sub/deep"));
    let question = Question::WalkPath { scope: scope(gone), path: "x".to_owned(), dirfd: None, start, follow: true };
    let Answer::Walk(walk) = node.ask(question).await else { panic!("no walk") };
    assert_eq!((walk.view, walk.resolved.as_deref()), (View::Sibling, Some("/data/sub/deep/x")));
}

#[tokio::test]
async fn files_of_descriptors_are_found_again() {
    if !has_root() {
        return;
    }
    let node = Node::new();
    let commands = "mkdir -p /data/..new /etc/keys/tsl.key /data/a/b; echo x > /data/..new/app.yaml; echo x > /data/a/b/far; \
        ln -s ..new/app.yaml /data/app.yaml; touch /etc/one; mount --bind /data/tls.key /etc/one; \
        mkdir /etc/tls.key; mount --bind /etc/keys/tsl.key /etc/tls.key";
    let mut container = Container::start(commands, "");
    container.noted_by(&node.investigator);
    let process = container.task.process;
    let id = |path| file_id(process.pid, path);
    let cases = [
        ("app.yaml", id("/data/app.yaml"), ("/data/app.yaml", "/data")), // through a link, as a ConfigMap has them
        ("tsl.key", id("/etc/tls.key"), ("/etc/tls.key", "/etc/tls.key")), // a mount by itself, under another name
        ("up", id("/app"), ("", "/")),                                   // a directory's name that is another file's
        ("far", id("/data/a/b/far"), ("", "/data")),
        ("/", id("/data"), ("/data", "/data")),
    ];
    container.end();
    for (name, file, expected) in cases {
        let FileId { device, inode } = file;
        let question = Question::FindMount { scope: scope(process), device, fd: 9, inode, name: name.to_owned() };
        let Answer::Mount { mount: Some(mount), path } = node.ask(question).await else { panic!("no mount of {name}") };
        assert_eq!((path.as_deref().unwrap_or_default(), mount.point.as_str()), expected, "{name}");
    }
}

#[tokio::test]
async fn the_last_link_is_followed_only_when_the_call_follows() {
    let node = Node::new();
    let place = tempfile::tempdir().unwrap();
    symlink("nowhere", place.path().join("link")).unwrap();
    let path = place.path().join("link").to_str().unwrap().to_owned();
    let walk = |follow| node.ask(Question::WalkPath { scope: scope(me()), path: path.clone(), dirfd: None, start: None, follow });
    let Answer::Walk(followed) = walk(true).await else { panic!() };
    assert_eq!(followed.stopped.unwrap().path, place.path().join("nowhere").to_str().unwrap());
    let Answer::Walk(kept) = walk(false).await else { panic!() };
    assert_eq!((kept.stopped, kept.components.last().unwrap().kind), (None, FileKind::Link));
}

#[tokio::test]
async fn programs_of_another_machine_and_without_their_loader() {
    let node = Node::new();
    let place = tempfile::tempdir().unwrap();
    let program = fs::read("/bin/true").unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = place.path().join(name);
        fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let elf = |executable: Executable| match executable.format {
        ExecFormat::Elf { machine, host, interpreter, libraries } => (machine, host, interpreter, libraries),
        ExecFormat::Script { .. } | ExecFormat::Unknown { .. } | ExecFormat::Unreadable { .. } => panic!("{executable:?}"),
    };
    let (machine, host, interpreter, libraries) = elf(node.executable(me(), "/bin/true").await);
    assert_eq!(machine, host);
    assert!(interpreter.unwrap().1);
    assert!(libraries.iter().any(|(name, path)| name.starts_with("libc.so") && path.is_some()), "{libraries:?}");

    let mut foreign = program.clone();
    foreign[18..20].copy_from_slice(&if host == "aarch64" { 62u16 } else { 183 }.to_le_bytes());
    let (machine, host, ..) = elf(node.executable(me(), &write("foreign", &foreign)).await);
    assert_ne!(machine, host);

    let replace = |from: &[u8], to: &[u8]| {
        let mut bytes = program.clone();
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let (.., interpreter, _) = elf(node.executable(me(), &write("loader", &replace(b"/ld-linux", b"/ld-lunix"))).await);
    assert!(!interpreter.unwrap().1);
    let (.., libraries) = elf(node.executable(me(), &write("library", &replace(b"libc.so.6", b"libq.so.6"))).await);
    assert!(libraries.contains(&("libq.so.6".to_owned(), None)), "{libraries:?}");
    let missing = node.executable(me(), "/no/such").await;
    assert_eq!((missing.file, missing.format), (None, ExecFormat::Unreadable { errno: Errno::ENOENT }));
}

#[tokio::test]
async fn no_more_is_held_than_told() {
    let node = Node::new();
    for id in 0..300 {
        let task = Task { cgroup: CgroupId(id), ..task(std::process::id()) };
        node.investigator.note(&Record::RootChanged { task });
    }
    (0..300).for_each(|id| wait_until_noted(&node.investigator, CgroupId(id)));
    assert_eq!(node.investigator.held(), 256);
    let question = |id| Question::WalkPath {
        scope: Scope { cgroup: CgroupId(id), process: Process { pid: u32::MAX, start: 1 } },
        path: "/".to_owned(),
        dirfd: None,
        start: None,
        follow: true,
    };
    assert!(matches!(node.ask(question(299)).await, Answer::Walk(_)));
    assert!(matches!(node.ask(question(0)).await, Answer::Gone { .. })); // the oldest went first
    (0..300).for_each(|id| node.investigator.release(CgroupId(id)));
    assert_eq!(node.investigator.held(), 0);
}

#[tokio::test]
async fn hostile_paths() {
    let node = Node::new();
    let long = "/a".repeat(5000);
    let name = format!("/{}", "n".repeat(300));
    let deep = "/tmp/..".repeat(400);
    for path in ["", "/", "//", "\0", "/\0/x", "....", long.as_str(), name.as_str(), deep.as_str()] {
        let question = Question::WalkPath { scope: scope(me()), path: path.to_owned(), dirfd: None, start: None, follow: false };
        assert!(matches!(node.ask(question).await, Answer::Walk(_)), "{path:?}");
    }
    assert_eq!(node.walk(me(), &long).await.stopped.unwrap().errno, Errno::ENAMETOOLONG);
    assert_eq!(node.walk(me(), &name).await.stopped.unwrap().errno, Errno::ENAMETOOLONG);
}
