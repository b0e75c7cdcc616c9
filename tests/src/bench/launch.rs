//! What `unready run` adds to a command: the time before its exec, and from its end to the
//! verdict and to our own end.

use super::{Sample, failed_at, since_boot};
use crate::lab::Lab;
use anyhow::{Context, Result};
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

/// Runs of each kind.
pub const RUNS: usize = 20;

/// The three times.
#[derive(Clone, Debug)]
pub struct Launch {
    /// From our start of the program to the command's call.
    pub before: Sample,
    /// From that call (the command ends right after it) to the last line on stdout: the verdict, when there is one.
    pub said: Sample,
    /// From that call to the end of the program.
    pub ended: Sample,
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
    let mut times: [Vec<[Duration; 3]>; 3] = Default::default();
    for _ in 0..RUNS {
        times[0].push(once(Command::new(&command).arg("/dev/null"))?);
        times[1].push(once(Command::new(&unready).args(["run", "--"]).arg(&command).arg("/dev/null"))?);
        times[2].push(once(Command::new(&unready).args(["run", "--"]).arg(&command).arg(&missing))?);
    }
    let [alone, healthy, explained] = times.map(|runs| {
        let [before, said, ended] = [0, 1, 2].map(|n| Sample::new(runs.iter().map(|run| run[n]).collect()));
        Launch { before, said, ended }
    });
    Ok(Launches { alone, healthy, explained })
}

/// Time before the call of `first-calls`, from it to the last line, and from it to the end.
fn once(command: &mut Command) -> Result<[Duration; 3]> {
    let begin = since_boot();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("cannot start the command")?;
    let stdout = child.stdout.take().context("stdout was not piped")?;
    let (mut called, mut said) = (None, begin);
    for line in BufReader::new(stdout).lines() {
        said = since_boot();
        called = called.or(failed_at(&line.context("stdout is no text")?));
    }
    child.wait().context("cannot wait for the command")?;
    let ended = since_boot();
    let called = called.context("first-calls did not run: try it by hand under `unready run`")?;
    Ok([called.saturating_sub(begin), said.saturating_sub(called), ended.saturating_sub(called)])
}
