//! A certificate made at the start, and its authority published for agents.
//!
//! ```text
//!   start ─► authority (its key is forgotten at once) ─► certificate for --tls-name
//!                 └─► ConfigMap: our key ── checked again now and then; keys of pods that are gone are removed
//!   end   ─► our key is removed
//! ```
//!
//! Nothing of it is on a disk. The certificate is good for as long as the process lives and its authority is published, so it
//! bears no dates that a wrong clock could hold against it. A restarted collector has another; agents find its authority in the
//! `ConfigMap` as soon as they meet a certificate that they do not know.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;
use std::{future::Future, time::Duration};
use unready_kubernetes::{
    k8s_openapi::api::core::v1::{ConfigMap, Pod},
    kube::{
        Api, Client, Error,
        api::{ListParams, Patch, PatchParams, PostParams},
    },
    trouble,
};
use unready_transport::tls::{Identity, TlsError};

/// Between two looks at the `ConfigMap`: somebody may have put another in its place.
const LOOK: Duration = Duration::from_secs(30);
/// Shortest and longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// For one request.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was made.
#[derive(Debug)]
pub struct SelfSigned {
    /// Certificate and key.
    pub identity: Identity,
    /// Who signed it, in PEM form.
    pub authority: String,
}

/// Why none could be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A name that cannot be in a certificate.
    #[error("no certificate can be made for {names}: {source}; correct --tls-name")]
    Names {
        /// The names.
        names: String,
        /// Why.
        source: rcgen::Error,
    },
    /// Ours cannot be read back.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Makes an authority and a certificate for these names, DNS names or addresses. `owner` tells authorities apart.
pub fn self_signed(names: &[String], owner: &str) -> Result<SelfSigned, MakeError> {
    let wrong = |source| MakeError::Names { names: names.join(", "), source };
    let authority = authority(owner).map_err(wrong)?;
    let key = KeyPair::generate().map_err(wrong)?;
    let mut parameters = CertificateParams::new(names.to_vec()).map_err(wrong)?;
    parameters.distinguished_name = named("unready-collector");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    let certificate = parameters.signed_by(&key, &authority).map_err(wrong)?;
    let identity = Identity::from_pem(&certificate.pem(), &key.serialize_pem(), "the self-signed certificate")?;
    Ok(SelfSigned { identity, authority: authority.pem() })
}

/// Its name is its own: two authorities of the same name and different keys would be tried one for the other.
fn authority(owner: &str) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters.distinguished_name = named(&format!("unready-collector authority of {owner}"));
    CertifiedIssuer::self_signed(parameters, key)
}

fn named(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
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

impl std::fmt::Debug for Publication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
    answer.map_err(|error| trouble::clause(&error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_get_a_certificate() {
        let made = self_signed(&["unready-collector.unready.svc".into(), "10.0.0.1".into()], "pod-1").unwrap();
        assert!(made.authority.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(made.authority.matches("BEGIN").count(), 1, "no key leaves the process");
        let error = self_signed(&["ü".into()], "pod-1").unwrap_err().to_string();
        assert!(error.contains("correct --tls-name"), "{error}");
    }
}
