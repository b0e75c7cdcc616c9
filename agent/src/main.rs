//! `unready-agent`: follows every container that starts on this machine, and says why one does not become ready.
#![forbid(unsafe_code)]

mod outputs;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use outputs::Outputs;
use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::{JoinError, JoinHandle},
};
use tracing_subscriber::EnvFilter;
use unready_agent::{
    bpf::LONG_VERSION,
    deliver::{tls::SecurityArgs, url::CollectorUrl},
    metrics::{Metrics, Readiness},
    pipeline::{Ebpf, Handle, Options, Pipeline, WITHOUT},
    preflight::{self, State},
    sources::cluster::{Cluster, KubernetesArgs, Switch},
};
use unready_wire::outlet;

/// Follows every container that starts on this machine, and says why one does not become ready.
#[derive(Debug, Parser)]
#[command(version, long_version = LONG_VERSION, name = "unready-agent")]
struct Args {
    /// Stream verdicts to this collector
    #[arg(long, value_name = "http[s]://HOST:PORT")]
    collector: Option<CollectorUrl>,
    /// Name of this node [default: `$NODE_NAME`, else its host name]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Print verdicts on stdout [default: json without collector and Kubernetes, else none]
    #[arg(long, value_enum)]
    stdout: Option<Stdout>,
    /// Keep all inputs of the engine in this file, for `unready replay`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Serve metrics and health here: /metrics, /livez, /readyz
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    /// A further directory where a runtime keeps the state of its containers (runc --root); may be repeated
    #[arg(long, value_name = "DIR")]
    runtime_root: Vec<PathBuf>,
    /// Seconds that system calls stay traced after the last start
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=3600))]
    linger: u64,
    /// Whether the kernel's evidence is a must; auto: not where the API server tells of the pods
    #[arg(long, value_enum, default_value_t = EbpfArg::Auto)]
    ebpf: EbpfArg,
    /// What to log: error, warn, info, debug or trace, also by module
    #[arg(long, value_name = "FILTER", default_value = "info,kube_client=off", value_parser = filter)]
    log: String,
    /// Log the eBPF programs' own debug messages (slow)
    #[arg(long)]
    debug_ebpf: bool,
    #[command(flatten)]
    security: SecurityArgs,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EbpfArg {
    /// Go on without where Kubernetes is followed
    Auto,
    /// Do not run without
    Required,
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

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime");
    let ended = runtime.and_then(|runtime| {
        let ended = runtime.block_on(run(args));
        runtime.shutdown_background(); // a thread may wait for a name server that does not answer
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = io::stderr().write_all(outlet::sentence("unready-agent", format!("{error:#}")).as_bytes());
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&args.log)?;
    let ansi = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(move || outlet::Log::new(io::stderr(), ansi)).init();
    let node = node_name(&args);
    let cluster = connect(&args, &node).await?; // its thread keeps the ordinary priority
    make_room();
    let ebpf = judge(&args, cluster.is_some())?;
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), &rustix::system::uname().release().to_string_lossy());
    let readiness = serve(&args, &metrics).await?;
    let mut outputs = Outputs::open(&args, &node, cluster, metrics)?;
    let (pipeline, handle, mut said) = Pipeline::start(&options(&args, ebpf))?;
    outputs.metrics.watch_pipeline(pipeline.observer()?, &pipeline.gauges());
    if let Some(counts) = pipeline.look_counts() {
        outputs.metrics.watch_looks(counts);
    }
    let has_kernel = pipeline.has_kernel();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    outputs.follow(&handle);
    let mut running = tokio::spawn(pipeline.run());
    if let Some(readiness) = &readiness {
        readiness.set(true);
    }
    tracing::info!("ready: {} on {node}", if has_kernel { "level 0 attached" } else { "without the kernel's evidence" });
    let ended = loop {
        tokio::select! {
            Some(event) = said.recv() => outputs.tell(&event, &handle),
            ended = &mut running => break ended,
            _ = terminate.recv() => break stop(&mut outputs, &handle, &mut running).await,
            _ = interrupt.recv() => break stop(&mut outputs, &handle, &mut running).await,
        }
    };
    // What was known when it ended is delivered, however it ended.
    while let Some(event) = said.try_recv() {
        outputs.tell_last(&event, handle.anchor());
    }
    outputs.drain().await;
    ended.context("the pipeline ended unexpectedly")?
}

fn node_name(args: &Args) -> String {
    let named = args.node.clone().or_else(|| env::var("NODE_NAME").ok()).filter(|name| !name.is_empty());
    named.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

async fn connect(args: &Args, node: &str) -> anyhow::Result<Option<Cluster>> {
    let Some(access) = args.kubernetes.access() else { return Ok(None) };
    let publish_as = (args.kubernetes.events == Switch::On).then_some(node);
    Cluster::connect(access, publish_as).await.map(Some)
}

/// What this machine allows. Without Kubernetes there is nothing to say without the kernel.
fn judge(args: &Args, follows_pods: bool) -> anyhow::Result<Ebpf> {
    let checks = preflight::examine();
    for lack in checks.iter().filter(|check| check.state == State::Degraded) {
        tracing::warn!("{}", lack.sentence());
    }
    let refusal = preflight::refusal(&checks);
    if args.ebpf == EbpfArg::Required || !follows_pods {
        refusal?;
        return Ok(Ebpf::Required);
    }
    match refusal {
        Ok(()) => Ok(Ebpf::IfPossible),
        Err(sentence) => {
            tracing::warn!("{sentence}; {WITHOUT}");
            Ok(Ebpf::Refused)
        }
    }
}

fn options(args: &Args, ebpf: Ebpf) -> Options {
    Options {
        debug_log: args.debug_ebpf,
        record: args.record.clone(),
        state_roots: args.runtime_root.clone(),
        linger: Duration::from_secs(args.linger),
        starting_at_once: false,
        tell_listeners: false,
        ebpf,
    }
}

async fn serve(args: &Args, metrics: &Metrics) -> anyhow::Result<Option<Readiness>> {
    let Some(address) = args.metrics else { return Ok(None) };
    let (bound, readiness) = metrics.serve(address, "the eBPF programs are being loaded").await?;
    tracing::info!("metrics are served at http://{bound}/metrics");
    Ok(Some(readiness))
}

/// Lets the pipeline end.
async fn stop(
    outputs: &mut Outputs,
    handle: &Handle,
    running: &mut JoinHandle<anyhow::Result<()>>,
) -> Result<anyhow::Result<()>, JoinError> {
    outputs.let_go();
    handle.end().await;
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
