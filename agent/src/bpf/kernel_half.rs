//! The one handle to the kernel half.

use super::{
    error::LoadError,
    hooks::{Seat, Stage},
    links::{self, Detacher, Link, has_errno},
    load::{self, Loaded},
    log::Messages,
    observer::{self, Counters, Observer, Twins},
    options::LoadOptions,
    pod::Plain,
    reader::Reader,
};
use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, PerCpuArray},
};
use std::sync::Arc;
use unready_agent_common::{
    call::CallRule,
    counters::HookCounters,
    hooks::Hook,
    limits::REPEATS_MAX,
    watch::{Level, RepeatKey, RepeatValue, Watch},
};
use unready_diagnosis::units::CgroupId;

/// For an update of a map: of an element that is there (`include/uapi/linux/bpf.h`).
const BPF_EXIST: u64 = 2;

/// The kernel half: loaded, and attached as far as was asked for. What is attached goes with it.
pub struct KernelHalf {
    ebpf: Ebpf,
    watched: HashMap<MapData, u64, Plain<Watch>>,
    repeats: HashMap<MapData, Plain<RepeatKey>, Plain<RepeatValue>>,
    counters: Counters,
    twins: Arc<Twins>,
    /// The call table is only written at the start, but the programs need it as long as they live.
    _calls: Array<MapData, Plain<CallRule>>,
    degraded: Vec<String>,
    /// What this kernel has a place for.
    usable: Vec<Seat>,
    starting: Vec<(Seat, Link)>,
    lifecycle: Vec<(Seat, Link)>,
    detacher: Detacher,
    debug_log: bool,
}

impl KernelHalf {
    /// Loads and verifies all programs; attaches none.
    pub fn load(options: &LoadOptions) -> Result<Self, LoadError> {
        let Loaded { mut ebpf, usable, degraded } = load::load(*options)?;
        let (watched, repeats) = (load::take(&mut ebpf, "WATCHED")?, load::take(&mut ebpf, "REPEATS")?);
        let counters = PerCpuArray::try_from(load::take(&mut ebpf, "COUNTERS")?).map_err(|error| LoadError::of_map("COUNTERS", &error))?;
        Ok(Self {
            twins: Arc::new(Twins::of(&watched, &repeats)?),
            watched: HashMap::try_from(watched).map_err(|error| LoadError::of_map("WATCHED", &error))?,
            repeats: HashMap::try_from(repeats).map_err(|error| LoadError::of_map("REPEATS", &error))?,
            counters: Arc::new(counters),
            _calls: load::fill_calls(&mut ebpf)?,
            ebpf,
            degraded,
            usable,
            starting: Vec::new(),
            lifecycle: Vec::new(),
            detacher: Detacher::default(),
            debug_log: options.debug_log,
        })
    }

    /// What this kernel cannot tell, a sentence each.
    pub fn degraded(&self) -> &[String] {
        &self.degraded
    }

    /// Attaches level 0, for as long as this handle lives.
    pub fn attach_lifecycle(&mut self) -> Result<(), LoadError> {
        if self.lifecycle.is_empty() {
            self.lifecycle = self.attach(Stage::Lifecycle)?;
        }
        Ok(())
    }

    /// Attaches level 1. Some milliseconds; nothing happens if it is attached.
    pub fn attach_starting(&mut self) -> Result<(), LoadError> {
        if self.starting.is_empty() {
            self.starting = self.attach(Stage::Starting)?;
        }
        Ok(())
    }

    /// Detaches level 1, in the background: the kernel goes through all tasks meanwhile. Failing calls are
    /// the last to be let go of, so that a start in the meantime is seen.
    pub fn detach_starting(&mut self) {
        if self.starting_attached() {
            self.detacher.detach(std::mem::take(&mut self.starting));
        }
    }

    /// Whether level 1 is attached.
    pub fn starting_attached(&self) -> bool {
        !self.starting.is_empty()
    }

    /// Looks at a cgroup so closely; `None`: not at all. What it has sent so far stays counted.
    /// `maker`: the container that it was made from within, for one that was made before it could be seen.
    pub fn watch(&mut self, cgroup: CgroupId, level: Option<Level>, maker: Option<CgroupId>) -> Result<(), LoadError> {
        let result = match level {
            Some(level) => {
                let unseen = Watch { maker: maker.map_or(0, |maker| maker.0), ..Watch::default() };
                let before = self.watched(cgroup).unwrap_or(unseen);
                self.watched.insert(cgroup.0, Plain(Watch { level: level as u32, ..before }), 0)
            }
            None => match self.watched.remove(&cgroup.0) {
                Err(error) if has_errno(&error, libc::ENOENT) => Ok(()),
                other => other,
            },
        };
        result.map_err(|error| LoadError::of_map("WATCHED", &error))
    }

    /// Looks at a cgroup no longer, but for what its maker is charged with; nothing happens if it is not watched.
    pub fn leave(&mut self, cgroup: CgroupId) -> Result<(), LoadError> {
        let Some(before) = self.watched(cgroup) else { return Ok(()) };
        self.update(cgroup, Watch { level: Level::Rest as u32, ..before })
    }

    /// Makes this the cgroup's main process, which has budgets of its own; nothing happens if the cgroup is not watched.
    pub fn set_main(&mut self, cgroup: CgroupId, pid: u32) -> Result<(), LoadError> {
        let Some(before) = self.watched(cgroup).filter(|watch| watch.main != pid) else { return Ok(()) };
        self.update(cgroup, Watch { main: pid, ..before })
    }

    fn update(&mut self, cgroup: CgroupId, watch: Watch) -> Result<(), LoadError> {
        match self.watched.insert(cgroup.0, Plain(watch), BPF_EXIST) {
            Err(error) if has_errno(&error, libc::ENOENT) => Ok(()), // removed meanwhile
            other => other.map_err(|error| LoadError::of_map("WATCHED", &error)),
        }
    }

    /// How a cgroup is looked at, and what it has sent; `None`: it is not.
    pub fn watched(&self, cgroup: CgroupId) -> Option<Watch> {
        self.watched.get(&cgroup.0, 0).ok().map(|Plain(watch)| watch)
    }

    /// How often one failure has happened; `None`: the kernel does not remember it.
    pub fn repeat(&self, key: &RepeatKey) -> Option<RepeatValue> {
        self.repeats.get(&Plain(*key), 0).ok().map(|Plain(value)| value)
    }

    /// All failures that the kernel remembers, with their totals. Two system calls each: to look at a machine by hand.
    pub fn repeats(&self) -> impl Iterator<Item = (RepeatKey, RepeatValue)> {
        self.repeats.iter().flatten().take(REPEATS_MAX as usize).map(|(Plain(key), Plain(value))| (key, value))
    }

    /// What each hook did so far, over all CPUs. A hook that this kernel has no place for is not among them.
    pub fn counters(&self) -> Vec<(Hook, HookCounters)> {
        self.hooks().map(|hook| (hook, self.hook_counters(hook))).collect()
    }

    /// The same and more, to be read beside this handle.
    pub fn observer(&self) -> Result<Observer, LoadError> {
        Observer::new(&self.ebpf, &self.usable, Arc::clone(&self.counters), self.hooks().collect(), Arc::clone(&self.twins))
    }

    /// Events that a program was not run for, because it was being run on that CPU already: what the programs count cannot
    /// include them. From 7.0 on tracepoints can be preempted, so that now and then one is missed in a storm. 0 for a hook
    /// whose kernel (before 5.12) does not tell.
    pub fn missed(&self) -> Vec<(Hook, u64)> {
        self.usable.iter().map(|seat| (seat.row.hook, links::missed(&self.ebpf, *seat).unwrap_or(0))).collect()
    }

    /// The end of the ring buffer that is read; once, and inside a tokio runtime.
    pub fn take_reader(&mut self) -> Result<Reader, LoadError> {
        let messages = if self.debug_log { Some(Messages::take(&mut self.ebpf)?) } else { None };
        Reader::new(load::take(&mut self.ebpf, "RECORDS")?, messages)
    }

    fn attach(&mut self, stage: Stage) -> Result<Vec<(Seat, Link)>, LoadError> {
        let seats: Vec<Seat> = self.usable.iter().copied().filter(|seat| seat.row.stage == stage).collect();
        seats.into_iter().map(|seat| Ok((seat, self.detacher.attach(&mut self.ebpf, seat)?))).collect()
    }

    /// The hooks that this kernel has a place for.
    fn hooks(&self) -> impl Iterator<Item = Hook> {
        // Changes of root are seen by the program of failing calls, which is always there.
        let usable = |hook: &Hook| *hook == Hook::RootChanged || self.usable.iter().any(|seat| seat.row.hook == *hook);
        Hook::ALL.iter().copied().filter(usable)
    }

    fn hook_counters(&self, hook: Hook) -> HookCounters {
        observer::sum(&self.counters, hook)
    }
}
