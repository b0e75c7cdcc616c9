//! Cgroups of the unified hierarchy come, go, and are entered. Level 0.
//!
//! A new cgroup is under attention from its first moment: the program itself puts it on the map, so that no start is
//! missed while user space still finds out what it is. Cgroups of v1 hierarchies fire the same tracepoints and are
//! filtered by their root.

use crate::{
    debug::debug,
    globals::{UNIFIED_ROOT, field, read},
    maps::WATCHED,
    peek::{Kernel, data_loc},
    record::{header, send, send_in_place},
    tally::{Outcome, Unreadable, Verdict, tally},
    zero,
};
use aya_ebpf::{bindings::BPF_NOEXIST, macros::tracepoint, programs::TracePointContext};
use core::mem::MaybeUninit;
use unready_agent_common::{
    counters::Hook,
    limits::{COMM_CAP, PATH_CAP},
    record::{CgroupAttached, CgroupCreated, CgroupRemoved, Kind},
    watch::{Level, Watch},
};

/// Whether the event is of the unified hierarchy.
#[inline(always)]
fn unified(context: Kernel, root_field: u16) -> Result<bool, Unreadable> {
    Ok(context.get::<u32>(root_field)? == read!(UNIFIED_ROOT))
}

/// `cgroup/cgroup_mkdir`
#[tracepoint]
pub(crate) fn cgroup_mkdir(ctx: TracePointContext) -> u32 {
    tally(Hook::CgroupMkdir, created(&ctx));
    0
}

#[inline(always)]
fn created(ctx: &TracePointContext) -> Verdict {
    let context = Kernel::context(ctx);
    if !unified(context, field!(mkdir_root))? {
        return Ok(Outcome::Filtered);
    }
    let id: u64 = context.get(field!(mkdir_id))?;
    if !watch(id) {
        debug!(ctx, "cgroup {}: no room on the map of attention", id);
    }
    send_in_place(|record: *mut CgroupCreated| {
        // SAFETY: `send_in_place` hands out a writable, zeroed record.
        let record = unsafe { &mut *record };
        record.header = header::<CgroupCreated>(Kind::CgroupCreated);
        record.id = id;
        record.level = context.get(field!(mkdir_level))?;
        let length = data_loc::<PATH_CAP>(context, field!(mkdir_path), &raw mut record.path)?;
        // The string is never longer than what was read but for a full buffer, which is taken as cut.
        record.path_len = if length == PATH_CAP - 1 { PATH_CAP as u32 } else { length as u32 };
        Ok(())
    })
}

/// Puts a cgroup under attention; false if there is no room.
#[inline(always)]
fn watch(id: u64) -> bool {
    let mut watch = MaybeUninit::<Watch>::uninit();
    // SAFETY: a local is valid and, holding words of 64 bits, aligned; zeros are valid for integers.
    let watch = unsafe {
        zero::over(watch.as_mut_ptr());
        watch.assume_init_mut()
    };
    watch.level = Level::Starting as u32;
    WATCHED.insert(id, *watch, BPF_NOEXIST.into()).is_ok()
}

/// `cgroup/cgroup_rmdir`
#[tracepoint]
pub(crate) fn cgroup_rmdir(ctx: TracePointContext) -> u32 {
    tally(Hook::CgroupRmdir, removed(&ctx));
    0
}

#[inline(always)]
fn removed(ctx: &TracePointContext) -> Verdict {
    let context = Kernel::context(ctx);
    if !unified(context, field!(rmdir_root))? {
        return Ok(Outcome::Filtered);
    }
    let id: u64 = context.get(field!(rmdir_id))?;
    // It may have been taken away before; then there is nothing to remove.
    let _ = WATCHED.remove(id);
    Ok(send(CgroupRemoved { header: header::<CgroupRemoved>(Kind::CgroupRemoved), id }))
}

/// `cgroup/cgroup_attach_task`
#[tracepoint]
pub(crate) fn cgroup_attach(ctx: TracePointContext) -> u32 {
    tally(Hook::CgroupAttach, attached(&ctx));
    0
}

#[inline(always)]
fn attached(ctx: &TracePointContext) -> Verdict {
    let context = Kernel::context(ctx);
    if !unified(context, field!(attach_root))? {
        return Ok(Outcome::Filtered);
    }
    send_in_place(|record: *mut CgroupAttached| {
        // SAFETY: `send_in_place` hands out a writable, zeroed record.
        let record = unsafe { &mut *record };
        record.header = header::<CgroupAttached>(Kind::CgroupAttached);
        record.id = context.get(field!(attach_id))?;
        record.pid = context.get(field!(attach_pid))?;
        data_loc::<COMM_CAP>(context, field!(attach_comm), &raw mut record.comm)?;
        Ok(())
    })
}
