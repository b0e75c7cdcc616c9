//! Who may open a stream, and for how long it may last before the agent must show again who it is.
//!
//! ```text
//!   certificate: signed by ca.crt as it is now, valid now, of the agents' name? ─┐
//!   token: accepted by the API server, of a known service account? ──────────────┴─► admitted until the earliest of
//!                                               its end, the certificate's end, and between half and the whole of the age
//! ```
//!
//! Rights are taken away without a word to us: a pod is deleted, a certificate expires. So no stream of an agent that was asked
//! who it is lasts for ever. The random part keeps agents that came together (a collector was restarted) from coming back
//! together. An agent that nobody asked has nothing to show again, and its stream stays.

use super::identity::{Agents, Identity};
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Status, metadata::MetadataMap};
use unready_transport::{
    incoming::Peer,
    tls::{ClientName, Shown},
};

/// The default of [`Admission::age`].
pub const AGE: Duration = Duration::from_mins(30);

/// Who may deliver.
#[derive(Clone, Debug)]
pub struct Admission {
    /// By token.
    pub agents: Agents,
    /// Name that an agent's certificate must carry; `None`: whatever `ca.crt` signed is an agent's.
    pub name: Option<ClientName>,
    /// How long a stream lasts at most when its agent was asked who it is.
    pub age: Duration,
}

impl Default for Admission {
    fn default() -> Self {
        Self { agents: Agents::Anyone, name: None, age: AGE }
    }
}

impl From<Agents> for Admission {
    fn from(agents: Agents) -> Self {
        Self { agents, ..Self::default() }
    }
}

/// An agent that may deliver.
pub(super) struct Admitted {
    pub(super) identity: Identity,
    /// When its stream ends; `None`: nobody was asked who it is.
    pub(super) until: Option<Instant>,
}

impl Admission {
    /// Who sent this.
    pub(super) async fn judge(&self, metadata: &MetadataMap, peer: Option<&Peer>, encrypted: bool) -> Result<Admitted, Status> {
        let longest = self.age.mul_f64(0.5 + fastrand::f64() / 2.0);
        let certificate = self.judge_certificate(peer.and_then(|peer| peer.certificate.as_ref()), longest)?;
        let identity = self.agents.identify(metadata, encrypted).await?;
        let ends = [identity.is_known().then_some(longest), identity.good_for(), certificate];
        let until = ends.into_iter().flatten().min().map(|least| Instant::now() + least);
        Ok(Admitted { identity, until })
    }

    /// For how long the certificate is good, at most `longest`; `None`: none was asked for.
    fn judge_certificate(&self, shown: Option<&Shown>, longest: Duration) -> Result<Option<Duration>, Status> {
        let Some(shown) = shown else {
            return match &self.name {
                Some(name) => Err(Status::unauthenticated(format!("agents show a certificate for {name} here; give one by --tls"))),
                None => Ok(None),
            };
        };
        if let Some(name) = &self.name {
            shown.check_name(name).map_err(|blame| {
                Status::permission_denied(format!(
                    "the agent {}; have tls.crt of its --tls made for the name that the collector's --agent-name wants",
                    blame.what
                ))
            })?;
        }
        let good_for = shown.good_for(longest).map_err(|blame| Status::unauthenticated(format!("the agent {}", blame.what)))?;
        Ok(Some(good_for))
    }
}
