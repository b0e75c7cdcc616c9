//! `unready-cluster-demo`: Unready in a real Kubernetes, with workloads that do not get ready, and what it says about each.
//!
//! Installs the chart with Helm, creates the workloads of `tests/cluster/workloads`, shows `kubectl unready -A`, applies every
//! patch that it proposes and waits until the pods are ready. With `--check` each expectation is a line, agent, collector and API
//! server fail in between, 110 pods are started at once, and the last line is `N passed, N failed`. Exit status 0: all was as
//! expected. What was made is taken away at the end, also after a failure, Ctrl-C or SIGTERM; `--keep` leaves it.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use std::{fs, path::PathBuf, process::ExitCode};
use unready_tests::{
    bench::machine,
    binaries::Binaries,
    cluster::{
        checks::Checks,
        kube::Kube,
        scale::Measured,
        stage::{Play, Stage},
    },
    interrupt,
    options::ClusterDemo,
};

/// Shows in a cluster why its pods are not ready
#[derive(Parser)]
#[command(name = "unready-cluster-demo", version)]
struct Arguments {
    /// Where unready is
    #[arg(long, value_name = "DIR")]
    bin_dir: PathBuf,
    /// Where the static workloads are; by default where `cargo xtask demo` builds them
    #[arg(long, value_name = "DIR")]
    workloads_dir: Option<PathBuf>,
    /// Where the images of agent, collector and CLI are, as `cargo xtask image` writes them
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// The cluster
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// State of this machine's own cluster; without it the images must be there already
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    options: ClusterDemo,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut checks = Checks::new(arguments.options.check);
    let played = interrupt::install().and_then(|()| demo(&arguments, &mut checks));
    if let Err(error) = &played {
        eprintln!("cluster demo: {error:#}");
        checks.check("cluster demo", "it was played to its end", format!("{error:#}"));
    }
    println!("{}", checks.summary());
    if checks.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays it, and takes everything away again.
fn demo(arguments: &Arguments, checks: &mut Checks) -> Result<()> {
    let binaries = Binaries::at(arguments.bin_dir.clone(), arguments.workloads_dir.clone());
    let kube = Kube::new(arguments.kubeconfig.clone(), arguments.state.clone(), &binaries.program("unready")?)?;
    let kube = kube.with_release(arguments.options.release.clone());
    let play = Play {
        check: arguments.options.check,
        scale: arguments.options.check || arguments.options.measure.is_some(),
        keep: arguments.options.keep,
    };
    let mut stage = Stage::new(kube, binaries, play)?;
    let played = stage.run(checks, &arguments.images);
    if arguments.options.logs || played.is_err() && !interrupt::requested() {
        eprintln!("{}", stage.logs());
    }
    if let Some(measured) = played? {
        report(arguments, &measured)?;
    }
    Ok(())
}

fn report(arguments: &Arguments, measured: &Measured) -> Result<()> {
    let text = format!(
        "# Overhead in a cluster\n\nMeasured by `cargo xtask cluster demo -- --measure FILE`: {}.\n\n{}",
        machine::conditions(),
        measured.markdown()
    );
    println!("\n{text}");
    let Some(path) = &arguments.options.measure else { return Ok(()) };
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
