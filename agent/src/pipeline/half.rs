//! What the pipeline has only where the kernel half may be loaded.

use super::{Ebpf, Options};
use crate::{
    bpf::{KernelHalf, LoadOptions, Reader},
    cgroupfs::CgroupRoot,
    investigate::Investigator,
};
use anyhow::Context as _;
use std::{future::pending, io};

/// What there is only with the kernel half.
pub(super) struct Half {
    pub(super) root: CgroupRoot,
    pub(super) kernel: KernelHalf,
    pub(super) reader: Reader,
    pub(super) investigator: Investigator,
}

impl Half {
    /// Loads the programs and attaches level 0.
    fn start(options: &Options) -> anyhow::Result<Self> {
        let root = CgroupRoot::find()?;
        let mut kernel = KernelHalf::load(&LoadOptions { debug_log: options.debug_log })?;
        for sentence in kernel.degraded() {
            tracing::warn!("{sentence}");
        }
        let reader = kernel.take_reader().context("open the ring buffer")?;
        kernel.attach_lifecycle()?;
        let investigator = Investigator::new(root.clone()).with_state_roots(options.state_roots.clone());
        Ok(Self { root, kernel, reader, investigator })
    }

    /// As far as it is wanted and possible.
    pub(super) fn if_wanted(options: &Options) -> anyhow::Result<Option<Self>> {
        match options.ebpf {
            Ebpf::Required => Self::start(options).map(Some),
            Ebpf::Refused => Ok(None),
            Ebpf::IfPossible => Ok(Self::start(options).inspect_err(|error| tracing::warn!("{error:#}; {WITHOUT}")).ok()),
        }
    }
}

/// Something is in the ring; never, where there is none.
pub(super) async fn ready(half: &mut Option<Half>) -> io::Result<()> {
    match half {
        Some(half) => half.reader.ready().await,
        None => pending().await,
    }
}

/// What follows from a refusal, for the log.
pub const WITHOUT: &str = "the agent goes on without the kernel's evidence, with what the API server tells of this node's pods";
