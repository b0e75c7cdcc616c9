//! Failing system calls. Level 1.
//!
//! One program on the exit of every system call, for what it costs is the same as one on a single call: the kernel's slow
//! path. Nearly all calls succeed, and leave in the first instructions. A failing one goes through these states:
//!
//! ```text
//!   failed ─► its cgroup is starting? ─► a rule and an errno of interest? ─► what was it about ─► known? ─┬─► counted
//!                    │ no                        │ no                                                     └─► sent once
//!                    └──────────── filtered ─────┘
//! ```
//!
//! A call that seccomp denied comes here too: it fires the exit, though never the entry.

use crate::{
    add,
    budget::{exceeded, pay_estate, remember, starting},
    creds,
    debug::debug,
    globals::member,
    maps::{CALLS, RECORDS, REPEATS, SCRATCH},
    peek::{KernelAddress, is_compat},
    record::{current_cgroup, current_ids, current_task, now},
    root,
    tally::{HookResult, Outcome, Unreadable, tally},
    target::{self, Arguments},
    zero,
};
use aya_ebpf::{
    EbpfContext,
    bindings::BPF_NOEXIST,
    macros::{raw_tracepoint, tracepoint},
    programs::{RawTracePointContext, TracePointContext},
};
use unready_agent_common::{
    call::{CallRule, Shape},
    hooks::Hook,
    limits::SENT_PER_CGROUP_MAX,
    record::{CallFailed, Header, Kind, OTHER_PRESENT},
    watch::{Budget, RepeatKey, RepeatValue, USES_COMPAT, Watch},
};

/// `MAX_ERRNO` of `include/linux/err.h`; a result below its negative is a large address, of a successful mmap.
const MAX_ERRNO: i64 = 4095;
/// Highest errno that is of interest: a rule has 128 bits.
const ERRNO_MAX: u64 = 127;

/// raw `sys_exit`: `pt_regs` and the result
#[raw_tracepoint(tracepoint = "sys_exit")]
pub(crate) fn call_failed(ctx: RawTracePointContext) {
    ended(&ctx, ctx.arg(1), || KernelAddress::argument(&ctx, 0));
}

/// `raw_syscalls/sys_exit`, the same for kernels whose raw tracepoints can be preempted (6.19 and later): while one task is
/// preempted in a program, the kernel does not run it for the others of that CPU, and in a storm a third of all failures went
/// unseen. The perf event of an ordinary tracepoint keeps preemption off.
#[tracepoint]
pub(crate) fn call_failed_steady(ctx: TracePointContext) {
    // SAFETY: the field `ret` is at byte 16 of the event on every 64-bit kernel, and the verifier checks the access.
    let result = unsafe { ctx.as_ptr().byte_add(16).cast::<i64>().read() };
    ended(&ctx, result, KernelAddress::current_registers);
}

#[inline(always)]
fn ended(ctx: &impl EbpfContext, result: i64, regs: impl FnOnce() -> KernelAddress) {
    if result == 0 {
        root::look(regs());
    } else if (-MAX_ERRNO..0).contains(&result) {
        tally(Hook::CallFailed, failed(ctx, regs, result.unsigned_abs()));
    }
}

#[inline(always)]
fn failed(ctx: &impl EbpfContext, regs: impl FnOnce() -> KernelAddress, errno: u64) -> HookResult {
    let cgroup = current_cgroup();
    let Some(watch) = starting(cgroup) else {
        return Ok(Outcome::Filtered);
    };
    if errno > ERRNO_MAX {
        return Ok(Outcome::Filtered);
    }
    if is_compat() {
        // SAFETY: a pointer into the map stays valid while the program runs; whoever else sets a bit now sets it again.
        unsafe { (*watch).traits |= USES_COMPAT };
        return Ok(Outcome::Filtered);
    }
    let regs = regs();
    let Some(rule) = rule(regs, errno as u32)? else {
        return Ok(Outcome::Filtered);
    };
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        return Err(Unreadable);
    };
    // SAFETY: the scratch record is this CPU's own, of the two programs only one is attached, and it is not entered again on
    // a CPU that is inside it. Zeros are valid for a record.
    let record = unsafe {
        zero::over(scratch);
        &mut *scratch
    };
    record.call = rule.call;
    record.errno = errno as u16;
    if !target::fill(Arguments { regs }, rule, record)? {
        return Ok(Outcome::Filtered);
    }
    let cred = creds::current()?;
    let fsuid: u32 = cred.get(member!(cred_fsuid))?;
    record.hash = target::hash(record, fsuid);
    if repeated(cgroup, watch, record) {
        return Ok(Outcome::Counted);
    }
    record.task = current_task(cgroup);
    creds::fill(cred, &mut record.creds);
    let outcome = output(record);
    settle(outcome, cgroup, watch, record);
    debug!(ctx, "call {} of process {} failed with {}", record.call, record.task.tgid, record.errno);
    Ok(outcome)
}

/// The rule of the call that the registers hold, if it wants this errno.
#[inline(always)]
fn rule(regs: KernelAddress, errno: u32) -> Result<Option<&'static CallRule>, Unreadable> {
    let number: u64 = regs.get(member!(regs_nr))?;
    // Cut to 32 bits: arm64 keeps an int there. -1 (a call that seccomp skipped) is in no table.
    let Some(rule) = CALLS.get(number as u32) else {
        return Ok(None);
    };
    let word = if errno < 64 { rule.errnos[0] } else { rule.errnos[1] };
    Ok((rule.shape != Shape::None as u8 && word >> (errno & 63) & 1 == 1).then_some(rule))
}

/// Whether this failure needs no record of its own, because it is known or its cgroup has sent enough. Counts it then.
#[inline(always)]
fn repeated(cgroup: u64, watch: *mut Watch, record: &CallFailed) -> bool {
    let key = key(cgroup, record);
    let (tgid, _) = current_ids();
    let at = now();
    if count_known(&key, tgid, at) {
        return true;
    }
    // SAFETY: a pointer into the map stays valid while the program runs; other CPUs add to the word with one instruction.
    if unsafe { (*watch).sent } >= SENT_PER_CGROUP_MAX {
        exceeded(watch);
        return true;
    }
    if pay_estate(watch, Budget::Call, at).is_err() {
        return true;
    }
    let first = RepeatValue { count: 1, last: at, tgid, reserved: 0 };
    // Another CPU may have come first with the same failure: then this is its repetition.
    REPEATS.insert(key, first, BPF_NOEXIST.into()).is_err() && count_known(&key, tgid, at)
}

#[inline(always)]
fn key(cgroup: u64, record: &CallFailed) -> RepeatKey {
    RepeatKey { cgroup, hash: record.hash, call: record.call, errno: record.errno, reserved: 0 }
}

/// Counts a failure that was sent before; false if it was not.
#[inline(always)]
fn count_known(key: &RepeatKey, tgid: u32, at: u64) -> bool {
    let Some(value) = REPEATS.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: a pointer into the map stays valid while the program runs. The count is atomic; of `last` and `tgid` any
    // CPU's word is as good.
    unsafe {
        add::one(&raw mut (*value).count);
        (*value).last = at;
        (*value).tgid = tgid;
    }
    true
}

/// Puts the record into the ring, without its second path when it has none.
#[inline(always)]
fn output(record: &mut CallFailed) -> Outcome {
    let long = record.flags & OTHER_PRESENT != 0;
    let size = if long { size_of::<CallFailed>() } else { CallFailed::SHORT_SIZE };
    record.header = Header { kind: Kind::CallFailed as u32, size: size as u32, at: now() };
    let sent = if long {
        RECORDS.output::<CallFailed>(&*record, 0)
    } else {
        // SAFETY: a record is that long and more, and has no padding; alignment 1 suits any address.
        RECORDS.output::<[u8; CallFailed::SHORT_SIZE]>(unsafe { &*(&raw const *record).cast() }, 0)
    };
    if sent.is_ok() { Outcome::Sent } else { Outcome::RingFull }
}

/// Charges the cgroup's budget for what was sent; forgets what was not, so that the next time it is told.
#[inline(always)]
fn settle(outcome: Outcome, cgroup: u64, watch: *mut Watch, record: &CallFailed) {
    match outcome {
        Outcome::Sent => {
            // SAFETY: as in `repeated`.
            unsafe { add::one(&raw mut (*watch).sent) };
            remember(record.task.tgid, record.task.start);
        }
        Outcome::RingFull | Outcome::Counted | Outcome::Filtered => {
            // It was inserted a moment ago; if the map has dropped it already, all the better.
            let _ = REPEATS.remove(key(cgroup, record));
        }
    }
}
