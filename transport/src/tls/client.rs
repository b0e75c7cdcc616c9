//! Whom a client trusts, and the certificate that it shows.

use super::{
    ALPN, TlsError,
    pem::{Identity, certificates},
    provider,
};
use rustls::{ClientConfig, RootCertStore, sign::SingleCertAndKey};
use std::sync::Arc;

/// Authorities whose signature is accepted, and no others.
#[derive(Clone, Debug)]
pub struct Trust(pub(super) Arc<RootCertStore>);

impl Trust {
    /// From PEM text, one certificate or many; `whence` is for errors.
    pub fn from_pem(pem: &str, whence: &str) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in certificates(pem.as_bytes(), whence)? {
            store.add(certificate).map_err(|error| TlsError::BadAuthority { whence: whence.to_owned(), reason: error.to_string() })?;
        }
        Ok(Self(Arc::new(store)))
    }
}

/// What a client needs for a connection. The identity is shown to a server that asks for one.
pub fn client_config(trust: &Trust, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, TlsError> {
    let unusable = |error: rustls::Error| TlsError::Unusable { whence: "the client".to_owned(), reason: error.to_string() };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(Arc::clone(&trust.0));
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.0)))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}
