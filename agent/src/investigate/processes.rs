//! Limits of processes and threads, and how many there are: of a cgroup (`pids.*`, the same files in both versions), of a user, of the node.

use super::{
    control::{keyed, number, smallest},
    proc,
};
use crate::cgroupfs::CgroupRoot;
use std::{fs, path::Path};
use unready_diagnosis::question::ProcessLimits;

/// Processes of the node that are counted: more than most nodes may have.
const COUNTED: usize = 1 << 15;

/// What limits a process, which may be gone (`None`), of a user, in a cgroup with this path.
pub(super) fn read(root: &CgroupRoot, path: Option<&str>, pid: Option<u32>, uid: u32) -> ProcessLimits {
    let of_cgroup = path.map(|path| of_cgroup(root, path.trim_matches('/'))).unwrap_or_default();
    ProcessLimits {
        user_limit: pid.and_then(|pid| proc::limit(pid, "Max processes")).map(|(soft, _)| soft),
        user_now: threads_of(uid),
        node_limit: ["threads-max", "pid_max"].iter().filter_map(|name| number(&Path::new(proc::PROC).join("sys/kernel").join(name))).min(),
        node_now: threads_of_node(),
        ..of_cgroup
    }
}

fn of_cgroup(root: &CgroupRoot, path: &str) -> ProcessLimits {
    let v2 = || counted(root.path(), &root.directory(path));
    let v1 = || root.v1_pids().and_then(|v1| counted(v1, &v1.join(path)));
    v2().or_else(v1).unwrap_or_default()
}

/// `None`: the hierarchy does not count processes there, or the cgroup is gone.
fn counted(top: &Path, directory: &Path) -> Option<ProcessLimits> {
    let own = number(&directory.join("pids.current"))?;
    let Some((limit, whose)) = smallest(top, directory, "pids.max") else {
        return Some(ProcessLimits { pids_now: Some(own), ..ProcessLimits::default() });
    };
    Some(ProcessLimits {
        pids_limit: Some(limit),
        pids_now: number(&whose.join("pids.current")),
        pids_refused: refused(directory),
        pids_refused_above: (whose != directory).then(|| refused(whose)).flatten(),
        pids_above: whose != directory,
        ..ProcessLimits::default()
    })
}

/// How often a fork was refused: of one of its processes (before Linux 6.11), or by its limit (since then).
fn refused(directory: &Path) -> Option<u64> {
    keyed(&directory.join("pids.events"), "max")
}

/// Threads that run as a user; `None`: there are too many processes to count them.
fn threads_of(uid: u32) -> Option<u64> {
    let pids: Vec<u32> = fs::read_dir(proc::PROC).ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    (pids.len() <= COUNTED).then(|| pids.into_iter().filter_map(|pid| threads_if_of(pid, uid)).sum())
}

fn threads_if_of(pid: u32, uid: u32) -> Option<u64> {
    let field = |name: &str| proc::status_field(pid, name);
    let real: u32 = field("Uid")?.split_whitespace().next()?.parse().ok()?;
    (real == uid).then(|| field("Threads")?.parse().ok()).flatten()
}

/// The fourth field of `/proc/loadavg` is `running/all`, of threads.
fn threads_of_node() -> Option<u64> {
    let bytes = proc::read_bytes(Path::new(proc::PROC).join("loadavg"), 256).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{super::control::write, *};

    #[test]
    fn the_limit_that_binds_and_whose_it_is() {
        let top = tempfile::tempdir().unwrap();
        let pod = top.path().join("pod");
        let container = pod.join("c");
        write(&pod, &[("pids.max", "64\n"), ("pids.current", "60\n"), ("pids.events", "max 3\n")]);
        write(&container, &[("pids.max", "max\n"), ("pids.current", "58\n"), ("pids.events", "max 0\n")]);
        let of_pod = counted(top.path(), &container).unwrap();
        let expected = ProcessLimits {
            pids_limit: Some(64),
            pids_now: Some(60),
            pids_refused: Some(0),
            pids_refused_above: Some(3),
            pids_above: true,
            ..ProcessLimits::default()
        };
        assert_eq!(of_pod, expected);
        write(&container, &[("pids.max", "59\n")]);
        let own = counted(top.path(), &container).unwrap();
        assert_eq!((own.pids_limit, own.pids_now, own.pids_above), (Some(59), Some(58), false));
        assert_eq!(counted(top.path(), &top.path().join("gone")), None);
    }

    #[test]
    fn threads_are_counted() {
        let uid = rustix::process::getuid().as_raw();
        let root = CgroupRoot::from_mountinfo("30 24 0:27 / /nowhere rw - cgroup2 cgroup2 rw\n").unwrap();
        let seen = read(&root, None, Some(std::process::id()), uid);
        assert!(seen.user_now >= Some(2), "this program and its harness: {seen:?}");
        assert!(seen.node_now >= Some(2) && seen.node_limit > seen.node_now, "{seen:?}");
        assert!(seen.user_limit.is_some() && seen.pids_now.is_none(), "{seen:?}");
    }
}
