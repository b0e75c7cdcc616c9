//! rustls's errors as sentences, and whose fault they are.
//!
//! The same alert means different things at the two ends, so each end has its words: a client is told about the server's
//! certificate, a server about its clients'.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, pki_types::UnixTime};
use std::{
    io,
    time::{Duration, UNIX_EPOCH},
};

/// What a failed handshake, or an alert after it, says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The peer's certificate is signed by nobody that we trust: reading again whom to trust may help.
    Untrusted(String),
    /// The peer does not speak TLS at all.
    NotTls,
    /// Anything else; how the sentence about the peer goes on: "shows a certificate that …".
    Other(String),
}

/// What an error of a connection says about the peer; `None`: it is none of TLS.
pub fn blame(error: &io::Error) -> Option<Blame> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map(of)
}

fn of(error: &Error) -> Blame {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list is open; what rustls says is passed on")]
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => Blame::NotTls,
        Error::AlertReceived(alert) => Blame::Other(refusal(*alert)),
        Error::PeerIncompatible(what) => Blame::Other(format!("speaks TLS of another sort ({what:?}); TLS 1.2 and 1.3 are supported")),
        Error::NoCertificatesPresented => Blame::Other("shows no certificate".to_owned()),
        other => Blame::Other(format!("fails in TLS: {other}")),
    }
}

fn certificate(error: &CertificateError) -> Blame {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list is open; what rustls says is passed on")]
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            Blame::Untrusted("shows a certificate that none of the trusted authorities signed".to_owned())
        }
        CertificateError::Expired => Blame::Other("shows a certificate that has expired".to_owned()),
        CertificateError::ExpiredContext { time, not_after } => Blame::Other(format!(
            "shows a certificate that expired at {} (the clock here says {}); renew it, or set the clock",
            date(*not_after),
            date(*time)
        )),
        CertificateError::NotValidYet => Blame::Other("shows a certificate that is not valid yet".to_owned()),
        CertificateError::NotValidYetContext { time, not_before } => Blame::Other(format!(
            "shows a certificate that is valid from {} only (the clock here says {}); set the clock, or make it anew",
            date(*not_before),
            date(*time)
        )),
        CertificateError::NotValidForNameContext { expected, presented } => {
            Blame::Other(format!("shows a certificate for {}, not for {}", names(presented), expected.to_str()))
        }
        CertificateError::NotValidForName => Blame::Other("shows a certificate for another name".to_owned()),
        other => Blame::Other(format!("shows a certificate that cannot be accepted: {other}")),
    }
}

/// `DnsName("a")` is how webpki presents a name.
fn names(presented: &[String]) -> String {
    let bare = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name));
    let all: Vec<_> = bare.collect();
    if all.is_empty() { "no name".to_owned() } else { all.join(", ") }
}

/// How the peer refused us.
fn refusal(alert: AlertDescription) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list is open; the alert's name is passed on")]
    match alert {
        AlertDescription::CertificateRequired => "asks for a certificate, and none was shown".to_owned(),
        AlertDescription::UnknownCA => "does not trust the authority of the certificate that was shown".to_owned(),
        AlertDescription::CertificateExpired => "finds that the certificate that was shown has expired".to_owned(),
        AlertDescription::ProtocolVersion => "speaks another version of TLS; 1.2 and 1.3 are supported".to_owned(),
        other => format!("ends the connection with the TLS alert {other:?}"),
    }
}

fn date(time: UnixTime) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(time.as_secs())).to_string()
}
