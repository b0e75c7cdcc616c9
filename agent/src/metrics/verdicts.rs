//! Verdicts, counted. A verdict is counted once, when it is heard first: later words under the same id are updates.

use super::label::Names;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge},
    registry::Registry,
};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use unready_proto::v1::Verdict;

/// Verdicts remembered, so that the same one is not counted twice; some 200 bytes each.
const REMEMBERED: usize = 4096;
/// Namespaces that get a label of their own.
const NAMESPACES: usize = 64;
/// Kinds of owners that do.
const KINDS: usize = 16;

/// What a counted verdict is told apart by.
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct Labels {
    cause: String,
    severity: String,
    namespace: String,
    owner_kind: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts {
    first: Family<Labels, Counter>,
    updates: Counter,
    resolved: Counter,
    open: Open,
}

/// What is remembered of verdicts.
#[derive(Clone, Debug, Default)]
struct Open(Arc<Mutex<Memory>>);

#[derive(Debug)]
struct Memory {
    known: BTreeMap<String, Known>,
    order: VecDeque<String>,
    namespaces: Names,
    kinds: Names,
}

#[derive(Debug)]
struct Known {
    labels: Labels,
    pod_uid: String,
    is_resolved: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self { known: BTreeMap::new(), order: VecDeque::new(), namespaces: Names::at_most(NAMESPACES), kinds: Names::at_most(KINDS) }
    }
}

impl Verdicts {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "verdicts",
            "Verdicts by the agent's judgement, each counted once; namespaces after the first 64 are \"other\"",
            self.first.clone(),
        );
        registry.register("verdict_updates", "News of verdicts that had been told before", self.updates.clone());
        registry.register("verdicts_resolved", "Verdicts whose condition went away", self.resolved.clone());
        registry.register_collector(Box::new(self.open.clone()));
    }

    pub(super) fn hear(&self, verdict: &Verdict) {
        let is_resolved = verdict.resolved_at.is_some();
        let mut memory = self.open.memory();
        if let Some(known) = memory.known.get_mut(&verdict.id) {
            self.updates.inc();
            if is_resolved && !known.is_resolved {
                self.resolved.inc();
            }
            known.is_resolved = is_resolved;
            return;
        }
        let labels = memory.labels(verdict);
        self.first.get_or_create(&labels).inc();
        if is_resolved {
            self.resolved.inc();
        }
        let pod_uid = verdict.workload.as_ref().map(|workload| workload.pod_uid.clone()).unwrap_or_default();
        memory.remember(verdict.id.clone(), Known { labels, pod_uid, is_resolved });
    }

    /// Pods are gone, and what was said of them is no longer open.
    pub(super) fn forget(&self, is_gone: impl Fn(&str) -> bool) {
        let mut memory = self.open.memory();
        for known in memory.known.values_mut() {
            known.is_resolved |= !known.pod_uid.is_empty() && is_gone(&known.pod_uid);
        }
    }
}

impl Open {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_labels(&self) -> BTreeMap<Labels, u64> {
        let mut open = BTreeMap::new();
        for known in self.memory().known.values() {
            *open.entry(known.labels.clone()).or_default() += u64::from(!known.is_resolved);
        }
        open
    }
}

impl Collector for Open {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Verdicts whose condition lasts, as far as the agent remembers them (the last 4096).";
        let mut metric = encoder.encode_descriptor("verdicts_open", help, None, MetricType::Gauge)?;
        for (labels, count) in self.by_labels() {
            ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX)).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Memory {
    fn labels(&mut self, verdict: &Verdict) -> Labels {
        let workload = verdict.workload.as_ref();
        let namespace = workload.map_or("", |workload| workload.namespace.as_str());
        let owner = workload.map_or("", |workload| workload.owner.as_str());
        let kind = owner.split_once('/').map_or(owner, |(kind, _)| kind);
        Labels {
            cause: verdict.cause.clone(),
            severity: verdict.severity.clone(),
            namespace: self.namespaces.label(namespace),
            owner_kind: self.kinds.label(kind),
        }
    }

    fn remember(&mut self, id: String, known: Known) {
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.known.insert(id, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_proto::{prost_types::Timestamp, v1::Workload};

    fn verdict(id: &str, namespace: &str) -> Verdict {
        let workload = Workload {
            namespace: namespace.to_owned(),
            pod_uid: format!("uid-{id}"),
            owner: "Deployment/orders".to_owned(),
            ..Workload::default()
        };
        let (cause, severity) = ("PermissionDenied".to_owned(), "Blocking".to_owned());
        Verdict { id: id.to_owned(), cause, severity, workload: Some(workload), ..Verdict::default() }
    }

    fn labels(namespace: &str) -> Labels {
        let text = str::to_owned;
        Labels { cause: text("PermissionDenied"), severity: text("Blocking"), namespace: text(namespace), owner_kind: text("Deployment") }
    }

    #[test]
    fn a_verdict_counts_once_and_is_open_until_it_is_resolved() {
        let verdicts = Verdicts::default();
        for _ in 0..3 {
            verdicts.hear(&verdict("a", "shop"));
        }
        assert_eq!(verdicts.first.get_or_create(&labels("shop")).get(), 1);
        assert_eq!((verdicts.updates.get(), verdicts.resolved.get()), (2, 0));
        assert_eq!(verdicts.open.by_labels(), BTreeMap::from([(labels("shop"), 1)]));
        let resolved = Verdict { resolved_at: Some(Timestamp::default()), ..verdict("a", "shop") };
        verdicts.hear(&resolved);
        verdicts.hear(&resolved);
        assert_eq!(verdicts.resolved.get(), 1);
        assert_eq!(verdicts.open.by_labels(), BTreeMap::from([(labels("shop"), 0)]));
        verdicts.hear(&verdict("a", "shop"));
        assert_eq!(verdicts.open.by_labels(), BTreeMap::from([(labels("shop"), 1)]), "it is back");
    }

    #[test]
    fn what_is_said_of_a_pod_that_is_gone_is_not_open() {
        let verdicts = Verdicts::default();
        verdicts.hear(&verdict("a", "shop"));
        verdicts.hear(&verdict("b", "shop"));
        verdicts.forget(|uid| uid == "uid-a");
        assert_eq!(verdicts.open.by_labels(), BTreeMap::from([(labels("shop"), 1)]));
        assert_eq!(verdicts.resolved.get(), 0, "nobody mended it");
    }

    #[test]
    fn what_is_remembered_and_told_has_a_limit() {
        let verdicts = Verdicts::default();
        for n in 0..REMEMBERED + 100 {
            verdicts.hear(&verdict(&n.to_string(), &format!("ns-{n}")));
        }
        assert_eq!(verdicts.open.memory().known.len(), REMEMBERED);
        assert!(verdicts.open.by_labels().len() <= NAMESPACES + 1);
        assert_eq!(verdicts.first.get_or_create(&labels("other")).get(), (REMEMBERED + 100 - NAMESPACES) as u64);
    }
}
