//! Who may open a stream, and for how long it may last before the agent must show again who it is.
//!
//! ```text
//!   certificate: signed by ca.crt as it is now, valid now, of the agents' name? ─┐
//!   token: accepted by the API server, of a known service account? ──────────────┴─► admitted until the earliest of
//!                                               its end, the certificate's end, and between half and the whole of the age
//! ```
//!
//! Rights are taken away without a word to us: a pod is deleted, a certificate expires. And what nobody was asked for may be
//! demanded later: a `ca.crt` appears. So no stream on an encrypted port, and none of an agent that was asked who it is, lasts for
//! ever. The random part keeps agents that came together (a collector was restarted) from coming back together. In the clear an
//! agent that nobody asked has nothing to show again, and its stream stays.

use super::identity::{Agents, Identity};
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Status, metadata::MetadataMap};
use unready_transport::{
    incoming::{Peer, Showed},
    tls::{ClientCertificate, ClientName},
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
    /// How long a stream lasts at most on an encrypted port, or when its agent was asked who it is.
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
    /// When its stream ends; `None`: nobody was asked who it is, nor can be.
    pub(super) until: Option<Instant>,
}

impl Admission {
    /// Who sent this.
    pub(super) async fn judge(&self, metadata: &MetadataMap, peer: Option<&Peer>, encrypted: bool) -> Result<Admitted, Status> {
        let longest = self.age.mul_f64(0.5 + fastrand::f64() / 2.0);
        let certificate = self.judge_peer(peer.map(|peer| &peer.showed), encrypted, longest)?;
        let identity = self.agents.identify(metadata, encrypted).await?;
        let ends = [(encrypted || identity.is_known()).then_some(longest), identity.good_for(), certificate];
        let until = ends.into_iter().flatten().min().map(|least| Instant::now() + least);
        Ok(Admitted { identity, until })
    }

    /// For how long the certificate is good, at most `longest`; `None`: none is demanded.
    fn judge_peer(&self, showed: Option<&Showed>, encrypted: bool, longest: Duration) -> Result<Option<Duration>, Status> {
        match (showed, &self.name) {
            (Some(Showed::Certificate(shown)), _) => self.judge_certificate(shown, longest).map(Some),
            (_, Some(name)) => Err(Status::unauthenticated(format!("agents show a certificate for {name} here; give one by --tls"))),
            // The connection was made before there was a ca.crt.
            (Some(Showed::Nothing(server)), None) if server.demands_certificate() => {
                Err(Status::unauthenticated("agents show a certificate here since the collector has a ca.crt; give one by --tls"))
            }
            (Some(Showed::Nothing(_)), None) => Ok(None),
            (Some(Showed::InTheClear) | None, None) if !encrypted => Ok(None),
            (Some(Showed::InTheClear) | None, None) => Err(Status::unauthenticated(
                "it is not known who is at the other end of the connection; report that as a bug of the collector",
            )),
        }
    }

    fn judge_certificate(&self, shown: &ClientCertificate, longest: Duration) -> Result<Duration, Status> {
        if let Some(name) = &self.name {
            shown.check_name(name).map_err(|blame| {
                Status::permission_denied(format!(
                    "the agent {}; have tls.crt of its --tls made for the name that the collector's --agent-name wants",
                    blame.what
                ))
            })?;
        }
        shown.good_for(longest).map_err(|blame| Status::unauthenticated(format!("the agent {}", blame.what)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn on_an_encrypted_port_nobody_is_taken_unseen() {
        let (admission, metadata) = (Admission::default(), MetadataMap::new());
        let clear = Peer { address: None, showed: Showed::InTheClear };
        for peer in [None, Some(&clear)] {
            assert!(admission.judge(&metadata, peer, true).await.is_err_and(|status| status.code() == tonic::Code::Unauthenticated));
            assert!(admission.judge(&metadata, peer, false).await.is_ok_and(|admitted| admitted.until.is_none()));
        }
    }
}
