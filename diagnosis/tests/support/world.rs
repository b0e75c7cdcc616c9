//! The miniature world of a scenario: what the agent would find in the container when it is asked.
//!
//! A file is one line, `MODE UID:GID [WORD…]` or `-> TARGET`; a key that ends in `/` is a directory, and directories
//! above a file exist, root's, 0755. Words: `immutable`, `append-only`, `socket`, `fifo`, `char`, `block`;
//! `acl=user:1000:4,group:2000:6,mask:6`; `from=200ms`, `until=1s` (steps' time); for executables `static`,
//! `dynamic` (glibc's loader and libc.so.6), `interp=PATH`, `needs=A,B`, `machine=aarch64`, `script=INTERPRETER`, `crlf`,
//! `format=text_without_#!` (blanks as `_`).
//!
//! A mount is one line, `FSTYPE [WORD…]`: `ro`, `noexec`, `idmapped`, `source=…`, `root=…`, `dev=8:16`, `size=64Mi`,
//! `free=0`, `inodes=1000`, `ifree=0`. The root is a writable overlay unless `/` is given.

use super::step::{duration, number, octal};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use unready_diagnosis::{
    question::{
        AclEntry, AclTag, Answer, Component, ExecFormat, Executable, FileKind, IdRange, Limits, Listener, Memory, Mount, ProcessLimits,
        Question, RuntimeSpec, Scope, Stop, Usage, View, Walk,
    },
    record::{Errno, FileId},
    units::{BootNanos, Process},
};

use super::play::CLOCK;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct World {
    files: BTreeMap<String, String>,
    mounts: BTreeMap<String, String>,
    /// Working directory; `unknown` when nobody can tell any more.
    cwd: Option<String>,
    dirfds: BTreeMap<i32, String>,
    /// Paths of files by `MAJOR:MINOR:INODE`, as they are found again when their process is gone.
    inodes: BTreeMap<String, String>,
    /// Files that descriptors have open, while their process lives.
    open: BTreeMap<i32, String>,
    /// `ADDRESS:PORT [pid=N] [comm=X] [cgroup=PATH] [since=-5s]`.
    listeners: Vec<String>,
    addresses: Option<Vec<String>>,
    unprivileged_port: Option<u16>,
    memory: Memory,
    limits: Limits,
    processes: ProcessLimits,
    spec: Option<WrittenSpec>,
    /// Uids in `/etc/passwd`; without it there is no such file.
    accounts: Option<Vec<u32>>,
    /// `INSIDE:OUTSIDE:COUNT` for uids and gids alike.
    userns: Option<String>,
    seccomp: bool,
    lsm: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenSpec {
    args: Vec<String>,
    cwd: String,
    path: Option<String>,
}

/// When a question is answered, when the steps' time began, and who lives.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub asked: BootNanos,
    pub start: BootNanos,
    pub alive: &'a BTreeSet<u32>,
}

/// A look at the world.
#[derive(Clone, Copy, Debug)]
struct Look {
    now: BootNanos,
    start: BootNanos,
}

impl Look {
    /// A moment of the steps' time.
    fn moment(self, text: &str) -> BootNanos {
        self.start.after(duration(text))
    }
}

impl Moment<'_> {
    fn view(&self, process: Process) -> View {
        if self.alive.contains(&process.pid) {
            View::Process
        } else if self.alive.is_empty() {
            View::Held
        } else {
            View::Sibling
        }
    }
}

impl World {
    /// Inode number of the container's user namespace: the initial one's is fixed (`PROC_USER_INIT_INO`, `linux/proc_ns.h`).
    pub const fn user_ns(&self) -> u32 {
        if self.userns.is_some() { 4_026_532_200 } else { 4_026_531_837 }
    }

    /// The answer, and when it is given.
    pub fn answer(&self, question: &Question, moment: Moment<'_>) -> (BootNanos, Answer) {
        let look = Look { now: moment.asked, start: moment.start };
        let answer = match question {
            Question::WalkPath { scope, path, dirfd, start, follow } => {
                Answer::Walk(self.walk_for(*scope, path, (*dirfd, *start), *follow, moment))
            }
            Question::FindMount { scope, device, fd, inode, .. } => {
                let open = self.open.get(fd).filter(|_| moment.alive.contains(&scope.process.pid)).cloned();
                let path = open.or_else(|| self.found_again(FileId { device: *device, inode: *inode }));
                Answer::Mount { mount: self.mount_of_device(*device), path }
            }
            Question::ReadExecutable { path, .. } => Answer::Executable(self.executable(path, look)),
            Question::AwaitPath { path, for_millis, .. } => return self.appearance(path, *for_millis, look),
            Question::FindListener { port, .. } => Answer::Listener(self.listener(*port, look)),
            Question::LocalAddresses { .. } => {
                Answer::Addresses(self.addresses.clone().unwrap_or_else(|| vec!["127.0.0.1".to_owned(), "::1".to_owned()]))
            }
            Question::UnprivilegedPort { .. } => Answer::UnprivilegedPort(self.unprivileged_port.unwrap_or(1024)),
            Question::Memory { .. } => Answer::Memory(self.memory),
            Question::Usage { path, .. } => Answer::Usage(self.usage(path)),
            Question::Limits { .. } => Answer::Limits(self.limits),
            Question::ProcessLimits { .. } => Answer::ProcessLimits(self.processes),
            Question::Identify { .. } => panic!("the player answers this"),
            Question::RuntimeSpec { .. } => self.runtime_spec(look),
            Question::Account { uid, .. } => {
                let entry = self.accounts.as_ref().is_some_and(|known| known.contains(uid));
                Answer::Account { file: self.accounts.is_some(), entry }
            }
        };
        (look.now, answer)
    }

    fn found_again(&self, file: FileId) -> Option<String> {
        let (major, minor) = file.device;
        self.inodes.get(&format!("{major}:{minor}:{}", file.inode)).cloned()
    }

    fn walk_for(&self, scope: Scope, path: &str, (dirfd, start): (Option<i32>, Option<FileId>), follow: bool, moment: Moment<'_>) -> Walk {
        let from = match dirfd {
            _ if path.starts_with('/') => Some(String::new()),
            _ if start.is_some() => start.and_then(|start| self.found_again(start)),
            Some(fd) => self.dirfds.get(&fd).cloned(),
            None => match self.cwd.as_deref() {
                Some("unknown") => None,
                cwd => Some(cwd.unwrap_or("/").to_owned()),
            },
        };
        let walk = from
            .map(|from| self.walk(&format!("{from}/{path}"), follow, Look { now: moment.asked, start: moment.start }))
            .unwrap_or_default();
        let map: Vec<IdRange> = self.userns.as_deref().map(id_range).into_iter().collect();
        Walk {
            uid_map: map.clone(),
            gid_map: map,
            seccomp: Some(self.seccomp),
            lsm: self.lsm.clone(),
            view: moment.view(scope.process),
            at: moment.asked,
            ..walk
        }
    }

    /// Walks an absolute path.
    fn walk(&self, path: &str, follow: bool, look: Look) -> Walk {
        let mut walk = Walk { components: vec![self.component("/", look).expect("the root is there")], ..Walk::default() };
        let mut todo: Vec<String> = names(path).rev().collect();
        let mut here = String::new();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                here.truncate(here.rfind('/').unwrap_or(0));
                continue;
            }
            let parent_kind = walk.components.last().map(|component| component.kind);
            let full = format!("{here}/{name}");
            let rest = || todo.iter().rev().fold(full.clone(), |path, name| format!("{path}/{name}"));
            if parent_kind.is_some_and(|kind| !matches!(kind, FileKind::Directory | FileKind::Link)) {
                walk.resolved = Some(rest());
                walk.stopped = Some(Stop { path: here, errno: Errno::ENOTDIR, alike: Vec::new() });
                return walk;
            }
            let Some(component) = self.component(&full, look) else {
                walk.resolved = Some(rest());
                walk.stopped = Some(Stop { alike: self.alike(&here, &name, look), path: full, errno: Errno::ENOENT });
                return walk;
            };
            let link = component.link.clone().filter(|_| follow || !todo.is_empty());
            walk.components.push(component);
            let Some(target) = link else {
                here = full;
                continue;
            };
            links += 1;
            if links > 40 {
                walk.resolved = Some(rest());
                walk.stopped = Some(Stop { path: full, errno: Errno::ELOOP, alike: Vec::new() });
                return walk;
            }
            if target.starts_with('/') {
                here.clear();
            }
            todo.extend(names(&target).rev());
        }
        walk.resolved = Some(if here.is_empty() { "/".to_owned() } else { here });
        walk
    }

    /// What is at a path, not following a link there.
    fn component(&self, path: &str, look: Look) -> Option<Component> {
        let as_directory = format!("{}/", path.trim_end_matches('/'));
        let spec = self
            .files
            .get(path)
            .map(|line| (line, FileKind::File))
            .or_else(|| self.files.get(&as_directory).map(|line| (line, FileKind::Directory)));
        let Some((line, kind)) = spec else {
            let implied =
                path == "/" || self.files.keys().chain(self.mounts.keys()).any(|key| key.starts_with(&as_directory) || key == path);
            return implied.then(|| self.file(path, FileKind::Directory, "0755 0:0", look));
        };
        let word = |key| value_of(line, key).map(|text| look.moment(text));
        let exists = word("from=").is_none_or(|from| from <= look.now) && word("until=").is_none_or(|until| until > look.now);
        exists.then(|| self.file(path, kind, line, look))
    }

    fn file(&self, path: &str, kind: FileKind, line: &str, look: Look) -> Component {
        let mount = self.mount_of(path);
        let born = value_of(line, "from=").map(|text| CLOCK.wall_nanos(look.moment(text)));
        if let Some(target) = line.strip_prefix("-> ") {
            let link = Some(target.split(' ').next().unwrap_or_default().to_owned());
            return Component {
                path: path.to_owned(),
                kind: FileKind::Link,
                mode: 0o777,
                uid: 0,
                gid: 0,
                acl: Vec::new(),
                immutable: false,
                append_only: false,
                link,
                mount,
                born,
                changed: born,
            };
        }
        let mut words = line.split_whitespace();
        let mode = octal(words.next().unwrap_or_default());
        let (uid, gid) = words.next().and_then(|owner| owner.split_once(':')).unwrap_or_else(|| panic!("MODE UID:GID, not {line:?}"));
        let has = |word: &str| line.split_whitespace().any(|known| known == word);
        let kinds =
            [("socket", FileKind::Socket), ("fifo", FileKind::Fifo), ("char", FileKind::CharDevice), ("block", FileKind::BlockDevice)];
        Component {
            path: path.to_owned(),
            kind: kinds.into_iter().find(|(word, _)| has(word)).map_or(kind, |(_, kind)| kind),
            mode,
            uid: number(uid),
            gid: number(gid),
            acl: value_of(line, "acl=").map(|text| acl(text, mode)).unwrap_or_default(),
            immutable: has("immutable"),
            append_only: has("append-only"),
            link: None,
            mount,
            born,
            changed: born,
        }
    }

    /// Names that begin like the missing one: the agent offers them for a misspelt key.
    fn alike(&self, directory: &str, name: &str, look: Look) -> Vec<String> {
        let prefix = format!("{directory}/");
        let begins_alike = |other: &str| other.chars().zip(name.chars()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count() >= 3;
        let here = self.files.keys().filter_map(|key| key.strip_prefix(&prefix)).filter_map(|rest| rest.split('/').next());
        let alike: BTreeSet<&str> = here.filter(|other| *other != name && begins_alike(other)).collect();
        alike.into_iter().filter(|other| self.component(&format!("{prefix}{other}"), look).is_some()).take(5).map(str::to_owned).collect()
    }

    fn mount_line(&self, path: &str) -> (&str, &str) {
        let holds = |point: &str| point == "/" || path == point || path.starts_with(&format!("{point}/"));
        let best = self.mounts.iter().filter(|(point, _)| holds(point)).max_by_key(|(point, _)| point.len());
        best.map_or(("/", "overlay"), |(point, line)| (point, line))
    }

    fn mount_of(&self, path: &str) -> Mount {
        let (point, line) = self.mount_line(path);
        mount(point, line)
    }

    fn mount_of_device(&self, device: (u32, u32)) -> Option<Mount> {
        let wanted = format!("dev={}:{}", device.0, device.1);
        let has = |line: &str| line.split_whitespace().any(|word| word == wanted);
        self.mounts.iter().find(|(_, line)| has(line)).map(|(point, line)| mount(point, line))
    }

    fn usage(&self, path: &str) -> Usage {
        let (point, line) = self.mount_line(path);
        let bytes = |key, default| value_of(line, key).map_or(default, size);
        Usage {
            mount: mount(point, line),
            bytes: bytes("size=", 10 << 30),
            bytes_available: bytes("free=", 5 << 30),
            inodes: bytes("inodes=", 1 << 20),
            inodes_available: bytes("ifree=", 1 << 19),
        }
    }

    fn appearance(&self, path: &str, for_millis: u64, look: Look) -> (BootNanos, Answer) {
        let asked = look.now;
        let until = asked.after(std::time::Duration::from_millis(for_millis));
        let from = self.files.get(path).and_then(|line| value_of(line, "from=")).map(|text| look.moment(text));
        let at = match from {
            Some(from) if from <= until => Some(from),
            Some(_) => None,
            None => self.walk(path, true, look).stopped.is_none().then_some(asked),
        };
        (at.map_or(until, |at| at.max(asked)), Answer::Appeared { at })
    }

    fn executable(&self, path: &str, look: Look) -> Executable {
        let walk = self.walk(path, true, look);
        let path = walk.resolved.clone().unwrap_or_else(|| path.to_owned());
        if let Some(stop) = walk.stopped {
            return Executable { path, file: None, format: ExecFormat::Unreadable { errno: stop.errno } };
        }
        let line = self.files.get(&path).map_or("0755 0:0", String::as_str);
        Executable { format: self.format(line, look), file: walk.components.last().cloned(), path }
    }

    fn format(&self, line: &str, look: Look) -> ExecFormat {
        let is_there = |path: &str| self.walk(path, true, look).stopped.is_none();
        let has = |word: &str| line.split_whitespace().any(|known| known == word);
        if let Some(interpreter) = value_of(line, "script=") {
            let crlf = has("crlf");
            let interpreter = if crlf { format!("{interpreter}\r") } else { interpreter.to_owned() };
            return ExecFormat::Script { exists: is_there(&interpreter), interpreter, crlf };
        }
        if let Some(what) = value_of(line, "format=") {
            return ExecFormat::Unknown { what: what.replace('_', " ") };
        }
        let dynamic = has("dynamic");
        let interpreter = value_of(line, "interp=").or_else(|| dynamic.then_some("/lib64/ld-linux-x86-64.so.2"));
        let needs = value_of(line, "needs=").or_else(|| dynamic.then_some("libc.so.6")).unwrap_or_default();
        ExecFormat::Elf {
            machine: value_of(line, "machine=").unwrap_or("x86-64").to_owned(),
            host: "x86-64".to_owned(),
            interpreter: interpreter.map(|path| (path.to_owned(), is_there(path))),
            libraries: needs.split(',').filter(|name| !name.is_empty()).map(|name| (name.to_owned(), self.library(name, look))).collect(),
        }
    }

    fn library(&self, name: &str, look: Look) -> Option<String> {
        let folders = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib", "/usr/local/lib", "/lib64"];
        folders.iter().map(|folder| format!("{folder}/{name}")).find(|path| self.walk(path, true, look).stopped.is_none())
    }

    fn listener(&self, port: u16, look: Look) -> Option<Listener> {
        let wanted = format!(":{port}");
        let line = self.listeners.iter().find(|line| line.split(' ').next().is_some_and(|address| address.ends_with(&wanted)))?;
        let address = line.split(' ').next().unwrap_or_default();
        Some(Listener {
            pid: value_of(line, "pid=").map(number),
            comm: value_of(line, "comm=").map(str::to_owned),
            cgroup_path: value_of(line, "cgroup=").map(str::to_owned),
            address: address.strip_suffix(&wanted).unwrap_or_default().to_owned(),
            since: value_of(line, "since=-")
                .map(|ago| BootNanos(look.start.0.saturating_sub(u64::try_from(duration(ago).as_nanos()).unwrap()))),
        })
    }

    fn runtime_spec(&self, look: Look) -> Answer {
        let Some(spec) = &self.spec else { return Answer::Gone { reason: "no bundle of this container was found".to_owned() } };
        let command = spec.args.first().map(String::as_str).unwrap_or_default();
        let cwd = if spec.cwd.is_empty() { "/" } else { &spec.cwd };
        let candidates: Vec<String> = if command.starts_with('/') {
            vec![command.to_owned()]
        } else if command.contains('/') {
            vec![format!("{}/{command}", cwd.trim_end_matches('/'))]
        } else {
            spec.path.as_deref().unwrap_or_default().split(':').map(|folder| format!("{folder}/{command}")).collect()
        };
        let command = candidates.iter().map(|path| self.executable(path, look)).find(|found| found.file.is_some());
        Answer::RuntimeSpec(RuntimeSpec { args: spec.args.clone(), cwd: cwd.to_owned(), path: spec.path.clone(), command })
    }
}

/// The components of a path, `.` left out; from both ends, to be stacked.
fn names(path: &str) -> impl DoubleEndedIterator<Item = String> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".").map(str::to_owned)
}

fn value_of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace().find_map(|word| word.strip_prefix(key))
}

fn mount(point: &str, line: &str) -> Mount {
    let has = |word: &str| line.split_whitespace().any(|known| known == word);
    let fstype = line.split_whitespace().next().unwrap_or("overlay");
    let flags = [(has("ro"), "ro"), (!has("ro"), "rw"), (has("noexec"), "noexec"), (has("idmapped"), "idmapped"), (true, "relatime")];
    let options: Vec<&str> = flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
    Mount {
        point: point.to_owned(),
        fstype: fstype.to_owned(),
        root: value_of(line, "root=").unwrap_or("/").to_owned(),
        source: value_of(line, "source=").unwrap_or(fstype).to_owned(),
        options: options.join(","),
        read_only: has("ro"),
        noexec: has("noexec"),
        idmapped: has("idmapped"),
    }
}

/// Bytes: `64Mi`, `512Ki`, `2Gi`, `0`.
fn size(text: &str) -> u64 {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30)];
    let found = units.iter().find_map(|(unit, shift)| Some(number::<u64>(text.strip_suffix(unit)?) << shift));
    found.unwrap_or_else(|| number(text))
}

fn id_range(text: &str) -> IdRange {
    let mut parts = text.split(':').map(number);
    let mut next = || parts.next().unwrap_or_else(|| panic!("INSIDE:OUTSIDE:COUNT, not {text:?}"));
    IdRange { inside: next(), outside: next(), count: next() }
}

/// `user:1000:4,group:2000:6,mask:6`; owner, group and other come from the mode.
fn acl(text: &str, mode: u32) -> Vec<AclEntry> {
    let perm = |text: &str| number::<u8>(text);
    let of_mode = |shift: u32| u8::try_from(mode >> shift & 7).unwrap();
    let mut all = vec![
        AclEntry { tag: AclTag::UserObj, perm: of_mode(6) },
        AclEntry { tag: AclTag::GroupObj, perm: of_mode(3) },
        AclEntry { tag: AclTag::Other, perm: of_mode(0) },
    ];
    for entry in text.split(',') {
        let parts: Vec<&str> = entry.split(':').collect();
        all.push(match parts.as_slice() {
            ["user", uid, bits] => AclEntry { tag: AclTag::User(number(uid)), perm: perm(bits) },
            ["group", gid, bits] => AclEntry { tag: AclTag::Group(number(gid)), perm: perm(bits) },
            ["mask", bits] => AclEntry { tag: AclTag::Mask, perm: perm(bits) },
            _ => panic!("unknown ACL entry {entry:?}"),
        });
    }
    all
}
