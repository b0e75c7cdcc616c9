//! What a system call costs: with no agent, with an agent at rest, with level 1 attached for another container, and in
//! a watched container itself.

use crate::{
    attached::{taxes_system_calls, tracepoints},
    lab::Lab,
    processes::{Agent, AgentOptions},
    runc::Container,
    wait,
};
use anyhow::{Context, Result, ensure};
use std::{process::Command, time::Duration};

/// Calls a round.
const COUNT: &str = "50000";
/// Rounds; their median is the result.
const ROUNDS: &str = "15";
const PATIENCE: Duration = Duration::from_mins(1);

/// Nanoseconds a call.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// No agent runs.
    pub untraced: f64,
    /// An agent runs, nothing starts.
    pub rest: f64,
    /// Level 1 is attached; the caller is in no watched cgroup.
    pub other: f64,
    /// Level 1 is attached; the caller is in a watched container.
    pub watched: f64,
}

/// The calls that are measured: an open that fails with ENOENT, and getppid, which does next to nothing.
pub const CALLS: [&str; 2] = ["open", "getppid"];

/// The cost of each of [`CALLS`].
pub fn measure(lab: &Lab) -> Result<[Cost; 2]> {
    lab.install(&["time-calls", "retry-open"])?;
    let untraced = on_host(lab)?;
    let agent = lab.agent(AgentOptions { linger: Some(Duration::from_secs(1)), ..AgentOptions::default() })?;
    wait::until("level 1 to be detached", PATIENCE, || Ok((!is_taxing(&agent)?).then_some(())))?;
    let rest = on_host(lab)?;
    let watched = watched(lab)?;
    let _starting = lab.run("starting", &["/bin/retry-open", "/missing", "10"])?;
    wait::until("level 1 to be attached", PATIENCE, || Ok(is_taxing(&agent)?.then_some(())))?;
    let other = on_host(lab)?;
    ensure!(is_taxing(&agent)?, "level 1 was detached during the measurement");
    Ok([0, 1].map(|n| Cost { untraced: untraced[n], rest: rest[n], other: other[n], watched: watched[n] }))
}

fn is_taxing(agent: &Agent) -> Result<bool> {
    Ok(taxes_system_calls(&tracepoints(agent.daemon().pid())?))
}

fn on_host(lab: &Lab) -> Result<[f64; 2]> {
    let program = lab.binaries().workload("time-calls")?;
    let run = |call: &str| {
        let output = Command::new(&program).args([call, COUNT, ROUNDS]).output().context("cannot start time-calls")?;
        median(&String::from_utf8_lossy(&output.stdout))
    };
    Ok([run(CALLS[0])?, run(CALLS[1])?])
}

fn watched(lab: &Lab) -> Result<[f64; 2]> {
    let run = |call: &str| {
        let container: Container = lab.run(&format!("times-{call}"), &["/bin/time-calls", call, COUNT, ROUNDS])?;
        container.wait(PATIENCE)?;
        median(&container.stdout())
    };
    Ok([run(CALLS[0])?, run(CALLS[1])?])
}

fn median(stdout: &str) -> Result<f64> {
    let mut rounds: Vec<f64> = stdout.lines().filter_map(|line| line.parse().ok()).collect();
    rounds.sort_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied().context("time-calls printed no numbers")
}
