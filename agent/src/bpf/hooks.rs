//! Which program sits where: the one table that kernel differences are written into.

use unready_agent_common::counters::Hook;

/// Where a program is attached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// A tracepoint, `GROUP` and `NAME` in tracefs.
    Tracepoint(&'static str, &'static str),
    /// A raw tracepoint.
    Raw(&'static str),
}

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
    pub(super) place: Place,
    pub(super) stage: Stage,
    /// Whose counters it keeps.
    pub(super) hook: Hook,
    /// What is lost without it; `None`: nothing works without it.
    pub(super) lost: Option<&'static str>,
}

const fn row(program: &'static str, place: Place, stage: Stage, hook: Hook) -> Row {
    Row { program, place, stage, hook, lost: None }
}

const fn optional(program: &'static str, place: Place, stage: Stage, hook: Hook, lost: &'static str) -> Row {
    Row { program, place, stage, hook, lost: Some(lost) }
}

use Place::{Raw, Tracepoint};
use Stage::{Lifecycle, Starting};

/// All programs. `call_failed` comes first of its stage: nothing may fail unseen while the others are attached.
pub(super) static HOOKS: [Row; 10] = [
    row("cgroup_mkdir", Tracepoint("cgroup", "cgroup_mkdir"), Lifecycle, Hook::CgroupMkdir),
    row("cgroup_rmdir", Tracepoint("cgroup", "cgroup_rmdir"), Lifecycle, Hook::CgroupRmdir),
    row("cgroup_attach", Tracepoint("cgroup", "cgroup_attach_task"), Lifecycle, Hook::CgroupAttach),
    row("process_exec", Tracepoint("sched", "sched_process_exec"), Lifecycle, Hook::Exec),
    row("process_exit", Tracepoint("sched", "sched_process_exit"), Lifecycle, Hook::Exit),
    optional(
        "oom_victim",
        Tracepoint("oom", "mark_victim"),
        Lifecycle,
        Hook::OomVictim,
        "a process that is ended for lack of memory looks like one ended by SIGKILL",
    ),
    row("call_failed", Raw("sys_exit"), Starting, Hook::CallFailed),
    optional(
        "pivot_root_done",
        Tracepoint("syscalls", "sys_exit_pivot_root"),
        Starting,
        Hook::RootChanged,
        "files of a container that ended at once cannot be examined",
    ),
    optional(
        "chroot_done",
        Tracepoint("syscalls", "sys_exit_chroot"),
        Starting,
        Hook::RootChanged,
        "files of a container that ended at once and whose runtime uses chroot cannot be examined",
    ),
    optional(
        "listen_changed",
        Tracepoint("sock", "inet_sock_set_state"),
        Starting,
        Hook::Listen,
        "it is not seen when a program begins to listen",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_rest_slows_system_calls_down() {
        for row in HOOKS.iter().filter(|row| row.stage == Lifecycle) {
            let slows = match row.place {
                Tracepoint(group, _) => group == "syscalls" || group == "raw_syscalls",
                Raw(name) => name.starts_with("sys_"),
            };
            assert!(!slows, "{row:?}");
        }
    }

    #[test]
    fn every_hook_has_a_program() {
        for hook in Hook::ALL {
            assert!(HOOKS.iter().any(|row| row.hook == *hook), "{hook:?}");
        }
    }
}
