//! A runtime enters the container's file system: `pivot_root` and `chroot` that succeeded. Level 1.
//!
//! Not programs of their own: [`crate::call`] sees every call that returns 0 and asks here. A tracepoint on each of the two
//! would make every system call of the node dearer a second time.

use crate::{
    budget::{pay, starting},
    globals::{ROOT_CALLS, member, read},
    peek::{KernelAddress, is_compat},
    record::{current_cgroup, current_task, header, send},
    tally::{Outcome, tally},
};
use unready_agent_common::{
    hooks::Hook,
    record::{Kind, RootChanged},
    watch::Budget,
};

/// Tells it, if the call that returned 0 is one of the two.
#[inline(always)]
pub(crate) fn look(regs: KernelAddress) {
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
    // A 32-bit program has other calls under these numbers.
    let Some(watch) = starting(cgroup).filter(|_| !is_compat()) else {
        return Outcome::Filtered;
    };
    if let Err(outcome) = pay(watch, Budget::Root) {
        return outcome;
    }
    send(RootChanged { header: header::<RootChanged>(Kind::RootChanged), task: current_task(cgroup) })
}
