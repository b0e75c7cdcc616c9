//! The project's own commands: `cargo xtask help` lists them.
//!
//! Each command prints one line a step with the seconds it took, passes on what the tools below it say (noisy ones go to
//! a log file whose end is shown on failure), and exits 0 only when everything that it set out to do was done.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod cargo;
mod check;
mod cluster;
mod compiler;
mod demo;
mod image;
mod lint;
mod manifests;
mod metrics;
#[expect(unreachable_pub, reason = "it is public where it lives")]
#[path = "../../tests/src/options.rs"]
mod options;
mod passed;
mod progress;
mod project;
mod setup;
mod test;
mod vm;
mod weights;

use anyhow::Result;
use clap::{Parser, Subcommand};
use project::Project;
use std::process::ExitCode;

/// Builds, tests and measures Unready.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make this machine able to build and run everything; does nothing when it already is
    Setup(setup::Arguments),
    /// Build agent, collector and CLI, eBPF programs included
    Build(build::Arguments),
    /// Make container images of agent, collector and CLI
    Image(image::Arguments),
    /// Run real containers and explain them: set-up and build included
    Demo(demo::Arguments),
    /// Run the tests, ring by ring
    Test(test::Arguments),
    /// Boot Debian's kernels under QEMU and see every eBPF program load, attach and fire
    Vm(vm::Arguments),
    /// A real Kubernetes on this machine: start it, use it, take it away
    Cluster(cluster::Arguments),
    /// Check the project's invariants
    Check,
    /// Formatting, clippy, documentation, licences, and `check`
    Lint,
    /// Measure the overhead and write docs/overhead.md
    Bench(bench::Arguments),
    /// Generate the Rust code of the .proto files
    Generate,
    /// Write deploy/manifests/unready.yaml, what the chart gives for those without Helm
    Manifests,
    /// Write docs/metrics.md, the list of all metrics
    Metrics,
    /// Move each number of the judge, and show which scenarios say something else
    Weights,
}

fn run(command: Command) -> Result<()> {
    let project = Project::open()?;
    match command {
        Command::Setup(arguments) => setup::run(&project, &arguments),
        Command::Build(arguments) => build::run(&project, arguments),
        Command::Image(arguments) => image::run(&project, &arguments),
        Command::Demo(arguments) => demo::run(&project, &arguments),
        Command::Test(arguments) => test::run(&project, &arguments),
        Command::Vm(arguments) => vm::run(&project, &arguments),
        Command::Cluster(arguments) => cluster::run(&project, arguments),
        Command::Check => check::run(&project),
        Command::Lint => lint::run(&project),
        Command::Bench(arguments) => bench::run(&project, &arguments),
        Command::Generate => build::generate(&project),
        Command::Manifests => manifests::run(&project),
        Command::Metrics => metrics::run(&project),
        Command::Weights => weights::run(&project),
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
