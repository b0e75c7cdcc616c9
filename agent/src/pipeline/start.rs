//! How a pipeline is put together, and what can be looked at from outside while it runs.

use super::{COMMANDS, Events, Handle, Options, Pipeline, attention::Attention, events, gauges::Gauges};
use crate::{
    bpf::{LoadError, LoadOptions, Observer},
    clock,
    investigate::LookCounts,
    recording::{Header, Recorder},
    sources::{kernel::KernelSource, walks::Walks},
};
use anyhow::Context as _;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::{mpsc, watch};
use unready_diagnosis::{Config, Engine};

impl Pipeline {
    /// Loads the programs, attaches level 0 (and level 1 for a local run), and learns which cgroups exist.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(options: &Options) -> anyhow::Result<(Self, Handle, Events)> {
        let mut kernel = KernelSource::if_wanted(options.ebpf, LoadOptions { debug_log: options.debug_log }, &options.state_roots)?;
        let mut attention = Attention::new(options.linger);
        if let Some(kernel) = kernel.as_mut().filter(|_| options.starting_at_once) {
            attention.hold(&mut kernel.half)?;
        }
        let clock = clock::Watch::start().context("watch the wall clock")?; // before the first look at it
        let anchor = clock::anchor();
        anyhow::ensure!(anchor.wall > 0, "the wall clock stands before 1970: set it");
        let recorder = options.record.as_deref().map(|path| Recorder::create(path, &Header::here(anchor, kernel.is_some()))).transpose()?;
        let (commands_in, commands) = mpsc::channel(COMMANDS);
        let (answers_in, answers) = mpsc::channel(COMMANDS);
        let (sender, events) = events::channel();
        let (verdicts, questions, starts) = (sender.verdicts(), sender.questions(), sender.starts());
        let gauges = Gauges { commands: commands_in.downgrade(), verdicts, questions, starts, refused_pods: Arc::default() };
        let (anchor_in, anchor_out) = watch::channel(anchor);
        let mut pipeline = Self {
            engine: Engine::new(Config { clock: anchor, kernel: kernel.is_some(), ..Config::default() }),
            kernel,
            recorder,
            attention,
            walks: Walks::new(clock::now()),
            commands,
            answers_in,
            answers,
            asked: BTreeSet::new(),
            sender,
            tell_listeners: options.tell_listeners,
            unasked: Vec::new(),
            leaving: Vec::new(),
            settling: Vec::new(),
            clock,
            anchor: anchor_in,
            gauges,
        };
        pipeline.meet_what_exists();
        Ok((pipeline, Handle { commands: commands_in, anchor: anchor_out }, events))
    }

    /// The kernel half is loaded.
    pub const fn has_kernel(&self) -> bool {
        self.kernel.is_some()
    }

    /// How its queues stand, also while it runs.
    pub fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    /// What the kernel half does and costs, to be looked at also while the pipeline runs. `None`: it is not loaded.
    pub fn observer(&self) -> Result<Option<Observer>, LoadError> {
        self.kernel.as_ref().map(KernelSource::observer).transpose()
    }

    /// What could not be looked at, to be asked also while the pipeline runs. `None`: nothing is looked at.
    pub fn look_counts(&self) -> Option<impl Fn() -> LookCounts + Send + Sync + use<>> {
        self.kernel.as_ref().map(KernelSource::look_counts)
    }
}
