//! Certificates and keys in PEM form, from a directory laid out as a Kubernetes TLS Secret is.

use super::{TlsError, provider};
use rustls::{
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject as _},
    },
    sign::CertifiedKey,
};
use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A certificate chain and its private key, found to belong together.
#[derive(Clone, Debug)]
pub struct Identity(pub(super) Arc<CertifiedKey>);

impl Identity {
    /// From PEM text; `whence` is for errors.
    pub fn from_pem(chain: &str, key: &str, whence: &str) -> Result<Self, TlsError> {
        let chain = certificates(chain.as_bytes(), whence)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| malformed(&error, whence, "private key"))?;
        let pair = CertifiedKey::from_der(chain, key, &provider());
        pair.map(|pair| Self(Arc::new(pair))).map_err(|error| TlsError::Unusable { whence: whence.to_owned(), reason: error.to_string() })
    }
}

/// All certificates of a text; at least one.
pub(super) fn certificates(pem: &[u8], whence: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| malformed(&error, whence, "certificate"))?;
    if all.is_empty() {
        return Err(TlsError::Empty { whence: whence.to_owned(), what: "certificate" });
    }
    Ok(all)
}

fn malformed(error: &PemError, whence: &str, what: &'static str) -> TlsError {
    if matches!(error, PemError::NoItemsFound) {
        return TlsError::Empty { whence: whence.to_owned(), what };
    }
    TlsError::Malformed { whence: whence.to_owned(), reason: error.to_string() }
}

/// A directory with `tls.crt`, `tls.key` and `ca.crt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(PathBuf);

/// When the files were last changed: enough to know whether they must be read again.
pub(super) type Stamp = [Option<(u64, i64, i64, u64)>; 3];

impl Directory {
    /// The directory at `path`; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `tls.crt` and `tls.key`.
    pub fn identity(&self) -> Result<Identity, TlsError> {
        let (chain, key) = (self.0.join("tls.crt"), self.0.join("tls.key"));
        Identity::from_pem(&read(&chain)?, &read(&key)?, &self.0.display().to_string())
    }

    /// As [`Directory::identity`]; `None` when neither file is there.
    pub fn identity_if_any(&self) -> Result<Option<Identity>, TlsError> {
        let is_there = |name| self.0.join(name).exists();
        if is_there("tls.crt") || is_there("tls.key") { self.identity().map(Some) } else { Ok(None) }
    }

    /// The text of `ca.crt`; `None` when there is no such file. One that cannot be looked at may be there: that is an error.
    pub fn authorities(&self) -> Result<Option<String>, TlsError> {
        let path = self.authority_path();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TlsError::Unreadable { path, reason: reason(&error) }),
        }
    }

    /// Where `ca.crt` is.
    pub fn authority_path(&self) -> PathBuf {
        self.0.join("ca.crt")
    }

    pub(super) fn stamp(&self) -> Stamp {
        ["tls.crt", "tls.key", "ca.crt"].map(|name| {
            let about = fs::metadata(self.0.join(name)).ok()?;
            Some((about.ino(), about.mtime(), about.mtime_nsec(), about.size()))
        })
    }
}

fn read(path: &Path) -> Result<String, TlsError> {
    fs::read_to_string(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), reason: reason(&error) })
}

fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound { "it does not exist".to_owned() } else { error.to_string() }
}
