//! The pods that were asked for, page by page; of each only what the rules need is kept.

use super::{Cluster, Trouble, target::Selection};
use futures_util::{StreamExt as _, stream};
use std::collections::HashSet;
use unready_diagnosis::pod::Pod;
use unready_kubernetes::{
    convert,
    k8s_openapi::api::core::v1 as api,
    kube::api::ListParams,
    owner::{Chain, Owners},
};

/// As kubectl's `--chunk-size`.
const PAGE: u32 = 500;
/// Owners that are asked for at the same time.
const AT_ONCE: usize = 16;

/// A pod, and who made it.
#[derive(Clone, Debug)]
struct Listed {
    pod: Pod,
    chain: Option<Chain>,
}

impl Listed {
    fn of(object: &api::Pod) -> Self {
        Self { pod: convert::pod(object), chain: Chain::of(&object.metadata) }
    }
}

/// All pods of a selection, each once, by namespace and name. Of those that are not ready the owner is looked up: a patch
/// changes it, and what else must be done depends on how it replaces its pods.
pub(crate) async fn list(cluster: &Cluster, selection: &Selection) -> Result<Vec<Pod>, Trouble> {
    let (mut listed, mut known) = (Vec::new(), HashSet::new());
    for query in &selection.queries {
        let mut params = ListParams { label_selector: query.labels.clone(), field_selector: query.fields.clone(), ..ListParams::default() };
        params.limit = Some(PAGE);
        loop {
            let page = cluster.ask(cluster.scoped::<api::Pod>().list(&params)).await?;
            listed.extend(page.items.iter().map(Listed::of).filter(|one| known.insert(one.pod.api_uid.clone())));
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                break;
            }
        }
    }
    let owners = Owners::new(cluster.client.clone());
    let mut pods: Vec<Pod> = stream::iter(listed).map(|one| owned(&owners, one)).buffer_unordered(AT_ONCE).collect().await;
    pods.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    Ok(pods)
}

async fn owned(owners: &Owners, Listed { mut pod, chain }: Listed) -> Pod {
    if let Some(chain) = chain.filter(|_| !pod.is_well()) {
        pod.owner = Some(owners.resolve(&chain).await);
    }
    pod
}

/// One pod of a watch, with its owner.
pub(crate) async fn one(owners: &Owners, object: &api::Pod) -> Pod {
    owned(owners, Listed::of(object)).await
}
