//! Attention: which cgroups the kernel half looks at, and the counters of what repeats.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

wire_enum! {
    /// How closely a cgroup is looked at. A cgroup that is absent from the map is not looked at: no record tells of its
    /// processes.
    pub enum Level: u32 {
        /// Ready, or not yet of interest: starts and ends of processes, no failing calls.
        Rest = 0,
        /// From the creation of the cgroup until ready: failing calls.
        Starting = 1,
        /// A start is slow or a probe failed; nothing more is attached for it yet.
        Stalled = 2,
    }
}

/// Value of the attention map, keyed by cgroup id. The kernel half inserts it for every new cgroup of the unified
/// hierarchy, so that no start is missed; user space takes away what is no container.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Watch {
    /// A [`Level`].
    pub level: u32,
    /// Zero.
    pub reserved: u32,
    /// Distinct failures sent so far; see [`crate::limits::SENT_PER_CGROUP_MAX`].
    pub sent: u64,
    /// Failures that were not sent because the budget was used up.
    pub suppressed: u64,
}

/// What makes two failures the same one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct RepeatKey {
    /// Cgroup id.
    pub cgroup: u64,
    /// Hash of path, second path and argument, as in [`crate::record::CallFailed::hash`].
    pub hash: u64,
    /// A [`crate::call::Call`].
    pub call: u16,
    /// The positive errno.
    pub errno: u16,
    /// Zero.
    pub reserved: u32,
}

/// How often it happened after it was sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct RepeatValue {
    /// Total, the one that was sent included.
    pub count: u64,
    /// Boot-time nanoseconds of the last one.
    pub last: u64,
    /// Thread group of the last one.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Watch>() == 24 && size_of::<RepeatKey>() == 24 && size_of::<RepeatValue>() == 24);
