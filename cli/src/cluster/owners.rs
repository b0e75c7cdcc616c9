//! Owners that may make no pod, for clusters without a collector: looked at and judged as a collector does it.

use super::{Cluster, Trouble, target::Selection};
use crate::time::now;
use futures_util::{StreamExt as _, stream};
use unready_diagnosis::units::ClockAnchor;
use unready_kubernetes::{
    owner::Owners,
    shortfall::{self, Key, Look, feed},
};
use unready_proto::v1::Verdict;

/// Owners that are looked at; controllers in more trouble than that have one cause.
const MOST: usize = 200;
/// As many at the same time.
const AT_ONCE: usize = 8;

/// What is wrong with the owners that are of concern.
pub(crate) async fn explain_all(cluster: &Cluster, selection: &Selection) -> Vec<Verdict> {
    if !selection.everything && selection.owners.is_empty() {
        return Vec::new();
    }
    let keys = match cluster.ask(feed::heard(&cluster.client, cluster.namespace())).await {
        Ok(keys) => keys,
        Err(trouble) => {
            tracing::debug!("whether owners may make pods is not known: {trouble}");
            return Vec::new();
        }
    };
    if keys.len() > MOST {
        tracing::warn!("{} owners have failed to make something lately; {MOST} of them are looked at", keys.len());
    }
    let tops = Owners::new(cluster.client.clone());
    let looks = stream::iter(keys.into_iter().take(MOST)).map(|key| look(cluster, key, &tops)).buffered(AT_ONCE);
    let looks: Vec<Look> = looks.filter_map(async |look| look).collect().await;
    // The dates of what is said are wall times already: an anchor of zero leaves them as they are.
    let anchor = ClockAnchor::default();
    let of_concern = looks.iter().filter(|look| selection.includes_owner(&look.owner().to_string()));
    of_concern.flat_map(|look| look.verdicts(now(), anchor)).map(|verdict| unready_wire::verdict(&verdict, anchor, "")).collect()
}

/// One owner; `None`: it is gone, has what it wants, or cannot be looked at.
async fn look(cluster: &Cluster, key: Key, tops: &Owners) -> Option<Look> {
    let looked: Result<Option<Look>, Trouble> = cluster.ask(shortfall::look(&cluster.client, &key, tops)).await;
    looked.unwrap_or_else(|trouble| {
        tracing::debug!("{key} cannot be looked at: {trouble}");
        None
    })
}
