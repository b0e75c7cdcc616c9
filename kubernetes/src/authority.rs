//! Whom agents trust as the collector: the authorities of all its replicas, in a `ConfigMap`.
//!
//! ```text
//!   start ─► our key, the authority under it ── checked again now and then; keys of pods that are gone are removed
//!   end   ─► our key is removed
//! ```
//!
//! Refused: to touch the keys of pods that are there.

use crate::request_error;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client, Error,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use std::{fmt, future::Future, time::Duration};

/// Between two looks at the `ConfigMap`: somebody may have put another in its place.
const LOOK: Duration = Duration::from_secs(30);
/// Shortest and longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// For one request.
const PATIENCE: Duration = Duration::from_secs(5);

/// All authorities that are published, in PEM form; `None`: there are none.
pub async fn published(client: &Client, namespace: &str, name: &str) -> Result<Option<String>, String> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let values = within(api.get_opt(name)).await?.and_then(|map| map.data).unwrap_or_default();
    Ok((!values.is_empty()).then(|| values.into_values().collect::<Vec<_>>().join("\n")))
}

/// The `ConfigMap` in which the authorities of all replicas are.
#[derive(Clone)]
pub struct Publication {
    client: Client,
    namespace: String,
    name: String,
    key: String,
    authority: String,
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Publication {
    /// `authority` under `key`, the name of our pod.
    pub fn new(client: Client, namespace: &str, name: &str, key: &str, authority: String) -> Self {
        Self { client, namespace: namespace.to_owned(), name: name.to_owned(), key: key.to_owned(), authority }
    }

    /// Publishes, and sees to it that it stays so, until `shutdown` completes; then takes it back.
    pub async fn keep(&self, shutdown: impl Future<Output = ()>) {
        let mut wait = RETRY.0;
        let mut trouble = String::new();
        tokio::pin!(shutdown);
        loop {
            let next = match self.renew().await {
                Ok(()) => {
                    if wait > RETRY.0 || trouble.is_empty() {
                        tracing::debug!("the authority of our certificate is in ConfigMap {}/{}", self.namespace, self.name);
                    }
                    (wait, trouble) = (RETRY.0, "none".to_owned());
                    LOOK
                }
                Err(reason) => {
                    if reason != trouble {
                        tracing::warn!(
                            "agents cannot learn whom to trust, ConfigMap {}/{} cannot be written: {reason}",
                            self.namespace,
                            self.name
                        );
                        trouble = reason;
                    }
                    let now = wait;
                    wait = (wait * 2).min(RETRY.1);
                    now
                }
            };
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                () = &mut shutdown => break,
            }
        }
        if let Err(reason) = within(self.write(&[(self.key.clone(), None)])).await {
            tracing::debug!("our authority stays in the ConfigMap until another collector removes it: {reason}");
        }
    }

    /// Once, so that agents that come with the first connection find it.
    pub async fn renew(&self) -> Result<(), String> {
        let api = self.api();
        let present = within(api.get_opt(&self.name)).await?;
        let Some(present) = present else { return self.create().await };
        let data = present.data.unwrap_or_default();
        let mut changes: Vec<(String, Option<&str>)> = Vec::new();
        if data.get(&self.key) != Some(&self.authority) {
            changes.push((self.key.clone(), Some(&self.authority)));
        }
        for key in data.keys().filter(|key| **key != self.key) {
            if self.is_gone(key).await {
                changes.push((key.clone(), None));
            }
        }
        if changes.is_empty() { Ok(()) } else { within(self.write(&changes)).await }
    }

    /// A merge patch touches the keys that it names and no others: replicas do not undo each other.
    async fn write(&self, changes: &[(String, Option<&str>)]) -> Result<(), Error> {
        let data: serde_json::Map<_, _> = changes.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        self.api().patch(&self.name, &PatchParams::default(), &Patch::Merge(json!({ "data": data }))).await.map(drop)
    }

    async fn create(&self) -> Result<(), String> {
        let mut map = ConfigMap { data: Some([(self.key.clone(), self.authority.clone())].into()), ..ConfigMap::default() };
        map.metadata.name = Some(self.name.clone());
        within(self.api().create(&PostParams::default(), &map)).await.map(drop)
    }

    /// The pod of that name is known not to be there. When nobody says so, its key stays.
    async fn is_gone(&self, pod: &str) -> bool {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let one = ListParams::default().fields(&format!("metadata.name={pod}")).limit(1);
        within(pods.list_metadata(&one)).await.is_ok_and(|list| list.items.is_empty())
    }

    fn api(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

async fn within<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    let answer = tokio::time::timeout(PATIENCE, request).await.map_err(|_| "the API server does not answer".to_owned())?;
    answer.map_err(|error| request_error::clause(&error))
}
