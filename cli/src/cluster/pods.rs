//! The pods that were asked for, page by page.

use super::{Cluster, Trouble, target::Selection};
use futures_util::{StreamExt as _, stream};
use std::collections::HashSet;
use unready_diagnosis::pod::Pod;
use unready_kubernetes::{owner::Owners, pods};

/// Owners that are asked for at the same time.
const AT_ONCE: usize = 16;

/// All pods of a selection, each once, by namespace and name; those that are not ready with their owner.
pub(crate) async fn list(cluster: &Cluster, selection: &Selection) -> Result<Vec<Pod>, Trouble> {
    let (mut listed, mut known) = (Vec::new(), HashSet::new());
    for query in &selection.queries {
        let mut after = None;
        loop {
            let (page, next) = cluster.ask(pods::page(&cluster.client, cluster.namespace(), query, after)).await?;
            listed.extend(page.into_iter().filter(|one| known.insert(one.api_uid().to_owned())));
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    let owners = Owners::new(cluster.client.clone());
    let mut pods: Vec<Pod> = stream::iter(listed).map(|one| one.owned(&owners)).buffer_unordered(AT_ONCE).collect().await;
    pods.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    Ok(pods)
}
