//! What each hook did with what it saw: `seen == sent + counted + filtered + failed + ring_full`.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

wire_enum! {
    /// The hooks, named after their tracepoints, each with its own row of counters.
    pub enum Hook: u32 {
        /// `cgroup_mkdir`
        CgroupMkdir = 0,
        /// `cgroup_rmdir`
        CgroupRmdir = 1,
        /// `cgroup_attach_task`
        CgroupAttach = 2,
        /// `sched_process_exec`
        Exec = 3,
        /// `sched_process_exit`
        Exit = 4,
        /// `mark_victim`
        OomVictim = 5,
        /// `sys_exit`, calls that failed
        CallFailed = 6,
        /// `sys_exit`, `pivot_root` and `chroot` that succeeded; what else succeeds is not counted, it leaves at once
        RootChanged = 7,
        /// `inet_sock_set_state`, transitions to and from LISTEN
        Listen = 8,
        /// `io_uring_create`
        IoUring = 9,
    }
}

/// One row, per CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct HookCounters {
    /// Events that reached the program's filter.
    pub seen: u64,
    /// Records put into the ring.
    pub sent: u64,
    /// Repetitions, and what exceeds its cgroup's budget: counted in the kernel instead of sent.
    pub counted: u64,
    /// Not of a watched cgroup, or no call or errno of interest.
    pub filtered: u64,
    /// Something could not be read, so that no record could be made.
    pub failed: u64,
    /// Lost because the ring was full.
    pub ring_full: u64,
}

impl HookCounters {
    /// Whether every event seen is accounted for.
    pub const fn adds_up(&self) -> bool {
        self.seen == self.sent + self.counted + self.filtered + self.failed + self.ring_full
    }
}
