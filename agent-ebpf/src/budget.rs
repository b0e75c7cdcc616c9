//! What a cgroup may tell: see [`unready_agent_common::watch`].
//!
//! Two CPUs may charge the same budget at the same time and read the same word; then one record more passes. That is cheaper
//! than a lock, and bounded by the number of CPUs.

use crate::{
    add,
    maps::{TOLD, WATCHED},
    record::now,
    tally::Outcome,
};
use aya_ebpf::bindings::BPF_ANY;
use unready_agent_common::watch::{Budget, Level, Watch};

/// The attention that a cgroup has; `None`: nothing of it is told.
#[inline(always)]
pub(crate) fn watched(cgroup: u64) -> Option<*mut Watch> {
    WATCHED.get_ptr_mut(cgroup)
}

/// The same, if it is starting.
#[inline(always)]
pub(crate) fn starting(cgroup: u64) -> Option<*mut Watch> {
    watched(cgroup).filter(|watch| is_starting(*watch))
}

/// Whether all of it is of interest.
#[inline(always)]
pub(crate) fn is_starting(watch: *mut Watch) -> bool {
    // SAFETY: a pointer into the map stays valid while the program runs.
    unsafe { (*watch).level >= Level::Starting as u32 }
}

/// Whether this is the main process of its cgroup.
#[inline(always)]
pub(crate) fn is_main(watch: *mut Watch, tgid: u32) -> bool {
    // SAFETY: as in `is_starting`.
    tgid != 0 && unsafe { (*watch).main } == tgid
}

/// Charges one record to a cgroup and, if it was made from within another, to that one's estate.
#[inline(always)]
pub(crate) fn pay(watch: *mut Watch, budget: Budget) -> Result<(), Outcome> {
    let at = now();
    // SAFETY: as in `is_starting`; the words are plain integers, see the module's head.
    let own = unsafe { &mut (*watch).due[budget as usize] };
    let Some(next) = budget.rate().charge(*own, at) else {
        return Err(exceeded(watch));
    };
    pay_estate(watch, budget, at)?;
    *own = next;
    Ok(())
}

/// The estate's part alone: failing calls have a budget of their own kind.
#[inline(always)]
pub(crate) fn pay_estate(watch: *mut Watch, budget: Budget, at: u64) -> Result<(), Outcome> {
    // SAFETY: as in `is_starting`.
    let maker = unsafe { (*watch).maker };
    let Some(estate) = (if maker == 0 { Some(watch) } else { watched(maker) }) else {
        return Ok(()); // the maker is gone, and makes nothing any more
    };
    // SAFETY: as in `pay`.
    let due = unsafe { &mut (*estate).estate[budget as usize] };
    match budget.estate().charge(*due, at) {
        Some(next) => {
            *due = next;
            Ok(())
        }
        None => Err(exceeded(watch)),
    }
}

/// Counts what was not told: of a cgroup that nobody follows, where its maker's count is.
#[inline(always)]
pub(crate) fn exceeded(watch: *mut Watch) -> Outcome {
    // SAFETY: as in `is_starting`.
    let maker = unsafe { (*watch).maker };
    let counted = if maker == 0 || is_starting(watch) { watch } else { watched(maker).unwrap_or(watch) };
    // SAFETY: the element lives as long as the program runs, and its words are aligned.
    unsafe { add::one(&raw mut (*counted).suppressed) };
    Outcome::Counted
}

/// A record of this process was sent: its end will be told.
#[inline(always)]
pub(crate) fn remember(tgid: u32, start: u64) {
    // When there is no room, its end has to pass the budget like any other's.
    let _ = TOLD.insert(u64::from(tgid), start, BPF_ANY.into());
}

/// Whether a record of this process was sent. It ends now: the entry goes.
#[inline(always)]
pub(crate) fn take_told(tgid: u32, start: u64) -> bool {
    let key = u64::from(tgid);
    let Some(told) = TOLD.get_ptr(key) else {
        return false;
    };
    // SAFETY: a pointer into the map stays valid while the program runs.
    let known = unsafe { told.read() } == start;
    let _ = TOLD.remove(key);
    known
}
