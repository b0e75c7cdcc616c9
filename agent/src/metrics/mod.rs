//! What the agent tells Prometheus: what it judged, what it sees of this node's pods, and how it is itself.
//!
//! ```text
//!   verdicts, changes of pods ─► counted when they happen ─┐
//!   kernel, queues, delivery, /proc/self ◄── looked at ────┴─► Metrics::render ─► GET /metrics
//! ```
//!
//! - [`verdicts`], [`pods`]: what happened, bounded in labels and in what is remembered.
//! - [`scrape`]: what is looked at only when somebody asks, so that an agent at rest has nothing to do.
//! - [`process`]: CPU, memory and descriptors, under the names that all programs use.
//! - [`label`]: label values whose number has a limit.
//! - [`example`]: every metric once, for their documentation.
//!
//! A metric cannot be registered without its help text; all of them are listed in `docs/metrics.md`, by command. Refused: a
//! label that names a pod, a container or a path: those are in the verdicts.

mod example;
mod label;
mod pods;
mod process;
mod scrape;
mod verdicts;

pub use scrape::Look;

use crate::{
    bpf::Observer,
    deliver::collector::{Limits, StartStats, Stats},
    investigate::LookCounts,
    pipeline::{Gauges, QueueFill},
};
use anyhow::Context as _;
use pods::Pods;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, info::Info},
    registry::Registry,
};
use scrape::Scrape;
use std::{
    future::pending,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::net::TcpListener;
use unready_diagnosis::cluster::PodChange;
use unready_proto::v1::{StartReport, Verdict};
use unready_transport::http::{self, Endpoints};
use verdicts::Verdicts;

/// All metrics of an agent. Clones are the same metrics.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    verdicts: Verdicts,
    pods: Pods,
    scrape: Scrape,
    clock_steps: Counter,
    starts: Family<StageLabels, Counter>,
}

/// How far a start is: a word of [`unready_diagnosis::story::report::Stage`].
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StageLabels {
    stage: String,
}

/// Whether `/readyz` says yes.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// The agent does its work, or no longer.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Of an agent of this version, on a kernel of this release.
    pub fn new(version: &str, kernel: &str) -> Self {
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("unready_agent");
        let labels = vec![("version".to_owned(), version.to_owned()), ("kernel".to_owned(), kernel.to_owned())];
        own.register("build", "Version of the agent, release of the kernel", Info::new(labels));
        let (verdicts, pods, scrape, clock_steps) = (Verdicts::default(), Pods::default(), Scrape::default(), Counter::default());
        let help = "How often the node's wall clock was set while the agent ran, by 100 ms or more";
        own.register("clock_steps", help, clock_steps.clone());
        let starts = Family::default();
        own.register("start_reports", "Start reports that were given, by how far the start was", starts.clone());
        verdicts.register(own);
        pods.register(own);
        own.register_collector(Box::new(scrape.clone()));
        registry.register_collector(Box::new(process::Process));
        Self(Arc::new(Inner { registry, verdicts, pods, scrape, clock_steps, starts }))
    }

    /// A verdict, new or with news.
    pub fn verdict(&self, verdict: &Verdict) {
        self.0.verdicts.hear(verdict);
    }

    /// A start report, by our own engine.
    pub fn start(&self, report: &StartReport) {
        self.0.starts.get_or_create(&StageLabels { stage: report.stage.clone() }).inc();
    }

    /// A change of this node's pods.
    pub fn pods(&self, change: &PodChange) {
        self.0.pods.hear(change);
        match change {
            PodChange::Delete { uid } => self.0.verdicts.forget(|known| known == uid),
            PodChange::Reset(pods) => self.0.verdicts.forget(|known| !pods.iter().any(|pod| pod.uid == known)),
            PodChange::Apply(_) | PodChange::Unreachable => {}
        }
    }

    /// The node's wall clock was set.
    pub fn clock_set(&self) {
        self.0.clock_steps.inc();
        self.0.pods.clock_set();
    }

    /// The kernel half of a pipeline and its queues are to be looked at.
    pub fn watch_pipeline(&self, kernel: Option<Observer>, gauges: &Gauges) {
        if let Some(kernel) = kernel {
            self.0.scrape.kernel(Box::new(move || kernel.observe()));
        }
        let [commands, verdicts, questions, starts, refused] = std::array::from_fn(|_| gauges.clone());
        self.0.scrape.refused_pods(Box::new(move || refused.refused_pods()));
        self.0.scrape.queue("commands", Box::new(move || commands.commands()));
        self.0.scrape.queue("verdicts", Box::new(move || verdicts.verdicts()));
        self.0.scrape.queue("questions", Box::new(move || questions.questions()));
        self.0.scrape.queue("starts", Box::new(move || starts.starts()));
    }

    /// The looks at containers are to be counted.
    pub fn watch_looks(&self, counts: impl Fn() -> LookCounts + Send + Sync + 'static) {
        self.0.scrape.looks(Box::new(counts));
    }

    /// The delivery to the collector is to be looked at; this is how much may wait for it.
    pub fn watch_delivery(&self, stats: impl Fn() -> Stats + Clone + Send + Sync + 'static, limits: Limits) {
        let (verdicts, starts) = (stats.clone(), stats.clone());
        let fill = move |Stats { waiting, counts, .. }| QueueFill { length: waiting, capacity: limits.waiting, dropped: counts.dropped };
        self.0.scrape.queue("collector", Box::new(move || Some(fill(verdicts()))));
        let fill =
            move |StartStats { waiting, counts, .. }| QueueFill { length: waiting, capacity: limits.starts, dropped: counts.dropped };
        self.0.scrape.queue("collector_starts", Box::new(move || Some(fill(starts().starts))));
        self.0.scrape.delivery(Box::new(stats));
    }

    /// A further queue is to be looked at; `None` once it is gone.
    pub fn watch_queue(&self, name: &'static str, look: Look<Option<QueueFill>>) {
        self.0.scrape.queue(name, look);
    }

    /// Serves `/metrics`, `/livez` and `/readyz` on this address for as long as the runtime runs. Not ready, with this sentence,
    /// until [`Readiness::set`].
    pub async fn serve(&self, address: SocketAddr, until: &'static str) -> anyhow::Result<(SocketAddr, Readiness)> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on {address} for the metrics: end the program that does, or choose another address with --metrics")
        })?;
        let bound = listener.local_addr()?;
        let readiness = Readiness(Arc::new(AtomicBool::new(false)));
        let (metrics, ready) = (self.clone(), readiness.clone());
        let endpoints = Endpoints {
            metrics: Box::new(move || metrics.render()),
            ready: Box::new(move || if ready.0.load(Ordering::Relaxed) { Ok(()) } else { Err(until.to_owned()) }),
        };
        tokio::spawn(http::serve(listener, endpoints, pending()));
        Ok((bound, readiness))
    }

    /// The text of `/metrics`.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(16 << 10);
        match text::encode(&mut out, &self.0.registry) {
            Ok(()) => out,
            Err(error) => {
                tracing::warn!("the metrics cannot be written: {error}");
                String::new()
            }
        }
    }
}
