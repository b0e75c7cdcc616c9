//! The hooks: which program sits on which tracepoint, and from when on. The one table that both halves read: the kernel half counts by it,
//! user space loads and attaches by it. A new hook is a row here and its program in `agent-ebpf`.
//!
//! Nearly all are raw tracepoints. Ordinary ones need a perf event each, whose end the kernel waits for some 80 ms, in the ending
//! process too, and they need tracefs; raw ones need neither, and BTF tells what they hand over. Where raw tracepoints can be preempted
//! (from 6.19 on), the events that come in crowds have a `steady` form on the ordinary tracepoint, which sees all of them. The others come one
//! at a time, under a lock of the kernel.

/// When a hook is attached (design §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Level 0: always. No system call is slowed down.
    Lifecycle,
    /// Level 1: while something starts.
    Starting,
}

/// The ordinary form of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steady {
    /// Its function in `agent-ebpf`.
    pub program: &'static str,
    /// Its group in tracefs.
    pub group: &'static str,
}

/// One hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose counters it keeps.
    pub hook: Hook,
    /// The program's function in `agent-ebpf`.
    pub program: &'static str,
    /// The tracepoint that it sits on.
    pub tracepoint: &'static str,
    /// From when on.
    pub stage: Stage,
    /// What is lost without it; `None`: nothing works without it.
    pub lost: Option<&'static str>,
    /// What takes its place where raw tracepoints can be preempted.
    pub steady: Option<Steady>,
}

macro_rules! hooks {
    ($($hook:ident = $number:literal, $what:literal: $program:literal on $tracepoint:literal, $stage:ident
        $(, lost $lost:literal)? $(, steady $steady:literal in $group:literal)?;)+) => {
        wire_enum! {
            /// The hooks, each with its own row of counters.
            pub enum Hook: u32 { $(#[doc = $what] $hook = $number),+ }
        }

        /// All rows. Of those with one program the first says how that is attached.
        pub static ROWS: &[Row] = &[$(Row {
            hook: Hook::$hook,
            program: $program,
            tracepoint: $tracepoint,
            stage: Stage::$stage,
            lost: [$(Some($lost),)? None][0],
            steady: [$(Some(Steady { program: $steady, group: $group }),)? None][0],
        }),+];
    };
}

// `call_failed` comes first of its stage, so that nothing fails unseen while the other is attached, and is the last to be let go of.
hooks! {
    CgroupMkdir = 0, "a cgroup was made": "cgroup_mkdir" on "cgroup_mkdir", Lifecycle;
    CgroupRmdir = 1, "a cgroup was removed": "cgroup_rmdir" on "cgroup_rmdir", Lifecycle;
    CgroupAttach = 2, "a process was moved into a cgroup": "cgroup_attach" on "cgroup_attach_task", Lifecycle;
    Exec = 3, "a program was executed": "process_exec" on "sched_process_exec", Lifecycle, steady "process_exec_steady" in "sched";
    Exit = 4, "a process ended": "process_exit" on "sched_process_exit", Lifecycle, steady "process_exit_steady" in "sched";
    OomVictim = 5, "the kernel chose a process to end for lack of memory": "oom_victim" on "mark_victim", Lifecycle,
        lost "a process that is ended for lack of memory looks like one ended by SIGKILL";
    CallFailed = 6, "a call failed": "call_failed" on "sys_exit", Starting, steady "call_failed_steady" in "raw_syscalls";
    RootChanged = 7, "`pivot_root` or `chroot` succeeded; what else succeeds is not counted, it leaves at once": "call_failed" on "sys_exit", Starting;
    Listen = 8, "a socket began or ceased to listen": "listen_changed" on "inet_sock_set_state", Starting,
        lost "it is not seen when a program begins to listen";
    IoUring = 9, "an `io_uring` was made": "io_uring_created" on "io_uring_create", Starting,
        lost "verdicts do not say that a program used io_uring, by which it opens files unseen";
}

/// The programs, each once.
pub fn programs() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().enumerate().filter(|(index, row)| !ROWS[..*index].iter().any(|other| other.program == row.program)).map(|(_, row)| row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_rest_slows_system_calls_down() {
        for row in ROWS.iter().filter(|row| row.stage == Stage::Lifecycle) {
            assert!(!row.tracepoint.starts_with("sys_"), "{row:?}");
        }
    }

    #[test]
    fn every_hook_has_a_row_in_its_place() {
        for (row, hook) in ROWS.iter().zip(Hook::ALL) {
            assert_eq!(row.hook, *hook);
        }
        assert_eq!(ROWS.len(), Hook::ALL.len());
        assert_eq!(programs().count(), ROWS.len() - 1, "failed calls and changed roots are seen by one program");
    }
}
