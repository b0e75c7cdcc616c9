//! `cargo xtask test`: the rings of tests, cheap ones first.
//!
//! | ring | needs | what |
//! |---|---|---|
//! | `host` | nothing | every test program that needs no root: all unit and property tests, collector and CLI over loopback |
//! | `kernel` | root, runc | eBPF programs, the investigator, `unready run` and real containers on this machine |
//! | `demo` | root, runc | the demo's containers, each explained as expected |
//! | `cluster` | root, Go 1.26 | a real Kubernetes: pods explained, patched and seen getting ready |
//! | `vm` | QEMU, Debian's archive | every eBPF program on other kernels |
//!
//! A ring that cannot run says why; with `CI=true` that is a failure. The last line counts everything.

mod count;
pub(crate) mod targets;

use crate::{
    build::{self, Profile, WORKLOADS},
    cluster, demo,
    progress::Progress,
    project::{Project, is_ci, root_is_missing},
    setup::{self, Purpose},
    vm,
};
use anyhow::{Context as _, Result, bail};
pub(crate) use count::Count;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Instant,
};
use targets::Needs;

const PROGRESS: Progress = Progress::new("test");

/// A group of tests with the same needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Ring {
    /// Unit and property tests: no root
    Host,
    /// eBPF and containers on this machine: root
    Kernel,
    /// The demo, compared with what is expected: root
    Demo,
    /// A real Kubernetes on this machine, or yours by KUBECONFIG
    Cluster,
    /// Other kernels under QEMU
    Vm,
}

/// In the order in which they run.
const ALL: &[Ring] = &[Ring::Host, Ring::Kernel, Ring::Demo, Ring::Cluster, Ring::Vm];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this ring; may be repeated
    #[arg(long = "ring", value_enum)]
    rings: Vec<Ring>,
    /// Go on with the next ring after a failure
    #[arg(long)]
    keep_going: bool,
}

/// The command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let rings: &[Ring] = if arguments.rings.is_empty() { ALL } else { &arguments.rings };
    let mut total = Count::default();
    for ring in rings {
        let started = Instant::now();
        PROGRESS.say(format_args!("ring {ring:?} …"));
        let count = run_ring(project, *ring).unwrap_or_else(|error| {
            PROGRESS.say(format_args!("ring {ring:?} did not run to its end: {error:#}"));
            Count { passed: 0, failed: 1 }
        });
        PROGRESS.say(format_args!("ring {ring:?}: {count} ({:.0} s)", started.elapsed().as_secs_f64()));
        total += count;
        if total.failed > 0 && !arguments.keep_going {
            break;
        }
    }
    println!("{total}");
    // The count must stay the last line: the exit status alone says that something failed.
    std::io::stdout().flush().context("stdout is closed")?;
    if total.failed > 0 || total.passed == 0 {
        std::process::exit(1);
    }
    Ok(())
}

fn run_ring(project: &Project, ring: Ring) -> Result<Count> {
    if let Some(reason) = obstacle(project, ring) {
        PROGRESS.say(format_args!("ring {ring:?} cannot run here: {reason}"));
        let failed = u64::from(is_ci());
        return Ok(Count { passed: 0, failed });
    }
    match ring {
        Ring::Host => {
            setup::ensure(project, Purpose::Build)?;
            targets::run(project, PROGRESS, Needs::Nothing, |_| Ok(()))
        }
        Ring::Kernel => {
            setup::ensure(project, Purpose::Test)?;
            let workloads = build::statically(project, Profile::Dev, WORKLOADS, &[])?;
            let programs = build::programs(project, Profile::Dev, &["unready-agent", "unready-collector", "unready"])?;
            targets::run(project, PROGRESS, Needs::Root, |command| {
                command.env("UNREADY_BIN_DIR", &programs).env("UNREADY_WORKLOADS_DIR", &workloads);
                Ok(())
            })
        }
        Ring::Demo => demonstrate(project),
        Ring::Cluster => cluster::test(project),
        Ring::Vm => vm::test(project),
    }
}

fn obstacle(project: &Project, ring: Ring) -> Option<String> {
    match ring {
        Ring::Host => None,
        Ring::Kernel => root_is_missing("test --ring kernel"),
        Ring::Demo => root_is_missing("test --ring demo"),
        Ring::Cluster => cluster::obstacle(project),
        Ring::Vm => (std::env::consts::ARCH != "x86_64").then(|| "the kernels are those of x86-64".to_owned()),
    }
}

fn demonstrate(project: &Project) -> Result<Count> {
    let (count, ok) = counted(demo::prepare(project)?, Count::of_demo_line)?;
    if ok && count == Count::default() {
        bail!("the demo did not say how many containers it explained");
    }
    Ok(if ok || count.failed > 0 { count } else { Count { failed: 1, ..count } })
}

/// Passes the output of a command through, and adds up what `of_line` reads in it.
pub(crate) fn counted(mut command: Command, of_line: fn(&str) -> Option<Count>) -> Result<(Count, bool)> {
    let program = command.get_program().to_owned();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| format!("{} cannot be started", program.display()))?;
    let output = child.stdout.take().context("a piped stdout is missing")?;
    let mut count = Count::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        count += of_line(&line).unwrap_or_default();
        println!("{line}");
    }
    let status = child.wait()?;
    Ok((count, status.success()))
}
