//! Bytes of the ring buffer to [`Record`]s.
//!
//! A record says its kind and size first; both are checked, then every length inside it, before anything is read.
//! What does not fit is an error that is counted as lost evidence, never a panic and never a guess. Text that is not
//! UTF-8 is kept as far as it can be shown. What only the traced program decides (a socket address that is too short, a
//! family that we do not know) is no error of the record: the call then has no target.

use crate::{
    record::{Call, CallFailed, Creds, Errno, ExitStatus, FileId, PathArg, Record, Target, Task, WireCall},
    units::{BootNanos, CgroupId, Process},
};
use core::net::{Ipv4Addr, Ipv6Addr};
use thiserror::Error;
use unready_agent_common::{
    limits::PATH_CAP,
    record::{self as wire, Header, Kind},
    watch::RepeatKey,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Not even a header.
    #[error("a record of {len} bytes is shorter than its header")]
    NoHeader {
        /// Bytes there are.
        len: usize,
    },
    /// The kind is none of ours.
    #[error("unknown record kind {kind}: the eBPF object and the agent are of different versions; install both from one release")]
    UnknownKind {
        /// The kind as sent.
        kind: u32,
    },
    /// The size is not that of the kind.
    #[error("a {kind:?} record says it has {said} bytes and came with {len}")]
    WrongSize {
        kind: Kind,
        /// Size in the header.
        said: u32,
        /// Bytes there are.
        len: usize,
    },
    /// A length inside the record goes beyond its buffer.
    #[error("a {kind:?} record has a field of {len} bytes in a buffer of {cap}")]
    FieldTooLong {
        kind: Kind,
        /// Length as sent.
        len: usize,
        /// Size of the buffer.
        cap: usize,
    },
    /// The system call is none of ours.
    #[error("unknown call {call} in a failure record")]
    UnknownCall {
        /// The call as sent.
        call: u16,
    },
    /// The address family is none of ours.
    #[error("unknown address family {family} of a listening socket")]
    UnknownFamily {
        /// The family as sent.
        family: u16,
    },
    /// The record promises a second path and ends before it.
    #[error("a failure record announces a second path and does not carry it")]
    NoSecondPath,
}

/// `AT_FDCWD` of `include/uapi/linux/fcntl.h`.
const AT_FDCWD: i32 = -100;
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// Bits of the minor number in the kernel's own `dev_t` (`MINORBITS`, `include/linux/kdev_t.h`).
const MINOR_BITS: u32 = 20;

/// Decodes one record with its time.
pub fn decode(bytes: &[u8]) -> Result<(BootNanos, Record), DecodeError> {
    let (header, _) = Header::read_from_prefix(bytes).map_err(|_| DecodeError::NoHeader { len: bytes.len() })?;
    let kind = Kind::try_from(header.kind).map_err(|kind| DecodeError::UnknownKind { kind })?;
    let frame = Frame { bytes, kind, said: header.size };
    let record = match kind {
        Kind::CgroupCreated => cgroup_created(&frame.read()?)?,
        Kind::CgroupRemoved => cgroup_removed(&frame.read()?),
        Kind::CgroupAttached => cgroup_attached(&frame.read()?),
        Kind::Exec => exec(&frame.read()?)?,
        Kind::Exit => exit(&frame.read()?),
        Kind::OomVictim => oom_victim(&frame.read()?),
        Kind::CallFailed => Record::CallFailed(Box::new(call_failed(&frame.read_call_failed()?)?)),
        Kind::RootChanged => root_changed(&frame.read()?),
        Kind::Listening => listening(&frame.read()?)?,
    };
    Ok((BootNanos(header.at), record))
}

/// What the kernel counts the repetitions of a failure under; `None` for what is no whole record of a failing call.
pub fn repeat_key(bytes: &[u8]) -> Option<RepeatKey> {
    let (header, _) = Header::read_from_prefix(bytes).ok()?;
    if header.kind != Kind::CallFailed as u32 || bytes.len() < wire::CallFailed::SHORT_SIZE {
        return None;
    }
    let mut whole = [0; size_of::<wire::CallFailed>()];
    let length = bytes.len().min(whole.len());
    whole.get_mut(..length)?.copy_from_slice(bytes.get(..length)?);
    let call: wire::CallFailed = zerocopy::transmute!(whole);
    Some(RepeatKey { cgroup: call.task.cgroup, hash: call.hash, call: call.call, errno: call.errno, reserved: 0 })
}

/// Whether a path of [`Record::CgroupCreated`] fills the kernel's buffer and so may be cut: ask the file system for the
/// directory with that inode number instead.
pub fn cgroup_path_may_be_cut(path: &str) -> bool {
    path.len() >= PATH_CAP
}

/// A record whose header was read and whose size has to be checked.
struct Frame<'a> {
    bytes: &'a [u8],
    kind: Kind,
    said: u32,
}

impl Frame<'_> {
    fn read<T: FromBytes>(&self) -> Result<T, DecodeError> {
        self.check_size(size_of::<T>())?;
        T::read_from_bytes(self.bytes).map_err(|_| self.wrong_size())
    }

    /// A failure comes without the buffer of its second path when it has none.
    fn read_call_failed(&self) -> Result<wire::CallFailed, DecodeError> {
        if self.bytes.len() != wire::CallFailed::SHORT_SIZE {
            return self.read();
        }
        self.check_size(wire::CallFailed::SHORT_SIZE)?;
        let mut record = wire::CallFailed::new_zeroed();
        record.as_mut_bytes()[..wire::CallFailed::SHORT_SIZE].copy_from_slice(self.bytes);
        if record.flags & wire::OTHER_PRESENT == 0 { Ok(record) } else { Err(DecodeError::NoSecondPath) }
    }

    fn check_size(&self, expected: usize) -> Result<(), DecodeError> {
        let fits = self.bytes.len() == expected && self.said as usize == expected;
        if fits { Ok(()) } else { Err(self.wrong_size()) }
    }

    const fn wrong_size(&self) -> DecodeError {
        DecodeError::WrongSize { kind: self.kind, said: self.said, len: self.bytes.len() }
    }
}

fn cgroup_created(from: &wire::CgroupCreated) -> Result<Record, DecodeError> {
    let path = field(Kind::CgroupCreated, &from.path, from.path_len as usize)?;
    Ok(Record::CgroupCreated { id: CgroupId(from.id), path: text(path), existing: false })
}

const fn cgroup_removed(from: &wire::CgroupRemoved) -> Record {
    Record::CgroupRemoved { id: CgroupId(from.id) }
}

fn cgroup_attached(from: &wire::CgroupAttached) -> Record {
    Record::CgroupAttached { id: CgroupId(from.id), pid: from.pid, comm: text(&from.comm) }
}

fn exec(from: &wire::Exec) -> Result<Record, DecodeError> {
    let path = field(Kind::Exec, &from.path, from.path_len.into())?;
    let args = field(Kind::Exec, &from.args, from.args_len.into())?;
    Ok(Record::Exec { task: task(&from.task), uid: from.uid, gid: from.gid, path: text(path), args: arguments(args) })
}

fn exit(from: &wire::Exit) -> Record {
    Record::Exit { task: task(&from.task), status: ExitStatus::from_wait(from.code) }
}

const fn oom_victim(from: &wire::OomVictim) -> Record {
    Record::OomVictim { pid: from.pid, asker: CgroupId(from.asker_cgroup) }
}

fn root_changed(from: &wire::RootChanged) -> Record {
    Record::RootChanged { task: task(&from.task) }
}

fn listening(from: &wire::Listening) -> Result<Record, DecodeError> {
    let [a, b, c, d, ..] = from.address;
    let address = match from.family {
        AF_INET => Ipv4Addr::new(a, b, c, d).to_string(),
        AF_INET6 => Ipv6Addr::from(from.address).to_string(),
        family => return Err(DecodeError::UnknownFamily { family }),
    };
    Ok(Record::Listening { task: task(&from.task), address, port: from.port, open: from.open != 0 })
}

fn call_failed(from: &wire::CallFailed) -> Result<CallFailed, DecodeError> {
    let wire_call = WireCall::try_from(from.call).map_err(|call| DecodeError::UnknownCall { call })?;
    Ok(CallFailed {
        task: task(&from.task),
        creds: creds(&from.creds),
        call: call(wire_call),
        errno: Errno(from.errno),
        arg: from.arg,
        target: target(wire_call, from)?,
        hash: from.hash,
    })
}

/// The one place where the wire's calls become the diagnosis's.
pub const fn call(wire: WireCall) -> Call {
    match wire {
        WireCall::Open => Call::Open,
        WireCall::Access => Call::Access,
        WireCall::Exec => Call::Exec,
        WireCall::Mkdir => Call::Mkdir,
        WireCall::Unlink => Call::Unlink,
        WireCall::Rmdir => Call::Rmdir,
        WireCall::Rename => Call::Rename,
        WireCall::Link => Call::Link,
        WireCall::Symlink => Call::Symlink,
        WireCall::Chmod => Call::Chmod,
        WireCall::Chown => Call::Chown,
        WireCall::Truncate => Call::Truncate,
        WireCall::Chdir => Call::Chdir,
        WireCall::Mknod => Call::Mknod,
        WireCall::Readlink => Call::Readlink,
        WireCall::Stat => Call::Stat,
        WireCall::Setuid => Call::Setuid,
        WireCall::Setgid => Call::Setgid,
        WireCall::Setgroups => Call::Setgroups,
        WireCall::Write => Call::Write,
        WireCall::Sync => Call::Sync,
        WireCall::Bind => Call::Bind,
        WireCall::Connect => Call::Connect,
        WireCall::Read => Call::Read,
        WireCall::Readdir => Call::Readdir,
        WireCall::Socket => Call::Socket,
        WireCall::Accept => Call::Accept,
        WireCall::Clone => Call::Clone,
    }
}

/// Whether a call of this kind may name its target by a path.
const fn takes_path(call: WireCall) -> bool {
    !matches!(
        call,
        WireCall::Setuid
            | WireCall::Setgid
            | WireCall::Setgroups
            | WireCall::Write
            | WireCall::Sync
            | WireCall::Bind
            | WireCall::Connect
            | WireCall::Read
            | WireCall::Readdir
            | WireCall::Socket
            | WireCall::Accept
            | WireCall::Clone
    )
}

fn target(call: WireCall, from: &wire::CallFailed) -> Result<Target, DecodeError> {
    let path = field(Kind::CallFailed, &from.path, from.path_len.into())?;
    let other = field(Kind::CallFailed, &from.other, from.other_len.into())?;
    let has = |flag: u32| from.flags & flag != 0;
    let start = |flag| has(flag).then_some(FileId { device: device(from.dev), inode: from.ino });
    let first = || PathArg { start: start(wire::PATH_STARTS), ..path_arg(path, from.dirfd, has(wire::PATH_CUT)) };
    let second = || PathArg { start: start(wire::OTHER_STARTS), ..path_arg(other, from.other_dirfd, has(wire::OTHER_CUT)) };
    Ok(if has(wire::PATH_UNREADABLE) {
        Target::Nothing
    } else if has(wire::PATH_IS_ADDRESS) {
        with_start(socket_address(path, has(wire::PATH_CUT)), start(wire::PATH_STARTS))
    } else if has(wire::PATH_IS_NAME) {
        Target::File { fd: from.dirfd, device: device(from.dev), inode: from.ino, name: text(path) }
    } else if has(wire::OTHER_PRESENT) {
        two_paths(call, first(), second())
    } else if takes_path(call) {
        Target::Path(first())
    } else {
        Target::Nothing
    })
}

/// The existing file first: symlink(2) has the new link as its `path`, and any text as its `other`.
fn two_paths(call: WireCall, path: PathArg, other: PathArg) -> Target {
    if call == WireCall::Symlink {
        Target::Paths { from: PathArg { dirfd: None, start: None, ..other }, to: path }
    } else {
        Target::Paths { from: path, to: other }
    }
}

fn path_arg(bytes: &[u8], dirfd: i32, cut: bool) -> PathArg {
    let path = text(bytes);
    let starts_elsewhere = dirfd != AT_FDCWD && !path.starts_with('/');
    PathArg { path, dirfd: starts_elsewhere.then_some(dirfd), start: None, cut }
}

/// A unix socket's path may be relative too.
fn with_start(target: Target, start: Option<FileId>) -> Target {
    if let Target::Unix(path) = target { Target::Unix(PathArg { start, ..path }) } else { target }
}

/// A raw `struct sockaddr`. The program wrote it, so it may be anything.
fn socket_address(bytes: &[u8], cut: bool) -> Target {
    let Some((family, rest)) = bytes.split_first_chunk::<2>() else { return Target::Nothing };
    match u16::from_ne_bytes(*family) {
        AF_UNIX => Target::Unix(PathArg { path: unix_path(rest), dirfd: None, start: None, cut }),
        AF_INET => inet(rest).unwrap_or(Target::Nothing),
        AF_INET6 => inet6(rest).unwrap_or(Target::Nothing),
        _ => Target::Nothing,
    }
}

/// `sun_path`: up to the first NUL, or, beginning with NUL, an abstract name of which every byte counts (unix(7)).
fn unix_path(bytes: &[u8]) -> String {
    match bytes.split_first() {
        Some((0, name)) => format!("@{}", String::from_utf8_lossy(name)),
        _ => text(bytes),
    }
}

/// `sin_port`, `sin_addr`.
fn inet(bytes: &[u8]) -> Option<Target> {
    let (port, rest) = bytes.split_first_chunk::<2>()?;
    let address = Ipv4Addr::from(*rest.first_chunk::<4>()?);
    Some(Target::Inet { address: address.to_string(), port: u16::from_be_bytes(*port) })
}

/// `sin6_port`, `sin6_flowinfo`, `sin6_addr`.
fn inet6(bytes: &[u8]) -> Option<Target> {
    let (port, rest) = bytes.split_first_chunk::<2>()?;
    let address = Ipv6Addr::from(*rest.get(4..)?.first_chunk::<16>()?);
    Some(Target::Inet { address: address.to_string(), port: u16::from_be_bytes(*port) })
}

const fn device(dev: u32) -> (u32, u32) {
    (dev >> MINOR_BITS, dev & ((1 << MINOR_BITS) - 1))
}

fn task(from: &wire::Task) -> Task {
    Task {
        cgroup: CgroupId(from.cgroup),
        process: Process { pid: from.tgid, start: from.start },
        tid: from.tid,
        parent: from.parent,
        comm: text(&from.comm),
    }
}

fn creds(from: &wire::Creds) -> Creds {
    let held = from.groups.len().min(from.ngroups as usize);
    Creds {
        uid: from.uid,
        gid: from.gid,
        euid: from.euid,
        egid: from.egid,
        fsuid: from.fsuid,
        fsgid: from.fsgid,
        cap_effective: from.cap_effective,
        user_ns: from.user_ns,
        groups: from.groups[..held].to_vec(),
        groups_cut: from.ngroups as usize > from.groups.len(),
    }
}

/// The filled part of a buffer.
fn field(kind: Kind, buffer: &[u8], len: usize) -> Result<&[u8], DecodeError> {
    buffer.get(..len).ok_or(DecodeError::FieldTooLong { kind, len, cap: buffer.len() })
}

/// Up to the first NUL; what is no UTF-8 is shown as U+FFFD.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// NUL-separated; the last may be cut and then has no NUL.
fn arguments(bytes: &[u8]) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    bytes.split(|&byte| byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}
