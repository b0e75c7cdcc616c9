//! What each hook did with what it saw: `seen == sent + counted + filtered + failed + ring_full`.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One row, per CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct HookCounters {
    /// Events that reached the program's filter.
    pub seen: u64,
    /// Records put into the ring.
    pub sent: u64,
    /// Repetitions, and what exceeds its cgroup's budget: counted in the kernel instead of sent.
    pub counted: u64,
    /// Not of a watched cgroup, or no call or errno of interest.
    pub filtered: u64,
    /// Something could not be read, so that no record could be made.
    pub failed: u64,
    /// Lost because the ring was full.
    pub ring_full: u64,
}

impl HookCounters {
    /// Whether every event seen is accounted for.
    pub const fn adds_up(&self) -> bool {
        self.seen == self.sent + self.counted + self.filtered + self.failed + self.ring_full
    }
}
