//! Cgroups of the unified hierarchy come, go, and are entered. Level 0.
//!
//! A new cgroup is under attention from its first moment: the program itself puts it on the map, so that no start is
//! missed while user space still finds out what it is. Cgroups of v1 hierarchies fire the same tracepoints and are
//! filtered by their root.

use crate::{
    debug::debug,
    globals::{UNIFIED_ROOT, member, read},
    maps::WATCHED,
    peek::Kernel,
    record::{header, send, send_in_place},
    tally::{Outcome, Unreadable, Verdict, tally},
    zero,
};
use aya_ebpf::{bindings::BPF_NOEXIST, macros::raw_tracepoint, programs::RawTracePointContext};
use core::mem::MaybeUninit;
use unready_agent_common::{
    counters::Hook,
    limits::{COMM_CAP, PATH_CAP},
    record::{CgroupAttached, CgroupCreated, CgroupRemoved, Kind},
    watch::{Level, Watch},
};

/// The cgroup that all three tracepoints hand over first, if it is of the unified hierarchy.
#[inline(always)]
fn unified(ctx: &RawTracePointContext) -> Result<Option<Kernel>, Unreadable> {
    let cgroup = Kernel::argument(ctx, 0);
    let hierarchy: u32 = cgroup.follow(member!(cgroup_root))?.get(member!(cgroup_root_hierarchy))?;
    Ok((hierarchy == read!(UNIFIED_ROOT)).then_some(cgroup))
}

#[inline(always)]
fn id_of(cgroup: Kernel) -> Result<u64, Unreadable> {
    cgroup.follow(member!(cgroup_node))?.get(member!(node_id))
}

/// `cgroup_mkdir`: the cgroup and its path
#[raw_tracepoint(tracepoint = "cgroup_mkdir")]
pub(crate) fn cgroup_mkdir(ctx: RawTracePointContext) {
    tally(Hook::CgroupMkdir, created(&ctx));
}

#[inline(always)]
fn created(ctx: &RawTracePointContext) -> Verdict {
    let Some(cgroup) = unified(ctx)? else {
        return Ok(Outcome::Filtered);
    };
    let id = id_of(cgroup)?;
    if !watch(id) {
        debug!(ctx, "cgroup {}: no room on the map of attention", id);
    }
    send_in_place(|record: *mut CgroupCreated| {
        // SAFETY: `send_in_place` hands out a writable, zeroed record.
        let record = unsafe { &mut *record };
        record.header = header::<CgroupCreated>(Kind::CgroupCreated);
        record.id = id;
        record.level = cgroup.get(member!(cgroup_level))?;
        let length = Kernel::argument(ctx, 1).string::<PATH_CAP>(&raw mut record.path)?;
        // A full buffer is taken as cut.
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

/// `cgroup_rmdir`: the cgroup and its path
#[raw_tracepoint(tracepoint = "cgroup_rmdir")]
pub(crate) fn cgroup_rmdir(ctx: RawTracePointContext) {
    tally(Hook::CgroupRmdir, removed(&ctx));
}

#[inline(always)]
fn removed(ctx: &RawTracePointContext) -> Verdict {
    let Some(cgroup) = unified(ctx)? else {
        return Ok(Outcome::Filtered);
    };
    let id = id_of(cgroup)?;
    // It may have been taken away before; then there is nothing to remove.
    let _ = WATCHED.remove(id);
    Ok(send(CgroupRemoved { header: header::<CgroupRemoved>(Kind::CgroupRemoved), id }))
}

/// `cgroup_attach_task`: the destination, its path, the task, whether its whole thread group moves
#[raw_tracepoint(tracepoint = "cgroup_attach_task")]
pub(crate) fn cgroup_attach(ctx: RawTracePointContext) {
    tally(Hook::CgroupAttach, attached(&ctx));
}

#[inline(always)]
fn attached(ctx: &RawTracePointContext) -> Verdict {
    let Some(cgroup) = unified(ctx)? else {
        return Ok(Outcome::Filtered);
    };
    let task = Kernel::argument(ctx, 2);
    Ok(send(CgroupAttached {
        header: header::<CgroupAttached>(Kind::CgroupAttached),
        id: id_of(cgroup)?,
        pid: task.get(member!(task_pid))?,
        reserved: 0,
        comm: task.get::<[u8; COMM_CAP]>(member!(task_comm))?,
    }))
}
