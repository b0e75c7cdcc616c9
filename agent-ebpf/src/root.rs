//! A runtime enters the container's file system: `pivot_root` and `chroot` that succeeded. Level 1.
//!
//! Not programs of their own: [`crate::call`] sees every call that returns 0 and asks here. A tracepoint on each of the two
//! would make every system call of the node dearer a second time.

use crate::{
    globals::{ROOT_CALLS, member, read},
    maps::WATCHED,
    peek::Kernel,
    record::{current_cgroup, current_task, header, send},
    tally::{Outcome, tally},
};
use unready_agent_common::{
    counters::Hook,
    record::{Kind, RootChanged},
};

/// Tells it, if the call that returned 0 is one of the two.
#[inline(always)]
pub(crate) fn look(regs: Kernel) {
    let Ok(number) = regs.get::<u32>(member!(regs_nr)) else {
        return;
    };
    if number == read!(ROOT_CALLS[0]) || number == read!(ROOT_CALLS[1]) {
        tally(Hook::RootChanged, Ok(changed()));
    }
}

#[inline(always)]
fn changed() -> Outcome {
    let cgroup = current_cgroup();
    if WATCHED.get_ptr(cgroup).is_none() {
        return Outcome::Filtered;
    }
    send(RootChanged { header: header::<RootChanged>(Kind::RootChanged), task: current_task(cgroup) })
}
