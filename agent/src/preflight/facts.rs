//! What preflight looks at: texts of `/proc` and `/sys`, read once, and their parsing.
//!
//! A file that cannot be read is an empty text; the rule that needs it says what follows.

use crate::cgroupfs::{CgroupError, CgroupRoot};
use std::{env, fs, path::Path};

/// The inode of the initial pid namespace (`PROC_PID_INIT_INO` in `include/linux/proc_ns.h`).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Texts and yes-or-no facts about this machine.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `uname -r`.
    pub release: String,
    /// The kernel describes its own types (`/sys/kernel/btf/vmlinux`).
    pub btf: bool,
    /// `/proc/self/mountinfo`.
    pub mountinfo: String,
    /// `/proc/self/status`.
    pub status: String,
    /// `/proc/self/uid_map`.
    pub uid_map: String,
    /// `/sys/kernel/security/lockdown`; empty without lockdown or securityfs.
    pub lockdown: String,
    /// `cgroup.controllers` of the unified hierarchy's root.
    pub controllers: String,
    /// Of the unified hierarchy, only our own part is mounted.
    pub own_cgroup_only: bool,
    /// We are in a pid namespace of our own: other containers' processes are not below `/proc`.
    pub own_pids_only: bool,
    /// We are a pod: what is missing is granted by its manifest.
    pub in_pod: bool,
}

impl Facts {
    /// Reads them.
    pub fn gather() -> Self {
        let mountinfo = read_mountinfo();
        let controllers = CgroupRoot::from_mountinfo(&mountinfo).map(|root| read(root.path().join("cgroup.controllers")));
        Self {
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
            btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            status: read("/proc/self/status"),
            uid_map: read("/proc/self/uid_map"),
            lockdown: read("/sys/kernel/security/lockdown"),
            controllers: controllers.unwrap_or_default(),
            own_cgroup_only: matches!(CgroupRoot::find(), Err(CgroupError::OwnOnly(_))),
            own_pids_only: fs::read_link("/proc/self/ns/pid").is_ok_and(|namespace| namespace != Path::new(INITIAL_PID_NAMESPACE)),
            in_pod: env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
            mountinfo,
        }
    }
}

/// `/proc/self/mountinfo`, empty if it cannot be read.
pub(super) fn read_mountinfo() -> String {
    read("/proc/self/mountinfo")
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Major and minor number of a release such as `5.10.0-46-cloud-amd64`.
pub fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Where tracefs is mounted, the shallowest place first.
pub fn tracefs_mount(mountinfo: &str) -> Option<&str> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            (right.split(' ').next()? == "tracefs").then(|| left.split(' ').nth(4)).flatten()
        })
        .min_by_key(|point| point.matches('/').count())
}

/// The chosen mode of a text such as `none [integrity] confidentiality`.
pub fn lockdown_mode(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(mode, _)| mode)
}

/// The effective capabilities of a `/proc/PID/status`, bit n for capability n.
pub fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The effective uid of a `/proc/PID/status`.
pub fn effective_uid(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a `uid_map` is that of the initial user namespace: all ids mapped to themselves.
pub fn is_initial_user_namespace(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions() {
        for (release, expected) in [
            ("5.10.0-46-cloud-amd64", Some((5, 10))),
            ("6.18.44-custom", Some((6, 18))),
            ("7.3-rc1", Some((7, 3))),
            ("4.18.0-553.el8", Some((4, 18))),
            ("5", None),
            ("", None),
            ("linux", None),
        ] {
            assert_eq!(kernel_version(release), expected, "{release:?}");
        }
    }

    #[test]
    fn tracefs_is_found_at_its_shallowest_mount() {
        let text = "29 23 0:7 / /sys/kernel/debug rw - debugfs debugfs rw\n\
                    77 29 0:12 / /sys/kernel/debug/tracing/deep rw - tracefs tracefs rw\n\
                    31 23 0:12 / /sys/kernel/tracing rw,nosuid shared:9 - tracefs none rw\n";
        assert_eq!(tracefs_mount(text), Some("/sys/kernel/tracing"));
        assert_eq!(tracefs_mount("29 23 0:7 / /sys/kernel/debug rw - debugfs tracefs rw\n"), None);
        assert_eq!(tracefs_mount("tracefs - tracefs"), None);
    }

    #[test]
    fn lockdown_modes() {
        assert_eq!(lockdown_mode("none [integrity] confidentiality\n"), Some("integrity"));
        assert_eq!(lockdown_mode("[none] integrity confidentiality"), Some("none"));
        assert_eq!(lockdown_mode(""), None);
        assert_eq!(lockdown_mode("[cut"), None);
    }

    #[test]
    fn rights_of_a_status() {
        let status = "Name:\tx\nUid:\t1000\t0\t1000\t1000\nCapInh:\t0\nCapEff:\t000001fffeffffff\nCapBnd:\t0\n";
        assert_eq!(effective_capabilities(status), Some(0x01ff_feff_ffff));
        assert_eq!(effective_uid(status), Some(0));
        assert_eq!(effective_capabilities("CapEff:\tzz"), None);
        assert_eq!(effective_uid("Uid:\t5"), None);
    }

    #[test]
    fn user_namespaces() {
        assert!(is_initial_user_namespace("         0          0 4294967295\n"));
        assert!(!is_initial_user_namespace("0 100000 65536\n"));
        assert!(!is_initial_user_namespace("0 0 4294967294\n"));
        assert!(!is_initial_user_namespace(""));
    }
}
