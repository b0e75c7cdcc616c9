//! TLS for a service of the cluster: who we are, whom we trust, and what a failure means.
//!
//! ```text
//!   directory: tls.crt tls.key ca.crt ──► ServerTls ── looked at when a connection is made ──► its configuration
//!        (a Secret's volume; the kubelet swaps `..data`)     └─ unusable: the one before stays, and is complained of once
//! ```
//!
//! Nothing watches the files. A connection is the moment at which they matter, and comparing three dates then costs less
//! than a watch that can be lost; what is open stays as it is, and what a client showed can be judged again ([`ClientCertificate`]).

mod client;
mod client_certificate;
mod pem;
mod server;
mod words;

pub use client::{Trust, client_config};
pub use client_certificate::{ClientCertificate, ClientName};
pub use pem::{Directory, Identity};
pub use server::ServerTls;
pub use words::{Blame, Kind, blame};

use rustls::crypto::CryptoProvider;
use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
};

/// HTTP/2, the only protocol that is spoken here.
const ALPN: &[u8] = b"h2";

/// Why certificates cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("cannot read {path}: {reason}; a TLS directory holds tls.crt, tls.key and, for whom to trust, ca.crt")]
    Unreadable {
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A file without what should be in it.
    #[error("{whence} holds no {what} in PEM form; put one there (-----BEGIN …-----)")]
    Empty {
        /// File or other place.
        whence: String,
        /// "certificate", "private key".
        what: &'static str,
    },
    /// A file with something broken in it.
    #[error("{whence} is not well-formed PEM: {reason}")]
    Malformed {
        /// File or other place.
        whence: String,
        /// What the parser says.
        reason: String,
    },
    /// Key and certificate do not belong together, or are of a sort that is not supported.
    #[error(
        "certificate and key of {whence} cannot be used: {reason}; make a new pair (ECDSA P-256 or P-384, Ed25519 or RSA of 2048 bits and more)"
    )]
    Unusable {
        /// File or other place.
        whence: String,
        reason: String,
    },
    /// A certificate that cannot be an authority.
    #[error("{whence} holds a certificate that cannot be trusted as an authority: {reason}")]
    BadAuthority {
        /// File or other place.
        whence: String,
        reason: String,
    },
}

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}
