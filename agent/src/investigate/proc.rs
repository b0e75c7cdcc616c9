//! Reading `/proc` of other processes, bounded.
//!
//! Every function answers `None` when the process has gone, or may not be looked at: the caller then looks elsewhere.
//! `/proc/PID/cgroup` is read nowhere here. It races with the exit of the process, so nothing is attributed by it.

use rustix::fs::{Mode, OFlags, open};
use std::{
    fs::{self, File},
    io::Read,
    os::fd::OwnedFd,
    os::unix::fs::MetadataExt,
    path::Path,
};
use unready_diagnosis::{
    question::IdRange,
    units::{BootNanos, Process},
};

/// The proc file system of the initial pid namespace (in a pod: the host's, by `hostPID`).
pub(super) const PROC: &str = "/proc";

/// kthreadd, which stays in the node's first namespaces and may be looked at where init may not.
pub(super) const KTHREADD: u32 = 2;

/// Nanoseconds of a clock tick of `/proc/PID/stat`: `USER_HZ` is 100 on x86-64 and arm64 (`asm/param.h`).
const TICK: u64 = 10_000_000;

/// A file of a process, or a link below its directory.
pub(super) fn path(pid: u32, name: &str) -> String {
    format!("{PROC}/{pid}/{name}")
}

/// At most `limit` bytes of a file.
pub(super) fn read_bytes(path: impl AsRef<Path>, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(limit.min(4096)).unwrap_or_default()); // one read for most of /proc
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// At most `limit` bytes of a file of a process, as text.
pub(super) fn read(pid: u32, name: &str, limit: u64) -> Option<String> {
    read_bytes(path(pid, name), limit).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Takes hold of a file without opening it: no right to read it is needed, and nothing blocks.
pub(super) fn hold(path: &str) -> Option<OwnedFd> {
    open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Takes hold of a namespace, which keeps it alive. (`O_PATH` would hold the link's inode only.)
pub(super) fn hold_namespace(pid: u32, kind: &str) -> Option<OwnedFd> {
    open(path(pid, &format!("ns/{kind}")), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Number that tells one namespace from another.
pub(super) fn namespace(pid: u32, kind: &str) -> Option<u64> {
    fs::metadata(path(pid, &format!("ns/{kind}"))).ok().map(|metadata| metadata.ino())
}

/// Our own namespace's number.
pub(super) fn own_namespace(kind: &str) -> Option<u64> {
    fs::metadata(format!("{PROC}/self/ns/{kind}")).ok().map(|metadata| metadata.ino())
}

/// Field 22 of proc(5)'s stat: when the process started, in ticks since boot.
fn start_ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// When a process started.
pub(super) fn started(pid: u32) -> Option<BootNanos> {
    start_ticks(&read(pid, "stat", 4096)?).map(|ticks| BootNanos(ticks.saturating_mul(TICK)))
}

/// Whether the number still means that process: numbers are used again, pairs with the start time are not.
pub(super) fn is_same(process: Process) -> bool {
    match started(process.pid) {
        Some(_) if process.start == 0 => true,
        Some(start) => (process.start / TICK).abs_diff(start.0 / TICK) <= 1,
        None => false,
    }
}

/// Where a link of a process leads (`cwd`, `fd/3`), as the process sees it; `None` for pipes and what was deleted.
pub(super) fn place(pid: u32, link: &str) -> Option<String> {
    let target = fs::read_link(path(pid, link)).ok()?.into_os_string().into_string().ok()?;
    if !target.starts_with('/') || target.ends_with(" (deleted)") {
        return None;
    }
    let root = fs::read_link(path(pid, "root")).ok()?.into_os_string().into_string().ok()?;
    below(&target, &root)
}

/// A path, relative to a root that is itself a path of the same name space: what `chroot` makes of it.
fn below(target: &str, root: &str) -> Option<String> {
    let rest = target.strip_prefix(root.trim_end_matches('/'))?;
    match rest {
        "" => Some("/".to_owned()),
        rest if rest.starts_with('/') => Some(rest.to_owned()),
        _ => None,
    }
}

/// What is told of a process beside its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Confinement {
    /// `Seccomp:` is not 0.
    pub(super) seccomp: Option<bool>,
    /// Label of the security module, when it confines.
    pub(super) lsm: Option<String>,
}

/// Seccomp and security label of a process.
pub(super) fn confinement(pid: u32) -> Confinement {
    let seccomp = status_field(pid, "Seccomp").map(|mode| mode != "0");
    Confinement { seccomp, lsm: read(pid, "attr/current", 256).as_deref().and_then(confining) }
}

/// A field of `/proc/PID/status`.
pub(super) fn status_field(pid: u32, name: &str) -> Option<String> {
    let status = read(pid, "status", 16 * 1024)?;
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim().to_owned())
}

/// A label that restricts. "unconfined" (`AppArmor`), "kernel" (`SELinux` without a policy) and complain mode do not.
fn confining(label: &str) -> Option<String> {
    let label = label.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    let free = label.is_empty() || label == "kernel" || label.contains("unconfined") || label.ends_with("(complain)");
    (!free).then(|| label.to_owned())
}

/// The number of a process in its own, innermost pid namespace: what `/proc/self` of its container names.
pub(super) fn inner_pid(pid: u32) -> Option<u32> {
    status_field(pid, "NSpid")?.split_whitespace().next_back()?.parse().ok()
}

/// `uid_map` or `gid_map`; empty for the initial namespace's identity.
pub(super) fn id_map(pid: u32, name: &str) -> Vec<IdRange> {
    read(pid, name, 16 * 1024).map(|text| parse_id_map(&text)).unwrap_or_default()
}

fn parse_id_map(text: &str) -> Vec<IdRange> {
    const WHOLE: IdRange = IdRange { inside: 0, outside: 0, count: u32::MAX };
    let ranges: Vec<_> = text.lines().filter_map(id_range).collect();
    if ranges == [WHOLE] { Vec::new() } else { ranges }
}

fn id_range(line: &str) -> Option<IdRange> {
    let mut numbers = line.split_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(IdRange { inside: next()?, outside: next()?, count: next()? })
}

/// Limits of open files of a process: soft and hard.
pub(super) fn open_files(pid: u32) -> Option<(u64, u64)> {
    limit(pid, "Max open files")
}

/// A limit of a process by its name in `/proc/PID/limits`: soft and hard. `unlimited` is `u64::MAX`.
pub(super) fn limit(pid: u32, name: &str) -> Option<(u64, u64)> {
    parse_limit(&read(pid, "limits", 8192)?, name)
}

fn parse_limit(limits: &str, name: &str) -> Option<(u64, u64)> {
    let row = limits.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = row.split_whitespace().map(|word| if word == "unlimited" { Some(u64::MAX) } else { word.parse().ok() });
    Some((words.next()??, words.next()??))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn start_time_survives_a_name_with_parentheses() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 7 8";
        assert_eq!(start_ticks(stat), Some(123_456));
        assert_eq!(start_ticks("42 (cut"), None);
    }

    #[test]
    fn a_process_is_told_from_a_later_one() {
        let pid = std::process::id();
        let start = started(pid).unwrap().0;
        assert!(is_same(Process { pid, start: 0 }));
        assert!(is_same(Process { pid, start: start + TICK / 2 }));
        assert!(!is_same(Process { pid, start: start + 1_000_000_000 }));
    }

    #[test]
    fn places_below_a_changed_root() {
        assert_eq!(below("/app", "/").as_deref(), Some("/app"));
        assert_eq!(below("/srv/jail/app", "/srv/jail").as_deref(), Some("/app"));
        assert_eq!(below("/srv/jail", "/srv/jail").as_deref(), Some("/"));
        assert_eq!(below("/srv/jailed", "/srv/jail"), None);
    }

    #[test]
    fn id_maps() {
        assert_eq!(parse_id_map("         0          0 4294967295\n"), []);
        assert_eq!(parse_id_map("0 100000 65536\n"), [IdRange { inside: 0, outside: 100_000, count: 65536 }]);
        assert_eq!(parse_id_map("nonsense\n0 1\n"), []);
    }

    #[test]
    fn labels() {
        assert_eq!(confining("unconfined\n"), None);
        assert_eq!(confining("kernel\0"), None);
        assert_eq!(confining("demo (complain)\n"), None);
        assert_eq!(confining("cri-containerd.apparmor.d (enforce)\n").as_deref(), Some("cri-containerd.apparmor.d (enforce)"));
        assert_eq!(confining("system_u:system_r:container_t:s0:c1,c2\0").as_deref(), Some("system_u:system_r:container_t:s0:c1,c2"));
    }

    #[test]
    fn limits() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 unlimited            files     \n";
        assert_eq!(parse_limit(text, "Max open files"), Some((1024, u64::MAX)));
        assert_eq!(parse_limit("", "Max open files"), None);
    }
}
