//! The clock of the pipeline: boot time, as the kernel stamps its records, and its anchor to wall time.

use anyhow::Context as _;
use rustix::time::{ClockId, Timespec, clock_gettime};
use unready_diagnosis::units::{BootNanos, ClockAnchor};

/// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`, what `bpf_ktime_get_boot_ns` reads).
pub(super) fn now() -> BootNanos {
    BootNanos(nanos(clock_gettime(ClockId::Boottime)))
}

/// One moment on both clocks.
pub(super) fn anchor() -> anyhow::Result<ClockAnchor> {
    let (boot, wall) = (now(), nanos(clock_gettime(ClockId::Realtime)));
    (wall > 0).then_some(ClockAnchor { boot, wall }).context("the wall clock stands before 1970: set it")
}

fn nanos(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}
