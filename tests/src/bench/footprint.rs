//! What the agent takes: its resident memory and its maps, with 250 cgroups known.

use crate::{attached::map_bytes, cgroups::Cgroup, lab::Lab, processes::AgentOptions, wait};
use anyhow::Result;
use std::time::Duration;

/// Cgroups known to the agent.
pub const CGROUPS: usize = 250;

#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    /// Resident memory of the agent.
    pub resident: u64,
    /// Memory of its maps, as the kernel accounts for it.
    pub maps: u64,
}

/// Half of the cgroups are there before the agent, half are made under its eyes.
pub fn measure(lab: &Lab) -> Result<Footprint> {
    let make = |n: usize| Cgroup::new(lab.hierarchies(), format!("{}/pod{n}", lab.cgroup()));
    let _before: Vec<Cgroup> = (0..CGROUPS / 2).map(make).collect::<Result<_>>()?;
    let agent = lab.agent(AgentOptions::default())?;
    let _after: Vec<Cgroup> = (CGROUPS / 2..CGROUPS).map(make).collect::<Result<_>>()?;
    wait::sleep(Duration::from_secs(2))?;
    Ok(Footprint { resident: agent.daemon().resident()?, maps: map_bytes(agent.daemon().pid())? })
}
