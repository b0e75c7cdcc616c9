//! What is wrong with an address that does not answer as a collector, in one sentence.
//!
//! A gRPC library says "transport error" to a web server, a TLS port and a closed port alike. So after a failure we connect
//! once more ourselves, greet as HTTP/2 does (RFC 9113, 3.4), and look at the first bytes that come back.

use crate::{
    outgoing::ConnectError,
    tls::{Blame, Kind},
    url::CollectorUrl,
};
use std::{error::Error, io, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, Status};

/// The connection preface of HTTP/2 and an empty SETTINGS frame.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// For the connection, and again for the first bytes.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a connection to `url` failed, or a stream on it broke without a reason given by the peer; `detail` is what the
/// library said, for when nothing better is found.
pub async fn explain(url: &CollectorUrl, detail: &str) -> String {
    look(url).await.unwrap_or_else(|| format!("the connection to the collector at {url} failed: {detail}"))
}

/// Why there is no connection to `url`; `authority` is where we look up whom to trust.
pub fn explain_connect(url: &CollectorUrl, error: &ConnectError, authority: &str) -> String {
    match error {
        ConnectError::Io(error) if url.is_tls() && error.kind() == io::ErrorKind::UnexpectedEof => {
            format!("what answers at {url} closes the connection at a TLS greeting; check the port, and that the collector has --tls")
        }
        ConnectError::Io(error) => unreachable(url, error),
        ConnectError::Tls(blame) => explain_tls(url, blame, authority),
        ConnectError::Late => silent(url),
        ConnectError::Name(name) => format!("{name:?} is not a name that a certificate can have; correct --collector {url}"),
    }
}

/// What TLS said of the peer at `url`.
pub fn explain_tls(url: &CollectorUrl, blame: &Blame, authority: &str) -> String {
    let what = &blame.what;
    let advice = match blame.kind {
        Kind::Untrusted => format!("; {authority} must hold the certificate of who signed it (--collector-ca, --tls)"),
        Kind::Name => format!("; use one of those names, or start the collector with --tls-name {}", url.host()),
        Kind::NotTls => "; if it is the collector, start it with --tls, or write http:// with --plaintext".to_owned(),
        Kind::WantsCertificate => "; name a directory with tls.crt and tls.key by --tls".to_owned(),
        Kind::RefusesCertificate => "; have tls.crt of --tls renewed by the authority in the collector's ca.crt".to_owned(),
        Kind::Date | Kind::Anonymous | Kind::Other => String::new(),
    };
    format!("what answers at {url} {what}{advice}")
}

fn silent(url: &CollectorUrl) -> String {
    format!("{url} does not answer; check the address, and whether a firewall lies between")
}

/// Why a call was refused.
pub async fn explain_status(url: &CollectorUrl, status: &Status) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what a peer does not explain is looked at")]
    match status.code() {
        Code::Unimplemented => {
            format!(
                "what answers at {url} is a gRPC server but no collector that this version knows; check the address and the collector's version"
            )
        }
        Code::FailedPrecondition | Code::InvalidArgument | Code::ResourceExhausted | Code::Unauthenticated | Code::PermissionDenied => {
            format!("the collector at {url} refuses: {}", status.message())
        }
        Code::Unavailable if status.source().is_none() => format!("the collector at {url} says: {}", status.message()),
        _ => explain(url, &innermost(status)).await,
    }
}

/// Connects once and judges by the first bytes; `None`: it is an HTTP/2 server, as far as can be seen.
async fn look(url: &CollectorUrl) -> Option<String> {
    let mut stream = match timeout(PATIENCE, TcpStream::connect(url.authority())).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Some(unreachable(url, &error)),
        Err(_) => return Some(silent(url)),
    };
    let mut first = [0; 64];
    let read = timeout(PATIENCE, async {
        stream.write_all(GREETING).await?;
        stream.read(&mut first).await
    });
    match read.await {
        Ok(Ok(length)) => foreign(&first[..length]).map(|what| format!("what answers at {url} {what}")),
        Ok(Err(_)) => foreign(&[]).map(|what| format!("what answers at {url} {what}")),
        Err(_) => Some(format!("something listens at {url} and says nothing; it is no collector, or it is overloaded")),
    }
}

fn unreachable(url: &CollectorUrl, error: &io::Error) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list is open; what the system says is passed on")]
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("nothing listens at {url}; start `unready-collector` there, or name the right address with --collector")
        }
        io::ErrorKind::PermissionDenied => format!("a firewall or policy refuses the connection to {url} ({error})"),
        _ => format!("cannot reach the collector at {url}: {error}; check the address"),
    }
}

/// What a peer is that answers an HTTP/2 greeting like this; `None`: a SETTINGS frame, so HTTP/2.
fn foreign(first: &[u8]) -> Option<&'static str> {
    match first {
        [] => Some("closes the connection at an HTTP/2 greeting; it is no gRPC server"),
        [b'H', b'T', b'T', b'P', b'/', b'1', ..] => Some("speaks HTTP/1 and is no gRPC server; check the port"),
        [0x15 | 0x16, 0x03, ..] => Some("speaks TLS: agents write https:// there, and queries go to another port (--query, 50052)"),
        [_, _, _, 0x04, _, 0, 0, 0, 0, ..] => None,
        _ => Some("is no gRPC server; check the port"),
    }
}

/// The last error of the chain: the outer ones of a transport say "transport error".
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_peer() {
        for (bytes, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], Some("speaks HTTP/1")),
            (b"\x15\x03\x01\x00\x02\x02\x46", Some("speaks TLS")),
            (b"SSH-2.0-x", Some("is no gRPC server")),
            (b"", Some("closes the connection")),
            (b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x80", None),
            (b"\0\0\x06", Some("is no gRPC server")),
        ] {
            let told = foreign(bytes);
            assert_eq!(told.is_some(), expected.is_some(), "{bytes:?}: {told:?}");
            assert!(told.unwrap_or_default().starts_with(expected.unwrap_or_default()), "{bytes:?}: {told:?}");
        }
    }
}
