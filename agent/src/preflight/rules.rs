//! From facts to checks: what each lack means, and what to do about it. Pure.

use super::{
    Check, TRACEFS,
    facts::{self, Facts},
};
use crate::cgroupfs::{CgroupError, CgroupRoot};

/// Oldest kernel: `CAP_BPF`, the ring buffer and `bpf_ktime_get_boot_ns` are of Linux 5.8; 5.10 is the first long-term one.
const KERNEL_MIN: (u32, u32) = (5, 10);

/// All checks, in the order in which a user has to repair them.
pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![rights(facts), kernel(facts), btf(facts), tracefs(facts), cgroup(facts), processes(facts), lockdown(facts)];
    checks.extend(CAPABILITIES.iter().map(|need| need.judge(facts)));
    checks.push(memory(facts));
    checks.push(blind_spots());
    checks
}

/// What is seen nowhere: nothing to repair, and to be known.
fn blind_spots() -> Check {
    Check::ok(
        "not seen",
        "calls through io_uring, calls of 32-bit programs, calls inside gVisor and Kata; verdicts say where a container uses them",
    )
}

/// What to do: of a pod, in its manifest.
const fn remedy(facts: &Facts, host: &'static str, pod: &'static str) -> &'static str {
    if facts.in_pod { pod } else { host }
}

fn rights(facts: &Facts) -> Check {
    const NAME: &str = "user";
    if !facts::is_initial_user_namespace(&facts.uid_map) {
        return Check::refused(
            NAME,
            "this is a user namespace of its own, whose root has no rights over the kernel",
            remedy(facts, "run it on the host, or in a container without user namespace", "leave hostUsers: false out of the pod's spec"),
        );
    }
    match facts::effective_uid(&facts.status) {
        Some(0) => Check::ok(NAME, "root"),
        Some(_) if CAPABILITIES.iter().all(|need| !need.needed || need.held(facts)) => {
            Check::degraded(NAME, "not root: `unready run` cannot make cgroups or change users", "use sudo for `unready run`")
        }
        Some(uid) => {
            let remedy = remedy(facts, "run it as root, e.g. with sudo", "set securityContext.runAsUser: 0 of the agent's container");
            Check::refused(NAME, format!("uid {uid} may not load eBPF programs"), remedy)
        }
        None => Check::degraded(NAME, "/proc/self/status cannot be read, so that rights are unknown", "mount /proc"),
    }
}

fn kernel(facts: &Facts) -> Check {
    const NAME: &str = "kernel";
    let release = &facts.release;
    match facts::kernel_version(release) {
        Some(version) if version >= KERNEL_MIN => Check::ok(NAME, release.clone()),
        Some(_) => Check::refused(NAME, format!("Linux {release} is too old"), "Unready needs 5.10 or later"),
        None => Check::degraded(NAME, format!("{release:?} names no version"), "Unready needs 5.10 or later"),
    }
}

fn btf(facts: &Facts) -> Check {
    const NAME: &str = "BTF";
    if facts.btf {
        return Check::ok(NAME, "/sys/kernel/btf/vmlinux");
    }
    Check::refused(
        NAME,
        "the kernel does not describe its types: there is no /sys/kernel/btf/vmlinux",
        "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as the distributions' own are",
    )
}

/// Needed from Linux 6.19 on: raw tracepoints can be preempted there, and the programs that cannot be sit on ordinary ones.
fn tracefs(facts: &Facts) -> Check {
    const NAME: &str = "tracefs";
    match facts::tracefs_mount(&facts.mountinfo) {
        Some(point) => Check::ok(NAME, point),
        None => Check::degraded(
            NAME,
            "tracefs is not mounted; on Linux 6.19 and later failing calls may go unseen while many fail at once",
            if facts.in_pod {
                format!("mount the node's {TRACEFS} there (hostPath, read-only), and mount tracefs on the node")
            } else {
                format!("`mount -t tracefs none {TRACEFS}`, or give the container that directory of the host")
            },
        ),
    }
}

fn cgroup(facts: &Facts) -> Check {
    const NAME: &str = "cgroup2";
    if facts.mountinfo.is_empty() {
        return Check::refused(NAME, "/proc/self/mountinfo cannot be read", "mount /proc");
    }
    if let Some(root) = CgroupRoot::from_mountinfo(&facts.mountinfo) {
        if facts.own_cgroup_only {
            return of_error(NAME, &CgroupError::OwnOnly(root.path().to_owned()));
        }
        let kind = if facts.mountinfo.contains(" - cgroup cgroup ") { "hybrid, beside v1 hierarchies" } else { "pure" };
        return Check::ok(NAME, format!("{} ({kind})", root.path().display()));
    }
    of_error(NAME, &CgroupError::NoUnified)
}

fn of_error(name: &str, error: &CgroupError) -> Check {
    let text = error.to_string();
    let (found, remedy) = text.split_once("; ").unwrap_or((&text, "mount it"));
    Check::refused(name, found, remedy)
}

/// The programs report process ids of the initial namespace.
fn processes(facts: &Facts) -> Check {
    const NAME: &str = "processes";
    if facts.own_pids_only {
        return Check::degraded(
            NAME,
            "other containers' processes are not visible from this pid namespace: a refused call is reported, the directory that refused it is not",
            remedy(facts, "run it in the host's pid namespace", "set hostPID: true in the pod's spec"),
        );
    }
    Check::ok(NAME, "all of the machine")
}

fn lockdown(facts: &Facts) -> Check {
    const NAME: &str = "lockdown";
    match facts::lockdown_mode(&facts.lockdown) {
        Some("confidentiality") => Check::refused(
            NAME,
            "the kernel is locked down in mode \"confidentiality\", which forbids eBPF to read kernel memory",
            "boot with lockdown=integrity",
        ),
        Some(mode) => Check::ok(NAME, mode),
        None => Check::ok(NAME, "none, or it is not shown (no securityfs)"),
    }
}

fn memory(facts: &Facts) -> Check {
    const NAME: &str = "memory limit";
    if facts.controllers.split_whitespace().any(|controller| controller == "memory") {
        return Check::ok(NAME, "cgroup2 controller");
    }
    match CgroupRoot::from_mountinfo(&facts.mountinfo).as_ref().and_then(CgroupRoot::v1_memory) {
        Some(point) => Check::ok(NAME, format!("v1 hierarchy at {}", point.display())),
        None => Check::degraded(
            NAME,
            "no memory controller: `unready run --memory` is refused, and memory limits are not explained",
            "boot without cgroup_disable=memory",
        ),
    }
}

/// A capability, and what is lost without it.
struct Need {
    name: &'static str,
    /// Any of these bits of capabilities(7) will do.
    bits: &'static [u8],
    needed: bool,
    lost: &'static str,
}

/// `bpf_capable()` and `perfmon_capable()` accept `CAP_SYS_ADMIN` too (include/linux/capability.h, Linux 5.8).
const CAPABILITIES: &[Need] = &[
    Need { name: "CAP_BPF", bits: &[39, 21], needed: true, lost: "eBPF programs cannot be loaded without CAP_BPF" },
    Need { name: "CAP_PERFMON", bits: &[38, 21], needed: true, lost: "eBPF programs may not look at calls without CAP_PERFMON" },
    Need {
        name: "CAP_SYS_PTRACE",
        bits: &[19],
        needed: false,
        lost: "without CAP_SYS_PTRACE the file systems of other users' processes are closed to us: a refused call is reported, the directory that refused it is not",
    },
    Need {
        name: "CAP_DAC_READ_SEARCH",
        bits: &[2, 1],
        needed: false,
        lost: "without CAP_DAC_READ_SEARCH private directories are closed to us: a path is explained only up to the first of them",
    },
];

impl Need {
    fn held(&self, facts: &Facts) -> bool {
        facts::effective_capabilities(&facts.status).is_some_and(|held| self.bits.iter().any(|bit| held >> bit & 1 == 1))
    }

    fn judge(&self, facts: &Facts) -> Check {
        if self.held(facts) {
            return Check::ok(self.name, "held");
        }
        let name = self.name.trim_start_matches("CAP_");
        let remedy = if facts.in_pod {
            format!("add {name} to securityContext.capabilities.add of the agent's container")
        } else {
            format!("run as root, or add {name} to the container's capabilities")
        };
        if self.needed { Check::refused(self.name, self.lost, remedy) } else { Check::degraded(self.name, self.lost, remedy) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::preflight::{State, refusal};

    const PURE: &str = "31 24 0:27 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n\
                        40 24 0:12 / /sys/kernel/tracing rw - tracefs none rw\n";
    const V1: &str = "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      40 24 0:12 / /sys/kernel/tracing rw - tracefs none rw\n";

    fn good() -> Facts {
        Facts {
            release: "6.1.0-56-cloud-amd64".into(),
            btf: true,
            mountinfo: PURE.into(),
            status: "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n".into(),
            uid_map: "0 0 4294967295".into(),
            lockdown: "none [integrity] confidentiality".into(),
            controllers: "cpu memory pids".into(),
            own_cgroup_only: false,
            own_pids_only: false,
            in_pod: false,
        }
    }

    fn state(facts: &Facts, name: &str) -> State {
        judge(facts).into_iter().find(|check| check.name == name).unwrap().state
    }

    #[test]
    fn a_good_machine_has_nothing_to_say() {
        assert!(judge(&good()).iter().all(|check| check.state == State::Ok && check.remedy.is_none()), "{:#?}", judge(&good()));
    }

    #[test]
    fn each_lack_is_refused_with_a_remedy() {
        let cases: [(&str, &str, Facts); 8] = [
            ("kernel", "5.4.0-1 is too old", Facts { release: "5.4.0-1".into(), ..good() }),
            ("BTF", "CONFIG_DEBUG_INFO_BTF", Facts { btf: false, ..good() }),
            ("cgroup2", "systemd.unified_cgroup_hierarchy=1", Facts { mountinfo: V1.into(), ..good() }),
            ("cgroup2", "mount /proc", Facts { mountinfo: String::new(), ..good() }),
            ("lockdown", "lockdown=integrity", Facts { lockdown: "none integrity [confidentiality]".into(), ..good() }),
            ("user", "sudo", Facts { status: "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0\n".into(), ..good() }),
            ("user", "on the host", Facts { uid_map: "0 100000 65536".into(), ..good() }),
            ("CAP_PERFMON", "add PERFMON", Facts { status: "Uid:\t0\t0\t0\t0\nCapEff:\t0000008000000000\n".into(), ..good() }),
        ];
        for (name, word, facts) in cases {
            let check = judge(&facts).into_iter().find(|check| check.name == name).unwrap();
            assert_eq!(check.state, State::Refused, "{name}");
            assert!(check.sentence().contains(word), "{name}: {}", check.sentence());
            assert!(refusal(&judge(&facts)).is_err(), "{name}");
        }
    }

    #[test]
    fn in_a_pod_the_remedy_is_in_its_manifest() {
        let pod = || Facts { in_pod: true, ..good() };
        let cases: [(&str, &str, Facts); 7] = [
            ("user", "runAsUser: 0", Facts { status: "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0\n".into(), ..pod() }),
            ("user", "hostUsers", Facts { uid_map: "0 100000 65536".into(), ..pod() }),
            ("CAP_BPF", "BPF to securityContext.capabilities.add", Facts { status: "Uid:\t0\t0\t0\t0\nCapEff:\t0\n".into(), ..pod() }),
            ("CAP_SYS_PTRACE", "SYS_PTRACE to securityContext", Facts { status: "Uid:\t0\t0\t0\t0\nCapEff:\t0\n".into(), ..pod() }),
            ("cgroup2", "hostPath", Facts { own_cgroup_only: true, ..pod() }),
            ("processes", "hostPID: true", Facts { own_pids_only: true, ..pod() }),
            ("tracefs", "hostPath", Facts { mountinfo: PURE.lines().next().unwrap().into(), ..pod() }),
        ];
        for (name, word, facts) in cases {
            let check = judge(&facts).into_iter().find(|check| check.name == name).unwrap();
            assert!(check.state != State::Ok && check.sentence().contains(word), "{name}: {}", check.sentence());
        }
        assert!(judge(&pod()).iter().all(|check| check.state == State::Ok));
    }

    #[test]
    fn without_tracefs_a_storm_is_seen_in_part() {
        let facts = Facts { mountinfo: PURE.lines().next().unwrap().into(), ..good() };
        let check = judge(&facts).into_iter().find(|check| check.name == "tracefs").unwrap();
        assert_eq!(check.state, State::Degraded);
        assert!(check.sentence().contains("mount -t tracefs"), "{}", check.sentence());
    }

    #[test]
    fn sys_admin_stands_in_for_bpf_and_perfmon() {
        let facts = Facts { status: "Uid:\t0\t0\t0\t0\nCapEff:\t0000000000200000\n".into(), ..good() };
        assert_eq!(state(&facts, "CAP_BPF"), State::Ok);
        assert_eq!(state(&facts, "CAP_PERFMON"), State::Ok);
        assert_eq!(state(&facts, "CAP_SYS_PTRACE"), State::Degraded);
        assert!(refusal(&judge(&facts)).is_ok());
    }

    #[test]
    fn capabilities_without_root_suffice_for_the_agent() {
        let facts = Facts { status: "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t000000c000080004\n".into(), ..good() };
        assert_eq!(state(&facts, "user"), State::Degraded);
        assert!(refusal(&judge(&facts)).is_ok());
    }

    #[test]
    fn memory_of_a_hybrid_machine_is_the_v1_hierarchy() {
        let hybrid = format!("{V1}31 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
        assert_eq!(state(&Facts { mountinfo: hybrid, controllers: "hugetlb".into(), ..good() }, "memory limit"), State::Ok);
        assert_eq!(state(&Facts { controllers: "cpu".into(), ..good() }, "memory limit"), State::Degraded);
    }
}
