//! What an agent said and no agent takes back: it was replaced, or its node is gone, while the pod got ready or went away.
//!
//! Now and then the open verdicts of pods on nodes are compared with the API server, some pods at a time. A living agent
//! resolves its own verdicts long before that.

use super::ledger::Ledger;
use crate::store::{Store, StoreError};
use std::{collections::BTreeMap, ops::Bound, time::Duration};
use tokio::time::{Instant, sleep_until, timeout};
use unready_kubernetes::{Client, pods};
use unready_proto::{time::nanos, v1::Verdict};

/// How often.
const EVERY: Duration = Duration::from_secs(30);
/// Pods that are asked about at a time.
const PODS: usize = 50;
/// A verdict that was last seen within this time, or whose pod is ready for less, is its agent's business.
const LATELY: Duration = Duration::from_mins(1);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Namespace, name and uid of a pod.
type Key = (String, String, String);

pub(super) struct Forgotten {
    client: Client,
    next: Instant,
    /// The pods up to this one were looked at.
    after: Option<Key>,
}

impl Forgotten {
    pub(super) fn new(client: Client) -> Self {
        Self { client, next: Instant::now() + EVERY, after: None }
    }

    pub(super) async fn due(&self) {
        sleep_until(self.next).await;
    }

    /// Takes back what is over; `now` is wall-clock nanoseconds.
    pub(super) async fn tell<S: Store>(&mut self, ledger: &mut Ledger<S>, now: u64) -> Result<(), StoreError> {
        self.next = Instant::now() + EVERY;
        let mut over = Vec::new();
        for (key, verdicts) in self.some_of(&by_pod(ledger.open_of_nodes().await, now)) {
            match self.is_over(&key, now).await {
                Some(true) => over.extend(verdicts),
                Some(false) => {}
                None => break, // the API server is away, or forbids it: that changes nothing of what was said
            }
            self.after = Some(key);
        }
        if !over.is_empty() {
            tracing::info!("{} verdicts of agents that did not take them back are over", over.len());
        }
        ledger.take_back(over, now).await
    }

    /// The pods whose turn it is.
    fn some_of(&mut self, all: &BTreeMap<Key, Vec<Verdict>>) -> Vec<(Key, Vec<Verdict>)> {
        let from = self.after.take().map_or(Bound::Unbounded, Bound::Excluded);
        all.range((from, Bound::Unbounded)).take(PODS).map(|(key, verdicts)| (key.clone(), verdicts.clone())).collect()
    }

    async fn is_over(&self, (namespace, name, uid): &Key, now: u64) -> Option<bool> {
        let found = timeout(PATIENCE, pods::get(&self.client, namespace, name)).await.ok()?.ok()?;
        let Some(pod) = found else { return Some(true) };
        let ready_since = pod.condition("Ready").map_or(now, |ready| ready.since);
        let is_well = pod.has_succeeded() || (pod.is_ready() && is_old(ready_since, now));
        Some((*uid != pod.uid && *uid != pod.api_uid) || is_well)
    }
}

fn is_old(at: u64, now: u64) -> bool {
    u128::from(now.saturating_sub(at)) > LATELY.as_nanos()
}

/// Verdicts that nobody has said lately, by their pods.
fn by_pod(verdicts: Vec<Verdict>, now: u64) -> BTreeMap<Key, Vec<Verdict>> {
    let mut all: BTreeMap<Key, Vec<Verdict>> = BTreeMap::new();
    for verdict in verdicts {
        let Some(workload) = verdict.workload.as_ref().filter(|workload| !workload.pod.is_empty() && !workload.pod_uid.is_empty()) else {
            continue;
        };
        if verdict.last_seen.as_ref().is_none_or(|last| is_old(nanos(last), now)) {
            let key = (workload.namespace.clone(), workload.pod.clone(), workload.pod_uid.clone());
            all.entry(key).or_default().push(verdict);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use unready_proto::{time::timestamp, v1::Workload};

    const MINUTE: u64 = 60_000_000_000;

    fn verdict(pod: &str, last: u64) -> Verdict {
        let workload = Workload { namespace: "shop".into(), pod: pod.into(), pod_uid: format!("uid-{pod}"), ..Workload::default() };
        Verdict { id: format!("{pod}{last}"), workload: Some(workload), last_seen: Some(timestamp(last)), ..Verdict::default() }
    }

    #[test]
    fn what_was_said_lately_is_its_agents_business() {
        let now = 100 * MINUTE;
        let all = by_pod(vec![verdict("a", MINUTE), verdict("a", 2 * MINUTE), verdict("b", now - MINUTE / 2), Verdict::default()], now);
        assert_eq!(all.iter().map(|(key, verdicts)| (key.1.as_str(), verdicts.len())).collect::<Vec<_>>(), [("a", 2)]);
    }
}
