//! This node's pods as the API server tells of them: how many are ready, and how long a start took, phase by phase.
//!
//! ```text
//!   created ─ scheduling ─► scheduled ─ sandbox ─► network is there ─ init ─► initialized ─ containers ─► the last one runs ─ readiness ─► ready
//! ```
//!
//! The times are the API server's, in whole seconds. A start counts when the pod gets ready for the first time; starts that
//! had begun when the agent first heard of the pods are left out, because a pod that was ready before looks the same; so are those in
//! whose midst the node's clock was set, which stamps most of the times.

use super::label::Names;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        MetricType,
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::Registry,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use unready_diagnosis::{
    cluster::PodChange,
    pod::{ContainerKind, ContainerState, Pod},
};

/// Namespaces that get a label of their own.
const NAMESPACES: usize = 64;
/// Upper bounds, seconds.
const BUCKETS: [f64; 13] = [1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

/// Parts of a start, in their order.
const PHASES: [&str; 5] = ["scheduling", "sandbox", "init", "containers", "readiness"];

/// How a pod stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Ready,
    NotReady,
    /// It has succeeded: a Job's pod.
    Done,
}

impl Standing {
    fn of(pod: &Pod) -> Self {
        if pod.status.phase == "Succeeded" {
            return Self::Done;
        }
        if since(pod, "Ready").is_some() { Self::Ready } else { Self::NotReady }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not_ready",
            Self::Done => "done",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

#[derive(Clone, Debug)]
pub(super) struct Pods {
    starts: Histogram,
    phases: Family<PhaseLabel, Histogram, fn() -> Histogram>,
    lists: Counter,
    reachable: Gauge,
    present: Present,
}

/// The pods of the node.
#[derive(Clone, Debug, Default)]
struct Present(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    pods: BTreeMap<String, Seen>,
    namespaces: Names,
    /// The first list has come.
    is_listed: bool,
}

#[derive(Debug)]
struct Seen {
    namespace: String,
    standing: Standing,
    /// Its start is still to be counted.
    is_starting: bool,
}

impl Default for Table {
    fn default() -> Self {
        Self { pods: BTreeMap::new(), namespaces: Names::at_most(NAMESPACES), is_listed: false }
    }
}

impl Default for Pods {
    fn default() -> Self {
        let phases: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(histogram);
        // From the start, at zero: otherwise the first of each kind would be no increase for Prometheus.
        for phase in PHASES {
            drop(phases.get_or_create(&PhaseLabel { phase }));
        }
        Self { starts: histogram(), phases, lists: Counter::default(), reachable: Gauge::default(), present: Present::default() }
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Pods {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "pod_start_seconds",
            "From a pod's creation until it is ready for the first time (whole seconds); without starts during which the node's clock was set",
            self.starts.clone(),
        );
        registry.register(
            "pod_start_phase_seconds",
            "Parts of it: scheduling, sandbox (with its volumes and network), init, containers (image and start), readiness",
            self.phases.clone(),
        );
        registry.register(
            "pod_lists",
            "Full lists of this node's pods by the API server: at the start and after each outage",
            self.lists.clone(),
        );
        registry.register(
            "api_reachable",
            "1 while the watch of this node's pods stands, 0 while the API server is away",
            self.reachable.clone(),
        );
        registry.register_collector(Box::new(self.present.clone()));
    }

    pub(super) fn hear(&self, change: &PodChange) {
        let mut table = self.present.table();
        self.reachable.set(i64::from(!matches!(change, PodChange::Unreachable)));
        match change {
            PodChange::Apply(pod) => self.apply(&mut table, pod, true),
            PodChange::Delete { uid } => {
                table.pods.remove(uid);
            }
            PodChange::Reset(pods) => {
                self.lists.inc();
                table.pods.retain(|uid, _| pods.iter().any(|pod| pod.uid == *uid));
                let is_news = std::mem::replace(&mut table.is_listed, true);
                for pod in pods {
                    self.apply(&mut table, pod, is_news);
                }
            }
            PodChange::Unreachable => {}
        }
    }

    /// The node's clock was set: the starts under way have times of two clocks.
    pub(super) fn clock_set(&self) {
        self.present.table().pods.values_mut().for_each(|seen| seen.is_starting = false);
    }

    fn apply(&self, table: &mut Table, pod: &Pod, is_news: bool) {
        let standing = Standing::of(pod);
        let mut is_starting = table.pods.get(&pod.uid).map_or(is_news, |seen| seen.is_starting);
        if is_starting && standing != Standing::NotReady {
            is_starting = false;
            if standing == Standing::Ready {
                self.started(pod);
            }
        }
        let namespace = table.namespaces.label(&pod.namespace);
        table.pods.insert(pod.uid.clone(), Seen { namespace, standing, is_starting });
    }

    fn started(&self, pod: &Pod) {
        if let Some(ready) = since(pod, "Ready") {
            self.starts.observe(seconds(pod.created, ready));
        }
        for (phase, seconds) in phases(pod) {
            self.phases.get_or_create(&PhaseLabel { phase }).observe(seconds);
        }
    }
}

impl Present {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Present {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut count: BTreeMap<(String, Standing), i64> = BTreeMap::new();
        for seen in self.table().pods.values() {
            // Zeros too: a line that goes down and does not break off.
            for standing in [Standing::Ready, Standing::NotReady, Standing::Done] {
                *count.entry((seen.namespace.clone(), standing)).or_default() += i64::from(standing == seen.standing);
            }
        }
        let help = "Pods of this node by namespace and state: ready, not_ready, done.";
        let mut metric = encoder.encode_descriptor("pods", help, None, MetricType::Gauge)?;
        for ((namespace, standing), count) in count {
            let labels = [("namespace", namespace.as_str()), ("state", standing.word())];
            ConstGauge::new(count).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Since when a condition is true.
fn since(pod: &Pod, kind: &str) -> Option<u64> {
    pod.status.conditions.iter().find(|condition| condition.kind == kind && condition.status == "True").map(|condition| condition.since)
}

/// The phases that the pod's status tells of.
fn phases(pod: &Pod) -> Vec<(&'static str, f64)> {
    let (scheduled, sandbox) = (since(pod, "PodScheduled"), since(pod, "PodReadyToStartContainers"));
    let has_init = pod.containers.iter().any(|container| matches!(container.kind, ContainerKind::Init | ContainerKind::Sidecar));
    let initialized = since(pod, "Initialized").filter(|_| has_init);
    let (running, ready) = (last_start(pod), since(pod, "Ready"));
    let spans = [
        (Some(pod.created), scheduled),
        (scheduled, sandbox),
        (sandbox, initialized),
        (sandbox.max(initialized), running),
        (running, ready),
    ];
    PHASES.into_iter().zip(spans).filter_map(|(phase, (from, to))| Some((phase, seconds(from?, to?)))).collect()
}

/// When the last of the app's containers began to run.
fn last_start(pod: &Pod) -> Option<u64> {
    let of_app = |name: &str| pod.containers.iter().any(|container| container.name == name && container.kind == ContainerKind::App);
    let starts = pod.status.containers.iter().filter(|status| of_app(&status.name)).map(|status| match status.state {
        ContainerState::Running { since } => Some(since),
        ContainerState::Waiting { .. } | ContainerState::Terminated { .. } => None,
    });
    starts.max().flatten()
}

/// Between two times in nanoseconds; 0 when clocks disagree.
fn seconds(from: u64, to: u64) -> f64 {
    std::time::Duration::from_nanos(to.saturating_sub(from)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use prometheus_client::encoding::text;
    use unready_diagnosis::pod::{Condition, Container, ContainerStatus, PodStatus};

    const SECOND: u64 = 1_000_000_000;

    fn condition(kind: &str, since: Option<u64>) -> Condition {
        let status = if since.is_some() { "True" } else { "False" };
        Condition { kind: kind.to_owned(), status: status.to_owned(), since: since.unwrap_or(0) * SECOND, ..Condition::default() }
    }

    /// Created at 100, scheduled at 101, sandbox at 103, running at 107.
    fn pod(uid: &str, ready: Option<u64>) -> Pod {
        let state = ContainerState::Running { since: 107 * SECOND };
        let status = ContainerStatus { name: "app".to_owned(), state, ..ContainerStatus::default() };
        let conditions = vec![
            condition("PodScheduled", Some(101)),
            condition("PodReadyToStartContainers", Some(103)),
            condition("Initialized", Some(101)),
            condition("Ready", ready),
        ];
        Pod {
            uid: uid.to_owned(),
            namespace: "shop".to_owned(),
            created: 100 * SECOND,
            containers: vec![Container { name: "app".to_owned(), ..Container::default() }],
            status: PodStatus { phase: "Running".to_owned(), conditions, containers: vec![status], ..PodStatus::default() },
            ..Pod::default()
        }
    }

    /// How many starts were measured, and their seconds.
    fn starts(pods: &Pods) -> (String, String) {
        let mut registry = Registry::default();
        pods.register(&mut registry);
        let mut text = String::new();
        text::encode(&mut text, &registry).unwrap();
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        (value("pod_start_seconds_count "), value("pod_start_seconds_sum "))
    }

    fn apply(pods: &Pods, pod: Pod) {
        pods.hear(&PodChange::Apply(Box::new(pod)));
    }

    #[test]
    fn a_start_is_measured_once() {
        let pods = Pods::default();
        pods.hear(&PodChange::Reset(Vec::new()));
        apply(&pods, pod("a", None));
        assert_eq!(starts(&pods).0, "0");
        apply(&pods, pod("a", Some(112)));
        apply(&pods, pod("a", None));
        apply(&pods, pod("a", Some(300)));
        assert_eq!(starts(&pods), ("1".to_owned(), "12.0".to_owned()), "that it was unready again later is no start");
    }

    #[test]
    fn phases_follow_each_other() {
        let plain = phases(&pod("a", Some(112)));
        assert_eq!(plain, [("scheduling", 1.0), ("sandbox", 2.0), ("containers", 4.0), ("readiness", 5.0)]);
        let mut with_init = pod("a", Some(112));
        with_init.containers.push(Container { kind: ContainerKind::Init, ..Container::default() });
        with_init.status.conditions[2].since = 105 * SECOND;
        let expected = [("scheduling", 1.0), ("sandbox", 2.0), ("init", 2.0), ("containers", 2.0), ("readiness", 5.0)];
        assert_eq!(phases(&with_init), expected);
    }

    #[test]
    fn starts_that_had_begun_before_are_left_out() {
        let pods = Pods::default();
        pods.hear(&PodChange::Reset(vec![pod("old", None)]));
        apply(&pods, pod("old", Some(112)));
        assert_eq!(starts(&pods).0, "0");
        pods.hear(&PodChange::Unreachable);
        assert_eq!(pods.reachable.get(), 0);
        pods.hear(&PodChange::Reset(vec![pod("old", Some(112)), pod("new", Some(112))]));
        assert_eq!((starts(&pods).0.as_str(), pods.reachable.get(), pods.lists.get()), ("1", 1, 2), "it started during the outage");
    }

    #[test]
    fn a_start_with_times_of_two_clocks_is_left_out() {
        let pods = Pods::default();
        pods.hear(&PodChange::Reset(Vec::new()));
        apply(&pods, pod("a", None));
        pods.clock_set();
        apply(&pods, pod("a", Some(3712)));
        assert_eq!(starts(&pods).0, "0");
        apply(&pods, pod("b", None));
        apply(&pods, pod("b", Some(112)));
        assert_eq!(starts(&pods), ("1".to_owned(), "12.0".to_owned()), "it began after that");
    }

    #[test]
    fn a_job_that_succeeded_is_done_and_no_start() {
        let pods = Pods::default();
        pods.hear(&PodChange::Reset(Vec::new()));
        let mut job = pod("job", None);
        job.status.phase = "Succeeded".to_owned();
        assert_eq!(Standing::of(&job), Standing::Done);
        apply(&pods, job);
        assert_eq!(starts(&pods).0, "0");
    }
}
