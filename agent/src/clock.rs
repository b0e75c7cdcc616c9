//! The agent's clock: boot time, as the kernel stamps its records, and its anchor to wall time.

use rustix::time::{ClockId, Timespec, clock_gettime};
use unready_diagnosis::units::{BootNanos, ClockAnchor};

/// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`, what `bpf_ktime_get_boot_ns` reads).
pub(crate) fn now() -> BootNanos {
    BootNanos(nanos(clock_gettime(ClockId::Boottime)))
}

/// One moment on both clocks.
pub(crate) fn anchor() -> ClockAnchor {
    ClockAnchor { boot: now(), wall: nanos(clock_gettime(ClockId::Realtime)) }
}

fn nanos(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}
