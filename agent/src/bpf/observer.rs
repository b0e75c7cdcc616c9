//! The kernel half as its metrics show it: read beside the [`KernelHalf`](super::KernelHalf), through descriptors of its own, and only
//! when somebody asks.
//!
//! What a program has cost is in `fdinfo` (`bpf_prog_show_fdinfo` in kernel/bpf/syscall.c), and counted only while
//! `kernel.bpf_stats_enabled` is 1: the kernel then reads the clock around each run.

use super::{error::LoadError, hooks::Seat, pod::Plain};
use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, PerCpuArray},
    programs::ProgramFd,
};
use std::{
    fmt, fs,
    os::fd::{AsFd as _, AsRawFd as _},
    sync::Arc,
    time::Duration,
};
use unready_agent_common::{
    counters::HookCounters,
    hooks::Hook,
    limits::{REPEATS_MAX, WATCHED_MAX},
    watch::{RepeatKey, RepeatValue, Watch},
};

/// The counters of all hooks, shared with the kernel's handle.
pub(super) type Counters = Arc<PerCpuArray<MapData, Plain<HookCounters>>>;

/// See the module's head. Its programs and maps stay loaded as long as it lives, attached they do not.
pub struct Observer {
    counters: Counters,
    hooks: Vec<Hook>,
    programs: Vec<(Seat, ProgramFd)>,
    twins: Arc<Twins>,
}

/// Second handles of the maps whose fill is told.
pub(super) struct Twins {
    watched: HashMap<MapData, u64, Plain<Watch>>,
    repeats: HashMap<MapData, Plain<RepeatKey>, Plain<RepeatValue>>,
}

/// What the kernel half has done so far, and how full it is.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// By hook.
    pub hooks: Vec<(Hook, HookCounters)>,
    /// By program.
    pub programs: Vec<ProgramCost>,
    /// By map.
    pub maps: Vec<MapFill>,
}

/// What a program has cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// Its name in the object.
    pub program: &'static str,
    /// How often it ran, and how long altogether; 0 while the kernel does not count it.
    pub runs: u64,
    /// See `runs`.
    pub time: Duration,
    /// Events that it was not run for, because it was running on that CPU already.
    pub missed: u64,
}

/// How full a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapFill {
    /// Its name, in small letters.
    pub map: &'static str,
    /// Entries in it.
    pub entries: u32,
    /// Entries that it can hold.
    pub capacity: u32,
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("programs", &self.programs).finish_non_exhaustive()
    }
}

impl Observer {
    pub(super) fn new(ebpf: &Ebpf, usable: &[Seat], counters: Counters, hooks: Vec<Hook>, twins: Arc<Twins>) -> Result<Self, LoadError> {
        let programs = usable.iter().map(|seat| Ok((*seat, descriptor(ebpf, *seat)?))).collect::<Result<_, LoadError>>()?;
        Ok(Self { counters, hooks, programs, twins })
    }

    /// Some ten system calls, and one for each entry of the maps: some milliseconds at worst.
    pub fn observe(&self) -> Observation {
        Observation {
            hooks: self.hooks.iter().map(|hook| (*hook, sum(&self.counters, *hook))).collect(),
            programs: self.programs.iter().map(|(seat, descriptor)| cost(*seat, descriptor)).collect(),
            maps: self.twins.fill(),
        }
    }
}

impl Twins {
    /// Of maps that are about to be taken into use.
    pub(super) fn of(watched: &Map, repeats: &Map) -> Result<Self, LoadError> {
        Ok(Self {
            watched: HashMap::try_from(twin("WATCHED", watched)?).map_err(|error| LoadError::of_map("WATCHED", &error))?,
            repeats: HashMap::try_from(twin("REPEATS", repeats)?).map_err(|error| LoadError::of_map("REPEATS", &error))?,
        })
    }

    fn fill(&self) -> Vec<MapFill> {
        // A key that is removed during the walk makes the kernel begin again: hence the end.
        let count = |keys: usize| u32::try_from(keys).unwrap_or(u32::MAX);
        let watched = count(self.watched.keys().take(WATCHED_MAX as usize).flatten().count());
        let repeats = count(self.repeats.keys().take(REPEATS_MAX as usize).flatten().count());
        vec![
            MapFill { map: "watched", entries: watched, capacity: WATCHED_MAX },
            MapFill { map: "repeats", entries: repeats, capacity: REPEATS_MAX },
        ]
    }
}

/// One hook's counters, over all CPUs.
pub(super) fn sum(counters: &PerCpuArray<MapData, Plain<HookCounters>>, hook: Hook) -> HookCounters {
    let Ok(per_cpu) = counters.get(&(hook as u32), 0) else {
        return HookCounters::default();
    };
    per_cpu.iter().fold(HookCounters::default(), |sum, Plain(row)| HookCounters {
        seen: sum.seen + row.seen,
        sent: sum.sent + row.sent,
        counted: sum.counted + row.counted,
        filtered: sum.filtered + row.filtered,
        failed: sum.failed + row.failed,
        ring_full: sum.ring_full + row.ring_full,
    })
}

/// The same map by a descriptor of its own.
fn twin(name: &'static str, map: &Map) -> Result<Map, LoadError> {
    let (Map::HashMap(data) | Map::LruHashMap(data)) = map else {
        return Err(LoadError::Map { map: name, reason: "it is no hash map".to_owned() });
    };
    let copy = data.fd().as_fd().try_clone_to_owned();
    let copy = copy.map_err(|error| LoadError::Map { map: name, reason: format!("its descriptor cannot be copied: {error}") })?;
    let data = MapData::from_fd(copy).and_then(Map::from_map_data);
    data.map_err(|error| LoadError::of_map(name, &error))
}

fn cost(seat: Seat, program: &ProgramFd) -> ProgramCost {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd())).unwrap_or_default();
    let (runs, time, missed) = parse(&text);
    ProgramCost { program: seat.program, runs, time, missed }
}

fn parse(fdinfo: &str) -> (u64, Duration, u64) {
    let value = |name: &str| {
        let line = fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    (value("run_cnt"), Duration::from_nanos(value("run_time_ns")), value("recursion_misses"))
}

fn descriptor(ebpf: &Ebpf, seat: Seat) -> Result<ProgramFd, LoadError> {
    let program = ebpf.program(seat.program).ok_or_else(|| LoadError::Object(format!("it has no program {}", seat.program)))?;
    let clone = program.fd().map_err(|error| LoadError::of_program(seat.program, &error))?.try_clone();
    clone.map_err(|error| LoadError::Attach { program: seat.program, reason: format!("its descriptor cannot be copied: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_cost_is_read_from_fdinfo() {
        let text = "pos:\t0\nprog_type:\t17\nrun_time_ns:\t1500\nrun_cnt:\t3\nrecursion_misses:\t2\nverified_insns:\t41\n";
        assert_eq!(parse(text), (3, Duration::from_nanos(1500), 2));
        assert_eq!(parse("prog_id:\t7\n"), (0, Duration::ZERO, 0), "before 5.12 the kernel does not tell");
    }
}
