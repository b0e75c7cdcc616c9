//! System calls as strace(1) would show them, without what never matters to a verdict.

use super::{describe::mode, quantities::times};
use crate::{
    outside,
    record::{Call, CallFailed, PathArg, Target},
    story::failure::Failure,
};

/// A failure with its errno, count and span: `open("/data/orders.db", O_RDWR|O_CREAT) = EACCES, 14 times in 3.2 s`.
pub fn failure(failure: &Failure) -> String {
    let mut text = format!("{} = {}", call(&failure.call), failure.call.errno);
    if failure.count > 1 {
        text.push_str(", ");
        text.push_str(&times(failure.count, failure.last.since(failure.first)));
    }
    text
}

/// `CLONE_THREAD` of clone(2), include/uapi/linux/sched.h.
const CLONE_THREAD: u64 = 0x0001_0000;

/// A call with its arguments: `open("/data/orders.db", O_RDWR|O_CREAT)`.
pub fn call(failed: &CallFailed) -> String {
    let name = call_name(failed.call);
    let arguments = [target(&failed.target), argument(failed)].into_iter().flatten().collect::<Vec<_>>().join(", ");
    format!("{name}({arguments})")
}

/// The system call's name; a family has the name of its oldest member.
pub const fn call_name(call: Call) -> &'static str {
    match call {
        Call::Open => "open",
        Call::Access => "access",
        Call::Exec => "execve",
        Call::Mkdir => "mkdir",
        Call::Unlink => "unlink",
        Call::Rmdir => "rmdir",
        Call::Rename => "rename",
        Call::Link => "link",
        Call::Symlink => "symlink",
        Call::Chmod => "chmod",
        Call::Chown => "chown",
        Call::Truncate => "truncate",
        Call::Chdir => "chdir",
        Call::Mknod => "mknod",
        Call::Readlink => "readlink",
        Call::Stat => "stat",
        Call::Setuid => "setuid",
        Call::Setgid => "setgid",
        Call::Setgroups => "setgroups",
        Call::Write => "write",
        Call::Sync => "fsync",
        Call::Bind => "bind",
        Call::Connect => "connect",
        Call::Read => "read",
        Call::Readdir => "getdents",
        Call::Socket => "socket",
        Call::Accept => "accept",
        Call::Clone => "clone",
    }
}

/// What a call was about, as the name of a verdict's subject.
pub fn subject_name(target: &Target) -> String {
    match target {
        Target::Path(path) | Target::Unix(path) => path.path.clone(),
        Target::Paths { to, .. } => to.path.clone(),
        Target::File { name, .. } => name.clone(),
        Target::Inet { address, port } => address_port(address, *port),
        Target::Nothing => String::new(),
    }
}

fn target(target: &Target) -> Option<String> {
    match target {
        Target::Path(path) => Some(quoted(path)),
        Target::Paths { from, to } => Some(format!("{}, {}", quoted(from), quoted(to))),
        Target::File { fd, name, .. } => Some(format!("{fd} \"{}\"", outside::quoted(name))),
        Target::Inet { address, port } => Some(address_port(address, *port)),
        Target::Unix(path) => Some(format!("unix {}", quoted(path))),
        Target::Nothing => None,
    }
}

fn argument(failed: &CallFailed) -> Option<String> {
    let arg = failed.arg;
    match failed.call {
        Call::Open => flags(arg),
        Call::Access => Some(access_mode(arg)),
        Call::Mkdir | Call::Mknod | Call::Chmod => Some(mode(arg as u32)),
        Call::Chown => Some(format!("{}:{}", id((arg >> 32) as u32), id(arg as u32))),
        Call::Setuid | Call::Setgid => Some(id(arg as u32)),
        Call::Setgroups => Some(format!("{arg} groups")),
        Call::Socket => Some(domain(arg)),
        Call::Clone => (arg & CLONE_THREAD != 0).then(|| "CLONE_THREAD".to_owned()),
        Call::Exec
        | Call::Unlink
        | Call::Rmdir
        | Call::Rename
        | Call::Link
        | Call::Symlink
        | Call::Truncate
        | Call::Chdir
        | Call::Readlink
        | Call::Stat
        | Call::Write
        | Call::Sync
        | Call::Bind
        | Call::Connect
        | Call::Read
        | Call::Readdir
        | Call::Accept => None,
    }
}

fn quoted(path: &PathArg) -> String {
    let text = outside::quoted(&path.path);
    let cut = if path.cut { "…" } else { "" };
    let text = format!("\"{text}{cut}\"");
    match path.dirfd {
        Some(fd) if !path.is_absolute() => format!("{fd}, {text}"),
        _ => text,
    }
}

/// An address with its port; an IPv6 address in brackets.
pub(crate) fn address_port(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn id(id: u32) -> String {
    if id == u32::MAX { "-1".to_owned() } else { id.to_string() }
}

/// `R_OK|W_OK`, or `F_OK`.
pub fn access_mode(mode: u64) -> String {
    let names = [(4, "R_OK"), (2, "W_OK"), (1, "X_OK")];
    let text = names.iter().filter(|(bit, _)| mode & bit != 0).map(|(_, name)| *name).collect::<Vec<_>>().join("|");
    if text.is_empty() { "F_OK".to_owned() } else { text }
}

/// Flags of open(2) that the verdict's reader cares for. `O_CLOEXEC` and `O_LARGEFILE` are left out: they change nothing
/// about whether a file can be opened. `None` when the value cannot be flags (openat2 gives the kernel a structure).
pub fn flags(flags: u64) -> Option<String> {
    if flags > u64::from(u32::MAX) {
        return None;
    }
    let mut names = vec![match flags & 3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        2 => "O_RDWR",
        _ => "O_ACCMODE",
    }];
    names.extend(FLAGS.iter().filter(|(bits, _)| flags & bits == *bits).map(|(_, name)| *name));
    if flags & 0o20_000_000 != 0 {
        names.retain(|name| *name != "O_DIRECTORY"); // O_TMPFILE holds its bit
    }
    Some(names.join("|"))
}

// include/uapi/asm-generic/fcntl.h; arm64 has its own numbers for three (arch/arm64/include/uapi/asm/fcntl.h). The agent
// and the processes that it looks at run on the same machine.
#[cfg(target_arch = "aarch64")]
const DIRECTORY_NOFOLLOW_DIRECT: [u64; 3] = [0o40_000, 0o100_000, 0o200_000];
#[cfg(not(target_arch = "aarch64"))]
const DIRECTORY_NOFOLLOW_DIRECT: [u64; 3] = [0o200_000, 0o400_000, 0o40_000];

/// `O_NOFOLLOW` of this machine.
pub(crate) const O_NOFOLLOW: u64 = DIRECTORY_NOFOLLOW_DIRECT[1];

const FLAGS: [(u64, &str); 13] = [
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o4_010_000, "O_SYNC"),
    (DIRECTORY_NOFOLLOW_DIRECT[2], "O_DIRECT"),
    (DIRECTORY_NOFOLLOW_DIRECT[0], "O_DIRECTORY"),
    (O_NOFOLLOW, "O_NOFOLLOW"),
    (0o1_000_000, "O_NOATIME"),
    (0o10_000_000, "O_PATH"),
    (0o20_000_000, "O_TMPFILE"),
];

fn domain(domain: u64) -> String {
    match domain {
        1 => "AF_UNIX".to_owned(),
        2 => "AF_INET".to_owned(),
        10 => "AF_INET6".to_owned(),
        16 => "AF_NETLINK".to_owned(),
        17 => "AF_PACKET".to_owned(),
        other => format!("domain {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::BootNanos;
    use crate::words::testing::{failed, failure_of, path};

    #[test]
    fn a_call_reads_like_strace() {
        let nine = |text: &str| PathArg { dirfd: Some(9), ..PathArg::new(text) };
        let cut = PathArg { cut: true, ..PathArg::new("/very/long") };
        let cases = [
            (Call::Open, path("/data/orders.db"), 0o2_000_102, "open(\"/data/orders.db\", O_RDWR|O_CREAT)"),
            (Call::Open, path("/etc/key"), 0o2_000_000, "open(\"/etc/key\", O_RDONLY)"),
            (Call::Open, path("/etc/key"), 0x7fff_0000_1000, "open(\"/etc/key\")"),
            (Call::Open, path("/d"), 0o20_000_002 | DIRECTORY_NOFOLLOW_DIRECT[0], "open(\"/d\", O_RDWR|O_TMPFILE)"),
            (Call::Open, Target::Path(nine("sub/key")), 1, "open(9, \"sub/key\", O_WRONLY)"),
            (Call::Open, Target::Path(nine("/abs")), 1, "open(\"/abs\", O_WRONLY)"),
            (Call::Open, Target::Path(cut), 0, "open(\"/very/long…\", O_RDONLY)"),
            (Call::Access, path("/var/lib/x"), 2, "access(\"/var/lib/x\", W_OK)"),
            (Call::Access, path("/var/lib/x"), 0, "access(\"/var/lib/x\", F_OK)"),
            (Call::Mkdir, path("cache"), 0o755, "mkdir(\"cache\", 0755)"),
            (Call::Chown, path("/x"), 0x0000_03e8_ffff_ffff, "chown(\"/x\", 1000:-1)"),
            (Call::Setgroups, Target::Nothing, 2, "setgroups(2 groups)"),
            (Call::Setuid, Target::Nothing, 33, "setuid(33)"),
            (Call::Bind, Target::Inet { address: "::".into(), port: 80 }, 0, "bind([::]:80)"),
            (Call::Bind, Target::Unix(PathArg::new("/run/x.sock")), 0, "bind(unix \"/run/x.sock\")"),
            (Call::Exec, path("/run.sh\r"), 0, "execve(\"/run.sh\\r\")"),
            (Call::Write, Target::File { fd: 5, device: (8, 1), inode: 7, name: "wal".into() }, 0, "write(5 \"wal\")"),
            (Call::Write, Target::File { fd: 5, device: (8, 1), inode: 7, name: "\u{1b}\"".into() }, 0, "write(5 \"\\x1b\\\"\")"),
            (Call::Open, path("/\u{202e}\u{9b}"), 1, "open(\"/\\u{202e}\\u{9b}\", O_WRONLY)"),
            (Call::Rename, Target::Paths { from: PathArg::new("a"), to: PathArg::new("b") }, 0, "rename(\"a\", \"b\")"),
            (Call::Socket, Target::Nothing, 17, "socket(AF_PACKET)"),
        ];
        for (kind, target, arg, expected) in cases {
            assert_eq!(call(&failed(kind, target, arg, "EACCES")), expected);
        }
    }

    #[test]
    fn a_failure_says_how_often_only_when_it_was_more_than_once() {
        let mut one = failure_of(failed(Call::Open, path("/data/orders.db"), 0o102, "EACCES"));
        assert_eq!(failure(&one), "open(\"/data/orders.db\", O_RDWR|O_CREAT) = EACCES");
        one.count = 14;
        one.last = BootNanos(one.first.0 + 3_200_000_000);
        assert_eq!(failure(&one), "open(\"/data/orders.db\", O_RDWR|O_CREAT) = EACCES, 14 times in 3.2 s");
    }
}
