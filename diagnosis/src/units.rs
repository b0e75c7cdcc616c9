//! Newtypes of ids and units, so that a process id is never taken for a cgroup's.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootNanos(pub u64);

impl BootNanos {
    /// The time that has passed since `earlier`; zero if it lies in the future (records of several CPUs may be out of order).
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment and a duration later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Id of a cgroup in the unified hierarchy: the inode number of its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CgroupId(pub u64);

/// A process, told apart from a later one with the same number by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// When it started, nanoseconds since boot; 0 when unknown.
    #[serde(default)]
    pub start: u64,
}

impl fmt::Display for CgroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where wall-clock time stood at one moment of boot time: turns kernel times into dates at the edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockAnchor {
    /// The moment, since boot.
    pub boot: BootNanos,
    /// The same moment, nanoseconds since 1970-01-01 UTC.
    pub wall: u64,
}

impl ClockAnchor {
    /// Nanoseconds since 1970 of a kernel time.
    pub const fn wall_nanos(self, at: BootNanos) -> u64 {
        if at.0 >= self.boot.0 { self.wall.saturating_add(at.0 - self.boot.0) } else { self.wall.saturating_sub(self.boot.0 - at.0) }
    }

    /// The kernel time at which this clock shows, or showed, so many nanoseconds since 1970; 0 for what was before the boot.
    pub const fn boot_nanos(self, wall: u64) -> BootNanos {
        let at =
            if wall >= self.wall { self.boot.0.saturating_add(wall - self.wall) } else { self.boot.0.saturating_sub(self.wall - wall) };
        BootNanos(at)
    }

    /// By how many nanoseconds this clock is ahead of another one at the same moment; negative: behind.
    pub const fn ahead_of(self, other: Self) -> i64 {
        let here = self.wall.wrapping_sub(self.boot.0);
        let there = other.wall.wrapping_sub(other.boot.0);
        here.wrapping_sub(there).cast_signed() // both differences fit for any two clocks within 292 years
    }
}
