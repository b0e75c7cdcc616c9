//! A runtime enters the container's file system: `pivot_root` and `chroot` that succeeded. Level 1.

use crate::{
    globals::field,
    maps::WATCHED,
    peek::Kernel,
    record::{current_cgroup, current_task, header, send},
    tally::{Outcome, Verdict, tally},
};
use aya_ebpf::{macros::tracepoint, programs::TracePointContext};
use unready_agent_common::{
    counters::Hook,
    record::{Kind, RootChanged},
};

/// `syscalls/sys_exit_pivot_root`
#[tracepoint]
pub(crate) fn pivot_root_done(ctx: TracePointContext) -> u32 {
    tally(Hook::RootChanged, changed(&ctx, field!(pivot_root_ret)));
    0
}

/// `syscalls/sys_exit_chroot`
#[tracepoint]
pub(crate) fn chroot_done(ctx: TracePointContext) -> u32 {
    tally(Hook::RootChanged, changed(&ctx, field!(chroot_ret)));
    0
}

#[inline(always)]
fn changed(ctx: &TracePointContext, result_field: u16) -> Verdict {
    let cgroup = current_cgroup();
    if WATCHED.get_ptr(cgroup).is_none() || Kernel::context(ctx).get::<i64>(result_field)? != 0 {
        return Ok(Outcome::Filtered);
    }
    Ok(send(RootChanged { header: header::<RootChanged>(Kind::RootChanged), task: current_task(cgroup) }))
}
