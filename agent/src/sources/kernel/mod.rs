//! The kernel half as a source: its ring, its counts, and the investigator, who takes hold of what a record speaks of at once.

mod counts;

pub(crate) use counts::PERIOD;

use crate::{
    bpf::{KernelHalf, LoadOptions, Observer, Reader},
    cgroupfs::{CgroupRoot, Limits},
    investigate::{Investigator, LookCounts},
};
use anyhow::Context as _;
use counts::KernelCounts;
use std::{future::pending, io, path::PathBuf};
use unready_diagnosis::{
    Input, decode,
    input::Loss,
    record::Record,
    snapshot::Existing,
    units::{BootNanos, CgroupId, Process},
};

/// Whether the eBPF programs must load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ebpf {
    /// Without them there is nothing to say.
    #[default]
    Required,
    /// If they do not load, the API server's word has to do.
    IfPossible,
    /// It is known that they will not load.
    Refused,
}

/// What there is only where the kernel half may be loaded.
pub(crate) struct KernelSource {
    pub(crate) root: CgroupRoot,
    pub(crate) half: KernelHalf,
    reader: Reader,
    pub(crate) investigator: Investigator,
    counts: KernelCounts,
}

/// What was in the ring.
#[derive(Debug, Default)]
pub(crate) struct Drained {
    /// In the order in which they happened.
    pub(crate) records: Vec<(BootNanos, Record)>,
    /// Records that could not be decoded.
    pub(crate) loss: Option<Input>,
}

impl KernelSource {
    /// Loads the programs and attaches level 0.
    fn start(load: LoadOptions, state_roots: &[PathBuf]) -> anyhow::Result<Self> {
        let root = CgroupRoot::find()?;
        let mut half = KernelHalf::load(&load)?;
        for sentence in half.degraded() {
            tracing::warn!("{sentence}");
        }
        let reader = half.take_reader().context("open the ring buffer")?;
        half.attach_lifecycle()?;
        let investigator = Investigator::new(root.clone()).with_state_roots(state_roots.to_vec());
        Ok(Self { root, half, reader, investigator, counts: KernelCounts::default() })
    }

    /// As far as it is wanted and possible. `state_roots`: where runtimes keep their state, beside the usual places.
    pub(crate) fn if_wanted(ebpf: Ebpf, load: LoadOptions, state_roots: &[PathBuf]) -> anyhow::Result<Option<Self>> {
        let start = || Self::start(load, state_roots);
        match ebpf {
            Ebpf::Required => start().map(Some),
            Ebpf::Refused => Ok(None),
            Ebpf::IfPossible => Ok(start().inspect_err(|error| tracing::warn!("{error:#}; {WITHOUT}")).ok()),
        }
    }

    /// The cgroups that are there already. What runs in them does not matter here.
    pub(crate) fn existing(&self) -> Vec<Record> {
        let found = self.root.snapshot(&Limits { looked_at: 0, ..Limits::default() });
        let record = |Existing { id, path, .. }| Record::CgroupCreated { id, path, existing: true };
        found.cgroups.into_iter().map(record).inspect(|record| self.investigator.note(record)).collect()
    }

    /// Empties the ring, by one batch at most.
    pub(crate) fn drain(&mut self) -> Drained {
        let Self { root, reader, investigator, counts, .. } = self;
        let (mut records, mut undecodable) = (Vec::new(), 0);
        reader.drain(|bytes| match decode::decode(bytes) {
            Ok((at, record)) => {
                let record = with_whole_path(record, root);
                investigator.note(&record); // first: a process that failed may be gone within a millisecond
                if let Some(key) = decode::repeat_key(bytes) {
                    counts.follow(key);
                }
                records.push((at, record));
            }
            Err(error) => {
                undecodable += 1;
                tracing::debug!("a record could not be decoded: {error}");
            }
        });
        Drained { records, loss: (undecodable > 0).then_some(Input::Loss(Loss { undecodable, ..Loss::default() })) }
    }

    /// Whether the counts are to be read again.
    pub(crate) const fn is_count_due(&self, now: BootNanos) -> bool {
        self.counts.is_due(now)
    }

    /// The counts of all containers that start.
    pub(crate) fn counts(&mut self, starting: impl Iterator<Item = CgroupId>, now: BootNanos) -> Vec<Input> {
        self.counts.read(&self.half, starting, now)
    }

    /// The counts of one container: its main process has just ended, or it is left alone from now on.
    pub(crate) fn counts_of(&mut self, cgroup: CgroupId) -> Vec<Input> {
        self.counts.read_one(&self.half, cgroup)
    }

    /// What was lost since the last time.
    pub(crate) fn losses(&mut self, now: BootNanos) -> Option<Input> {
        self.counts.read_losses(&self.half, now)
    }

    /// A cgroup is no longer looked at, or no longer closely.
    pub(crate) fn forget(&mut self, cgroup: CgroupId) {
        self.counts.forget(cgroup);
    }

    /// The kernel half always tells of the main process.
    pub(crate) fn follow_main(&mut self, cgroup: CgroupId, main: Process) {
        if let Err(error) = self.half.set_main(cgroup, main.pid) {
            tracing::warn!("process {} of cgroup {cgroup} cannot be followed closely: {error:#}", main.pid);
        }
    }

    /// What the kernel half does and costs, to be looked at from outside.
    pub(crate) fn observer(&self) -> Result<Observer, crate::bpf::LoadError> {
        self.half.observer()
    }

    /// What could not be looked at, to be asked from outside.
    pub(crate) fn look_counts(&self) -> impl Fn() -> LookCounts + Send + Sync + use<> {
        self.investigator.observe()
    }
}

/// Something is in the ring; never, where there is none.
pub(crate) async fn ready(source: &mut Option<KernelSource>) -> io::Result<()> {
    match source {
        Some(source) => source.reader.ready().await,
        None => pending().await,
    }
}

/// A cgroup's path that was too long for its record is looked up in the file system.
fn with_whole_path(mut record: Record, root: &CgroupRoot) -> Record {
    if let Record::CgroupCreated { id, path, .. } = &mut record
        && decode::cgroup_path_may_be_cut(path)
        && let Some(whole) = root.whole_path(*id, path)
    {
        *path = whole;
    }
    record
}

/// What follows from a refusal, for the log.
pub const WITHOUT: &str = "the agent goes on without the kernel's evidence, with what the API server tells of this node's pods";
