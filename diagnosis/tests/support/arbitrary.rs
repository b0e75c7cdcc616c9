//! Arbitrary inputs of a small world: few cgroups, processes, paths and times, so that they meet each other.

use proptest::{prelude::*, sample::Index};
use unready_diagnosis::{
    Input,
    input::{Loss, RunChange},
    question::{
        Answer, Component, ExecFormat, Executable, FileKind, Limits, Listener, Memory, Mount, ProcessLimits, RuntimeSpec, Stop, Usage,
        View, Walk,
    },
    record::{Call, CallFailed, Creds, Errno, ExitStatus, FileId, PathArg, Record, Target, Task},
    snapshot::{Existing, Processes, Running, Snapshot},
    units::{BootNanos, CgroupId, ClockAnchor, Process},
};

/// What may happen to an engine.
#[derive(Clone, Debug)]
pub enum Move {
    Input(Input),
    /// One of the open questions gets an answer, of its kind or not.
    Answer(Index, Answer),
    /// Time goes on, or back.
    Wait(i64),
    /// The engine's own time-out comes.
    Due,
}

pub fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        8 => input().prop_map(Move::Input),
        3 => (any::<Index>(), answer()).prop_map(|(which, answer)| Move::Answer(which, answer)),
        2 => (-20_000_000_i64..200_000_000).prop_map(Move::Wait),
        1 => (-5_000_000_000_i64..40_000_000_000).prop_map(Move::Wait),
        2 => Just(Move::Due),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        30 => record().prop_map(Input::Record),
        2 => run().prop_map(Input::Run),
        1 => loss().prop_map(Input::Loss),
        2 => snapshot().prop_map(Input::Cgroups),
        1 => clock().prop_map(Input::Clock),
        1 => Just(Input::Timeout),
    ]
}

/// A clock as somebody might set it, or as only a broken recording has it.
fn clock() -> impl Strategy<Value = ClockAnchor> {
    let wall = prop_oneof![9 => 1_699_990_000_000_000_000_u64..1_700_010_000_000_000_000, 1 => any::<u64>()];
    (0_u64..2_000_000_000_000, wall).prop_map(|(boot, wall)| ClockAnchor { boot: BootNanos(boot), wall })
}

fn cgroup() -> impl Strategy<Value = CgroupId> {
    (1_u64..12).prop_map(CgroupId)
}

/// Containers, a part of one, a local run, a pod, plain names, nothing.
fn cgroup_path() -> impl Strategy<Value = String> {
    let id = "3f5a0c9be1d24786a5b09c1d2e3f40516273849506a7b8c9d0e1f20314253647";
    let pod = "/kubepods/burstable/pod8a0c7b64-53f2-4d1e-9a57-0b1c2d3e4f50";
    prop_oneof![
        Just(format!("{pod}/{id}")),
        Just(format!("/docker/{id}")),
        Just(format!("/docker/{id}/init.scope")),
        Just(pod.to_owned()),
        Just("/unready/run-1".to_owned()),
        Just("/unready/run-1/inner".to_owned()),
        Just("/web".to_owned()),
        Just("/system.slice/ssh.service".to_owned()),
        ".{0,12}",
    ]
}

fn task() -> impl Strategy<Value = Task> {
    (cgroup(), 100_u32..108, 0_u64..3, 98_u32..108, prop::sample::select(vec!["app", "runc:[2:INIT]", ""])).prop_map(
        |(cgroup, pid, start, parent, comm)| Task { cgroup, process: Process { pid, start }, tid: pid, parent, comm: comm.to_owned() },
    )
}

fn path() -> impl Strategy<Value = String> {
    let known = [
        "/data/orders.db",
        "/data",
        "/",
        "",
        "app.sock",
        "/etc/passwd",
        "/etc/ssl/certs/ca-certificates.crt",
        "/usr/lib/libpq.so.5",
        "/tmp/x",
        "/app/server",
        "/usr/bin/app",
        "../x",
        "/etc/ld.so.preload",
        "@abstract",
        "/usr/share/zoneinfo/Europe/Berlin",
    ];
    prop_oneof![4 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,20}"]
}

fn path_arg() -> impl Strategy<Value = PathArg> {
    let start = (0_u32..9, 0_u64..3).prop_map(|(minor, inode)| FileId { device: (8, minor), inode });
    (path(), prop::option::of(-1_i32..5), prop::option::of(start), any::<bool>()).prop_map(|(path, dirfd, start, cut)| PathArg {
        path,
        dirfd,
        start,
        cut,
    })
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        6 => path_arg().prop_map(Target::Path),
        1 => (path_arg(), path_arg()).prop_map(|(from, to)| Target::Paths { from, to }),
        1 => (0_i32..9, 0_u32..9, "[a-z]{0,5}").prop_map(|(fd, minor, name)| Target::File { fd, device: (8, minor), inode: 7, name }),
        1 => (prop::sample::select(vec!["0.0.0.0", "::", "10.0.0.1", ""]), any::<u16>())
            .prop_map(|(address, port)| Target::Inet { address: address.to_owned(), port }),
        1 => path_arg().prop_map(Target::Unix),
        1 => Just(Target::Nothing),
    ]
}

fn errno() -> impl Strategy<Value = Errno> {
    prop_oneof![4 => prop::sample::select(vec![1_u16, 2, 8, 13, 20, 21, 23, 24, 28, 30, 40, 98, 99, 122]), 1 => any::<u16>()]
        .prop_map(Errno)
}

const CALLS: &[Call] = &[
    Call::Open,
    Call::Access,
    Call::Exec,
    Call::Mkdir,
    Call::Unlink,
    Call::Rmdir,
    Call::Rename,
    Call::Link,
    Call::Symlink,
    Call::Chmod,
    Call::Chown,
    Call::Truncate,
    Call::Chdir,
    Call::Mknod,
    Call::Readlink,
    Call::Stat,
    Call::Setuid,
    Call::Setgid,
    Call::Setgroups,
    Call::Write,
    Call::Sync,
    Call::Bind,
    Call::Connect,
    Call::Read,
    Call::Readdir,
    Call::Socket,
    Call::Accept,
    Call::Clone,
];

fn creds() -> impl Strategy<Value = Creds> {
    (0_u32..3, 0_u32..3, any::<u64>(), prop::collection::vec(0_u32..4, 0..3)).prop_map(|(uid, gid, cap_effective, groups)| Creds {
        uid,
        gid,
        euid: uid,
        egid: gid,
        fsuid: uid,
        fsgid: gid,
        cap_effective,
        user_ns: 0,
        groups,
        groups_cut: false,
    })
}

fn call_failed() -> impl Strategy<Value = CallFailed> {
    (task(), creds(), prop::sample::select(CALLS), errno(), any::<u64>(), target(), 0_u64..6)
        .prop_map(|(task, creds, call, errno, arg, target, hash)| CallFailed { task, creds, call, errno, arg, target, hash })
}

fn status() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![any::<u8>().prop_map(ExitStatus::Code), Just(ExitStatus::Code(0)), (0_u8..70).prop_map(ExitStatus::Signal)]
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        4 => (cgroup(), cgroup_path(), any::<bool>()).prop_map(|(id, path, existing)| Record::CgroupCreated { id, path, existing }),
        2 => cgroup().prop_map(|id| Record::CgroupRemoved { id }),
        2 => (cgroup(), 100_u32..108).prop_map(|(id, pid)| Record::CgroupAttached { id, pid, comm: "runc:[1:CHILD]".to_owned() }),
        5 => (task(), 0_u32..3, path(), prop::collection::vec(path(), 0..4))
            .prop_map(|(task, uid, path, args)| Record::Exec { task, uid, gid: uid, path, args }),
        5 => (task(), status()).prop_map(|(task, status)| Record::Exit { task, status }),
        1 => (100_u32..108, cgroup()).prop_map(|(pid, asker)| Record::OomVictim { pid, asker }),
        10 => call_failed().prop_map(|failed| Record::CallFailed(Box::new(failed))),
        1 => task().prop_map(|task| Record::RootChanged { task }),
        2 => (task(), any::<u16>(), any::<bool>())
            .prop_map(|(task, port, open)| Record::Listening { task, address: "0.0.0.0".to_owned(), port, open }),
        4 => (cgroup(), 0_u64..6, prop::sample::select(CALLS), errno(), any::<u64>(), any::<u64>(), 100_u32..108)
            .prop_map(|(cgroup, hash, call, errno, count, last, pid)| Record::Repeated { cgroup, hash, call, errno, count, last: BootNanos(last), pid }),
        2 => (cgroup(), ".{0,40}").prop_map(|(cgroup, line)| Record::Output { cgroup, line }),
    ]
}

fn run() -> impl Strategy<Value = RunChange> {
    prop_oneof![
        (cgroup(), prop::option::of(Just("http://127.0.0.1:8080/".to_owned()))).prop_map(|(cgroup, probe)| RunChange::Started {
            cgroup,
            command: vec!["app".to_owned()],
            probe
        }),
        (cgroup(), any::<bool>()).prop_map(|(cgroup, passed)| RunChange::Probed { cgroup, passed, outcome: "200 OK".to_owned() }),
        cgroup().prop_map(|cgroup| RunChange::Ready { cgroup }),
        cgroup().prop_map(|cgroup| RunChange::GiveUp { cgroup }),
    ]
}

fn loss() -> impl Strategy<Value = Loss> {
    let moment = || prop::option::of((0_u64..2_000_000_000_000).prop_map(BootNanos));
    (any::<u64>(), any::<u64>(), prop::option::of((cgroup(), any::<u64>())), moment(), moment())
        .prop_map(|(lost, undecodable, suppressed, since, until)| Loss { lost, undecodable, suppressed, since, until, ..Loss::default() })
}

/// What a walk may find, true or not.
fn snapshot() -> impl Strategy<Value = Snapshot> {
    let running = (100_u32..108, 0_u64..3, 98_u32..108, prop::sample::select(vec!["app", "runc:[2:INIT]", ""]), any::<bool>()).prop_map(
        |(pid, start, parent, comm, executed)| Running { process: Process { pid, start }, parent, comm: comm.to_owned(), executed },
    );
    let processes =
        (any::<bool>(), 0_u32..2, prop::collection::vec(running, 0..4)).prop_map(|(cut, left_out, all)| Processes { cut, left_out, all });
    let existing =
        (cgroup(), cgroup_path(), prop::option::of(processes)).prop_map(|(id, path, processes)| Existing { id, path, processes });
    let walked = prop_oneof![3 => 999_000_000_000_u64..1_030_000_000_000, 1 => any::<u64>()];
    (walked, any::<bool>(), prop::collection::vec(existing, 0..12)).prop_map(|(walked, cut, cgroups)| Snapshot {
        walked: BootNanos(walked),
        cut,
        cgroups,
    })
}

fn mount() -> impl Strategy<Value = Mount> {
    (prop::sample::select(vec!["/", "/data", ""]), any::<bool>(), any::<bool>()).prop_map(|(point, read_only, noexec)| Mount {
        point: point.to_owned(),
        fstype: "ext4".to_owned(),
        read_only,
        noexec,
        ..Mount::default()
    })
}

fn component() -> impl Strategy<Value = Component> {
    let kind = prop::sample::select(vec![FileKind::Directory, FileKind::File, FileKind::Link, FileKind::Socket, FileKind::CharDevice]);
    (path(), kind, 0_u32..0o10000, 0_u32..3, 0_u32..3, any::<bool>(), mount(), prop::option::of(any::<u64>())).prop_map(
        |(path, kind, mode, uid, gid, flag, mount, time)| Component {
            path,
            kind,
            mode,
            uid,
            gid,
            acl: Vec::new(),
            immutable: flag,
            append_only: flag,
            link: flag.then(|| "x".to_owned()),
            mount,
            born: time,
            changed: time,
        },
    )
}

fn walk() -> impl Strategy<Value = Walk> {
    let stop = (path(), errno(), prop::collection::vec(path(), 0..3)).prop_map(|(path, errno, alike)| Stop { path, errno, alike });
    (
        prop::option::of(path()),
        prop::collection::vec(component(), 0..5),
        prop::option::of(stop),
        prop::option::of(any::<bool>()),
        any::<u64>(),
    )
        .prop_map(|(resolved, components, stopped, seccomp, at)| Walk {
            resolved,
            components,
            stopped,
            seccomp,
            view: View::Held,
            at: BootNanos(at),
            ..Walk::default()
        })
}

fn format() -> impl Strategy<Value = ExecFormat> {
    prop_oneof![
        (any::<bool>(), prop::option::of((path(), any::<bool>())), prop::collection::vec((path(), prop::option::of(path())), 0..3))
            .prop_map(|(foreign, interpreter, libraries)| ExecFormat::Elf {
                machine: if foreign { "aarch64" } else { "x86-64" }.to_owned(),
                host: "x86-64".to_owned(),
                interpreter,
                libraries,
            }),
        (path(), any::<bool>(), any::<bool>()).prop_map(|(interpreter, exists, crlf)| ExecFormat::Script { interpreter, exists, crlf }),
        ".{0,9}".prop_map(|what| ExecFormat::Unknown { what }),
        errno().prop_map(|errno| ExecFormat::Unreadable { errno }),
    ]
}

fn executable() -> impl Strategy<Value = Executable> {
    (path(), prop::option::of(component()), format()).prop_map(|(path, file, format)| Executable { path, file, format })
}

fn answer() -> impl Strategy<Value = Answer> {
    let number = || prop::option::of(any::<u64>());
    prop_oneof![
        4 => walk().prop_map(Answer::Walk),
        1 => (prop::option::of(mount()), prop::option::of(path())).prop_map(|(mount, path)| Answer::Mount { mount, path }),
        2 => executable().prop_map(Answer::Executable),
        1 => number().prop_map(|at| Answer::Appeared { at: at.map(BootNanos) }),
        1 => prop::option::of((prop::option::of(any::<u32>()), cgroup_path(), number())).prop_map(|listener| {
            Answer::Listener(listener.map(|(pid, path, since)| Listener {
                pid,
                comm: None,
                cgroup_path: Some(path),
                address: "::".to_owned(),
                since: since.map(BootNanos),
            }))
        }),
        1 => prop::collection::vec(path(), 0..3).prop_map(Answer::Addresses),
        1 => any::<u16>().prop_map(Answer::UnprivilegedPort),
        1 => (number(), number(), number(), number())
            .prop_map(|(limit, peak, current, oom_kills)| Answer::Memory(Memory { limit, peak, current, oom_kills })),
        1 => (mount(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(mount, bytes, bytes_available, inodes, inodes_available)| {
            Answer::Usage(Usage { mount, bytes, bytes_available, inodes, inodes_available })
        }),
        1 => (number(), number(), number(), number()).prop_map(|(open_files_soft, open_files_hard, open_files, system_files)| {
            Answer::Limits(Limits { open_files_soft, open_files_hard, open_files, system_files })
        }),
        1 => (number(), number(), number(), number()).prop_map(|(user_limit, user_now, pids_limit, pids_now)| {
            Answer::ProcessLimits(ProcessLimits { user_limit, user_now, pids_limit, pids_now, pids_above: user_now.is_none(), ..ProcessLimits::default() })
        }),
        1 => (prop::collection::vec(path(), 0..3), path(), prop::option::of(path()), prop::option::of(executable()))
            .prop_map(|(args, cwd, path, command)| Answer::RuntimeSpec(RuntimeSpec { args, cwd, path, command })),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(file, entry)| Answer::Account { file, entry }),
        2 => Just(Answer::Gone { reason: "the process ended".to_owned() }),
    ]
}

/// The n-th round of a flood: a new container with a nested cgroup, a process, a failure, a victim and a line, and some
/// more of each for one container that lives for ever.
pub fn flood(round: u64) -> Vec<Input> {
    let constant = CgroupId(1);
    let (fresh, nested) = (CgroupId(10 + round * 2), CgroupId(11 + round * 2));
    let path = if round == 0 { "/unready/run-0".to_owned() } else { format!("/docker/{round:064x}") };
    let id = if round == 0 { constant } else { fresh };
    let pid = u32::try_from(1000 + round).unwrap();
    let task = |cgroup| Task { cgroup, process: Process { pid, start: round }, tid: pid, parent: 1, comm: "app".to_owned() };
    let failed = |cgroup| {
        Record::CallFailed(Box::new(CallFailed {
            task: task(cgroup),
            creds: Creds::default(),
            call: Call::Open,
            errno: Errno::EACCES,
            arg: 0,
            target: Target::Path(PathArg::new(format!("/data/{round}"))),
            hash: round,
        }))
    };
    let exec = |cgroup| Record::Exec { task: task(cgroup), uid: 0, gid: 0, path: "/app".to_owned(), args: vec![format!("{round}")] };
    let mut records = vec![
        Record::CgroupCreated { id, path: path.clone(), existing: false },
        Record::CgroupCreated { id: nested, path: format!("{path}/inner"), existing: false },
        Record::OomVictim { pid, asker: id },
    ];
    for cgroup in [constant, fresh] {
        records.push(Record::CgroupAttached { id: cgroup, pid: pid + 1, comm: "runc:[2:INIT]".to_owned() });
        records.push(exec(cgroup));
        records.push(failed(cgroup));
        records.push(Record::Output { cgroup, line: format!("line {round}") });
        let port = u16::try_from(round % 60_000).unwrap();
        records.push(Record::Listening { task: task(cgroup), address: "::".to_owned(), port, open: true });
    }
    records.into_iter().map(Input::Record).collect()
}
