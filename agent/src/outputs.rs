//! The list of sinks, as the flags say, and what each event of the pipeline means for them.

use super::{Args, Stdout};
use std::{io::Write as _, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use unready_agent::{
    deliver::collector::{self, Config, Delivery},
    metrics::Metrics,
    pipeline::{Event, Handle, QueueFill},
    sinks::{Sink, events::Events, stdout},
    sources::cluster::Cluster,
};
use unready_diagnosis::units::ClockAnchor;
use unready_proto::v1::Verdict;
use unready_wire::{self as wire, outlet};

/// How long what waits may take at the end.
const DRAIN: Duration = Duration::from_secs(3);

/// All sinks of the agent, and the cluster from which the pods come.
pub(crate) struct Outputs {
    node: String,
    sinks: Vec<Box<dyn Sink>>,
    /// One of them is stdout.
    prints: bool,
    cluster: Option<Cluster>,
    pub(crate) metrics: Metrics,
    /// The clock by which the last event was dated.
    dated_by: Option<ClockAnchor>,
}

impl Outputs {
    pub(crate) fn open(args: &Args, node: &str, cluster: Option<Cluster>, metrics: Metrics) -> anyhow::Result<Self> {
        let print = args.stdout.unwrap_or(if args.collector.is_some() || cluster.is_some() { Stdout::None } else { Stdout::Json });
        let prints = print == Stdout::Json;
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(metrics.clone())];
        if let Some(events) = cluster.as_ref().and_then(Cluster::events) {
            watch_events(&events, &metrics);
            sinks.push(Box::new(events));
        }
        if prints {
            sinks.push(Box::new(stdout::spawn(std::io::stdout())?));
        }
        if let Some(delivery) = deliver(args, node, cluster.as_ref(), &metrics)? {
            sinks.push(Box::new(delivery));
        }
        Ok(Self { node: node.to_owned(), sinks, prints, cluster, metrics, dated_by: None })
    }

    /// The pods of this node go into the engine from now on.
    pub(crate) fn follow(&mut self, handle: &Handle) {
        self.dated_by = Some(handle.anchor());
        if let Some(cluster) = &mut self.cluster {
            let metrics = self.metrics.clone();
            cluster.follow(&self.node, handle.clone(), move |change| metrics.pods(change));
        }
    }

    pub(crate) fn tell(&mut self, event: &Event, handle: &Handle) {
        if let (Event::AskCluster(id, question), Some(cluster)) = (event, &mut self.cluster) {
            cluster.answer(handle.clone(), *id, question.clone());
        }
        self.tell_last(event, handle.anchor());
    }

    /// The same, when answers are no longer heard.
    pub(crate) fn tell_last(&mut self, event: &Event, anchor: ClockAnchor) {
        self.date_by(anchor);
        match event {
            Event::Verdict(verdict) => {
                let verdict = wire::verdict(verdict, anchor, &self.node);
                self.sinks.iter_mut().for_each(|sink| sink.verdict(&verdict));
            }
            Event::Start(report) => {
                let report = wire::start(report, anchor, &self.node);
                self.sinks.iter_mut().for_each(|sink| sink.start(&report));
            }
            // Only pods give rise to questions about the cluster, and there are none without one. That the clock was set was seen above.
            Event::AskCluster(..) | Event::Listening { .. } | Event::ClockSet => {}
        }
    }

    /// What waits was dated by the clock before. (The anchor is a new one before its event comes.)
    fn date_by(&mut self, anchor: ClockAnchor) {
        let known = self.dated_by.replace(anchor).unwrap_or(anchor);
        if known != anchor {
            self.sinks.iter_mut().for_each(|sink| sink.clock_set(anchor.ahead_of(known)));
        }
    }

    /// Nothing of the cluster goes into the engine any more.
    pub(crate) fn let_go(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.let_go();
        }
    }

    /// All sinks tell what waits, at the same time. The cluster, on whose thread one of them works, ends after them.
    pub(crate) async fn drain(mut self) {
        self.let_go();
        let Self { sinks, prints, cluster: _cluster, .. } = self;
        let mut ends: JoinSet<Vec<Verdict>> = sinks.into_iter().map(|sink| sink.drain(DRAIN)).collect();
        let mut left = Vec::new();
        while let Some(ended) = ends.join_next().await {
            left.extend(ended.unwrap_or_default());
        }
        if !prints && !left.is_empty() {
            tracing::warn!("{} verdicts that nobody took are printed on stdout", left.len());
            print(&left);
        }
    }
}

fn print(verdicts: &[Verdict]) {
    for verdict in verdicts {
        let _ = writeln!(std::io::stdout(), "{}", outlet::json_line(verdict));
    }
}

fn watch_events(events: &Events, metrics: &Metrics) {
    let counts = events.look();
    let fill = move || {
        let counts = counts();
        Some(QueueFill { length: counts.waiting, capacity: unready_kubernetes::events::QUEUE_MAX, dropped: counts.dropped })
    };
    metrics.watch_queue("kubernetes_events", Box::new(fill));
}

fn deliver(args: &Args, node: &str, cluster: Option<&Cluster>, metrics: &Metrics) -> anyhow::Result<Option<Delivery>> {
    let Some(url) = &args.collector else { return Ok(None) };
    let security = args.security.resolve(url, cluster.map(Cluster::client))?;
    let config = Config { security, ..Config::new(url.clone(), node) };
    let limits = config.limits;
    let delivery = collector::spawn(config);
    let look = Arc::new(delivery.look());
    metrics.watch_delivery(move || look(), limits);
    Ok(Some(delivery))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use unready_agent::sinks::Drained;
    use unready_diagnosis::{
        catalogue::Cause,
        story::report::{Stage, StartReport},
        units::{BootNanos, CgroupId},
        verdict::{self, Completeness, Confidence, Remedy, Severity, Subject, SubjectKind, Workload},
    };
    use unready_proto::{time::timestamp, v1};

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

    fn started(id: &str, at: BootNanos) -> Event {
        Event::Start(Box::new(StartReport {
            id: id.to_owned(),
            workload: Workload::default(),
            cgroup: CgroupId(7),
            stage: Stage::Ready,
            note: String::new(),
            began: at,
            told: at,
            milestones: Vec::new(),
            attempts: Vec::new(),
            waits: Vec::new(),
            dropped: 0,
            completeness: Completeness::default(),
        }))
    }

    const BEFORE: ClockAnchor = ClockAnchor { boot: BootNanos(0), wall: 1_000_000 * SECOND };
    const AFTER: ClockAnchor = ClockAnchor { boot: BootNanos(0), wall: 2_000_000 * SECOND };

    fn outputs(sinks: Vec<Box<dyn Sink>>, dated_by: Option<ClockAnchor>) -> Outputs {
        Outputs { node: "node-1".to_owned(), sinks, prints: false, cluster: None, metrics: Metrics::new("0", "0"), dated_by }
    }

    /// Remembers what it is told, and gives no verdict away.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<String>>>);

    impl Memory {
        fn note(&self, what: String) {
            self.0.lock().unwrap().push(what);
        }
    }

    impl Sink for Memory {
        fn verdict(&mut self, verdict: &Verdict) {
            self.note(format!("verdict {}", verdict.id));
        }

        fn start(&mut self, report: &v1::StartReport) {
            let node = report.workload.as_ref().map(|workload| workload.node.clone()).unwrap_or_default();
            self.note(format!("start {} {} on {node}", report.id, report.stage));
        }

        fn clock_set(&mut self, by: i64) {
            self.note(format!("clock {by}"));
        }

        fn drain(self: Box<Self>, within: Duration) -> Drained {
            self.note(format!("drain {}", within.as_secs()));
            Box::pin(std::future::ready(Vec::new()))
        }
    }

    #[tokio::test]
    async fn every_sink_is_told_everything_in_order() {
        let (first, second) = (Memory::default(), Memory::default());
        let mut outputs = outputs(vec![Box::new(first.clone()), Box::new(second.clone())], Some(BEFORE));
        outputs.tell_last(&found("a", BootNanos(SECOND)), BEFORE);
        outputs.tell_last(&started("s", BootNanos(SECOND)), AFTER);
        outputs.tell_last(&Event::ClockSet, AFTER);
        outputs.drain().await;
        let expected = ["verdict a", "clock 1000000000000000", "start s Ready on node-1", "drain 3"];
        assert_eq!(*first.0.lock().unwrap(), expected);
        assert_eq!(*second.0.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn what_waits_for_the_collector_follows_the_clock_once() {
        // Nobody answers there.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = silent.local_addr().unwrap().to_string().parse().unwrap();
        let mut outputs = outputs(vec![Box::new(collector::spawn(Config::new(url, "node-1")))], None);
        outputs.tell_last(&found("a", BootNanos(SECOND)), BEFORE);
        // It was found before the clock was set and is told after that; the word of it comes behind.
        outputs.tell_last(&found("b", BootNanos(2 * SECOND)), AFTER);
        outputs.tell_last(&Event::ClockSet, AFTER);
        let waiting = outputs.sinks.pop().unwrap().drain(Duration::ZERO).await;
        let dates: Vec<_> = waiting.iter().map(|verdict| (verdict.id.as_str(), verdict.first_seen)).collect();
        let at = |seconds: u64| Some(timestamp(seconds * SECOND));
        assert_eq!(dates, [("a", at(2_000_001)), ("b", at(2_000_002))]);
    }
}
