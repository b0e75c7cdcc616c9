//! The collector's address as a user writes it: `http://HOST:PORT`, with or without the scheme and the port.
//!
//! Refused: other schemes, paths, user names. `https` is refused until the stream has TLS, rather than quietly sent in the clear.

use std::{fmt, str::FromStr};
use tonic::transport::Uri;

/// The port that `unready-collector` listens on.
pub const DEFAULT_PORT: u16 = 50051;

/// Address of a collector, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorUrl {
    host: String,
    port: u16,
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// No address at all.
    #[error("{0:?} is no address; write http://HOST:PORT, e.g. http://127.0.0.1:50051")]
    Malformed(String),
    /// TLS.
    #[error("TLS to the collector is not supported yet; write http://{0} and keep it on a network that you trust")]
    Tls(String),
    /// ftp:// and the like.
    #[error("{0:?} is no scheme of a collector; write http://HOST:PORT")]
    Scheme(String),
    /// Something after the port.
    #[error("an address of a collector has no path; leave out {0:?}")]
    Path(String),
}

impl CollectorUrl {
    /// What connects: `HOST:PORT`, with the brackets of an IPv6 address.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

impl FromStr for CollectorUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let malformed = || UrlError::Malformed(text.to_owned());
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        if scheme.eq_ignore_ascii_case("https") {
            return Err(UrlError::Tls(rest.to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlError::Scheme(scheme.to_owned()));
        }
        let uri: Uri = format!("http://{rest}").parse().map_err(|_| malformed())?;
        if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
            return Err(UrlError::Path(uri.path().to_owned()));
        }
        let authority = uri.authority().ok_or_else(malformed)?;
        let has_port = authority.as_str().len() > authority.host().len();
        if authority.host().is_empty() || authority.as_str().contains('@') || (has_port && authority.port_u16().is_none()) {
            return Err(malformed());
        }
        Ok(Self { host: authority.host().to_owned(), port: authority.port_u16().unwrap_or(DEFAULT_PORT) })
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_users_write() {
        for (text, expected) in [
            ("http://127.0.0.1:50051", "http://127.0.0.1:50051"),
            ("http://127.0.0.1:50051/", "http://127.0.0.1:50051"),
            ("collector.unready.svc", "http://collector.unready.svc:50051"),
            ("localhost:7", "http://localhost:7"),
            ("HTTP://[::1]:9", "http://[::1]:9"),
            ("[::1]", "http://[::1]:50051"),
        ] {
            assert_eq!(text.parse::<CollectorUrl>().map(|url| url.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_way_out() {
        for (text, expected) in [
            ("", "write http://HOST:PORT"),
            ("http://", "write http://HOST:PORT"),
            ("http://a b", "write http://HOST:PORT"),
            ("http://h:port", "write http://HOST:PORT"),
            ("http://h:70000", "write http://HOST:PORT"),
            ("http://me:secret@h:1", "write http://HOST:PORT"),
            ("https://h:1", "write http://h:1"),
            ("unix:///run/x", "\"unix\" is no scheme"),
            ("http://h:1/api", "leave out \"/api\""),
        ] {
            let error = text.parse::<CollectorUrl>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
