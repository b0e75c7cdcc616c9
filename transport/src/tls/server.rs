//! The server's certificate, and whom it asks for theirs.

use super::{
    ALPN, TlsError,
    client::Trust,
    pem::{Directory, Identity, Stamp},
    provider,
};
use rustls::{
    ServerConfig,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
};
use std::sync::{Arc, Mutex, PoisonError};

/// What a server presents and demands, always as its files are now.
#[derive(Debug)]
pub struct ServerTls {
    directory: Option<Directory>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    stamp: Stamp,
    demands_certificate: bool,
}

impl ServerTls {
    /// From a directory; clients must show a certificate when it has a `ca.crt`. The error is that of a first start: later
    /// ones are logged, and what was read before goes on. So does it when `ca.crt` is gone: who has demanded certificates does
    /// not stop to because a file is missing.
    pub fn from_directory(directory: Directory) -> Result<Self, TlsError> {
        let current = read(&directory)?;
        Ok(Self { directory: Some(directory), current: Mutex::new(current) })
    }

    /// This certificate and no other; clients need none.
    pub fn fixed(identity: &Identity) -> Result<Self, TlsError> {
        let config = configure(identity, None)?;
        Ok(Self { directory: None, current: Mutex::new(Current { config, stamp: [None; 3], demands_certificate: false }) })
    }

    /// Clients must show a certificate.
    pub fn demands_certificate(&self) -> bool {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).demands_certificate
    }

    /// For the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = &self.directory {
            let stamp = directory.stamp();
            if stamp != current.stamp {
                // Also when it fails: the same files need not be read, and complained of, again. The stamp was taken before
                // they were read, so a swap in between is a change that the next connection sees.
                current.stamp = stamp;
                refresh(directory, &mut current);
            }
        }
        Arc::clone(&current.config)
    }
}

fn refresh(directory: &Directory, current: &mut Current) {
    match read(directory) {
        Ok(read) if current.demands_certificate && !read.demands_certificate => tracing::warn!(
            "{} is gone, and clients must show a certificate all the same: the certificates read before stay in use; put it back, or \
             start again without it",
            directory.authority_path().display()
        ),
        Ok(read) => {
            tracing::info!("the certificates of {} changed; new connections use them", directory.path().display());
            *current = Current { stamp: current.stamp, ..read };
        }
        Err(error) => tracing::warn!("the changed certificates cannot be used, those read before stay in use: {error}"),
    }
}

fn read(directory: &Directory) -> Result<Current, TlsError> {
    let stamp = directory.stamp();
    let whence = directory.authority_path().display().to_string();
    let trust = directory.authorities()?.map(|pem| Trust::from_pem(&pem, &whence)).transpose()?;
    let config = configure(&directory.identity()?, trust.as_ref())?;
    Ok(Current { config, stamp, demands_certificate: trust.is_some() })
}

fn configure(identity: &Identity, clients: Option<&Trust>) -> Result<Arc<ServerConfig>, TlsError> {
    let unusable = |error: String| TlsError::Unusable { whence: "the server".to_owned(), reason: error };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .with_client_cert_verifier(verifier(clients).map_err(unusable)?);
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.0))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn verifier(clients: Option<&Trust>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let Some(trust) = clients else { return Ok(WebPkiClientVerifier::no_client_auth()) };
    WebPkiClientVerifier::builder_with_provider(Arc::clone(&trust.0), provider()).build().map_err(|error| error.to_string())
}
