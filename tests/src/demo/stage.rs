//! Starts the containers, a few at a time, and waits for what is said about each.

use super::{
    scenario::{Expected, Scenario},
    world::World,
};
use crate::{
    processes::{Agent, Collector},
    runc::Container,
    verdicts::Verdicts,
    wait,
};
use anyhow::{Context, Result};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Containers that are started at the same time.
const AT_ONCE: usize = 2;
/// How long a container may take to end, or a server to listen.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
/// How long the right verdict may take after that.
const EXPLAINED_WITHIN: Duration = Duration::from_secs(10);
/// How long nothing may be said about the healthy ones after the last verdict.
const SETTLES_WITHIN: Duration = Duration::from_millis(1500);

/// What the containers are started with.
#[derive(Debug)]
pub struct Stage<'a> {
    /// Their file systems and runtime.
    pub world: &'a World,
    /// Who watches.
    pub agent: &'a Agent,
    /// Who keeps.
    pub collector: &'a Collector,
}

/// A container that was started.
#[derive(Debug)]
pub struct Act {
    /// Its row of the table.
    pub scenario: &'static Scenario,
    /// The container; it lives on until this is dropped.
    pub container: Container,
}

/// What was said, and what of it was not expected.
#[derive(Debug)]
pub struct Outcome {
    /// What the agent printed.
    pub verdicts: Verdicts,
    /// Containers that were not explained as expected, with the differences.
    pub wrong: Vec<(&'static str, Vec<String>)>,
}

impl Stage<'_> {
    /// Starts all of them and waits for their verdicts; a line of progress each.
    pub fn play(&self, scenarios: &'static [Scenario]) -> Result<Vec<Act>> {
        let queue: Mutex<VecDeque<&'static Scenario>> = Mutex::new(scenarios.iter().collect());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let worker = || {
            let mut acts = Vec::new();
            while let Some(scenario) = next() {
                acts.push(self.act(scenario).with_context(|| format!("container {}", scenario.name))?);
            }
            Ok(acts)
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
            let results: Vec<Result<Vec<Act>>> =
                workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Ok(Vec::new()))).collect();
            let parts: Vec<Vec<Act>> = results.into_iter().collect::<Result<_>>()?;
            Ok(in_order(parts.into_iter().flatten().collect(), scenarios))
        })
    }

    fn act(&self, scenario: &'static Scenario) -> Result<Act> {
        let begin = Instant::now();
        let bundle = (scenario.bundle)(self.world, scenario.name)?;
        let container = self.world.lab().runc().run(scenario.name, &bundle)?;
        if let Some(afterwards) = scenario.afterwards {
            afterwards(self.world)?;
        }
        let act = Act { scenario, container };
        match scenario.expected {
            Expected::Healthy { port } => wait_until_up(&act, port)?,
            Expected::Verdict(_) => self.wait_until_explained(&act)?,
        }
        println!("  {:<16} {:<58} {:>5.2} s", scenario.name, self.said(scenario)?, begin.elapsed().as_secs_f64());
        Ok(act)
    }

    fn wait_until_explained(&self, act: &Act) -> Result<()> {
        if act.container.refusal().is_none() {
            act.container.wait(ENDS_WITHIN)?;
        }
        patiently("its verdict", EXPLAINED_WITHIN, || Ok(act.scenario.differences("agent", &self.agent.verdicts()?).is_empty()))
    }

    fn said(&self, scenario: &Scenario) -> Result<String> {
        let verdicts = self.agent.verdicts()?;
        let said: Vec<String> = verdicts.of(scenario.name).map(|verdict| format!("{} {}", verdict.cause, verdict.subject)).collect();
        Ok(match (scenario.expected, said.is_empty()) {
            (Expected::Healthy { .. }, true) => "up, nothing to explain".to_owned(),
            (Expected::Verdict(_), true) => "not explained".to_owned(),
            (_, false) => said.join(", "),
        })
    }

    /// Waits a moment for what might still be said, and compares both lists with what is expected.
    pub fn outcome(&self, acts: &[Act]) -> Result<Outcome> {
        wait::sleep(SETTLES_WITHIN)?;
        let verdicts = self.agent.verdicts()?;
        let kept = self.collector.verdicts()?;
        let wrong = acts.iter().filter_map(|act| {
            let scenario = act.scenario;
            let mut wrong = scenario.differences("agent", &verdicts);
            wrong.extend(scenario.differences("collector", &kept));
            wrong.extend(unhealthy(act));
            (!wrong.is_empty()).then_some((scenario.name, wrong))
        });
        Ok(Outcome { wrong: wrong.collect(), verdicts })
    }
}

/// A server that never listens is found by [`Stage::outcome`].
fn wait_until_up(act: &Act, port: Option<u16>) -> Result<()> {
    let Some(port) = port else { return Ok(()) };
    patiently("listening", ENDS_WITHIN, || Ok(act.container.listens_on(port) || act.container.ended()?.is_some()))
}

/// Waits, and goes on when it was in vain: the comparison at the end says what is missing.
fn patiently(what: &str, at_most: Duration, ready: impl Fn() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + at_most;
    wait::until(what, at_most + Duration::from_secs(1), || Ok((ready()? || Instant::now() > end).then_some(())))
}

/// A container that was to be healthy and is not: the demo itself is at fault.
fn unhealthy(act: &Act) -> Option<String> {
    let Expected::Healthy { port } = act.scenario.expected else { return None };
    let (name, container) = (act.scenario.name, &act.container);
    if let Some(refusal) = container.refusal() {
        return Some(format!("{name}: runc did not start it: {refusal}"));
    }
    match container.ended() {
        Ok(None) if port.is_none_or(|port| container.listens_on(port)) => None,
        Ok(None) => Some(format!("{name}: it does not listen")),
        Ok(Some(ended)) => Some(format!("{name}: it ended ({ended:?}): {}", container.stderr().trim())),
        Err(error) => Some(format!("{name}: {error:#}")),
    }
}

fn in_order(mut acts: Vec<Act>, scenarios: &[Scenario]) -> Vec<Act> {
    acts.sort_by_key(|act| scenarios.iter().position(|scenario| scenario.name == act.scenario.name));
    acts
}
