//! Attention (design §4): which cgroups the kernel half watches, and whether level 1 is attached at all.
//!
//! ```text
//!            a cgroup starts                    the last start is over
//!   rest ────────────────────► attached ──────────────────────────────► lingering ── linger passes ──► rest
//!                                  ▲                                        │
//!                                  └────────────── a cgroup starts ─────────┘
//! ```

use crate::bpf::KernelHalf;
use std::{collections::BTreeSet, time::Duration};
use unready_agent_common::watch::Level;
use unready_diagnosis::{
    input,
    units::{BootNanos, CgroupId},
};

#[derive(Debug)]
pub(super) struct Attention {
    starting: BTreeSet<CgroupId>,
    /// A local run: attached for good.
    held: bool,
    attached: bool,
    linger: Duration,
    idle_since: Option<BootNanos>,
}

impl Attention {
    pub(super) const fn new(linger: Duration) -> Self {
        Self { starting: BTreeSet::new(), held: false, attached: false, linger, idle_since: None }
    }

    /// Attaches level 1 and keeps it.
    pub(super) fn hold(&mut self, kernel: &mut KernelHalf) -> anyhow::Result<()> {
        self.held = true;
        self.attach(kernel)
    }

    pub(super) const fn is_attached(&self) -> bool {
        self.attached
    }

    /// Whether a cgroup is starting.
    pub(super) fn is_starting(&self, cgroup: CgroupId) -> bool {
        self.starting.contains(&cgroup)
    }

    /// All that are starting.
    pub(super) fn starting(&self) -> impl Iterator<Item = CgroupId> {
        self.starting.iter().copied()
    }

    /// Watches a cgroup so closely; attaches level 1 with the first that starts.
    pub(super) fn set(&mut self, kernel: &mut KernelHalf, new: input::Attention) -> anyhow::Result<()> {
        let input::Attention { cgroup, level, maker } = new;
        let starts = matches!(level, Some(Level::Starting | Level::Stalled));
        if starts {
            self.starting.insert(cgroup);
            self.idle_since = None;
            self.attach(kernel)?;
        } else {
            self.starting.remove(&cgroup);
        }
        match (level, maker) {
            (None, Some(_)) => kernel.leave(cgroup)?,
            _ => kernel.watch(cgroup, level, maker)?,
        }
        Ok(())
    }

    /// When [`Attention::tick`] has something to do, from now.
    pub(super) fn due(&self, now: BootNanos) -> Option<Duration> {
        self.idle_since.map(|since| since.after(self.linger).since(now))
    }

    /// Detaches level 1 when nothing has started for long enough.
    pub(super) fn tick(&mut self, kernel: &mut KernelHalf, now: BootNanos) {
        if !self.attached || self.held || !self.starting.is_empty() {
            return;
        }
        let since = *self.idle_since.get_or_insert(now);
        if now.since(since) >= self.linger {
            kernel.detach_starting();
            self.attached = false;
            self.idle_since = None;
            tracing::info!("level 1 detached: nothing starts");
        }
    }

    fn attach(&mut self, kernel: &mut KernelHalf) -> anyhow::Result<()> {
        if !self.attached {
            kernel.attach_starting()?;
            self.attached = true;
            tracing::info!("level 1 attached");
        }
        Ok(())
    }
}
