//! A process of a cgroup that starts makes an `io_uring`: from then on it may open and read without a system call. Level 1.
//!
//! Nothing is told but that it did: a verdict about the cgroup then says what could not be seen.

use crate::{
    budget::starting,
    record::current_cgroup,
    tally::{Outcome, tally},
};
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use unready_agent_common::{hooks::Hook, watch::USES_IO_URING};

/// `io_uring_create`: none of its arguments is of interest
#[raw_tracepoint(tracepoint = "io_uring_create")]
pub(crate) fn io_uring_created(_: RawTracePointContext) {
    tally(Hook::IoUring, Ok(note()));
}

#[inline(always)]
fn note() -> Outcome {
    let Some(watch) = starting(current_cgroup()) else {
        return Outcome::Filtered;
    };
    // SAFETY: a pointer into the map stays valid while the program runs; whoever else sets a bit now sets it again.
    unsafe { (*watch).traits |= USES_IO_URING };
    Outcome::Counted
}
