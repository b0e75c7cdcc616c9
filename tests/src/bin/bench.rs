//! `unready-bench`: what Unready costs and how fast it answers, as Markdown on stdout with the conditions beside the
//! numbers; progress goes to stderr. Exit status 1 when something could not be measured or a promise is broken.
#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use clap::Parser;
use rustix::process::geteuid;
use std::{path::PathBuf, process::ExitCode, time::Duration};
use unready_tests::{
    bench::{cost, footprint, latency, launch, machine, millis},
    binaries::Binaries,
    interrupt,
    lab::Lab,
    options,
};

/// Measures what Unready costs and how fast it answers
#[derive(Parser)]
#[command(name = "unready-bench", version)]
struct Arguments {
    /// Where unready, unready-agent and unready-collector are
    #[arg(long, value_name = "DIR")]
    bin_dir: PathBuf,
    /// Where the static workloads are; by default where `cargo xtask demo` builds them
    #[arg(long, value_name = "DIR")]
    workloads_dir: Option<PathBuf>,
    #[command(flatten)]
    options: options::Bench,
}

/// A promise, and whether it was kept.
struct Promise {
    what: &'static str,
    kept: bool,
}

fn main() -> ExitCode {
    match bench(Arguments::parse()) {
        Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
        Ok(broken) => {
            eprintln!("bench: not kept: {}", broken.join("; "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints; returns the promises that were not kept.
fn bench(arguments: Arguments) -> Result<Vec<&'static str>> {
    ensure!(geteuid().is_root(), "starting containers and loading eBPF programs needs root");
    interrupt::install()?;
    let binaries = Binaries::at(arguments.bin_dir, arguments.workloads_dir);
    println!("# Overhead\n\nMeasured by `cargo xtask bench`: {}.\n", machine::conditions());
    let promises = [
        calls(&Lab::new("bench", binaries.clone())?)?,
        launches(&Lab::new("bench", binaries.clone())?)?,
        memory(&Lab::new("bench", binaries.clone())?)?,
        time_to_verdict(&Lab::new("bench", binaries)?, arguments.options.failures)?,
    ];
    Ok(promises.into_iter().flatten().filter(|promise| !promise.kept).map(|promise| promise.what).collect())
}

fn calls(lab: &Lab) -> Result<Vec<Promise>> {
    eprintln!("bench: cost of system calls");
    let costs = cost::measure(lab)?;
    println!("## A system call\n\nMedian of 15 rounds of 50,000 calls, nanoseconds a call, and relative to a machine without the agent.\n");
    println!("| call | no agent | agent at rest | level 1, another cgroup | level 1, watched container |");
    println!("|---|---:|---:|---:|---:|");
    for (name, cost) in ["open of a missing file", "getppid"].iter().zip(costs) {
        let relative = |nanos: f64| format!("{nanos:.0} ({:.2} ×)", nanos / cost.untraced);
        println!("| {name} | {:.0} | {} | {} | {} |", cost.untraced, relative(cost.rest), relative(cost.other), relative(cost.watched));
    }
    println!();
    Ok(Vec::new())
}

fn launches(lab: &Lab) -> Result<Vec<Promise>> {
    eprintln!("bench: unready run");
    let all = launch::measure(lab)?;
    println!("## `unready run`\n\nMedian (maximum) of {} runs of a command that makes one call and ends.\n", launch::RUNS);
    println!("| | start to the command's call | the call to the last line | the call to the end |\n|---|---:|---:|---:|");
    let kinds = [
        ("the command alone", &all.alone),
        ("under `unready run`, healthy", &all.healthy),
        ("under `unready run`, explained", &all.explained),
    ];
    for (name, launch) in kinds {
        let cell = |sample: &unready_tests::bench::Sample| format!("{} ({})", millis(sample.percentile(50)), millis(sample.max()));
        println!("| {name} | {} | {} | {} |", cell(&launch.before), cell(&launch.said), cell(&launch.ended));
    }
    println!("\nPromised: at most 100 ms before the exec, the verdict within 200 ms of the exit.\n");
    let added = all.explained.before.percentile(50).saturating_sub(all.alone.before.percentile(50));
    Ok(vec![
        Promise { what: "`unready run` adds at most 100 ms before the exec", kept: added <= Duration::from_millis(100) },
        Promise {
            what: "`unready run` prints within 200 ms of the exit",
            kept: all.explained.said.percentile(50) <= Duration::from_millis(200),
        },
    ])
}

fn memory(lab: &Lab) -> Result<Vec<Promise>> {
    eprintln!("bench: memory");
    let taken = footprint::measure(lab)?;
    let mib = |bytes: u64| format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20);
    println!("## Memory\n\nWith {} cgroups known.\n\n| | taken | promised |\n|---|---:|---:|", footprint::CGROUPS);
    println!("| agent, resident | {} | 24 MiB |", mib(taken.resident));
    println!("| maps, in the kernel | {} | 16 MiB |\n", mib(taken.maps));
    Ok(vec![
        Promise { what: "the agent takes at most 24 MiB", kept: taken.resident <= 24 << 20 },
        Promise { what: "the maps take at most 16 MiB", kept: taken.maps <= 16 << 20 },
    ])
}

fn time_to_verdict(lab: &Lab, failures: usize) -> Result<Vec<Promise>> {
    eprintln!("bench: {failures} failing containers");
    let result = latency::measure(lab, failures)?;
    let (sample, missing) = (&result.sample, result.missing);
    println!("## From the failing call to the verdict\n");
    println!("{failures} containers by runc, {} at a time, each failing once; until a client of the collector has the", latency::AT_ONCE);
    println!("committed verdict.\n\n| explained | p50 | p99 | maximum | promised p99 |\n|---:|---:|---:|---:|---:|");
    let [p50, p99, max] = [sample.percentile(50), sample.percentile(99), sample.max()].map(millis);
    println!("| {} of {failures} | {p50} | {p99} | {max} | 250 ms |", sample.len());
    Ok(vec![
        Promise { what: "every failure is explained", kept: missing == 0 },
        Promise { what: "p99 of a verdict is at most 250 ms", kept: sample.percentile(99) <= Duration::from_millis(250) },
    ])
}
