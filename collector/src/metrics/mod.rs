//! What the collector tells of itself: one registry, a help text for each metric, bounded labels.
//!
//! Labels come from verdicts, and whoever may create namespaces could make them grow without end: beyond the first hundred
//! the rest are told as `other`, and so are words that the catalogue does not have.

pub(crate) mod labels;

pub use labels::{Refusal, RefusedLabels, VerdictLabels, WatchKind, WatchLabels};

use self::labels::Limits;

use crate::store::Census;
use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Nodes whose last word about drops is remembered.
const NODES: usize = 20_000;

/// All metrics. One for each process, shared by its parts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    limits: Mutex<Limits>,
    agents: Mutex<HashMap<String, Agent>>,
    verdicts: Family<VerdictLabels, Counter>,
    open: Family<VerdictLabels, Gauge>,
    connected: Gauge,
    streams: Gauge,
    watchers: Gauge,
    refused: Family<RefusedLabels, Counter>,
    dropped: Counter,
    dropped_starts: Counter,
    start_reports: Counter,
    append: Histogram,
    stored: Gauge,
    stored_starts: Gauge,
    bytes: Gauge,
    stalled: Gauge,
    lease: Gauge,
    pending: Gauge,
    watch_errors: Family<WatchLabels, Counter>,
}

/// What is known of the agent of a node.
#[derive(Debug, Default)]
struct Agent {
    streams: u32,
    dropped: Dropped,
}

/// What an agent gave up because its queues were full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub verdicts: u64,
    /// Start reports.
    pub starts: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("unready_collector");
        registry.register("build", "Version of the collector.", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let append = Histogram::new(exponential_buckets(0.000_5, 2.0, 15));
        let metrics = Self {
            limits: Mutex::default(),
            agents: Mutex::default(),
            verdicts: Family::default(),
            open: Family::default(),
            connected: Gauge::default(),
            streams: Gauge::default(),
            watchers: Gauge::default(),
            refused: Family::default(),
            dropped: Counter::default(),
            dropped_starts: Counter::default(),
            start_reports: Counter::default(),
            append: append.clone(),
            stored: Gauge::default(),
            stored_starts: Gauge::default(),
            bytes: Gauge::default(),
            stalled: Gauge::default(),
            lease: Gauge::default(),
            pending: Gauge::default(),
            watch_errors: Family::default(),
            registry: Registry::default(),
        };
        metrics.register(&mut registry);
        registry.register_with_unit(
            "append_duration",
            "Time from the arrival of a batch of verdicts and starts to its commit in the store.",
            Unit::Seconds,
            append,
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("verdicts", "Verdicts stored for the first time, by what they say and of whom.", self.verdicts.clone());
        registry.register("open_verdicts", "Verdicts in the store that are not resolved.", self.open.clone());
        registry.register("agents_connected", "Nodes whose agent delivers at the moment.", self.connected.clone());
        registry.register("ingest_streams", "Open streams of agents.", self.streams.clone());
        registry.register("watchers", "Clients that watch verdicts at the moment.", self.watchers.clone());
        registry.register("streams_refused", "Streams of agents that were refused, by reason.", self.refused.clone());
        registry.register(
            "agent_dropped_verdicts",
            "Verdicts that agents gave up because their queue was full, as they say themselves.",
            self.dropped.clone(),
        );
        registry.register(
            "agent_dropped_starts",
            "Start reports that agents gave up because their queue was full, as they say themselves.",
            self.dropped_starts.clone(),
        );
        registry.register(
            "start_reports",
            "Start reports that were stored; a start has several while it gets on.",
            self.start_reports.clone(),
        );
        registry.register("stored_starts", "Starts of containers in the store, healthy ones too.", self.stored_starts.clone());
        registry.register("stored_verdicts", "Verdicts in the store, resolved ones included.", self.stored.clone());
        registry.register_with_unit("store_size", "Size of the store's file.", Unit::Bytes, self.bytes.clone());
        registry.register(
            "store_stalled",
            "1 while the store cannot take verdicts (disk full, database locked), and agents keep theirs; else 0.",
            self.stalled.clone(),
        );
        registry.register("lease_held", "1 while this collector is the one that watches the cluster; else 0.", self.lease.clone());
        registry.register(
            "pending_subjects",
            "Pods without a node, and owners without all their pods, that are watched.",
            self.pending.clone(),
        );
        registry.register("watch_errors", "Failed requests of the cluster watch to the API server.", self.watch_errors.clone());
    }

    /// The body of `/metrics`.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// As [`Metrics::encode`] with an example of each metric, for documentation: one without samples is not encoded.
    pub fn describe() -> String {
        let metrics = Self::default();
        metrics.verdicts.get_or_create(&VerdictLabels::example()).inc();
        metrics.open.get_or_create(&VerdictLabels::example()).set(1);
        metrics.refused(Refusal::Identity);
        metrics.watch_error(WatchKind::Pods);
        metrics.encode()
    }

    pub(crate) fn labels(&self, verdict: &unready_proto::v1::Verdict) -> VerdictLabels {
        VerdictLabels::of(verdict).bounded(&mut self.limits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// These were stored for the first time.
    pub(crate) fn new_verdicts<'a>(&self, labels: impl Iterator<Item = &'a VerdictLabels>) {
        for labels in labels {
            self.verdicts.get_or_create(labels).inc();
        }
    }

    /// A batch was committed, with so many start reports.
    pub(crate) fn appended(&self, took: Duration, starts: usize) {
        self.start_reports.inc_by(starts as u64);
        self.append.observe(took.as_secs_f64());
    }

    /// What the store holds.
    pub(crate) fn census(&self, census: Census) {
        self.stored.set(signed(census.verdicts));
        self.stored_starts.set(signed(census.starts));
        self.bytes.set(signed(census.bytes));
        self.open.clear();
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        for (labels, count) in census.open {
            self.open.get_or_create(&labels.bounded(&mut limits)).inc_by(signed(count));
        }
    }

    pub(crate) fn stalled(&self, stalled: bool) {
        self.stalled.set(i64::from(stalled));
    }

    pub(crate) fn lease(&self, held: bool) {
        self.lease.set(i64::from(held));
    }

    pub(crate) fn pending(&self, subjects: usize) {
        self.pending.set(i64::try_from(subjects).unwrap_or(i64::MAX));
    }

    pub(crate) fn refused(&self, reason: Refusal) {
        self.refused.get_or_create(&RefusedLabels { reason }).inc();
    }

    pub(crate) fn watch_error(&self, watch: WatchKind) {
        self.watch_errors.get_or_create(&WatchLabels { watch }).inc();
    }

    /// A client watches, until the guard is dropped.
    pub(crate) fn watching(&self) -> Held {
        Held::new(self.watchers.clone())
    }

    pub(crate) fn stream_opened(&self, node: &str) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if agents.len() >= NODES && !agents.contains_key(node) {
            agents.retain(|_, agent| agent.streams > 0);
        }
        agents.entry(node.to_owned()).or_default().streams += 1;
        self.count(&agents);
    }

    pub(crate) fn stream_closed(&self, node: &str) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get_mut(node) {
            agent.streams = agent.streams.saturating_sub(1);
        }
        self.count(&agents);
    }

    fn count(&self, agents: &HashMap<String, Agent>) {
        self.connected.set(agents.values().map(|agent| i64::from(agent.streams > 0)).sum());
        self.streams.set(agents.values().map(|agent| i64::from(agent.streams)).sum());
    }

    /// An agent says how many it has dropped since it started; the answer is how many more that are than when it last said so, also
    /// on another stream. A smaller number than before: it has started anew.
    pub(crate) fn agent_dropped(&self, node: &str, total: Dropped) -> Dropped {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(agent) = agents.get_mut(node) else { return Dropped::default() };
        let more = total.more_than(agent.dropped);
        self.dropped.inc_by(more.verdicts);
        self.dropped_starts.inc_by(more.starts);
        agent.dropped = total;
        more
    }
}

impl Dropped {
    /// By how much the totals grew. One that is smaller than before was counted anew from zero.
    const fn more_than(self, before: Self) -> Self {
        const fn more(total: u64, before: u64) -> u64 {
            if total >= before { total - before } else { total }
        }
        Self { verdicts: more(self.verdicts, before.verdicts), starts: more(self.starts, before.starts) }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Counts as one as long as it lives.
#[derive(Debug)]
pub(crate) struct Held(Gauge);

impl Held {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(verdicts: u64) -> Dropped {
        Dropped { verdicts, ..Dropped::default() }
    }

    fn line<'a>(text: &'a str, name: &str) -> &'a str {
        text.lines().find(|line| line.starts_with(name)).unwrap_or_default()
    }

    #[test]
    fn each_metric_has_a_help_text() {
        let text = Metrics::describe();
        let of = |what: &str| -> Vec<&str> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(what));
            lines.map(|line| line.split(' ').next().unwrap_or_default()).collect()
        };
        assert_eq!(of("# HELP "), of("# TYPE "));
        assert!(of("# HELP ").len() >= 14, "{text}");
        let helps = text.lines().filter(|line| line.starts_with("# HELP"));
        assert!(helps.clone().all(|line| line.split(' ').count() > 5), "{text}");
    }

    #[test]
    fn an_agent_that_reconnects_or_restarts_counts_its_drops_once() {
        let metrics = Metrics::default();
        metrics.stream_opened("n");
        metrics.agent_dropped("n", verdicts(5));
        metrics.stream_closed("n");
        metrics.stream_opened("n");
        metrics.agent_dropped("n", verdicts(7));
        assert_eq!(
            line(&metrics.encode(), "unready_collector_agent_dropped_verdicts_total"),
            "unready_collector_agent_dropped_verdicts_total 7"
        );
        metrics.agent_dropped("n", verdicts(2));
        assert_eq!(
            line(&metrics.encode(), "unready_collector_agent_dropped_verdicts_total"),
            "unready_collector_agent_dropped_verdicts_total 9"
        );
    }

    #[test]
    fn what_an_agent_dropped_is_news_once_whatever_the_stream() {
        let metrics = Metrics::default();
        metrics.stream_opened("n");
        assert_eq!([0, 3, 3, 5].map(|total| metrics.agent_dropped("n", verdicts(total)).verdicts), [0, 3, 0, 2]);
        metrics.stream_closed("n");
        metrics.stream_opened("n");
        assert_eq!(metrics.agent_dropped("n", verdicts(5)), verdicts(0), "the agent is the same");
        assert_eq!(metrics.agent_dropped("n", verdicts(2)), verdicts(2), "it has started anew");
        let both = Dropped { verdicts: 2, starts: 9 };
        assert_eq!(metrics.agent_dropped("n", both), Dropped { verdicts: 0, starts: 9 }, "each kind is counted by itself");
    }

    #[test]
    fn two_streams_of_a_node_are_one_agent() {
        let metrics = Metrics::default();
        metrics.stream_opened("n");
        metrics.stream_opened("n");
        metrics.stream_opened("m");
        metrics.stream_closed("m");
        let text = metrics.encode();
        assert_eq!(line(&text, "unready_collector_agents_connected"), "unready_collector_agents_connected 1");
        assert_eq!(line(&text, "unready_collector_ingest_streams"), "unready_collector_ingest_streams 2");
    }
}
