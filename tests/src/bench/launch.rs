//! What `unready run` adds to a command: the time before its exec, and from its end to ours.

use super::{Sample, failed_at, since_boot};
use crate::lab::Lab;
use anyhow::{Context, Result};
use std::{path::Path, process::Command, time::Duration};

/// Runs of each kind.
pub const RUNS: usize = 20;

/// The two times.
#[derive(Clone, Debug)]
pub struct Launch {
    /// From our start of `unready run` to the command's first call.
    pub before: Sample,
    /// From that call (the command ends right after it) to the end of `unready run`.
    pub after: Sample,
}

/// The three kinds.
#[derive(Clone, Debug)]
pub struct Launches {
    /// The command by itself.
    pub alone: Launch,
    /// Under `unready run`, a command that ends well.
    pub healthy: Launch,
    /// Under `unready run`, a command that fails and is explained.
    pub explained: Launch,
}

/// Each kind [`RUNS`] times, in turn.
pub fn measure(lab: &Lab) -> Result<Launches> {
    let command = lab.binaries().workload("first-calls")?;
    let unready = lab.binaries().program("unready")?;
    let missing = lab.directory().join("missing");
    let mut times: [Vec<(Duration, Duration)>; 3] = Default::default();
    for _ in 0..RUNS {
        times[0].push(once(Command::new(&command).arg("/dev/null"))?);
        times[1].push(once(Command::new(&unready).args(["run", "--"]).arg(&command).arg("/dev/null"))?);
        times[2].push(once(Command::new(&unready).args(["run", "--"]).arg(&command).arg(Path::new(&missing)))?);
    }
    let [alone, healthy, explained] = times.map(|pairs| {
        let (before, after) = pairs.into_iter().unzip();
        Launch { before: Sample::new(before), after: Sample::new(after) }
    });
    Ok(Launches { alone, healthy, explained })
}

/// Time before and after the call of `first-calls`.
fn once(command: &mut Command) -> Result<(Duration, Duration)> {
    let begin = since_boot();
    let output = command.output().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let end = since_boot();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let called =
        failed_at(&said).with_context(|| format!("first-calls did not run: {}", String::from_utf8_lossy(&output.stderr).trim()))?;
    Ok((called.saturating_sub(begin), end.saturating_sub(called)))
}
