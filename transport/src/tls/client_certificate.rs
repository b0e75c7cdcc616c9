//! A client's certificate after its handshake: is it good still, until when, and whose is it?
//!
//! A connection may live for days, and so may the streams on it; a resumed one takes over a certificate that was judged when the
//! first was made. So whoever opens a stream has its certificate judged again, by the clock and the `ca.crt` of that moment, and
//! learns how long the judgement will hold.
//!
//! The end is found by asking the same judge about later moments and halving the time between: what is true of the client's
//! certificate is then true of those between it and the authority too, and there is one reading of certificates, not two.

use super::{
    server::ServerTls,
    words::{Blame, of},
};
use rustls::{
    Error,
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use std::{fmt, str::FromStr, sync::Arc, time::Duration};

/// The chain that a client showed; its own certificate is the first.
#[derive(Clone)]
pub struct ClientCertificate {
    chain: Arc<[CertificateDer<'static>]>,
    server: Arc<ServerTls>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl ClientCertificate {
    pub(crate) fn new(chain: &[CertificateDer<'static>], server: Arc<ServerTls>) -> Self {
        Self { chain: chain.into(), server }
    }

    /// For how long it is good from now on, at most `longest`; the error says what is wrong with it now. Certificates end with a
    /// whole second, and this may be a second less, never more.
    pub fn good_for(&self, longest: Duration) -> Result<Duration, Blame> {
        let now = Duration::from_secs(UnixTime::now().as_secs());
        let judge = |after: u64| self.judge(UnixTime::since_unix_epoch(now.saturating_add(Duration::from_secs(after))));
        judge(0).map_err(|error| of(&error))?;
        // It is good `good` seconds after the beginning of this second, and not `bad` seconds after it.
        let (mut good, mut bad) = (0, longest.as_secs().saturating_add(1));
        if judge(bad).is_ok() {
            return Ok(longest);
        }
        while bad - good > 1 {
            let between = good.midpoint(bad);
            if judge(between).is_ok() { good = between } else { bad = between }
        }
        Ok(Duration::from_secs(good.saturating_sub(1)).min(longest))
    }

    /// Whether it carries this name; the error says which it carries.
    pub fn check_name(&self, name: &ClientName) -> Result<(), Blame> {
        let leaf = self.chain.first().ok_or(Error::NoCertificatesPresented);
        let checked = leaf.and_then(ParsedCertificate::try_from).and_then(|leaf| verify_server_name(&leaf, &name.0));
        checked.map_err(|error| of(&error))
    }

    fn judge(&self, at: UnixTime) -> Result<(), Error> {
        let (leaf, rest) = self.chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        match self.server.clients() {
            Some(clients) => clients.verify_client_cert(leaf, rest, at).map(drop),
            // Nobody asked for it.
            None => Ok(()),
        }
    }
}

/// A name that clients' certificates carry (a DNS name or an address among their subject alternative names).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName(ServerName<'static>);

impl FromStr for ClientName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = ServerName::try_from(text.to_owned());
        name.map(Self).map_err(|_| "write a DNS name or an address, as in the certificate's subject alternative names".to_owned())
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_str())
    }
}
