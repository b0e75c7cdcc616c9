//! From the embedded object to verified programs, for the kernel that is running.

use super::{
    btf::Btf,
    calls,
    error::LoadError,
    hooks::{Seat, programs},
    links, log, offsets,
    options::LoadOptions,
    pod::Plain,
    tracepoints::Tracepoints,
};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, Map, MapData},
    programs::Program,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use unready_agent_common::{
    call::CallRule,
    offsets::{Dialect, Offsets},
};

/// The programs, compiled by the build script; empty if it was asked to leave them out.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/unready-agent-ebpf.o"));

/// What was loaded.
pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    /// The programs that this kernel has a place for.
    pub(super) usable: Vec<Seat>,
    /// What is lost without the others.
    pub(super) degraded: Vec<String>,
}

/// Loads and verifies everything.
pub(super) fn load(options: LoadOptions) -> Result<Loaded, LoadError> {
    if OBJECT.is_empty() {
        return Err(LoadError::NoObject);
    }
    lift_memlock();
    give_back_large_blocks();
    let (kernel, mut degraded) = KernelTypes::read()?;
    let globals = Globals {
        offsets: Plain(kernel.offsets),
        dialect: Plain(kernel.tracepoints.dialect()),
        level: if options.debug_log { DEBUG } else { OFF },
    };
    let mut ebpf = parse(&globals)?;
    let usable = load_programs(&mut ebpf, &kernel.tracepoints, &mut degraded)?;
    Ok(Loaded { ebpf, usable, degraded })
}

/// What the programs depend on in this kernel.
struct KernelTypes {
    offsets: Offsets,
    tracepoints: Tracepoints,
}

impl KernelTypes {
    /// The kernel's BTF is several MiB, and aya reads its own copy afterwards: the agent is largest here, and so it keeps one at a time.
    fn read() -> Result<(Self, Vec<String>), LoadError> {
        let btf = Btf::of_kernel().map_err(|error| LoadError::NoBtf(error.to_string()))?;
        let (offsets, degraded) = offsets::of_kernel(&btf);
        Ok((Self { offsets, tracepoints: Tracepoints::of_kernel(&btf) }, degraded))
    }
}

/// Takes a map out of the object.
pub(super) fn take(ebpf: &mut Ebpf, map: &'static str) -> Result<Map, LoadError> {
    ebpf.take_map(map).ok_or_else(|| LoadError::Map { map, reason: "it is not in the object, or was taken before".to_owned() })
}

/// Writes the call table. The programs need it as long as they live.
pub(super) fn fill_calls(ebpf: &mut Ebpf) -> Result<Array<MapData, Plain<CallRule>>, LoadError> {
    const CALLS: &str = "CALLS";
    let mut table = Array::try_from(take(ebpf, CALLS)?).map_err(|error| LoadError::of_map(CALLS, &error))?;
    for (number, rule) in calls::rules() {
        table.set(number, Plain(rule), 0).map_err(|error| LoadError::of_map(CALLS, &error))?;
    }
    Ok(table)
}

/// Kernels before 5.11 charge maps to the limit of locked memory, 64 KiB by default. Later ones do not care, so that a
/// refusal is none of ours: if it matters, making the maps fails.
fn lift_memlock() {
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
}

/// Each large block is a mapping of its own from now on, and goes back to the system when it is freed. Left to itself, glibc keeps up
/// to 64 MiB in hand once a block of some size was freed (mallopt(3), "dynamic mmap threshold"): the kernel's types are read once,
/// and their 14 MiB would be held for the rest of our life.
#[cfg(target_env = "gnu")]
fn give_back_large_blocks() {
    const THRESHOLD: libc::c_int = 128 << 10; // glibc's own, before it begins to move it
    // SAFETY: it takes numbers, and no memory changes hands. Other threads may allocate meanwhile: what is set here glibc itself sets
    // at each `free` of a mapped block, without a lock (2.36, malloc/malloc.c, __libc_free), and either value serves them.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD) };
}

/// Other allocators do not keep so much.
#[cfg(not(target_env = "gnu"))]
const fn give_back_large_blocks() {}

/// What the programs are told at load.
struct Globals {
    offsets: Plain<Offsets>,
    dialect: Plain<Dialect>,
    /// The most talkative level of messages that is on.
    level: u8,
}

const OFF: u8 = 0;
const DEBUG: u8 = aya_log::Level::Debug as u8;

/// Reads the object with the globals of this kernel in it, and makes the maps.
fn parse(globals: &Globals) -> Result<Ebpf, LoadError> {
    const ROOT_CALLS: [u32; 2] = calls::ROOT_CALLS;
    let mut loader = EbpfLoader::new(); // reads the kernel's BTF, whether it is used or not
    loader.btf(None);
    loader.override_global("OFFSETS", &globals.offsets, true).override_global("DIALECT", &globals.dialect, true);
    loader.override_global("ROOT_CALLS", &ROOT_CALLS, true).override_global(aya_log::LEVEL, &globals.level, true);
    if globals.level == OFF {
        loader.map_max_entries(log::RING, 1); // rounded up to a page
    }
    loader.load(OBJECT).map_err(|error| LoadError::of_object(&error))
}

/// Loads what the kernel has a place for; says what is lost without the rest.
fn load_programs(ebpf: &mut Ebpf, tracepoints: &Tracepoints, degraded: &mut Vec<String>) -> Result<Vec<Seat>, LoadError> {
    let mut usable = Vec::new();
    let preemptible = Tracepoints::are_preemptible();
    for row in programs() {
        if preemptible && let Some(steady) = Seat::steady(row) {
            match links::probe(steady).and_then(|()| load_program(ebpf, steady.program).map_err(|error| error.to_string())) {
                Ok(()) => {
                    usable.push(steady);
                    continue;
                }
                Err(reason) => degraded.push(format!("on a busy CPU of this kernel events of {} may go unseen: {reason}", row.program)),
            }
        }
        let loaded = if tracepoints.has(row.tracepoint) {
            load_program(ebpf, row.program)
        } else {
            Err(LoadError::Attach { program: row.program, reason: format!("this kernel has no tracepoint {}", row.tracepoint) })
        };
        match (loaded, row.lost) {
            (Ok(()), _) => usable.push(Seat::raw(row)),
            (Err(error), Some(lost)) => degraded.push(format!("{error}: {lost}")),
            (Err(error), None) => return Err(error),
        }
    }
    Ok(usable)
}

fn load_program(ebpf: &mut Ebpf, name: &'static str) -> Result<(), LoadError> {
    let result = match ebpf.program_mut(name) {
        Some(Program::RawTracePoint(program)) => program.load(),
        Some(Program::TracePoint(program)) => program.load(),
        _ => return Err(LoadError::Object(format!("it has no program {name}"))),
    };
    result.map_err(|error| LoadError::of_program(name, &error))
}
