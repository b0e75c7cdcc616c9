//! Where verdicts go: stdout, the collector, the pods, the counters.

use super::{Args, Stdout};
use std::{sync::Arc, time::Duration};
use unready_agent::{
    deliver::{
        self,
        collector::{Config, Delivery},
        stdout::JsonLines,
    },
    kubernetes::Cluster,
    metrics::Metrics,
    pipeline::{Event, Handle, QueueFill},
};
use unready_diagnosis::{units::ClockAnchor, verdict};
use unready_proto::{json, v1::Verdict};
use unready_wire as wire;

/// How long undelivered verdicts may take at the end.
const DRAIN: Duration = Duration::from_secs(3);

/// All outputs of the agent, and the cluster from which the pods come.
pub(crate) struct Outputs {
    node: String,
    stdout: Option<JsonLines>,
    collector: Option<Delivery>,
    cluster: Option<Cluster>,
    pub(crate) metrics: Metrics,
}

impl Outputs {
    pub(crate) fn open(args: &Args, node: &str, cluster: Option<Cluster>, metrics: Metrics) -> anyhow::Result<Self> {
        let collector = match &args.collector {
            Some(url) => {
                let security = args.security.resolve(url, cluster.as_ref().map(Cluster::client))?;
                let config = Config { security, ..Config::new(url.clone(), node) };
                let capacity = config.limits.waiting;
                let delivery = deliver::collector::spawn(config);
                let look = Arc::new(delivery.look());
                metrics.watch_delivery(move || look(), capacity);
                Some(delivery)
            }
            None => None,
        };
        if let Some(counts) = cluster.as_ref().and_then(Cluster::published) {
            let fill = move || {
                let counts = counts();
                Some(QueueFill { length: counts.waiting, capacity: unready_kubernetes::events::QUEUE_MAX, dropped: counts.dropped })
            };
            metrics.watch_queue("kubernetes_events", Box::new(fill));
        }
        let print = args.stdout.unwrap_or(if collector.is_some() || cluster.is_some() { Stdout::None } else { Stdout::Json });
        let stdout = match print {
            Stdout::Json => Some(deliver::stdout::spawn(std::io::stdout())?),
            Stdout::None => None,
        };
        Ok(Self { node: node.to_owned(), stdout, collector, cluster, metrics })
    }

    /// The pods of this node go into the engine from now on.
    pub(crate) fn follow(&mut self, handle: &Handle) {
        if let Some(cluster) = &mut self.cluster {
            let metrics = self.metrics.clone();
            cluster.follow(&self.node, handle.clone(), move |change| metrics.pods(change));
        }
    }

    pub(crate) fn tell(&mut self, event: &Event, handle: &Handle) {
        if let (Event::AskCluster(id, question), Some(cluster)) = (event, &mut self.cluster) {
            cluster.answer(handle.clone(), *id, question.clone());
        }
        if matches!(event, Event::ClockSet) {
            self.metrics.clock_set();
        }
        self.tell_last(event, handle.anchor());
    }

    /// The same, when answers are no longer heard.
    pub(crate) fn tell_last(&self, event: &Event, anchor: ClockAnchor) {
        match event {
            Event::Verdict(verdict) => self.offer(verdict, anchor),
            // Only pods give rise to questions about the cluster, and there are none without one.
            Event::AskCluster(..) | Event::Exec { .. } | Event::Exit { .. } | Event::Listening { .. } | Event::ClockSet => {}
        }
    }

    fn offer(&self, verdict: &verdict::Verdict, anchor: ClockAnchor) {
        let verdict: Verdict = wire::verdict(verdict, anchor, &self.node);
        self.metrics.verdict(&verdict);
        if let Some(cluster) = &self.cluster {
            cluster.publish(&verdict);
        }
        if let Some(stdout) = &self.stdout {
            stdout.offer(verdict.clone());
        }
        if let Some(collector) = &self.collector {
            collector.offer(verdict);
        }
    }

    /// Nothing of the cluster goes into the engine any more.
    pub(crate) fn let_go(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.let_go();
        }
    }

    pub(crate) async fn drain(self) {
        let Self { stdout, collector, cluster, .. } = self;
        let published = async {
            if let Some(cluster) = cluster {
                cluster.finish(DRAIN).await;
            }
        };
        let prints = stdout.is_some();
        let delivered = async {
            if let Some(collector) = collector {
                deliver(collector, prints).await;
            }
        };
        tokio::join!(published, delivered);
        if let Some(stdout) = stdout {
            let dropped = stdout.drain(DRAIN);
            if dropped > 0 {
                tracing::warn!("{dropped} verdicts were not printed: whoever reads stdout was too slow, or went away");
            }
        }
    }
}

async fn deliver(collector: Delivery, prints: bool) {
    let left = collector.finish(DRAIN).await;
    if !left.is_empty() {
        tracing::warn!("{} verdicts could not be delivered to the collector: they are printed on stdout", left.len());
    }
    for verdict in left.iter().filter(|_| !prints) {
        println!("{}", json::line(verdict));
    }
}
