//! rustls's errors as sentences, and whose fault they are.
//!
//! The same alert means different things at the two ends, so each end has its words: a client is told about the server's
//! certificate, a server about its clients'.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, pki_types::UnixTime};
use std::{
    io,
    time::{Duration, UNIX_EPOCH},
};

/// What a failed handshake, or an alert after it, says about the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// What to do about it depends on this.
    pub kind: Kind,
    /// How the sentence about the peer goes on: "shows a certificate that …".
    pub what: String,
}

/// Sorts of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its certificate is signed by nobody that we trust: reading again whom to trust may help.
    Untrusted,
    /// Its certificate is for another name.
    Name,
    /// Its certificate is not valid now.
    Date,
    /// It shows no certificate and must.
    Anonymous,
    /// It asks for a certificate and got none.
    WantsCertificate,
    /// It refuses the certificate that it got.
    RefusesCertificate,
    /// It does not speak TLS at all.
    NotTls,
    /// Anything else.
    Other,
}

impl Blame {
    fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}

/// What an error of a connection says about the peer; `None`: it is none of TLS.
pub fn blame(error: &io::Error) -> Option<Blame> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map(of)
}

/// What an error of TLS says about the peer.
pub(super) fn of(error: &Error) -> Blame {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list is open; what rustls says is passed on")]
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => Blame::new(Kind::NotTls, "does not speak TLS"),
        Error::AlertReceived(alert) => refusal(*alert),
        Error::PeerIncompatible(what) => {
            Blame::new(Kind::Other, format!("speaks TLS of another sort ({what:?}); TLS 1.2 and 1.3 are supported"))
        }
        Error::NoCertificatesPresented => Blame::new(Kind::Anonymous, "shows no certificate"),
        other => Blame::new(Kind::Other, format!("fails in TLS: {other}")),
    }
}

fn certificate(error: &CertificateError) -> Blame {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list is open; what rustls says is passed on")]
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            Blame::new(Kind::Untrusted, "shows a certificate that none of the trusted authorities signed")
        }
        CertificateError::Expired => Blame::new(Kind::Date, "shows a certificate that has expired; renew it"),
        CertificateError::ExpiredContext { time, not_after } => {
            let (end, now) = (date(*not_after), date(*time));
            Blame::new(
                Kind::Date,
                format!("shows a certificate that expired at {end} (the clock here says {now}); renew it, or set the clock"),
            )
        }
        CertificateError::NotValidYet => Blame::new(Kind::Date, "shows a certificate that is not valid yet; set the clock"),
        CertificateError::NotValidYetContext { time, not_before } => {
            let (begin, now) = (date(*not_before), date(*time));
            Blame::new(Kind::Date, format!("shows a certificate that is valid from {begin} (the clock here says {now}); set the clock"))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            Blame::new(Kind::Name, format!("shows a certificate for {}, not for {}", names(presented), expected.to_str()))
        }
        CertificateError::NotValidForName => Blame::new(Kind::Name, "shows a certificate for another name"),
        other => Blame::new(Kind::Other, format!("shows a certificate that cannot be accepted: {other}")),
    }
}

/// `DnsName("a")` and `IpAddress(::1)` are how webpki presents names.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| match name.strip_suffix(')').and_then(|name| name.split_once('(')) {
        Some((_, name)) => name.trim_matches('"').to_owned(),
        None => name.clone(),
    };
    if presented.is_empty() { "no name".to_owned() } else { presented.iter().map(bare).collect::<Vec<_>>().join(", ") }
}

/// How the peer refused us.
fn refusal(alert: AlertDescription) -> Blame {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list is open; the alert's name is passed on")]
    match alert {
        AlertDescription::CertificateRequired => Blame::new(Kind::WantsCertificate, "asks for a certificate, and none was shown"),
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            Blame::new(Kind::RefusesCertificate, "does not trust the authority of the certificate that was shown")
        }
        AlertDescription::CertificateExpired => {
            Blame::new(Kind::RefusesCertificate, "finds that the certificate that was shown is not valid now")
        }
        AlertDescription::ProtocolVersion => Blame::new(Kind::Other, "speaks another version of TLS; 1.2 and 1.3 are supported"),
        other => Blame::new(Kind::Other, format!("ends the connection with the TLS alert {other:?}")),
    }
}

fn date(time: UnixTime) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(time.as_secs())).to_string()
}
