//! Memory of a cgroup: cgroup v2's files where it accounts memory, v1's on hybrid machines.

use super::control::{keyed, number, smallest};
use crate::cgroupfs::CgroupRoot;
use std::path::Path;
use unready_diagnosis::question::Memory;

/// What a cgroup's files tell; `None` when it is gone, or accounts no memory.
pub(super) fn read(root: &CgroupRoot, path: &str) -> Option<Memory> {
    let path = path.trim_matches('/');
    let v2 = || read_v2(root.path(), &root.directory(path));
    let v1 = || root.v1_memory().and_then(|v1| read_v1(v1, &v1.join(path)));
    v2().or_else(v1)
}

fn read_v2(top: &Path, directory: &Path) -> Option<Memory> {
    let current = number(&directory.join("memory.current"))?;
    Some(Memory {
        limit: smallest(top, directory, "memory.max").map(|(limit, _)| limit),
        peak: number(&directory.join("memory.peak")),
        current: Some(current),
        oom_kills: keyed(&directory.join("memory.events"), "oom_kill"),
    })
}

fn read_v1(top: &Path, directory: &Path) -> Option<Memory> {
    let current = number(&directory.join("memory.usage_in_bytes"))?;
    Some(Memory {
        limit: smallest(top, directory, "memory.limit_in_bytes").map(|(limit, _)| limit),
        peak: number(&directory.join("memory.max_usage_in_bytes")),
        current: Some(current),
        oom_kills: keyed(&directory.join("memory.oom_control"), "oom_kill"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{super::control::write, *};

    #[test]
    fn v2_takes_the_limit_that_binds() {
        let top = tempfile::tempdir().unwrap();
        let pod = top.path().join("pod");
        let container = pod.join("c");
        write(&pod, &[("memory.max", "1000000\n")]);
        write(
            &container,
            &[("memory.max", "max\n"), ("memory.current", "5\n"), ("memory.peak", "9\n"), ("memory.events", "oom 3\noom_kill 2\n")],
        );
        let memory = read_v2(top.path(), &container).unwrap();
        assert_eq!(memory, Memory { limit: Some(1_000_000), peak: Some(9), current: Some(5), oom_kills: Some(2) });
        assert!(read_v2(top.path(), &top.path().join("gone")).is_none());
    }

    #[test]
    fn v1_has_a_number_for_no_limit() {
        let top = tempfile::tempdir().unwrap();
        let directory = top.path().join("c");
        write(
            &directory,
            &[
                ("memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory.usage_in_bytes", "7\n"),
                ("memory.max_usage_in_bytes", "8\n"),
                ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
            ],
        );
        let memory = read_v1(top.path(), &directory).unwrap();
        assert_eq!(memory, Memory { limit: None, peak: Some(8), current: Some(7), oom_kills: Some(1) });
        write(&directory, &[("memory.limit_in_bytes", "16777216\n")]);
        assert_eq!(read_v1(top.path(), &directory).unwrap().limit, Some(16 << 20));
    }
}
