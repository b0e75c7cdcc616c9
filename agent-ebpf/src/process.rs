//! Programs start and processes end, in cgroups under attention; the kernel ends one for lack of memory. Level 0.
//!
//! A process has ended when its last thread has. Kernels from 6.16 say so (`group_dead`, the second argument). Before, the
//! count of living threads (`signal_struct.live`) is 0, which two threads that end at the same time may both see: then
//! the first one to put the process on the map `ENDED` tells it.
//!
//! The end of a cgroup's main process always passes, and so does that of a process that told something before. All else has a
//! budget: what the main process executes one of its own, other processes theirs while their cgroup starts. At rest a shell
//! may run in a probe every second, so that of those nothing but kills is told: an out-of-memory kill shows by the end of its
//! victim.

use crate::{
    budget::{is_main, is_starting, pay, remember, take_told, watched},
    debug::debug,
    globals::{DIALECT, member, read},
    maps::ENDED,
    peek::{KernelAddress, User},
    record::{current_cgroup, current_ids, current_task, header, send, send_in_place, start_of},
    tally::{HookResult, Outcome, Unreadable, tally},
};
use aya_ebpf::{
    EbpfContext,
    bindings::BPF_ANY,
    helpers::bpf_get_current_uid_gid,
    macros::{raw_tracepoint, tracepoint},
    programs::{RawTracePointContext, TracePointContext},
};
use unready_agent_common::{
    hooks::Hook,
    limits::{ARGS_CAP, PATH_CAP},
    record::{Exec, Exit, Kind, OomVictim, Task},
    watch::{Budget, Watch},
};

/// Bits of an exit code that hold the signal.
const SIGNAL: u32 = 0x7f;
const SIGKILL: u32 = 9;

/// `sched_process_exec`: the task, its former thread id, the `linux_binprm`
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub(crate) fn process_exec(ctx: RawTracePointContext) {
    let path = || KernelAddress::argument(&ctx, 2).follow(member!(binprm_filename));
    tally(Hook::Exec, executed(path));
}

/// `sched/sched_process_exec`, for kernels whose raw tracepoints can be preempted: see [`crate::call::call_failed_steady`].
#[tracepoint]
pub(crate) fn process_exec_steady(ctx: TracePointContext) {
    tally(Hook::Exec, executed(|| KernelAddress::first_string(&ctx)));
}

#[inline(always)]
fn executed(path: impl FnOnce() -> Result<KernelAddress, Unreadable>) -> HookResult {
    let cgroup = current_cgroup();
    let Some(watch) = watched(cgroup) else {
        return Ok(Outcome::Filtered);
    };
    let tgid = current_ids().0;
    let budget = match (is_main(watch, tgid), is_starting(watch)) {
        (true, _) => Budget::Main,
        (false, true) => Budget::Exec,
        (false, false) => return Ok(Outcome::Filtered),
    };
    if let Err(outcome) = pay(watch, budget) {
        return Ok(outcome);
    }
    let outcome = tell_exec(cgroup, path)?;
    if matches!(outcome, Outcome::Sent) {
        remember(tgid, start_of(KernelAddress::current_task()).unwrap_or(0));
    }
    Ok(outcome)
}

#[inline(always)]
fn tell_exec(cgroup: u64, path: impl FnOnce() -> Result<KernelAddress, Unreadable>) -> HookResult {
    send_in_place(|record: *mut Exec| {
        // SAFETY: `send_in_place` hands out a writable, zeroed record.
        let record = unsafe { &mut *record };
        record.header = header::<Exec>(Kind::Exec);
        record.task = current_task(cgroup);
        let ids = bpf_get_current_uid_gid();
        record.uid = ids as u32;
        record.gid = (ids >> 32) as u32;
        record.path_len = path()?.string::<PATH_CAP>(&raw mut record.path)? as u16;
        // Arguments that cannot be read leave the rest worth telling.
        record.args_len = arguments(&raw mut record.args).unwrap_or(0);
        Ok(())
    })
}

/// Copies the arguments of the running program, NUL-separated as `/proc/PID/cmdline` shows them.
#[inline(always)]
fn arguments(into: *mut [u8; ARGS_CAP]) -> Result<u16, Unreadable> {
    let mm = KernelAddress::current_task().follow(member!(task_mm))?;
    let start: u64 = mm.get(member!(mm_arg_start))?;
    let end: u64 = mm.get(member!(mm_arg_end))?;
    let length = end.saturating_sub(start).min(ARGS_CAP as u64) as usize;
    User(start).bytes(length, into)?;
    Ok(length as u16)
}

/// `sched_process_exit`: the task, and since 6.16 whether it is the last of its group
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn process_exit(ctx: RawTracePointContext) {
    // Where there is no second argument the verifier does not see this branch: the global is a constant to it.
    if read!(DIALECT.exit_tells_group_dead) == 0 {
        tally(Hook::Exit, ended(&ctx, last_thread));
    } else if ctx.arg::<u8>(1) != 0 {
        tally(Hook::Exit, ended(&ctx, || Ok(true)));
    }
}

/// `sched/sched_process_exit`, for kernels whose raw tracepoints can be preempted: see [`crate::call::call_failed_steady`].
#[tracepoint]
pub(crate) fn process_exit_steady(ctx: TracePointContext) {
    tally(Hook::Exit, ended(&ctx, last_thread));
}

#[inline(always)]
fn ended(ctx: &impl EbpfContext, is_last: impl FnOnce() -> Result<bool, Unreadable>) -> HookResult {
    let cgroup = current_cgroup();
    let Some(watch) = watched(cgroup) else {
        return Ok(Outcome::Filtered);
    };
    if !is_last()? {
        return Ok(Outcome::Filtered);
    }
    let code = KernelAddress::current_task().get::<u32>(member!(task_exit_code))?;
    let task = current_task(cgroup);
    if let Err(outcome) = may_end(watch, &task, code) {
        return Ok(outcome);
    }
    debug!(ctx, "process {} ended with {:x}", task.tgid, code);
    Ok(send(Exit { header: header::<Exit>(Kind::Exit), task, code, reserved: 0 }))
}

/// Whether the end of a process is told.
#[inline(always)]
fn may_end(watch: *mut Watch, task: &Task, code: u32) -> Result<(), Outcome> {
    let told = take_told(task.tgid, task.start);
    if is_main(watch, task.tgid) || told && is_starting(watch) {
        return Ok(());
    }
    if !is_starting(watch) && code & SIGNAL != SIGKILL {
        return Err(Outcome::Filtered);
    }
    pay(watch, Budget::Exit)
}

/// Whether the process ends with the running thread, as far as its group tells; see the module's head.
#[inline(always)]
fn last_thread() -> Result<bool, Unreadable> {
    let task = KernelAddress::current_task();
    let living: u32 = task.follow(member!(task_signal))?.get(member!(signal_live))?;
    Ok(living == 0 && first_to_tell(start_of(task)?))
}

#[inline(always)]
fn first_to_tell(start: u64) -> bool {
    let key = u64::from(current_ids().0);
    if let Some(told) = ENDED.get_ptr(key) {
        // SAFETY: a pointer into the map stays valid while the program runs; a torn read cannot be, for it is one word.
        if unsafe { told.read() } == start {
            return false;
        }
    }
    // An entry of an earlier process with the same number is overwritten. When there is no room, telling twice is
    // better than not at all.
    let _ = ENDED.insert(key, start, BPF_ANY.into());
    true
}

/// `mark_victim`: the process id; on newer kernels the task and its uid
#[raw_tracepoint(tracepoint = "mark_victim")]
pub(crate) fn oom_victim(ctx: RawTracePointContext) {
    tally(Hook::OomVictim, chosen(&ctx));
}

#[inline(always)]
fn chosen(ctx: &RawTracePointContext) -> HookResult {
    let asker = current_cgroup();
    if let Some(watch) = watched(asker)
        && let Err(outcome) = pay(watch, Budget::Oom)
    {
        return Ok(outcome);
    }
    Ok(send(OomVictim {
        header: header::<OomVictim>(Kind::OomVictim),
        asker_cgroup: asker,
        pid: if read!(DIALECT.victim_is_task) != 0 { KernelAddress::argument(ctx, 0).get(member!(task_pid))? } else { ctx.arg(0) },
        reserved: 0,
    }))
}
