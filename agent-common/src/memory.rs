//! What the maps take of the kernel's memory: together they stay below [`MAPS_BYTES_MAX`], or this does not compile.
//!
//! The kernel's overhead per hash element is `sizeof(struct htab_elem)` (48 bytes on 64-bit, `kernel/bpf/hashtab.c`),
//! key and value each rounded up to 8 bytes.

use crate::{
    call::CallRule,
    counters::HookCounters,
    hooks::Hook,
    limits::{CALLS_MAX, ENDED_MAX, LOG_RING_BYTES, REPEATS_MAX, RING_BYTES, TOLD_MAX, WATCHED_MAX},
    record::CallFailed,
    watch::{RepeatKey, RepeatValue, Watch},
};

/// `sizeof(struct htab_elem)`.
const ELEMENT_OVERHEAD: usize = 48;

const fn hash_bytes(entries: u32, key: usize, value: usize) -> usize {
    entries as usize * (ELEMENT_OVERHEAD + key.next_multiple_of(8) + value.next_multiple_of(8))
}

/// What all maps take on a machine with `cpus` possible CPUs, in bytes.
pub const fn maps_bytes(cpus: usize) -> usize {
    RING_BYTES as usize
        + hash_bytes(WATCHED_MAX, 8, size_of::<Watch>())
        + hash_bytes(REPEATS_MAX, size_of::<RepeatKey>(), size_of::<RepeatValue>())
        + hash_bytes(ENDED_MAX, 8, 8)
        + hash_bytes(TOLD_MAX, 8, 8)
        + LOG_RING_BYTES as usize
        + CALLS_MAX as usize * size_of::<CallRule>()
        + cpus * Hook::ALL.len() * size_of::<HookCounters>()
        + cpus * size_of::<CallFailed>() // the scratch record
}

/// The promise: all maps together on a machine with 64 CPUs.
pub const MAPS_BYTES_MAX: usize = 16 << 20;
const _: () = assert!(maps_bytes(64) <= MAPS_BYTES_MAX, "the maps outgrew their promise");
