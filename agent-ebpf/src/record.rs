//! Putting records together and into the ring.

use crate::{
    globals::member,
    maps::RECORDS,
    peek::{KernelAddress, group_leader},
    tally::{HookResult, Outcome, Unreadable},
    zero,
};
use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns};
use core::mem::MaybeUninit;
use unready_agent_common::{
    limits::COMM_CAP,
    record::{Header, Kind, Task},
};

/// Nanoseconds since boot, suspend included.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Cgroup of the running thread in the unified hierarchy.
#[inline(always)]
pub(crate) fn current_cgroup() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_current_cgroup_id() }
}

/// Thread group and thread id of the running thread.
#[inline(always)]
pub(crate) fn current_ids() -> (u32, u32) {
    // SAFETY: the helper has no preconditions.
    let both = unsafe { bpf_get_current_pid_tgid() };
    ((both >> 32) as u32, both as u32)
}

/// Who is running. What cannot be read stays 0.
#[inline(always)]
pub(crate) fn current_task(cgroup: u64) -> Task {
    let task = KernelAddress::current_task();
    let (tgid, tid) = current_ids();
    let mut comm = MaybeUninit::<[u8; COMM_CAP]>::uninit();
    // SAFETY: the buffer is as long as it is said to be, and the helper writes all of it, zeros if it fails.
    let comm = unsafe {
        bpf_get_current_comm(comm.as_mut_ptr().cast(), COMM_CAP as u32);
        comm.assume_init()
    };
    Task { cgroup, start: start_of(task).unwrap_or(0), tgid, tid, parent: parent_of(task).unwrap_or(0), reserved: 0, comm }
}

/// When the process of a thread started.
#[inline(always)]
pub(crate) fn start_of(task: KernelAddress) -> Result<u64, Unreadable> {
    group_leader(task)?.get(member!(task_start))
}

/// Process id of a thread's parent.
#[inline(always)]
fn parent_of(task: KernelAddress) -> Result<u32, Unreadable> {
    task.follow(member!(task_real_parent))?.get(member!(task_tgid))
}

/// The head of a record of type `T`.
#[inline(always)]
pub(crate) fn header<T>(kind: Kind) -> Header {
    Header { kind: kind as u32, size: size_of::<T>() as u32, at: now() }
}

/// Sends a record that is small enough to be made on the stack.
#[inline(always)]
pub(crate) fn send<T: Copy + 'static>(record: T) -> Outcome {
    let Some(mut entry) = RECORDS.reserve::<T>(0) else {
        return Outcome::RingFull;
    };
    entry.write(record);
    entry.submit(0);
    Outcome::Sent
}

/// Sends a record that is too large for the stack of 512 bytes: `fill` writes it in place, over zeros.
#[inline(always)]
pub(crate) fn send_in_place<T: 'static>(fill: impl FnOnce(*mut T) -> Result<(), Unreadable>) -> HookResult {
    let Some(mut entry) = RECORDS.reserve::<T>(0) else {
        return Ok(Outcome::RingFull);
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the ring gave `size_of::<T>()` writable bytes, aligned to 8; zeros are valid for every record (integers only).
    unsafe { zero::over(record) };
    match fill(record) {
        Ok(()) => {
            entry.submit(0);
            Ok(Outcome::Sent)
        }
        Err(unreadable) => {
            entry.discard(0);
            Err(unreadable)
        }
    }
}
