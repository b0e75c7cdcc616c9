//! Messages for those who debug the programs themselves, off unless the agent is told otherwise.
//!
//! `aya-log` compares the level with a read-only global before it formats anything. The agent sets that global to 0 and
//! freezes it, so the verifier sees the branch as dead and removes it: when off, a message costs no instruction.

/// Says something at the level "debug".
macro_rules! debug {
    ($($message:tt)+) => {
        aya_log_ebpf::debug!($($message)+)
    };
}

pub(crate) use debug;
