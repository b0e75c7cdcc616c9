//! What the agent tells the programs at load: read-only to the programs, and frozen, so that the verifier knows every
//! value and removes what it switches off.

use unready_agent_common::offsets::{Fields, Offsets};

/// Members of the kernel's structures.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::NONE;

/// Fields of the tracepoints.
#[unsafe(no_mangle)]
pub(crate) static FIELDS: Fields = Fields::NONE;

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

/// The offset of a tracepoint's field.
macro_rules! field {
    ($name:ident) => {
        $crate::globals::read!($crate::globals::FIELDS.$name)
    };
}

pub(crate) use {field, member, read};
