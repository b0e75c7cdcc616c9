//! The agent's clock: boot time, as the kernel stamps its records, and its anchor to wall time.
//!
//! The distance between the two clocks changes only when somebody sets the wall clock: a clock that is slewed takes boot time with it
//! (both run on the same corrected counter), and a suspended machine moves both on. So dates never tremble, and a change is an
//! event, not something to be looked for: the kernel tells it to a timer that asks for that (`TFD_TIMER_CANCEL_ON_SET`, `timerfd_create(2)`).
//! It costs nothing while nobody sets the clock, and it comes at once. Looking at both clocks every second would wake an agent at rest, and
//! date what is said meanwhile by the wrong one.

use crate::bpf::waitable_descriptor;
use rustix::{
    io::{self, Errno},
    time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create, timerfd_settime,
    },
};
use std::{future::pending, os::fd::OwnedFd};
use tokio::io::unix::AsyncFd;
use unready_diagnosis::units::{BootNanos, ClockAnchor};

/// A change that is smaller, in nanoseconds, is none: the dates of a start need not be better than that.
const STEP: u64 = 100_000_000;
/// Two readings so far apart are not of one moment: the thread was interrupted between them.
const ONE_MOMENT: u64 = 1_000_000;
/// How often to try for a moment; then the best one is taken.
const TRIES: usize = 5;

/// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`, what `bpf_ktime_get_boot_ns` reads).
pub fn now() -> BootNanos {
    BootNanos(nanos(clock_gettime(ClockId::Boottime)))
}

/// One moment on both clocks.
pub(crate) fn anchor() -> ClockAnchor {
    let mut best = one_look();
    for _ in 1..TRIES {
        if best.1 <= ONE_MOMENT {
            break;
        }
        best = std::cmp::min_by_key(best, one_look(), |(_, apart)| *apart);
    }
    best.0
}

/// The wall clock between two looks at the other one, and how far those were apart.
fn one_look() -> (ClockAnchor, u64) {
    let before = now();
    let wall = nanos(clock_gettime(ClockId::Realtime));
    let apart = now().0.saturating_sub(before.0);
    (ClockAnchor { boot: BootNanos(before.0 + apart / 2), wall }, apart)
}

fn nanos(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Where the wall clock stands after a change of `known`; `None`: about where it did, or before 1970, where nothing can be dated.
pub(crate) fn stepped(known: ClockAnchor, seen: ClockAnchor) -> Option<ClockAnchor> {
    (seen.wall > 0 && seen.ahead_of(known).unsigned_abs() >= STEP).then_some(seen)
}

/// Hears of the wall clock being set.
#[derive(Debug)]
pub(crate) struct Watch {
    timer: Option<AsyncFd<OwnedFd>>,
}

impl Watch {
    /// From now on. Within a tokio runtime.
    pub(crate) fn start() -> std::io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let never = Timespec { tv_sec: i64::MAX, tv_nsec: 0 }; // what counts is that the timer runs
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: never };
        timerfd_settime(&timer, flags, &once)?;
        Ok(Self { timer: Some(waitable_descriptor(timer)?) })
    }

    /// Waits until somebody sets it. What was set before the call, and after the last one returned, counts.
    pub(crate) async fn set(&mut self) {
        let Some(timer) = &self.timer else { return pending().await };
        if let Err(error) = wait(timer).await {
            tracing::warn!("the wall clock is no longer watched ({error}): when it is set, dates are off until the agent is started again");
            self.timer = None;
            pending::<()>().await;
        }
    }
}

async fn wait(timer: &AsyncFd<OwnedFd>) -> std::io::Result<()> {
    loop {
        let mut ready = timer.readable().await?;
        let mut count = [0; 8];
        match ready.try_io(|timer| io::read(timer, &mut count).map_err(std::io::Error::from)) {
            Ok(Err(error)) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(_)) | Err(_) => {} // its time cannot come; or somebody was quicker
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    #[test]
    fn an_anchor_dates_a_moment() {
        let wall = || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
        let before = wall();
        let date = anchor().wall_nanos(now());
        let after = wall();
        let slack = 50_000_000; // the thread may have been interrupted within each of its tries
        assert!((before - slack..=after + slack).contains(&date), "{before} {date} {after}");
    }

    #[test]
    fn two_anchors_of_one_clock_are_one() {
        let known = anchor();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(stepped(known, anchor()), None);
    }

    #[test]
    fn a_step_is_told_from_a_tremble() {
        let known = ClockAnchor { boot: BootNanos(5), wall: 1_000_000_000_000 };
        let later = |by: i64| ClockAnchor { boot: BootNanos(1_000_005), wall: 1_000_001_000_000_u64.saturating_add_signed(by) };
        for by in [0, 99_999_999, -99_999_999] {
            assert_eq!(stepped(known, later(by)), None, "{by}");
        }
        for by in [100_000_000, -100_000_000, 3_600_000_000_000, -900_000_000_000] {
            assert_eq!(stepped(known, later(by)), Some(later(by)), "{by}");
        }
        assert_eq!(stepped(known, ClockAnchor { boot: BootNanos(7), wall: 0 }), None, "before 1970");
    }

    #[tokio::test]
    async fn a_clock_that_nobody_sets_wakes_nobody() {
        let mut watch = Watch::start().unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(50), watch.set()).await.is_err());
    }
}
