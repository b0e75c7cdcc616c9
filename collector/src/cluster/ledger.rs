//! What was said of what has no node: into the store, as Events, and taken back when it is over.
//!
//! A collector that takes over finds in its store what was said before it. What it does not say again itself is over: the pod
//! was scheduled or deleted, the owner got its pods while nobody looked.

use crate::{
    metrics::Metrics,
    store::{Selection, Store, StoreError},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use unready_kubernetes::events::{Publisher, Regarding};
use unready_proto::{
    time::timestamp,
    v1::{Filter, Verdict},
};

/// Verdicts that are looked through for those of an earlier collector.
const LOOKED_THROUGH: usize = 10_000;

pub(super) struct Ledger<S> {
    store: Arc<S>,
    publisher: Publisher,
    metrics: Arc<Metrics>,
    /// Of an earlier collector, open, and not said again yet.
    leftovers: HashMap<String, Verdict>,
}

impl<S: Store> Ledger<S> {
    pub(super) fn new(store: Arc<S>, publisher: Publisher, metrics: Arc<Metrics>) -> Self {
        Self { store, publisher, metrics, leftovers: HashMap::new() }
    }

    /// Finds what was said before.
    pub(super) async fn inherit(&mut self) {
        match self.store.list(Selection::Latest(Filter::default()), LOOKED_THROUGH).await {
            Ok(page) => self.leftovers = page.verdicts.into_iter().filter(is_ours).map(|verdict| (verdict.id.clone(), verdict)).collect(),
            Err(error) => tracing::warn!("what was said of the cluster before cannot be read, and stays as it is: {error}"),
        }
    }

    /// What agents said of pods and is open.
    pub(super) async fn open_of_nodes(&self) -> Vec<Verdict> {
        let of_node = |verdict: &Verdict| verdict.workload.as_ref().is_some_and(|workload| !workload.node.is_empty());
        match self.store.list(Selection::Latest(Filter::default()), LOOKED_THROUGH).await {
            Ok(page) => page.verdicts.into_iter().filter(|verdict| verdict.resolved_at.is_none() && of_node(verdict)).collect(),
            Err(_) => Vec::new(), // it is said elsewhere that the store cannot be read
        }
    }

    /// They are over, and whoever said them does not say so.
    pub(super) async fn take_back(&mut self, over: Vec<Verdict>, now: u64) -> Result<(), StoreError> {
        self.resolve(over, now).await
    }

    /// Says a verdict; `regarding` is the object of its Event, without one it is the pod.
    pub(super) async fn say(&mut self, verdict: Verdict, regarding: Option<Regarding>) -> Result<(), StoreError> {
        self.leftovers.remove(&verdict.id);
        match regarding {
            Some(regarding) => self.publisher.offer_regarding(&verdict, regarding),
            None => self.publisher.offer(&verdict),
        }
        self.append(vec![verdict]).await
    }

    pub(super) fn has_leftovers(&self) -> bool {
        !self.leftovers.is_empty()
    }

    /// Those of pods that are not among these: they were scheduled or deleted meanwhile.
    pub(super) async fn resolve_pods_except(&mut self, uids: &[String], now: u64) -> Result<(), StoreError> {
        let uid = |verdict: &Verdict| verdict.workload.as_ref().map(|workload| workload.pod_uid.clone()).unwrap_or_default();
        let gone = |verdict: &Verdict| !uid(verdict).is_empty() && !uids.contains(&uid(verdict));
        let over: Vec<_> = self.leftovers.extract_if(|_, verdict| gone(verdict)).map(|(_, verdict)| verdict).collect();
        self.resolve(over, now).await
    }

    /// All that was not said again.
    pub(super) async fn resolve_leftovers(&mut self, now: u64) -> Result<(), StoreError> {
        let over = std::mem::take(&mut self.leftovers).into_values().collect();
        self.resolve(over, now).await
    }

    /// Their Events stay as they are: whom those of owners are about is not in a verdict.
    async fn resolve(&mut self, mut over: Vec<Verdict>, now: u64) -> Result<(), StoreError> {
        for verdict in &mut over {
            verdict.resolved_at = Some(timestamp(now));
            self.publisher.offer(verdict);
        }
        if over.is_empty() { Ok(()) } else { self.append(over).await }
    }

    async fn append(&self, verdicts: Vec<Verdict>) -> Result<(), StoreError> {
        let labels: Vec<_> = verdicts.iter().map(|verdict| self.metrics.labels(verdict)).collect();
        let is_new = self.store.append(verdicts).await?;
        self.metrics.new_verdicts(labels.iter().zip(is_new).filter(|(_, new)| *new).map(|(labels, _)| labels));
        Ok(())
    }

    pub(super) async fn finish(&self, within: Duration) {
        self.publisher.finish(within).await;
    }
}

/// Agents name their node, and local runs their command.
fn is_ours(verdict: &Verdict) -> bool {
    verdict
        .workload
        .as_ref()
        .is_some_and(|workload| workload.node.is_empty() && workload.command.is_empty() && !workload.namespace.is_empty())
}
