//! The collector's address as a user writes it: `https://HOST:PORT` or `http://HOST:PORT`; without a scheme it is `http`.
//!
//! Refused: other schemes, paths, user names. Whether `http` may be used the agent decides.

use std::{fmt, net::IpAddr, str::FromStr};
use tonic::transport::Uri;

/// The port that `unready-collector` listens on.
pub const DEFAULT_PORT: u16 = 50051;

/// Address of a collector, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorUrl {
    tls: bool,
    host: String,
    port: u16,
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// No address at all.
    #[error("{0:?} is no address; write http://HOST:PORT, e.g. http://127.0.0.1:50051")]
    Malformed(String),
    /// ftp:// and the like.
    #[error("{0:?} is no scheme of a collector; write https://HOST:PORT or http://HOST:PORT")]
    Scheme(String),
    /// Something after the port.
    #[error("an address of a collector has no path; leave out {0:?}")]
    Path(String),
}

impl CollectorUrl {
    /// It is `https`.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Name or address, with the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What is sent there does not leave this machine.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// What connects: `HOST:PORT`, with the brackets of an IPv6 address.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.tls { "https" } else { "http" }, self.host, self.port)
    }
}

impl FromStr for CollectorUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let malformed = || UrlError::Malformed(text.to_owned());
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let tls = scheme.eq_ignore_ascii_case("https");
        if !tls && !scheme.eq_ignore_ascii_case("http") {
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
        Ok(Self { tls, host: authority.host().to_owned(), port: authority.port_u16().unwrap_or(DEFAULT_PORT) })
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
            ("https://unready-collector.unready.svc", "https://unready-collector.unready.svc:50051"),
            ("HTTPS://h:1/", "https://h:1"),
        ] {
            assert_eq!(text.parse::<CollectorUrl>().map(|url| url.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_stays_on_this_machine_is_known() {
        for (text, expected) in
            [("http://127.0.0.1:1", true), ("[::1]", true), ("localhost", true), ("http://10.0.0.1", false), ("localhost.example", false)]
        {
            assert_eq!(text.parse::<CollectorUrl>().map(|url| url.is_loopback()), Ok(expected), "{text}");
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
            ("unix:///run/x", "\"unix\" is no scheme"),
            ("http://h:1/api", "leave out \"/api\""),
        ] {
            let error = text.parse::<CollectorUrl>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
