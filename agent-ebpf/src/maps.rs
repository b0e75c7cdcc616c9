//! All maps. Their sizes and what they cost in memory: `agent-common/src/limits.rs`.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use unready_agent_common::{
    call::CallRule,
    counters::HookCounters,
    hooks::Hook,
    limits::{CALLS_MAX, ENDED_MAX, REPEATS_MAX, RING_BYTES, TOLD_MAX, WATCHED_MAX},
    record::CallFailed,
    watch::{RepeatKey, RepeatValue, Watch},
};

/// Everything that is told to user space.
#[map]
pub(crate) static RECORDS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// Which cgroups are looked at, and how closely; keyed by cgroup id.
#[map]
pub(crate) static WATCHED: HashMap<u64, Watch> = HashMap::with_max_entries(WATCHED_MAX, 0);

/// What was sent once and is only counted since.
#[map]
pub(crate) static REPEATS: LruHashMap<RepeatKey, RepeatValue> = LruHashMap::with_max_entries(REPEATS_MAX, 0);

/// The rule of each system call, by its number. Filled by the agent before anything is attached.
#[map]
pub(crate) static CALLS: Array<CallRule> = Array::with_max_entries(CALLS_MAX, 0);

/// One row a hook.
#[map]
pub(crate) static COUNTERS: PerCpuArray<HookCounters> = PerCpuArray::with_max_entries(Hook::ALL.len() as u32, 0);

/// Where `call_failed`, and it alone, puts a record together before it knows whether it is news.
#[map]
pub(crate) static SCRATCH: PerCpuArray<CallFailed> = PerCpuArray::with_max_entries(1, 0);

/// Start times of processes whose end was told, by thread group id.
#[map]
pub(crate) static ENDED: LruHashMap<u64, u64> = LruHashMap::with_max_entries(ENDED_MAX, 0);

/// Start times of processes that were told of, by thread group id: their ends are told too, see [`crate::budget`].
#[map]
pub(crate) static TOLD: LruHashMap<u64, u64> = LruHashMap::with_max_entries(TOLD_MAX, 0);
