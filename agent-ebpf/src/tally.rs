//! What became of each event, counted in one place so that the counters add up.

use crate::maps::COUNTERS;
use unready_agent_common::{counters::HookCounters, hooks::Hook};

/// What a program did with an event.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// A record went to user space.
    Sent,
    /// It was known already, or its cgroup has sent enough.
    Counted,
    /// Not of interest.
    Filtered,
    /// The ring had no room.
    RingFull,
}

/// Something in the kernel could not be read, so that there is nothing to tell.
pub(crate) struct Unreadable;

/// What a program returns.
pub(crate) type HookResult = Result<Outcome, Unreadable>;

/// Counts one event and how it ended.
#[inline(always)]
pub(crate) fn tally(hook: Hook, verdict: HookResult) {
    let Some(row) = COUNTERS.get_ptr_mut(hook as u32) else {
        return;
    };
    // SAFETY: the row is this CPU's own, and a program is not entered again on a CPU that is inside it.
    let row: &mut HookCounters = unsafe { &mut *row };
    row.seen += 1;
    match verdict {
        Ok(Outcome::Sent) => row.sent += 1,
        Ok(Outcome::Counted) => row.counted += 1,
        Ok(Outcome::Filtered) => row.filtered += 1,
        Ok(Outcome::RingFull) => row.ring_full += 1,
        Err(Unreadable) => row.failed += 1,
    }
}
