//! Where verdicts go: stdout, the collector, the pods, the counters.

use super::{Args, Stdout};
use std::{io::Write as _, sync::Arc, time::Duration};
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
use unready_proto::v1::Verdict;
use unready_wire::{self as wire, outlet};

/// How long undelivered verdicts may take at the end.
const DRAIN: Duration = Duration::from_secs(3);

/// All outputs of the agent, and the cluster from which the pods come.
pub(crate) struct Outputs {
    node: String,
    stdout: Option<JsonLines>,
    collector: Option<Delivery>,
    cluster: Option<Cluster>,
    pub(crate) metrics: Metrics,
    /// What the last verdict was dated by.
    dated_by: Option<ClockAnchor>,
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
        Ok(Self { node: node.to_owned(), stdout, collector, cluster, metrics, dated_by: None })
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
    pub(crate) fn tell_last(&mut self, event: &Event, anchor: ClockAnchor) {
        self.date_by(anchor);
        match event {
            Event::Verdict(verdict) => self.offer(verdict, anchor),
            // Only pods give rise to questions about the cluster, and there are none without one.
            Event::AskCluster(..) | Event::Listening { .. } | Event::ClockSet => {}
        }
    }

    /// What waits for the collector was dated by the clock before. (The anchor is a new one before its event comes.)
    fn date_by(&mut self, anchor: ClockAnchor) {
        let known = self.dated_by.replace(anchor).unwrap_or(anchor);
        if let Some(collector) = self.collector.as_ref().filter(|_| known != anchor) {
            collector.clock_set(anchor.ahead_of(known));
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
        let _ = writeln!(std::io::stdout(), "{}", outlet::json_line(verdict));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use unready_diagnosis::{
        catalogue::Cause,
        units::{BootNanos, CgroupId},
        verdict::{Completeness, Confidence, Remedy, Severity, Subject, SubjectKind, Workload},
    };
    use unready_proto::time::timestamp;

    const SECOND: u64 = 1_000_000_000;

    fn found(id: &str, at: BootNanos) -> Event {
        Event::Verdict(Box::new(verdict::Verdict {
            id: id.to_owned(),
            cause: Cause::PermissionDenied,
            layer: String::new(),
            severity: Severity::Blocking,
            confidence: Confidence::Certain,
            completeness: Completeness::default(),
            subject: Subject { kind: SubjectKind::Path, name: "/data".to_owned() },
            workload: Workload::default(),
            cgroup: CgroupId(7),
            summary: String::new(),
            explanation: Vec::new(),
            remedy: Remedy::default(),
            evidence: Vec::new(),
            first_seen: at,
            last_seen: at,
            count: 1,
            resolved_at: None,
        }))
    }

    #[tokio::test]
    async fn what_waits_for_the_collector_follows_the_clock_once() {
        // Nobody answers there.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = silent.local_addr().unwrap().to_string().parse().unwrap();
        let collector = Some(deliver::collector::spawn(Config::new(url, "node-1")));
        let metrics = Metrics::new("0", "0");
        let mut outputs = Outputs { node: "node-1".to_owned(), stdout: None, collector, cluster: None, metrics, dated_by: None };
        let before = ClockAnchor { boot: BootNanos(0), wall: 1_000_000 * SECOND };
        let after = ClockAnchor { boot: BootNanos(0), wall: 2_000_000 * SECOND };
        outputs.tell_last(&found("a", BootNanos(SECOND)), before);
        // It was found before the clock was set and is told after that; the word of it comes behind.
        outputs.tell_last(&found("b", BootNanos(2 * SECOND)), after);
        outputs.tell_last(&Event::ClockSet, after);
        let waiting = outputs.collector.take().unwrap().finish(Duration::ZERO).await;
        let dates: Vec<_> = waiting.iter().map(|verdict| (verdict.id.as_str(), verdict.first_seen)).collect();
        let at = |seconds: u64| Some(timestamp(seconds * SECOND));
        assert_eq!(dates, [("a", at(2_000_001)), ("b", at(2_000_002))]);
    }
}
