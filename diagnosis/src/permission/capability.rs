//! Capabilities by number and name (capabilities(7), `include/uapi/linux/capability.h`).

use std::fmt;

/// A capability: bit n of the sets is capability n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(pub u8);

/// Names by number, without `CAP_`, as Kubernetes writes them.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What containerd, CRI-O and Docker leave a root container unless it is told otherwise (containerd
/// `oci.defaultUnixCaps`).
const DEFAULT_SET: [Capability; 14] = [
    Capability::CHOWN,
    Capability::DAC_OVERRIDE,
    Capability::FOWNER,
    Capability(4),
    Capability(5),
    Capability::SETGID,
    Capability::SETUID,
    Capability(8),
    Capability::NET_BIND_SERVICE,
    Capability::NET_RAW,
    Capability(18),
    Capability::MKNOD,
    Capability(29),
    Capability(31),
];

/// The names of capabilities(7).
impl Capability {
    pub const CHOWN: Self = Self(0);
    pub const DAC_OVERRIDE: Self = Self(1);
    pub const DAC_READ_SEARCH: Self = Self(2);
    pub const FOWNER: Self = Self(3);
    pub const SETGID: Self = Self(6);
    pub const SETUID: Self = Self(7);
    pub const NET_BIND_SERVICE: Self = Self(10);
    pub const NET_RAW: Self = Self(13);
    pub const SYS_ADMIN: Self = Self(21);
    pub const SYS_RESOURCE: Self = Self(24);
    pub const MKNOD: Self = Self(27);
}

impl Capability {
    /// Its name without `CAP_`, as `securityContext.capabilities` takes it.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or("of an unknown number")
    }

    /// Whether a set (`CapEff`) has it.
    pub const fn is_in(self, set: u64) -> bool {
        self.0 < 64 && set & (1 << self.0) != 0
    }

    /// Whether container runtimes grant it to root unless it is dropped.
    pub fn is_default(self) -> bool {
        DEFAULT_SET.contains(&self)
    }
}

/// With `CAP_`, as capabilities(7) names it.
impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0)) {
            Some(name) => write!(f, "CAP_{name}"),
            None => write!(f, "capability {}", self.0),
        }
    }
}
