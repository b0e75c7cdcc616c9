//! Which program sits where: the one table that kernel differences are written into.
//!
//! Nearly all are raw tracepoints. Ordinary ones need a perf event each, whose end the kernel waits for some 80 ms, in the ending
//! process too, and they need tracefs; raw ones need neither, and BTF tells what they hand over.

use unready_agent_common::counters::Hook;

/// When it is attached (design §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Level 0: always. No system call is slowed down.
    Lifecycle,
    /// Level 1: while something starts.
    Starting,
}

/// One program.
#[derive(Debug)]
pub(super) struct Row {
    /// Its function in `agent-ebpf`.
    pub(super) program: &'static str,
    /// The tracepoint that it sits on.
    pub(super) tracepoint: &'static str,
    /// Its group in tracefs, for the one that is no raw tracepoint.
    pub(super) group: Option<&'static str>,
    pub(super) stage: Stage,
    /// Whose counters it keeps; `call_failed` keeps those of [`Hook::RootChanged`] too.
    pub(super) hook: Hook,
    /// What is lost without it; `None`: nothing works without it.
    pub(super) lost: Option<&'static str>,
}

const fn row(program: &'static str, tracepoint: &'static str, stage: Stage, hook: Hook) -> Row {
    Row { program, tracepoint, stage, hook, lost: None, group: None }
}

const fn optional(program: &'static str, tracepoint: &'static str, stage: Stage, hook: Hook, lost: &'static str) -> Row {
    Row { program, tracepoint, stage, hook, lost: Some(lost), group: None }
}

use Stage::{Lifecycle, Starting};

/// All programs. `call_failed` comes first of its stage, so that nothing fails unseen while the other is attached, and is the
/// last to be let go of.
pub(super) static HOOKS: [Row; 9] = [
    row("cgroup_mkdir", "cgroup_mkdir", Lifecycle, Hook::CgroupMkdir),
    row("cgroup_rmdir", "cgroup_rmdir", Lifecycle, Hook::CgroupRmdir),
    row("cgroup_attach", "cgroup_attach_task", Lifecycle, Hook::CgroupAttach),
    row("process_exec", "sched_process_exec", Lifecycle, Hook::Exec),
    row("process_exit", "sched_process_exit", Lifecycle, Hook::Exit),
    optional(
        "oom_victim",
        "mark_victim",
        Lifecycle,
        Hook::OomVictim,
        "a process that is ended for lack of memory looks like one ended by SIGKILL",
    ),
    row("call_failed", "sys_exit", Starting, Hook::CallFailed),
    optional("listen_changed", "inet_sock_set_state", Starting, Hook::Listen, "it is not seen when a program begins to listen"),
    optional(
        "io_uring_created",
        "io_uring_create",
        Starting,
        Hook::IoUring,
        "verdicts do not say that a program used io_uring, by which it opens files unseen",
    ),
];

/// What takes the place of which program where raw tracepoints can be preempted: the events that come in crowds. The others
/// come one at a time, under a lock of the kernel.
pub(super) static STEADY: [(&str, Row); 3] = [
    ("call_failed", steady("call_failed_steady", "raw_syscalls", "sys_exit", Starting, Hook::CallFailed)),
    ("process_exec", steady("process_exec_steady", "sched", "sched_process_exec", Lifecycle, Hook::Exec)),
    ("process_exit", steady("process_exit_steady", "sched", "sched_process_exit", Lifecycle, Hook::Exit)),
];

const fn steady(program: &'static str, group: &'static str, tracepoint: &'static str, stage: Stage, hook: Hook) -> Row {
    Row { group: Some(group), ..row(program, tracepoint, stage, hook) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_rest_slows_system_calls_down() {
        for row in HOOKS.iter().filter(|row| row.stage == Lifecycle) {
            let slows = row.tracepoint.starts_with("sys_");
            assert!(!slows, "{row:?}");
        }
    }

    #[test]
    fn each_steady_program_replaces_one_of_the_same_hook_and_stage() {
        for (replaced, steady) in &STEADY {
            let row = HOOKS.iter().find(|row| row.program == *replaced);
            assert!(row.is_some_and(|row| row.hook == steady.hook && row.stage == steady.stage), "{steady:?}");
        }
    }

    #[test]
    fn every_hook_has_a_program() {
        for hook in Hook::ALL {
            let program = if *hook == Hook::RootChanged { Hook::CallFailed } else { *hook };
            assert!(HOOKS.iter().any(|row| row.hook == program), "{hook:?}");
        }
    }
}
