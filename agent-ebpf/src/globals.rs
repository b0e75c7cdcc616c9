//! What the agent tells the programs at load: read-only to the programs, and frozen, so that the verifier knows every
//! value and removes what it switches off.

use unready_agent_common::offsets::{Dialect, Offsets};

/// Members of the kernel's structures.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::NONE;

/// Forms of the tracepoints.
#[unsafe(no_mangle)]
pub(crate) static DIALECT: Dialect = Dialect { exit_tells_group_dead: 0, victim_is_task: 0 };

/// Numbers of the two system calls that change a process's root.
#[unsafe(no_mangle)]
pub(crate) static ROOT_CALLS: [u32; 2] = [u32::MAX; 2];

/// The number that the cgroup tracepoints call the unified hierarchy by (`cgroup_root.hierarchy_id`).
#[unsafe(no_mangle)]
pub(crate) static UNIFIED_ROOT: u32 = 0;

/// Reads one global as the agent set it, not as the compiler sees it initialised.
macro_rules! read {
    ($($place:tt)+) => {
        // SAFETY: a static is valid, aligned and initialised, and written only before the programs are loaded; volatile
        // keeps the compiler from folding the initial value in.
        unsafe { core::ptr::read_volatile(&raw const $($place)+) }
    };
}

/// The offset of a structure's member, [`unready_agent_common::offsets::ABSENT`] when this kernel has none.
macro_rules! member {
    ($name:ident) => {
        $crate::globals::read!($crate::globals::OFFSETS.$name)
    };
}

pub(crate) use {member, read};
