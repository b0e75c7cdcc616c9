//! Cgroups of the unified hierarchy come, go, and are entered. Level 0.
//!
//! A new cgroup is under attention from its first moment: the program itself puts it on the map, so that no start is
//! missed while user space still finds out what it is. Cgroups of v1 hierarchies fire the same tracepoints and are
//! filtered by their root.
//!
//! What a container makes below its own cgroup is charged to it: beyond its budget such a cgroup is neither told nor watched. What
//! the node's own processes make, runtimes above all, is not limited.

use crate::{
    budget::{exceeded, pay, watched},
    debug::debug,
    globals::{UNIFIED_ROOT, member, read},
    maps::WATCHED,
    peek::KernelAddress,
    record::{current_cgroup, header, send, send_in_place},
    tally::{HookResult, Outcome, Unreadable, tally},
    zero,
};
use aya_ebpf::{bindings::BPF_NOEXIST, macros::raw_tracepoint, programs::RawTracePointContext};
use core::mem::MaybeUninit;
use unready_agent_common::{
    hooks::Hook,
    limits::{COMM_CAP, MADE_MAX, PATH_CAP},
    record::{CgroupAttached, CgroupCreated, CgroupRemoved, Kind},
    watch::{Budget, IS_COUNTED, Level, Watch},
};

/// The cgroup that all three tracepoints hand over first, if it is of the unified hierarchy.
#[inline(always)]
fn unified(ctx: &RawTracePointContext) -> Result<Option<KernelAddress>, Unreadable> {
    let cgroup = KernelAddress::argument(ctx, 0);
    let hierarchy: u32 = cgroup.follow(member!(cgroup_root))?.get(member!(cgroup_root_hierarchy))?;
    Ok((hierarchy == read!(UNIFIED_ROOT)).then_some(cgroup))
}

#[inline(always)]
fn id_of(cgroup: KernelAddress) -> Result<u64, Unreadable> {
    cgroup.follow(member!(cgroup_node))?.get(member!(node_id))
}

/// `cgroup_mkdir`: the cgroup and its path
#[raw_tracepoint(tracepoint = "cgroup_mkdir")]
pub(crate) fn cgroup_mkdir(ctx: RawTracePointContext) {
    tally(Hook::CgroupMkdir, created(&ctx));
}

#[inline(always)]
fn created(ctx: &RawTracePointContext) -> HookResult {
    let Some(cgroup) = unified(ctx)? else {
        return Ok(Outcome::Filtered);
    };
    let id = id_of(cgroup)?;
    let maker = match maker() {
        Ok(maker) => maker,
        Err(outcome) => return Ok(outcome),
    };
    if !watch(id, maker) {
        debug!(ctx, "cgroup {}: no room on the map of attention", id);
    }
    send_in_place(|record: *mut CgroupCreated| {
        // SAFETY: `send_in_place` hands out a writable, zeroed record.
        let record = unsafe { &mut *record };
        record.header = header::<CgroupCreated>(Kind::CgroupCreated);
        record.id = id;
        record.level = cgroup.get(member!(cgroup_level))?;
        let length = KernelAddress::argument(ctx, 1).string::<PATH_CAP>(&raw mut record.path)?;
        // A full buffer is taken as cut.
        record.path_len = if length == PATH_CAP - 1 { PATH_CAP as u32 } else { length as u32 };
        Ok(())
    })
}

/// The cgroup under attention from within which another is being made, or that one's own maker; 0: it is made from elsewhere.
#[inline(always)]
fn maker() -> Result<u64, Outcome> {
    let current = current_cgroup();
    let Some(watch) = watched(current) else {
        return Ok(0);
    };
    pay(watch, Budget::Cgroup)?;
    // SAFETY: a pointer into the map stays valid while the program runs.
    let above = unsafe { (*watch).maker };
    let maker = if above == 0 { current } else { above };
    let Some(estate) = watched(maker) else {
        return Ok(0);
    };
    // SAFETY: as above. Two CPUs may count one cgroup for two; the bound is no exact one.
    unsafe {
        if (*estate).made >= MADE_MAX {
            return Err(exceeded(watch));
        }
        (*estate).made += 1;
    }
    Ok(maker)
}

/// One cgroup less that was made from within `maker`.
#[inline(always)]
fn unmake(maker: u64) {
    if let Some(estate) = watched(maker) {
        // SAFETY: as in `maker`.
        unsafe { (*estate).made = (*estate).made.saturating_sub(1) };
    }
}

/// Puts a cgroup under attention; false if there is no room.
#[inline(always)]
fn watch(id: u64, maker: u64) -> bool {
    let mut watch = MaybeUninit::<Watch>::uninit();
    // SAFETY: a local is valid and, holding words of 64 bits, aligned; zeros are valid for integers.
    let watch = unsafe {
        zero::over(watch.as_mut_ptr());
        watch.assume_init_mut()
    };
    watch.level = Level::Starting as u32;
    watch.maker = maker;
    watch.traits = if maker == 0 { 0 } else { IS_COUNTED };
    WATCHED.insert(id, *watch, BPF_NOEXIST.into()).is_ok()
}

/// `cgroup_rmdir`: the cgroup and its path
#[raw_tracepoint(tracepoint = "cgroup_rmdir")]
pub(crate) fn cgroup_rmdir(ctx: RawTracePointContext) {
    tally(Hook::CgroupRmdir, removed(&ctx));
}

#[inline(always)]
fn removed(ctx: &RawTracePointContext) -> HookResult {
    let Some(cgroup) = unified(ctx)? else {
        return Ok(Outcome::Filtered);
    };
    let id = id_of(cgroup)?;
    match watched(id) {
        Some(watch) => {
            // SAFETY: as in `maker`.
            let (maker, traits) = unsafe { ((*watch).maker, (*watch).traits) };
            if traits & IS_COUNTED != 0 {
                unmake(maker);
            }
            let _ = WATCHED.remove(id); // it was there a moment ago
        }
        // Made by a container beyond its budget, and never told. Of others user space may know although it does not watch them.
        None if watched(current_cgroup()).is_some() => return Ok(Outcome::Filtered),
        None => {}
    }
    Ok(send(CgroupRemoved { header: header::<CgroupRemoved>(Kind::CgroupRemoved), id }))
}

/// `cgroup_attach_task`: the destination, its path, the task, whether its whole thread group moves
#[raw_tracepoint(tracepoint = "cgroup_attach_task")]
pub(crate) fn cgroup_attach(ctx: RawTracePointContext) {
    tally(Hook::CgroupAttach, attached(&ctx));
}

#[inline(always)]
fn attached(ctx: &RawTracePointContext) -> HookResult {
    let Some(cgroup) = unified(ctx)? else {
        return Ok(Outcome::Filtered);
    };
    if let Some(watch) = watched(current_cgroup())
        && let Err(outcome) = pay(watch, Budget::Cgroup)
    {
        return Ok(outcome);
    }
    let task = KernelAddress::argument(ctx, 2);
    Ok(send(CgroupAttached {
        header: header::<CgroupAttached>(Kind::CgroupAttached),
        id: id_of(cgroup)?,
        pid: task.get(member!(task_pid))?,
        reserved: 0,
        comm: task.get::<[u8; COMM_CAP]>(member!(task_comm))?,
    }))
}
