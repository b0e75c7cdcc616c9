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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Who judges clients' certificates; `None`: they need none.
    clients: Option<Arc<dyn ClientCertVerifier>>,
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
        Ok(Self { directory: None, current: Mutex::new(Current { config, stamp: [None; 3], clients: None }) })
    }

    /// Clients must show a certificate, by the files as they are now.
    pub fn demands_certificate(&self) -> bool {
        self.current().clients.is_some()
    }

    /// For the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current().config)
    }

    /// Who judges clients' certificates by `ca.crt` as it is now.
    pub(super) fn clients(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        self.current().clients.clone()
    }

    fn current(&self) -> MutexGuard<'_, Current> {
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
        current
    }
}

fn refresh(directory: &Directory, current: &mut Current) {
    match read(directory) {
        Ok(read) if current.clients.is_some() && read.clients.is_none() => tracing::warn!(
            "{} is gone, and clients must show a certificate all the same: the certificates read before stay in use; put it back, or \
             start again without it",
            directory.authority_path().display()
        ),
        Ok(read) => {
            tracing::info!(
                "the certificates of {} changed; new connections use them, and new streams of old connections are judged by ca.crt",
                directory.path().display()
            );
            *current = Current { stamp: current.stamp, ..read };
        }
        Err(error) => tracing::warn!("the changed certificates cannot be used, those read before stay in use: {error}"),
    }
}

fn read(directory: &Directory) -> Result<Current, TlsError> {
    let stamp = directory.stamp();
    let whence = directory.authority_path().display().to_string();
    let trust = directory.authorities()?.map(|pem| Trust::from_pem(&pem, &whence)).transpose()?;
    let clients = trust.as_ref().map(|trust| verifier(trust, &whence)).transpose()?;
    let config = configure(&directory.identity()?, clients.clone())?;
    Ok(Current { config, stamp, clients })
}

fn configure(identity: &Identity, clients: Option<Arc<dyn ClientCertVerifier>>) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Unusable { whence: "the server".to_owned(), reason: error.to_string() })?
        .with_client_cert_verifier(clients.unwrap_or_else(WebPkiClientVerifier::no_client_auth));
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.0))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn verifier(trust: &Trust, whence: &str) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let built = WebPkiClientVerifier::builder_with_provider(Arc::clone(&trust.0), provider()).build();
    built
        .map(|verifier| -> Arc<dyn ClientCertVerifier> { verifier })
        .map_err(|error| TlsError::BadAuthority { whence: whence.to_owned(), reason: error.to_string() })
}
