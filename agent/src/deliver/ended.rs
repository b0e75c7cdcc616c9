//! Why a connection to the collector ended, and what comes then.

use super::{config::Config, peer, tls::Credentials};
use std::time::Duration;
use unready_transport::{
    outgoing::{ConnectError, Trouble},
    tls::Kind,
};

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) reason: String,
    pub(super) next: Next,
}

/// What comes then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another attempt after a while.
    Wait,
    /// Another attempt at once: what was wrong is known to be out of date here.
    AtOnce,
    /// Another stream at once: nothing was wrong.
    Renew,
}

impl From<String> for Ended {
    fn from(reason: String) -> Self {
        Self { reason, next: Next::Wait }
    }
}

impl Ended {
    /// There was no connection.
    pub(super) fn unconnected(config: &Config, credentials: &Credentials, error: &ConnectError) -> Self {
        let reason = peer::explain_connect(&config.url, error, &config.security.authority());
        let is_untrusted = matches!(error, ConnectError::Tls(blame) if blame.kind == Kind::Untrusted);
        if is_untrusted {
            config.security.distrust();
        }
        Self { reason, next: if is_untrusted && !credentials.is_fresh { Next::AtOnce } else { Next::Wait } }
    }

    /// It failed: what TLS said explains it best.
    pub(super) async fn lost(config: &Config, trouble: &Trouble, status: &tonic::Status) -> Self {
        match trouble.take() {
            Some(blame) => peer::explain_tls(&config.url, &blame, &config.security.authority()).into(),
            None => peer::explain_status(&config.url, status).await.into(),
        }
    }

    /// The collector ended it without an error, so that we show again who we are. One that does so as soon as a stream is open is
    /// not asked again and again.
    pub(super) fn by_collector(config: &Config, lasted: Duration) -> Self {
        let next = if lasted > config.retry.1 { Next::Renew } else { Next::Wait };
        Self { reason: format!("the collector at {} ended the stream", config.url), next }
    }
}
