//! `unready-demo`: real containers that cannot start, and what Unready says about them.
//!
//! Starts a collector and an agent, then containers by runc; prints progress, a table container → verdict, and whether
//! each was explained as expected. Exit status 0: all of them. Everything that it made is removed at the end, also
//! after a failure, Ctrl-C or SIGTERM.
#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use clap::Parser;
use rustix::process::geteuid;
use std::{path::PathBuf, process::ExitCode, time::Instant};
use unready_tests::{
    binaries::Binaries,
    demo::{
        first, report,
        stage::{Act, Outcome, Stage},
        table::SCENARIOS,
        world::World,
    },
    interrupt,
    lab::Lab,
    options,
    processes::{AgentOptions, Collector},
};

/// Runs real containers that cannot start, and shows what Unready says about each
#[derive(Parser)]
#[command(name = "unready-demo", version)]
struct Arguments {
    /// Where unready, unready-agent and unready-collector are
    #[arg(long, value_name = "DIR")]
    bin_dir: PathBuf,
    /// Where the static workloads are; by default where `cargo xtask demo` builds them
    #[arg(long, value_name = "DIR")]
    workloads_dir: Option<PathBuf>,
    /// Explain one container by the agent alone, and end: `cargo xtask demo` shows it while it builds the rest
    #[arg(long, hide = true)]
    first: bool,
    #[command(flatten)]
    options: options::Demo,
}

fn main() -> ExitCode {
    match demo(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all containers were explained as expected.
fn demo(arguments: Arguments) -> Result<bool> {
    ensure!(geteuid().is_root(), "starting containers and loading eBPF programs needs root");
    interrupt::install()?;
    let begin = Instant::now();
    let binaries = Binaries::at(arguments.bin_dir, arguments.workloads_dir);
    if arguments.first {
        print!("{}", first::explain(&World::bare(Lab::new("demo", binaries)?)?)?);
        return Ok(true);
    }
    println!("building root file systems, four C programs and two of Go");
    let world = World::build(Lab::new("demo", binaries)?)?;
    let lab = world.lab();
    let collector = Collector::start(lab.binaries(), lab.directory())?;
    println!("collector on {}", collector.url());
    let agent = lab.agent(AgentOptions {
        collector: Some(collector.url()),
        record: arguments.options.record.as_deref(),
        ..AgentOptions::default()
    })?;
    println!("agent ready after {:.1} s; starting {} containers", begin.elapsed().as_secs_f64(), SCENARIOS.len());

    let stage = Stage { world: &world, agent: &agent, collector: &collector };
    let played = stage.play(SCENARIOS).and_then(|acts| Ok((stage.outcome(&acts)?, acts)));
    if arguments.options.logs {
        println!("--- agent\n{}--- collector\n{}---", agent.daemon().log(), collector.daemon().log());
    }
    let (outcome, acts) = played?;
    report(&acts, &outcome, begin);
    Ok(outcome.wrong.is_empty())
}

/// The table, the differences, and the last line.
fn report(acts: &[Act], outcome: &Outcome, begin: Instant) {
    println!("\n{}\n", report::table(acts, outcome));
    for difference in outcome.wrong.iter().flat_map(|(_, differences)| differences) {
        println!("  differs: {difference}");
    }
    let right = acts.len() - outcome.wrong.len();
    println!("demo: {right} of {} containers explained as expected, in {:.0} s", acts.len(), begin.elapsed().as_secs_f64());
}
