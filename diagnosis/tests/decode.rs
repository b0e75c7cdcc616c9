//! Decoding: every kind there and back, and everything that a broken or foreign sender could put on the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "any other variant fails the test")]
#![allow(clippy::large_types_passed_by_value, reason = "records are made, decoded once and forgotten")]

use proptest::prelude::*;
use unready_agent_common::{
    call::Call as WireCall,
    limits::{ARGS_CAP, COMM_CAP, GROUPS_CAP, PATH_CAP},
    record::{self as wire, Header, Kind},
};
use unready_diagnosis::{
    decode::{DecodeError, cgroup_path_may_be_cut, decode},
    record::{Call, Creds, Errno, ExitStatus, FileId, PathArg, Record, Target, Task},
    units::{BootNanos, CgroupId, Process},
};
use zerocopy::IntoBytes;

const AT: u64 = 1_234_567_890;
const AT_FDCWD: i32 = -100;

fn header<T>(kind: Kind) -> Header {
    Header { kind: kind as u32, size: u32::try_from(size_of::<T>()).unwrap(), at: AT }
}

fn buffer<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut all = [0; N];
    all[..bytes.len()].copy_from_slice(bytes);
    all
}

fn comm(name: &str) -> [u8; COMM_CAP] {
    buffer(name.as_bytes())
}

fn wire_task() -> wire::Task {
    wire::Task { cgroup: 42, start: 7_000, tgid: 100, tid: 101, parent: 1, reserved: 0, comm: comm("redis-server") }
}

fn task() -> Task {
    Task { cgroup: CgroupId(42), process: Process { pid: 100, start: 7_000 }, tid: 101, parent: 1, comm: "redis-server".to_owned() }
}

fn wire_creds() -> wire::Creds {
    let mut groups = [0; GROUPS_CAP];
    groups[..2].copy_from_slice(&[1000, 2000]);
    wire::Creds { uid: 1, gid: 2, euid: 3, egid: 4, fsuid: 5, fsgid: 6, cap_effective: 1 << 10, user_ns: 4_026_531_837, ngroups: 2, groups }
}

fn cgroup_created(path: &[u8], path_len: usize) -> wire::CgroupCreated {
    let path_len = u32::try_from(path_len).unwrap();
    wire::CgroupCreated { header: header::<wire::CgroupCreated>(Kind::CgroupCreated), id: 42, level: 2, path_len, path: buffer(path) }
}

fn exec(path: &[u8], args: &[u8]) -> wire::Exec {
    wire::Exec {
        header: header::<wire::Exec>(Kind::Exec),
        task: wire_task(),
        uid: 1000,
        gid: 1001,
        path_len: u16::try_from(path.len()).unwrap(),
        args_len: u16::try_from(args.len()).unwrap(),
        reserved: 0,
        path: buffer(path),
        args: buffer(args),
    }
}

fn exit(code: u32) -> wire::Exit {
    wire::Exit { header: header::<wire::Exit>(Kind::Exit), task: wire_task(), code, reserved: 0 }
}

fn listening(family: u16, address: &[u8]) -> wire::Listening {
    let header = header::<wire::Listening>(Kind::Listening);
    wire::Listening { header, task: wire_task(), family, port: 8080, open: 1, address: buffer(address) }
}

/// A failure whose `path` is `path`; the rest is changed by whoever needs it otherwise.
fn failed(call: WireCall, path: &[u8]) -> wire::CallFailed {
    wire::CallFailed {
        header: header::<wire::CallFailed>(Kind::CallFailed),
        task: wire_task(),
        creds: wire_creds(),
        hash: 99,
        arg: 0o102,
        ino: 0,
        call: call as u16,
        errno: 13,
        flags: 0,
        dirfd: AT_FDCWD,
        other_dirfd: AT_FDCWD,
        dev: 0,
        path_len: u16::try_from(path.len()).unwrap(),
        other_len: 0,
        path: buffer(path),
        other: [0; PATH_CAP],
    }
}

fn with_other(mut record: wire::CallFailed, other: &[u8]) -> wire::CallFailed {
    record.flags |= wire::OTHER_PRESENT;
    record.other_len = u16::try_from(other.len()).unwrap();
    record.other = buffer(other);
    record
}

/// As the kernel half sends it when there is no second path.
fn short(mut record: wire::CallFailed) -> Vec<u8> {
    record.header.size = u32::try_from(wire::CallFailed::SHORT_SIZE).unwrap();
    record.as_bytes()[..wire::CallFailed::SHORT_SIZE].to_vec()
}

fn attached() -> wire::CgroupAttached {
    wire::CgroupAttached { header: header::<wire::CgroupAttached>(Kind::CgroupAttached), id: 42, pid: 100, reserved: 0, comm: comm("runc") }
}

/// One good record of every kind; a failure both with and without its second path.
fn samples() -> Vec<(Kind, Vec<u8>)> {
    let removed = wire::CgroupRemoved { header: header::<wire::CgroupRemoved>(Kind::CgroupRemoved), id: 42 };
    let victim = wire::OomVictim { header: header::<wire::OomVictim>(Kind::OomVictim), asker_cgroup: 42, pid: 100, reserved: 0 };
    let root = wire::RootChanged { header: header::<wire::RootChanged>(Kind::RootChanged), task: wire_task() };
    vec![
        (Kind::CgroupCreated, cgroup_created(b"/docker/a", 9).as_bytes().to_vec()),
        (Kind::CgroupRemoved, removed.as_bytes().to_vec()),
        (Kind::CgroupAttached, attached().as_bytes().to_vec()),
        (Kind::Exec, exec(b"/bin/app", b"app\0--port\08080\0").as_bytes().to_vec()),
        (Kind::Exit, exit(0x0100).as_bytes().to_vec()),
        (Kind::OomVictim, victim.as_bytes().to_vec()),
        (Kind::CallFailed, with_other(failed(WireCall::Rename, b"/a"), b"/b").as_bytes().to_vec()),
        (Kind::CallFailed, short(failed(WireCall::Open, b"/data/orders.db"))),
        (Kind::RootChanged, root.as_bytes().to_vec()),
        (Kind::Listening, listening(2, &[127, 0, 0, 1]).as_bytes().to_vec()),
    ]
}

fn record(bytes: &[u8]) -> Record {
    let (at, record) = decode(bytes).unwrap();
    assert_eq!(at, BootNanos(AT));
    record
}

fn target(from: wire::CallFailed) -> Target {
    match record(from.as_bytes()) {
        Record::CallFailed(failed) => failed.target,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_is_sampled() {
    let sampled: Vec<Kind> = samples().into_iter().map(|(kind, _)| kind).collect();
    assert!(Kind::ALL.iter().all(|kind| sampled.contains(kind)));
}

#[test]
fn lifecycle_records_round_trip() {
    let id = CgroupId(42);
    let decoded: Vec<Record> = samples().iter().map(|(_, bytes)| record(bytes)).filter(|r| !matches!(r, Record::CallFailed(_))).collect();
    let expected = [
        Record::CgroupCreated { id, path: "/docker/a".to_owned(), existing: false },
        Record::CgroupRemoved { id },
        Record::CgroupAttached { id, pid: 100, comm: "runc".to_owned() },
        Record::Exec {
            task: task(),
            uid: 1000,
            gid: 1001,
            path: "/bin/app".to_owned(),
            args: ["app", "--port", "8080"].map(str::to_owned).to_vec(),
        },
        Record::Exit { task: task(), status: ExitStatus::Code(1) },
        Record::OomVictim { pid: 100, asker: id },
        Record::RootChanged { task: task() },
        Record::Listening { task: task(), address: "127.0.0.1".to_owned(), port: 8080, open: true },
    ];
    assert_eq!(decoded, expected);
}

#[test]
fn a_failure_round_trips_with_and_without_its_second_buffer() {
    let open = failed(WireCall::Open, b"/data/orders.db");
    let long = record(open.as_bytes());
    assert_eq!(long, record(&short(open)));
    let Record::CallFailed(got) = long else { panic!("{long:?}") };
    assert_eq!(got.task, task());
    assert_eq!((got.call, got.errno, got.arg, got.hash), (Call::Open, Errno::EACCES, 0o102, 99));
    assert_eq!(got.target, Target::Path(PathArg::new("/data/orders.db")));
    let creds = Creds {
        uid: 1,
        gid: 2,
        euid: 3,
        egid: 4,
        fsuid: 5,
        fsgid: 6,
        cap_effective: 1 << 10,
        user_ns: 4_026_531_837,
        groups: vec![1000, 2000],
        groups_cut: false,
    };
    assert_eq!(got.creds, creds);
}

#[test]
fn every_call_of_the_wire_keeps_its_name() {
    let names: Vec<String> = WireCall::ALL
        .iter()
        .map(|&call| match record(failed(call, b"/x").as_bytes()) {
            Record::CallFailed(got) => format!("{:?}", got.call),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: Vec<String> = WireCall::ALL.iter().map(|call| format!("{call:?}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_relative_path_keeps_its_directory() {
    let at_dirfd = |path: &[u8], dirfd| match target(wire::CallFailed { dirfd, ..failed(WireCall::Open, path) }) {
        Target::Path(arg) => (arg.path, arg.dirfd),
        other => panic!("{other:?}"),
    };
    assert_eq!(at_dirfd(b"dump.rdb", AT_FDCWD), ("dump.rdb".to_owned(), None));
    assert_eq!(at_dirfd(b"dump.rdb", 5), ("dump.rdb".to_owned(), Some(5)));
    assert_eq!(at_dirfd(b"/data/dump.rdb", 5), ("/data/dump.rdb".to_owned(), None), "openat(2) ignores it then");
}

#[test]
fn the_directory_that_a_relative_path_starts_from() {
    let dev = (8 << 20) + 17;
    let start = Some(FileId { device: (8, 17), inode: 77 });
    let from = |flags, record| target(wire::CallFailed { flags, dev, ino: 77, ..record });
    let open = || failed(WireCall::Open, b"dump.rdb");
    assert_eq!(from(0, open()), Target::Path(PathArg::new("dump.rdb")), "not told");
    assert_eq!(from(wire::PATH_STARTS, open()), Target::Path(PathArg { start, ..PathArg::new("dump.rdb") }));

    let rename = |flags| from(flags | wire::OTHER_PRESENT, with_other(failed(WireCall::Rename, b"/tmp/a"), b"b"));
    let to = PathArg { start, ..PathArg::new("b") };
    assert_eq!(rename(wire::OTHER_STARTS), Target::Paths { from: PathArg::new("/tmp/a"), to });
    assert_eq!(rename(0), Target::Paths { from: PathArg::new("/tmp/a"), to: PathArg::new("b") });

    let symlink = with_other(failed(WireCall::Symlink, b"current"), b"releases/3");
    let both = wire::OTHER_PRESENT | wire::PATH_STARTS | wire::OTHER_STARTS;
    let to = PathArg { start, ..PathArg::new("current") };
    assert_eq!(from(both, symlink), Target::Paths { from: PathArg::new("releases/3"), to }, "a link's text starts nowhere");

    let bind = failed(WireCall::Bind, &sockaddr(1, b"app.sock"));
    let unix = PathArg { start, ..PathArg::new("app.sock") };
    assert_eq!(from(wire::PATH_IS_ADDRESS | wire::PATH_STARTS, bind), Target::Unix(unix));
}

#[test]
fn paths_end_at_nul_and_survive_bad_utf8() {
    assert_eq!(target(failed(WireCall::Open, b"/a\0junk")), Target::Path(PathArg::new("/a")));
    assert_eq!(target(failed(WireCall::Open, b"/\xff\xfe")), Target::Path(PathArg::new("/\u{fffd}\u{fffd}")));
    assert_eq!(target(failed(WireCall::Open, b"")), Target::Path(PathArg::new("")));
}

#[test]
fn a_cut_path_says_so() {
    let long = [b'a'; PATH_CAP];
    let got = target(wire::CallFailed { flags: wire::PATH_CUT, ..failed(WireCall::Open, &long) });
    assert_eq!(got, Target::Path(PathArg { path: "a".repeat(PATH_CAP), dirfd: None, start: None, cut: true }));
    let created = record(cgroup_created(&long, PATH_CAP).as_bytes());
    assert!(matches!(created, Record::CgroupCreated { path, .. } if cgroup_path_may_be_cut(&path)));
}

#[test]
fn an_unreadable_path_is_no_target() {
    assert_eq!(target(wire::CallFailed { flags: wire::PATH_UNREADABLE, ..failed(WireCall::Open, b"") }), Target::Nothing);
}

#[test]
fn two_paths_are_told_from_and_to() {
    let rename = with_other(failed(WireCall::Rename, b"/tmp/a"), b"/data/a");
    assert_eq!(target(rename), Target::Paths { from: PathArg::new("/tmp/a"), to: PathArg::new("/data/a") });
    // symlink(2): `path` is the link to make, `other` its text.
    let symlink = wire::CallFailed { dirfd: 7, ..with_other(failed(WireCall::Symlink, b"current"), b"../releases/3") };
    let to = PathArg { path: "current".to_owned(), dirfd: Some(7), start: None, cut: false };
    assert_eq!(target(symlink), Target::Paths { from: PathArg::new("../releases/3"), to });
}

#[test]
fn a_descriptor_is_a_device_an_inode_and_a_name() {
    let dev = (8 << 20) | 0x0f_0001;
    let write = wire::CallFailed { flags: wire::PATH_IS_NAME, dirfd: 4, dev, ino: 77, ..failed(WireCall::Write, b"wal.log") };
    assert_eq!(target(write), Target::File { fd: 4, device: (8, 0x0f_0001), inode: 77, name: "wal.log".to_owned() });
}

#[test]
fn numbers_only_have_no_target() {
    for call in [WireCall::Setuid, WireCall::Setgid, WireCall::Setgroups, WireCall::Socket, WireCall::Accept, WireCall::Clone] {
        assert_eq!(target(failed(call, b"")), Target::Nothing, "{call:?}");
    }
}

fn address(bytes: &[u8]) -> Target {
    target(wire::CallFailed { flags: wire::PATH_IS_ADDRESS, ..failed(WireCall::Bind, bytes) })
}

fn sockaddr(family: u16, rest: &[u8]) -> Vec<u8> {
    [family.to_ne_bytes().as_slice(), rest].concat()
}

#[test]
fn socket_addresses_are_parsed() {
    let inet = |address: &str, port| Target::Inet { address: address.to_owned(), port };
    let v6 = [[0x1f, 0x90].as_slice(), &[0; 4], &[0; 15], &[1], &[0; 4]].concat();
    assert_eq!(address(&sockaddr(2, &[0, 80, 10, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0])), inet("10.0.0.7", 80));
    assert_eq!(address(&sockaddr(10, &v6)), inet("::1", 8080));
    assert_eq!(address(&sockaddr(1, b"/run/app.sock\0\0")), Target::Unix(PathArg::new("/run/app.sock")));
    assert_eq!(address(&sockaddr(1, b"\0bus")), Target::Unix(PathArg::new("@bus")));
    assert_eq!(address(&sockaddr(1, b"")), Target::Unix(PathArg::new("")));
}

#[test]
fn a_socket_address_that_is_no_address_is_no_target() {
    for bytes in [vec![], vec![2], sockaddr(2, &[0, 80, 10]), sockaddr(10, &[0; 21]), sockaddr(16, &[0; 10])] {
        assert_eq!(address(&bytes), Target::Nothing, "{bytes:?}");
    }
}

#[test]
fn exit_words_are_codes_or_signals() {
    let status = |code| match record(exit(code).as_bytes()) {
        Record::Exit { status, .. } => status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status(0), ExitStatus::Code(0));
    assert_eq!(status(0xff00), ExitStatus::Code(255));
    assert_eq!(status(9), ExitStatus::Signal(9));
    assert_eq!(status(0x80 | 0x0b), ExitStatus::Signal(11), "with a core dump");
}

#[test]
fn arguments_are_split_at_nul() {
    let args = |bytes: &[u8]| match record(exec(b"/bin/sh", bytes).as_bytes()) {
        Record::Exec { args, .. } => args,
        other => panic!("{other:?}"),
    };
    assert_eq!(args(b""), Vec::<String>::new());
    assert_eq!(args(b"sh\0-c\0echo hi\0"), ["sh", "-c", "echo hi"]);
    assert_eq!(args(b"sh\0-c\0ec"), ["sh", "-c", "ec"], "cut in the last one");
    assert_eq!(args(b"sh\0\0x\0"), ["sh", "", "x"], "an empty argument is one");
    assert_eq!(args(&[b'a'; ARGS_CAP]), ["a".repeat(ARGS_CAP)]);
}

#[test]
fn more_groups_than_captured_are_marked() {
    let mut many = failed(WireCall::Open, b"/x");
    many.creds.ngroups = u32::MAX;
    let Record::CallFailed(got) = record(many.as_bytes()) else { panic!() };
    assert!(got.creds.groups_cut);
    assert_eq!(got.creds.groups.len(), GROUPS_CAP);
}

#[test]
fn a_listener_is_v4_or_v6() {
    let got = |from: wire::Listening| record(from.as_bytes());
    let any6 = Record::Listening { task: task(), address: "::".to_owned(), port: 8080, open: true };
    assert_eq!(got(listening(10, &[0; 16])), any6);
    assert!(matches!(got(wire::Listening { open: 0, ..listening(2, &[0; 4]) }), Record::Listening { open: false, .. }));
    assert_eq!(decode(listening(99, &[]).as_bytes()), Err(DecodeError::UnknownFamily { family: 99 }));
}

#[test]
fn a_name_without_nul_is_a_name() {
    let all = wire::CgroupAttached { comm: [b'x'; COMM_CAP], ..attached() };
    assert!(matches!(record(all.as_bytes()), Record::CgroupAttached { comm, .. } if comm == "x".repeat(COMM_CAP)));
}

#[test]
fn every_truncation_of_every_kind_is_an_error() {
    for (kind, bytes) in samples() {
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{kind:?} cut to {len} bytes was taken");
            // The header may have been made to agree.
            let mut agreeing = bytes[..len].to_vec();
            if let Some(size) = agreeing.get_mut(4..8) {
                size.copy_from_slice(&u32::try_from(len).unwrap().to_ne_bytes());
            }
            assert!(
                decode(&agreeing).is_err() || (kind == Kind::CallFailed && len == wire::CallFailed::SHORT_SIZE),
                "{kind:?} of {len} bytes"
            );
        }
    }
}

#[test]
fn a_record_cut_at_its_second_path_is_an_error() {
    let whole = with_other(failed(WireCall::Rename, b"/a"), b"/b");
    assert_eq!(decode(&short(whole)), Err(DecodeError::NoSecondPath));
}

#[test]
fn trailing_bytes_and_a_lying_size_are_errors() {
    for (kind, bytes) in samples() {
        let longer = [bytes.as_slice(), &[0; 8]].concat();
        assert!(matches!(decode(&longer), Err(DecodeError::WrongSize { .. })), "{kind:?} with trailing bytes");
        let mut lying = bytes.clone();
        lying[4] ^= 1;
        assert!(matches!(decode(&lying), Err(DecodeError::WrongSize { .. })), "{kind:?} with a wrong size");
    }
}

#[test]
fn an_unknown_kind_or_call_is_an_error() {
    for kind in [0, 10, u32::MAX] {
        let header = Header { kind, size: 16, at: 0 };
        assert_eq!(decode(header.as_bytes()), Err(DecodeError::UnknownKind { kind }));
    }
    for call in [0, WireCall::Clone as u16 + 1, u16::MAX] {
        let bytes = wire::CallFailed { call, ..failed(WireCall::Open, b"/x") };
        assert_eq!(decode(bytes.as_bytes()), Err(DecodeError::UnknownCall { call }));
    }
}

#[test]
fn lengths_beyond_the_buffer_are_errors() {
    let too_long = u16::try_from(PATH_CAP + 1).unwrap();
    let path = wire::CallFailed { path_len: too_long, ..failed(WireCall::Open, b"/x") };
    let other = wire::CallFailed { other_len: u16::MAX, ..failed(WireCall::Open, b"/x") };
    let exec_path = wire::Exec { path_len: too_long, ..exec(b"/x", b"") };
    let exec_args = wire::Exec { args_len: u16::MAX, ..exec(b"/x", b"") };
    let created = cgroup_created(b"/x", PATH_CAP + 1);
    for bytes in [path.as_bytes(), other.as_bytes(), exec_path.as_bytes(), exec_args.as_bytes(), created.as_bytes()] {
        assert!(matches!(decode(bytes), Err(DecodeError::FieldTooLong { .. })), "{:?}", decode(bytes));
    }
}

#[test]
fn errors_say_what_was_wrong() {
    let text = decode(&[0; 3]).unwrap_err().to_string();
    assert_eq!(text, "a record of 3 bytes is shorter than its header");
    let text = decode(Header { kind: 77, size: 16, at: 0 }.as_bytes()).unwrap_err().to_string();
    assert!(text.contains("77") && text.contains("install both from one release"), "{text}");
}

/// A size that a kind really has, so that arbitrary bytes get beyond the header.
fn framed() -> impl Strategy<Value = Vec<u8>> {
    let sizes = samples().into_iter().map(|(kind, bytes)| (kind as u32, bytes.len())).collect::<Vec<_>>();
    prop::sample::select(sizes).prop_flat_map(|(kind, len)| {
        prop::collection::vec(any::<u8>(), len).prop_map(move |mut bytes| {
            bytes[..4].copy_from_slice(&kind.to_ne_bytes());
            bytes[4..8].copy_from_slice(&u32::try_from(len).unwrap().to_ne_bytes());
            bytes
        })
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..1024)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn arbitrary_contents_of_a_good_frame_never_panic(bytes in framed()) {
        let _ = decode(&bytes);
    }

    #[test]
    fn arbitrary_paths_and_flags_of_a_failure_decode(
        path in prop::collection::vec(any::<u8>(), 0..=PATH_CAP),
        call in prop::sample::select(WireCall::ALL.to_vec()),
        flags in 0_u32..256,
        dirfd in any::<i32>(),
    ) {
        let bytes = wire::CallFailed { flags, dirfd, ..failed(call, &path) };
        prop_assert!(decode(bytes.as_bytes()).is_ok());
    }
}
