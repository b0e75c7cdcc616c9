//! Pods by name or selector: listed page by page, or followed; of each only what the rules need is kept.
//!
//! The pods of one node, with their whole history of changes, are [`crate::watch`]'s.

use crate::{
    convert,
    owner::{Chain, Owners},
    pauses::Pauses,
    request_error,
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use k8s_openapi::api::core::v1 as api;
use kube::{
    Api, Client,
    api::ListParams,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use std::collections::HashSet;
use unready_diagnosis::pod::Pod;

/// As kubectl's `--chunk-size`.
const PAGE: u32 = 500;

/// One question for pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// A label selector.
    pub labels: Option<String>,
    /// A field selector.
    pub fields: Option<String>,
}

/// A pod, and what leads to who made it.
#[derive(Clone, Debug)]
pub struct Listed {
    pod: Pod,
    chain: Option<Chain>,
}

impl Listed {
    fn of(object: &api::Pod) -> Self {
        Self { pod: convert::pod(object), chain: Chain::of(&object.metadata) }
    }

    /// The uid that the API server gave.
    pub fn api_uid(&self) -> &str {
        &self.pod.api_uid
    }

    /// The pod; of one that is not ready the owner is looked up: a patch changes it, and what else must be done depends on how
    /// it replaces its pods.
    pub async fn owned(self, owners: &Owners) -> Pod {
        let Self { mut pod, chain } = self;
        if let Some(chain) = chain.filter(|_| !pod.is_well()) {
            pod.owner = Some(owners.resolve(&chain).await);
        }
        pod
    }
}

/// One pod; `None`: it is not there.
pub async fn get(client: &Client, namespace: &str, name: &str) -> kube::Result<Option<Pod>> {
    let api: Api<api::Pod> = Api::namespaced(client.clone(), namespace);
    Ok(api.get_opt(name).await?.map(|pod| convert::pod(&pod)))
}

/// A part of the pods of a namespace, or of all; and where the next part begins.
pub async fn page(
    client: &Client,
    namespace: Option<&str>,
    query: &Query,
    after: Option<String>,
) -> kube::Result<(Vec<Listed>, Option<String>)> {
    let Query { labels, fields } = query.clone();
    let params = ListParams { label_selector: labels, field_selector: fields, continue_token: after, ..ListParams::default().limit(PAGE) };
    let list = crate::scoped::<api::Pod>(client, namespace).list(&params).await?;
    let next = list.metadata.continue_.filter(|token| !token.is_empty());
    Ok((list.items.iter().map(Listed::of).collect(), next))
}

/// What following brings.
#[derive(Clone, Debug)]
pub enum Change {
    /// A pod, new or changed.
    Pod(Box<Pod>),
    /// A pod that is gone.
    Gone(Box<Pod>),
    /// The uids of all pods that there are, at first and after an interruption. Each of them has been told before.
    Listed(HashSet<String>),
    /// The server is away, or refuses, for this reason; it is tried again.
    Failed(String),
}

/// Follows pods for as long as anybody listens.
pub fn follow(client: &Client, namespace: Option<&str>, query: Query) -> BoxStream<'static, Change> {
    let config = watcher::Config { label_selector: query.labels, field_selector: query.fields, ..watcher::Config::default() };
    let events = watcher(crate::scoped::<api::Pod>(client, namespace), config).backoff(Pauses::default()).boxed();
    let state = Following { events, owners: Owners::new(client.clone()), listed: HashSet::new() };
    stream::unfold(state, async |mut state| Some((state.next().await?, state))).boxed()
}

struct Following {
    events: BoxStream<'static, Result<Event<api::Pod>, watcher::Error>>,
    owners: Owners,
    listed: HashSet<String>,
}

impl Following {
    async fn next(&mut self) -> Option<Change> {
        loop {
            return Some(match self.events.next().await? {
                Ok(Event::Init) => {
                    self.listed.clear();
                    continue;
                }
                Ok(Event::InitApply(pod)) => {
                    let pod = owned(&self.owners, &pod).await;
                    self.listed.insert(pod.api_uid.clone());
                    Change::Pod(pod)
                }
                Ok(Event::InitDone) => Change::Listed(std::mem::take(&mut self.listed)),
                Ok(Event::Apply(pod)) => Change::Pod(owned(&self.owners, &pod).await),
                Ok(Event::Delete(pod)) => Change::Gone(Box::new(convert::pod(&pod))),
                Err(error) => Change::Failed(request_error::of_watch(&error)),
            });
        }
    }
}

async fn owned(owners: &Owners, object: &api::Pod) -> Box<Pod> {
    Box::new(Listed::of(object).owned(owners).await)
}
