//! How the way to the collector is secured: whom we trust to be it, and how we show who we are.
//!
//! ```text
//!   each connection: authorities (remembered) + certificate (tls.crt, tls.key) + token ─► handshake ─► stream
//!                        ▲                                                                  │
//!                        └──────── read again, once at once ◄── signed by nobody we trust ──┘
//! ```
//!
//! Certificate and token are read for each connection, because the kubelet renews them. The authorities of a `ConfigMap` cost a
//! request to the API server, so they are read again only when the collector shows a certificate that they did not sign: it
//! has restarted and made another, or is an impostor, and then the second look says the same.
//!
//! Refused: a token or a certificate over a connection without TLS; a connection without TLS that leaves this machine, unless
//! it was asked for by name.

use super::url::CollectorUrl;
use clap::Args;
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};
use tonic::metadata::{Ascii, MetadataValue};
use unready_kubernetes::{Client, authority};
use unready_transport::{
    outgoing::ClientConfig,
    tls::{Directory, Trust, client_config},
};

/// The flags.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "The way to the collector")]
pub struct SecurityArgs {
    /// Who signed the collector's certificate: a file, or a `ConfigMap` that the collector publishes it in; read again when the collector has a new one
    #[arg(long, value_name = "FILE|configmap:NAMESPACE/NAME", requires = "collector")]
    pub collector_ca: Option<AuthoritySource>,
    /// File with a service account's token, by which the collector knows this agent (a projected volume, audience `unready-collector`)
    #[arg(long, value_name = "FILE", requires = "collector")]
    pub collector_token: Option<PathBuf>,
    /// Directory with tls.crt and tls.key (this agent's certificate) and ca.crt (who signed the collector's), as in a Secret of type kubernetes.io/tls
    #[arg(long, value_name = "DIRECTORY", requires = "collector")]
    pub tls: Option<PathBuf>,
    /// Send verdicts in the clear although they leave this machine
    #[arg(long, requires = "collector")]
    pub plaintext: bool,
}

/// Where the authorities are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthoritySource {
    /// A file.
    File(PathBuf),
    /// All values of a `ConfigMap`.
    ConfigMap {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl fmt::Display for AuthoritySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::ConfigMap { namespace, name } => write!(f, "ConfigMap {namespace}/{name}"),
        }
    }
}

impl FromStr for AuthoritySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(name) = text.strip_prefix("configmap:") else { return Ok(Self::File(text.into())) };
        match name.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self::ConfigMap { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("write configmap:NAMESPACE/NAME, or the path of a file".to_owned()),
        }
    }
}

/// Why these flags cannot be used together; each says what to write instead.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// In the clear, and not asked for.
    #[error(
        "{0} would carry verdicts in the clear: write https:// and name who signed the collector's certificate with --collector-ca or --tls, or add --plaintext when you trust the network between"
    )]
    InTheClear(CollectorUrl),
    /// A secret in the clear.
    #[error("{0} has no TLS, and {1} is of use with TLS only: write https://")]
    NoTls(CollectorUrl, &'static str),
    /// Nobody to trust.
    #[error(
        "nothing says who signed the certificate of the collector at {0}: name a file or ConfigMap with --collector-ca, or a directory with ca.crt with --tls"
    )]
    NoAuthority(CollectorUrl),
    /// A contradiction.
    #[error("{0} has TLS, and --plaintext asks for none: leave one of them out")]
    Contradiction(CollectorUrl),
    /// No cluster to ask.
    #[error(
        "--collector-ca names {0}, and there is no API server to read it from: give --kubeconfig (and not --kubernetes off), or name a file"
    )]
    NoCluster(AuthoritySource),
}

impl SecurityArgs {
    /// What the flags mean for this address. `client` is needed for a `ConfigMap` only.
    pub fn resolve(&self, url: &CollectorUrl, client: Option<Client>) -> Result<Security, SecurityError> {
        if !url.is_tls() {
            return self.resolve_plain(url);
        }
        if self.plaintext {
            return Err(SecurityError::Contradiction(url.clone()));
        }
        let directory = self.tls.clone().map(Directory::new);
        let in_directory = directory.as_ref().map(|directory| AuthoritySource::File(directory.authority_path()));
        let source = self.collector_ca.clone().or(in_directory).ok_or_else(|| SecurityError::NoAuthority(url.clone()))?;
        if matches!(source, AuthoritySource::ConfigMap { .. }) && client.is_none() {
            return Err(SecurityError::NoCluster(source));
        }
        let authorities = Authorities { source, client, remembered: Mutex::new(None) };
        Ok(Security(Some(Arc::new(Tls { authorities, directory, token: self.collector_token.clone() }))))
    }

    fn resolve_plain(&self, url: &CollectorUrl) -> Result<Security, SecurityError> {
        let flags = [
            ("--collector-ca", self.collector_ca.is_some()),
            ("--collector-token", self.collector_token.is_some()),
            ("--tls", self.tls.is_some()),
        ];
        match flags.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(SecurityError::NoTls(url.clone(), flag)),
            None if url.is_loopback() || self.plaintext => Ok(Security::default()),
            None => Err(SecurityError::InTheClear(url.clone())),
        }
    }
}

/// How connections are secured. Default: not at all.
#[derive(Clone, Debug, Default)]
pub struct Security(Option<Arc<Tls>>);

#[derive(Debug)]
struct Tls {
    authorities: Authorities,
    directory: Option<Directory>,
    token: Option<PathBuf>,
}

/// For one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    /// `None`: in the clear.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// `Bearer …`.
    pub(super) authorization: Option<MetadataValue<Ascii>>,
    /// The authorities were read for this connection.
    pub(super) is_fresh: bool,
}

impl Security {
    /// For the next connection; the error is a sentence.
    pub(super) async fn credentials(&self, url: &CollectorUrl) -> Result<Credentials, String> {
        let Some(tls) = &self.0 else {
            return if url.is_tls() { Err(SecurityError::NoAuthority(url.clone()).to_string()) } else { Ok(Credentials::default()) };
        };
        let (trust, is_fresh) = tls.authorities.get().await?;
        let identity = tls.directory.as_ref().map(Directory::identity_if_any).transpose().map_err(|error| error.to_string())?.flatten();
        let config = client_config(&trust, identity.as_ref()).map_err(|error| error.to_string())?;
        let authorization = tls.token.as_deref().map(bearer).transpose()?;
        Ok(Credentials { tls: Some(config), authorization, is_fresh })
    }

    /// The authorities did not sign what the collector shows: read them again next time.
    pub(super) fn distrust(&self) {
        if let Some(tls) = &self.0 {
            *tls.authorities.remembered.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Where the authorities come from, in words.
    pub(super) fn authority(&self) -> String {
        self.0.as_ref().map(|tls| tls.authorities.source.to_string()).unwrap_or_default()
    }
}

struct Authorities {
    source: AuthoritySource,
    client: Option<Client>,
    remembered: Mutex<Option<Trust>>,
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Authorities {
    async fn get(&self) -> Result<(Trust, bool), String> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(trust) = remembered {
            return Ok((trust, false));
        }
        let (pem, remember) = match (&self.source, &self.client) {
            // A file is as cheap to read as to remember.
            (AuthoritySource::File(path), _) => (read(path, "--collector-ca or --tls")?, false),
            (AuthoritySource::ConfigMap { namespace, name }, Some(client)) => (config_map(client, namespace, name).await?, true),
            (AuthoritySource::ConfigMap { .. }, None) => return Err(SecurityError::NoCluster(self.source.clone()).to_string()),
        };
        let trust = Trust::from_pem(&pem, &self.source.to_string()).map_err(|error| error.to_string())?;
        if remember {
            *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = Some(trust.clone());
        }
        Ok((trust, true))
    }
}

async fn config_map(client: &Client, namespace: &str, name: &str) -> Result<String, String> {
    let wrong = |what: String| format!("ConfigMap {namespace}/{name}, which says whom to trust as the collector, cannot be read: {what}");
    let published = authority::published(client, namespace, name).await.map_err(wrong)?;
    published.ok_or_else(|| wrong("it is not there or empty; the collector fills it when it starts (--publish-ca)".to_owned()))
}

fn bearer(path: &Path) -> Result<MetadataValue<Ascii>, String> {
    let token = read(path, "--collector-token")?;
    let value = format!("Bearer {}", token.trim()).parse();
    let mut value: MetadataValue<Ascii> =
        value.map_err(|_| format!("{} holds no token: it has characters that no token has", path.display()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(path: &Path, flag: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {} ({flag}): {error}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn refused(args: &SecurityArgs, url: &str) -> String {
        args.resolve(&url.parse().unwrap(), None).unwrap_err().to_string()
    }

    #[test]
    fn nothing_leaves_the_machine_in_the_clear_unasked() {
        let (none, asked) = (SecurityArgs::default(), SecurityArgs { plaintext: true, ..SecurityArgs::default() });
        assert!(refused(&none, "http://collector:1").contains("add --plaintext"));
        assert!(asked.resolve(&"http://collector:1".parse().unwrap(), None).is_ok());
        assert!(none.resolve(&"http://127.0.0.1:1".parse().unwrap(), None).is_ok());
        let token = SecurityArgs { collector_token: Some("/t".into()), plaintext: true, ..SecurityArgs::default() };
        assert!(refused(&token, "http://127.0.0.1:1").contains("--collector-token is of use with TLS only"));
    }

    #[test]
    fn tls_needs_somebody_to_trust() {
        let none = SecurityArgs::default();
        assert!(refused(&none, "https://collector").contains("name a file or ConfigMap with --collector-ca"));
        let map = SecurityArgs { collector_ca: Some("configmap:a/b".parse().unwrap()), ..SecurityArgs::default() };
        assert!(refused(&map, "https://collector").contains("ConfigMap a/b, and there is no API server"));
        let directory = SecurityArgs { tls: Some("/d".into()), ..SecurityArgs::default() };
        let security = directory.resolve(&"https://collector".parse().unwrap(), None).unwrap();
        assert_eq!(security.authority(), "/d/ca.crt");
        assert!(refused(&SecurityArgs { plaintext: true, ..directory }, "https://collector").contains("leave one of them out"));
    }

    #[test]
    fn sources_are_written_as_in_the_help() {
        let map = AuthoritySource::ConfigMap { namespace: "a".into(), name: "b".into() };
        assert_eq!("configmap:a/b".parse(), Ok(map));
        assert_eq!("/x/ca.crt".parse(), Ok(AuthoritySource::File("/x/ca.crt".into())));
        for wrong in ["configmap:a", "configmap:/b", "configmap:a/", "configmap:a/b/c"] {
            assert!(wrong.parse::<AuthoritySource>().is_err(), "{wrong}");
        }
    }
}
