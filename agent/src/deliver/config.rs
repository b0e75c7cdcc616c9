//! What delivery to a collector is told.

use super::{outbox::Limits, tls::Security, url::CollectorUrl};
use std::time::Duration;

/// Where to deliver, and how patiently.
#[derive(Clone, Debug)]
pub struct Config {
    pub url: CollectorUrl,
    /// How the connection is secured.
    pub security: Security,
    /// Name of this node.
    pub node: String,
    /// How much is kept while it does not answer.
    pub limits: Limits,
    /// First and longest wait before connecting again; jitter may double it.
    pub retry: (Duration, Duration),
}

impl Config {
    /// The defaults for a collector, without TLS.
    pub fn new(url: CollectorUrl, node: impl Into<String>) -> Self {
        Self {
            url,
            security: Security::default(),
            node: node.into(),
            limits: Limits::default(),
            retry: (Duration::from_millis(100), Duration::from_secs(5)),
        }
    }
}
