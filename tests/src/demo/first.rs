//! One container, explained by an agent alone: what can be shown before collector and CLI are built.

use super::{scenario::Scenario, table::SCENARIOS, world::World};
use crate::{
    processes::{Agent, AgentOptions},
    verdicts::JsonVerdict,
    wait,
};
use anyhow::{Context, Result};
use std::{fmt::Write as _, time::Duration};

/// Needs nothing that is not in the bare [`World`].
const NAME: &str = "root-volume";
/// A slow machine, and one that compiles meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts it, waits for its verdict, and returns what is said about it, as text.
pub fn explain(world: &World) -> Result<String> {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == NAME).context("the table lacks the first container")?;
    let agent = world.lab().agent(AgentOptions::default())?;
    let container = world.lab().runc().run(NAME, &(scenario.bundle)(world, NAME)?)?;
    let verdict = wait::until("the first container's verdict", PATIENCE, || verdict(&agent))?;
    Ok(text(scenario, &container.stderr(), &verdict))
}

fn verdict(agent: &Agent) -> Result<Option<JsonVerdict>> {
    Ok(agent.verdicts()?.of(NAME).next().cloned())
}

fn text(scenario: &Scenario, log: &str, verdict: &JsonVerdict) -> String {
    let mut text = format!("{} ({}) ends, and its log says: {}\n", scenario.name, scenario.about, log.trim());
    let JsonVerdict { cause, subject, explanation, remedy, .. } = verdict;
    let lines = [("", format!("{cause}  {subject}")), ("why", explanation.join("; ")), ("fix", remedy.text.clone())];
    for (name, line) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<4}{line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::scenario::Expected;

    #[test]
    fn the_first_container_is_one_that_is_explained() {
        let first = SCENARIOS.iter().find(|scenario| scenario.name == NAME);
        assert!(first.is_some_and(|scenario| matches!(scenario.expected, Expected::Verdict(_)) && scenario.afterwards.is_none()));
    }
}
