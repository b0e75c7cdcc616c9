//! A certificate made at the start; its authority is published for agents ([`unready_kubernetes::authority`]).
//!
//! ```text
//!   start ─► authority (its key is forgotten at once) ─► certificate for --tls-name
//!                 └─► ConfigMap
//! ```
//!
//! Nothing of it is on a disk. The certificate is good for as long as the process lives and its authority is published, so it
//! bears no dates that a wrong clock could hold against it. A restarted collector has another; agents find its authority in the
//! `ConfigMap` as soon as they meet a certificate that they do not know.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use unready_transport::tls::{Identity, TlsError};

/// What was made.
#[derive(Debug)]
pub struct SelfSigned {
    /// Certificate and key.
    pub identity: Identity,
    /// Who signed it, in PEM form.
    pub authority: String,
}

/// Why none could be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A name that cannot be in a certificate.
    #[error("no certificate can be made for {names}: {source}; correct --tls-name")]
    Names { names: String, source: rcgen::Error },
    /// Ours cannot be read back.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Makes an authority and a certificate for these names, DNS names or addresses. `owner` tells authorities apart.
pub fn self_signed(names: &[String], owner: &str) -> Result<SelfSigned, MakeError> {
    let wrong = |source| MakeError::Names { names: names.join(", "), source };
    let authority = authority(owner).map_err(wrong)?;
    let key = KeyPair::generate().map_err(wrong)?;
    let mut parameters = CertificateParams::new(names.to_vec()).map_err(wrong)?;
    parameters.distinguished_name = named("unready-collector");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    let certificate = parameters.signed_by(&key, &authority).map_err(wrong)?;
    let identity = Identity::from_pem(&certificate.pem(), &key.serialize_pem(), "the self-signed certificate")?;
    Ok(SelfSigned { identity, authority: authority.pem() })
}

/// Its name is its own: two authorities of the same name and different keys would be tried one for the other.
fn authority(owner: &str) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters.distinguished_name = named(&format!("unready-collector authority of {owner}"));
    CertifiedIssuer::self_signed(parameters, key)
}

fn named(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_get_a_certificate() {
        let made = self_signed(&["unready-collector.unready.svc".into(), "10.0.0.1".into()], "pod-1").unwrap();
        assert!(made.authority.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(made.authority.matches("BEGIN").count(), 1, "no key leaves the process");
        let error = self_signed(&["ü".into()], "pod-1").unwrap_err().to_string();
        assert!(error.contains("correct --tls-name"), "{error}");
    }
}
