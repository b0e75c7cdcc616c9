//! From the embedded object to verified programs, for the kernel that is running.

use super::{
    btf::Btf,
    calls,
    error::LoadError,
    hooks::{HOOKS, Place, Row},
    kernel::LoadOptions,
    log, offsets,
    pod::Plain,
    tracefs::Tracefs,
};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, Map, MapData},
    programs::Program,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use unready_agent_common::{
    call::CallRule,
    offsets::{Fields, Offsets},
};

/// The programs, compiled by the build script; empty if it could not.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/unready-agent-ebpf.o"));

/// What was loaded.
pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    /// The programs that this kernel has a place for.
    pub(super) usable: Vec<&'static Row>,
    /// What is lost without the others.
    pub(super) degraded: Vec<String>,
}

/// Loads and verifies everything.
pub(super) fn load(options: LoadOptions) -> Result<Loaded, LoadError> {
    if OBJECT.is_empty() {
        return Err(LoadError::NoObject);
    }
    lift_memlock();
    let tracefs = Tracefs::find().map_err(LoadError::NoTracefs)?;
    let (loader, btf) = std::thread::scope(|scope| {
        // aya reads the kernel's BTF when a loader is made, whether it is used or not: then let it be at the same time.
        let loader = scope.spawn(|| {
            let mut loader = EbpfLoader::new();
            loader.btf(None);
            loader
        });
        let btf = Btf::of_kernel();
        (loader.join(), btf)
    });
    let loader = loader.map_err(|_| LoadError::Object("the loader panicked".to_owned()))?;
    let (offsets, mut degraded) = offsets::of_kernel(&btf.map_err(|error| LoadError::NoBtf(error.to_string()))?);
    let (fields, missing) = tracefs.fields();
    degraded.extend(missing.iter().map(|(event, field)| format!("the tracepoint {event} has no field {field}: its program is of no use")));
    let mut ebpf = parse(loader, options, &Plain(offsets), &Plain(fields))?;
    let usable = load_programs(&mut ebpf, &tracefs, &mut degraded)?;
    Ok(Loaded { ebpf, usable, degraded })
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

/// Reads the object with the globals of this kernel in it, and makes the maps.
fn parse<'a>(
    mut loader: EbpfLoader<'a>,
    options: LoadOptions,
    offsets: &'a Plain<Offsets>,
    fields: &'a Plain<Fields>,
) -> Result<Ebpf, LoadError> {
    const OFF: u8 = 0;
    const DEBUG: u8 = aya_log::Level::Debug as u8;
    loader.override_global("OFFSETS", offsets, true).override_global("FIELDS", fields, true);
    loader.override_global(aya_log::LEVEL, if options.debug_log { &DEBUG } else { &OFF }, true);
    if !options.debug_log {
        loader.map_max_entries(log::RING, 1); // rounded up to a page
    }
    loader.load(OBJECT).map_err(|error| LoadError::of_object(&error))
}

/// Loads what the kernel has a place for; says what is lost without the rest.
fn load_programs(ebpf: &mut Ebpf, tracefs: &Tracefs, degraded: &mut Vec<String>) -> Result<Vec<&'static Row>, LoadError> {
    let mut usable = Vec::new();
    for row in &HOOKS {
        let loaded = match row.place {
            Place::Tracepoint(group, name) if !tracefs.has(&format!("{group}/{name}")) => {
                Err(LoadError::Attach { program: row.program, reason: format!("this kernel has no tracepoint {group}:{name}") })
            }
            Place::Tracepoint(..) | Place::Raw(_) => load_program(ebpf, row.program),
        };
        match (loaded, row.lost) {
            (Ok(()), _) => usable.push(row),
            (Err(error), Some(lost)) => degraded.push(format!("{error}: {lost}")),
            (Err(error), None) => return Err(error),
        }
    }
    Ok(usable)
}

fn load_program(ebpf: &mut Ebpf, name: &'static str) -> Result<(), LoadError> {
    let result = match ebpf.program_mut(name) {
        Some(Program::TracePoint(program)) => program.load(),
        Some(Program::RawTracePoint(program)) => program.load(),
        _ => return Err(LoadError::Object(format!("it has no program {name}"))),
    };
    result.map_err(|error| LoadError::of_program(name, &error))
}
