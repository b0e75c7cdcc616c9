//! Failures that healthy programs make all day: they explain nothing, whatever comes after them. Seen with strace on some sixty of
//! Debian's programs.

use super::runtime_files;
use crate::record::{Call, CallFailed, Errno, PathArg};

/// `libx.so`, `libx.so.1.2`.
pub fn is_library(path: &str) -> bool {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.split('.').skip(1).any(|part| part == "so")
}

/// Whether healthy programs fail so.
pub fn is_noise(call: &CallFailed) -> bool {
    if matches!(call.errno, Errno::EMFILE | Errno::ENFILE) {
        return false; // the limit is the matter, whatever file it met
    }
    let Some(PathArg { path, .. }) = call.path() else { return false };
    let base = path.rsplit('/').next().unwrap_or(path);
    NOISE_EXACT.contains(&path.as_str())
        || runtime_files::is_searched_for(path)
        || NOISE_BELOW.iter().any(|prefix| path.starts_with(prefix))
        || NOISE_PARTS.iter().any(|part| path.contains(part))
        || (is_library(path) && NOISE_LIBRARY_PARTS.iter().any(|part| path.contains(part)))
        || (call.errno == Errno::ENOENT && NOISE_MISSING.contains(&base))
        || (call.call == Call::Connect && (path.ends_with("/nscd/socket") || path == "/dev/log" || path.contains("systemd")))
}

const NOISE_EXACT: &[&str] = &[
    "/etc/ld.so.preload",
    "/etc/ld.so.cache",
    "/etc/ld.so.nohwcap",
    "/etc/suid-debug",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/dev/tty",
    "/dev/log",
    "/dev/kmsg",
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
    "/etc/mdns.allow",
    "/etc/os-release",
    "/etc/inputrc",
    "/etc/profile",
    "/etc/bash.bashrc",
    "/etc/timezone",
    "/.dockerenv",
    "",
];
const NOISE_BELOW: &[&str] = &[
    "/proc/",
    "/sys/",
    "/usr/share/locale",
    "/usr/lib/locale",
    "/etc/terminfo",
    "/lib/terminfo",
    "/usr/share/terminfo",
    "/usr/lib/terminfo",
    "/tmp/hsperfdata_",
    "/usr/share/i18n",
    "/etc/openssl/",
    "/usr/lib/gconv",
    "/usr/lib/x86_64-linux-gnu/gconv",
    "/dev/shm/",
    "/var/run/nscd",
    "/run/nscd",
    "/run/systemd/",
    "/root/.",
    "/usr/share/nodejs",
    "/etc/gss/",
];
const NOISE_PARTS: &[&str] = &[
    "__pycache__",
    "glibc-hwcaps",
    "LC_MESSAGES",
    "/.git",
    "/.config/",
    "/.cache/",
    "/.local/",
    "locale.alias",
    "gconv-modules",
    "libnss_",
];
/// Directories that ld.so tries for libraries alone: elsewhere `/etc/tls/` is where a key lies.
const NOISE_LIBRARY_PARTS: &[&str] = &["/tls/", "/x86_64/", "/haswell/", "/avx512"];
const NOISE_MISSING: &[&str] = &[
    "pyvenv.cfg",
    "pybuilddir.txt",
    "python.sh",
    "sitecustomize.py",
    "usercustomize.py",
    ".bashrc",
    ".profile",
    ".bash_profile",
    ".netrc",
    ".npmrc",
    ".env",
    "terminfo",
    "openssl.cnf",
    "zoneinfo.zip",
];
