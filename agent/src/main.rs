//! `unready-agent`: follows every container that starts on this machine, and says why one does not become ready.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::{JoinError, JoinHandle},
};
use tracing_subscriber::EnvFilter;
use unready_agent::{
    deliver::{
        self,
        collector::{Config, Delivery},
        stdout::JsonLines,
        url::CollectorUrl,
    },
    pipeline::{Event, Handle, Options, Pipeline},
    preflight,
};
use unready_diagnosis::units::ClockAnchor;
use unready_proto::{json, v1::Verdict};
use unready_wire as wire;

/// How long undelivered verdicts may take at the end.
const DRAIN: Duration = Duration::from_secs(3);

/// Follows every container that starts on this machine, and says why one does not become ready.
#[derive(Debug, Parser)]
#[command(version, name = "unready-agent")]
struct Args {
    /// Stream verdicts to this collector
    #[arg(long, value_name = "http://HOST:PORT")]
    collector: Option<CollectorUrl>,
    /// Name of this node [default: its host name]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Print verdicts on stdout [default: json without a collector, else none]
    #[arg(long, value_enum)]
    stdout: Option<Stdout>,
    /// Keep all inputs of the engine in this file, for `unready replay`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// A further directory where a runtime keeps the state of its containers (runc --root); may be repeated
    #[arg(long, value_name = "DIR")]
    runtime_root: Vec<PathBuf>,
    /// Seconds that system calls stay traced after the last start
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=3600))]
    linger: u64,
    /// What to log: error, warn, info, debug or trace, also by module
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = filter)]
    log: String,
    /// Log the eBPF programs' own debug messages (slow)
    #[arg(long)]
    debug_ebpf: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stdout {
    /// One verdict a line, in proto3 JSON
    Json,
    /// Nothing
    None,
}

/// A filter is kept as text: it cannot be cloned.
fn filter(text: &str) -> Result<String, String> {
    let wrong = |error| format!("{error}; write error, warn, info, debug or trace, or unready_agent=debug");
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(wrong)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unready-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&args.log)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).init();
    make_room();
    let checks = preflight::examine();
    preflight::refusal(&checks)?;
    let node = args.node.clone().unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let outputs = Outputs::open(&args, &node)?;
    let options = Options {
        debug_log: args.debug_ebpf,
        record: args.record,
        state_roots: args.runtime_root,
        linger: Duration::from_secs(args.linger),
        starting_at_once: false,
    };
    let (pipeline, handle, mut events) = Pipeline::start(&options)?;
    let anchor = handle.anchor();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut running = tokio::spawn(pipeline.run());
    tracing::info!("ready: level 0 attached on {node}");
    let ended = loop {
        tokio::select! {
            Some(event) = events.recv() => outputs.tell(event, anchor, &node),
            ended = &mut running => break ended,
            _ = terminate.recv() => break stop(handle, &mut running).await,
            _ = interrupt.recv() => break stop(handle, &mut running).await,
        }
    };
    // What was known when it ended is delivered, however it ended.
    while let Ok(event) = events.try_recv() {
        outputs.tell(event, anchor, &node);
    }
    outputs.drain().await;
    ended.context("the pipeline ended unexpectedly")?
}

/// Lets the pipeline end: it does when its last handle is gone.
async fn stop(handle: Handle, running: &mut JoinHandle<anyhow::Result<()>>) -> Result<anyhow::Result<()>, JoinError> {
    drop(handle);
    running.await
}

/// A process that failed lives for a millisecond: whoever is to look at its root must not wait for a CPU behind the
/// starts that it watches. And each container held takes some descriptors. Neither is vital.
fn make_room() {
    const NICE: i32 = -10;
    if let Err(error) = setpriority_process(None, NICE) {
        tracing::debug!("the priority cannot be raised: {error}");
    }
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!("the limit of open files cannot be raised: {error}");
    }
}

/// Where verdicts go.
struct Outputs {
    stdout: Option<JsonLines>,
    collector: Option<Delivery>,
}

impl Outputs {
    fn open(args: &Args, node: &str) -> anyhow::Result<Self> {
        let collector = args.collector.clone().map(|url| deliver::collector::spawn(Config::new(url, node)));
        let print = args.stdout.unwrap_or(if collector.is_some() { Stdout::None } else { Stdout::Json });
        let stdout = match print {
            Stdout::Json => Some(deliver::stdout::spawn(std::io::stdout())?),
            Stdout::None => None,
        };
        Ok(Self { stdout, collector })
    }

    fn tell(&self, event: Event, anchor: ClockAnchor, node: &str) {
        match event {
            Event::Verdict(verdict) => self.offer(wire::verdict(&verdict, anchor, node)),
            Event::AskCluster(..) | Event::Exec { .. } | Event::Exit { .. } | Event::Listening { .. } => {}
        }
    }

    fn offer(&self, verdict: Verdict) {
        if let Some(stdout) = &self.stdout {
            stdout.offer(verdict.clone());
        }
        if let Some(collector) = &self.collector {
            collector.offer(verdict);
        }
    }

    async fn drain(self) {
        if let Some(collector) = self.collector {
            let left = collector.finish(DRAIN).await;
            if !left.is_empty() {
                tracing::warn!("{} verdicts could not be delivered to the collector: they are printed on stdout", left.len());
            }
            for verdict in left.iter().filter(|_| self.stdout.is_none()) {
                println!("{}", json::line(verdict));
            }
        }
        if let Some(stdout) = self.stdout {
            let dropped = stdout.drain(DRAIN);
            if dropped > 0 {
                tracing::warn!("{dropped} verdicts were not printed: whoever reads stdout was too slow, or went away");
            }
        }
    }
}
