//! Looks for certificate authorities where TLS libraries look, and leaves when there are none: triggers
//! `RuntimeFileMissing` in an image from scratch.
#![forbid(unsafe_code)]

use std::fs;
use unready_workloads::fail;

/// The places of Debian, Fedora, SUSE, Red Hat and Alpine, in the order in which Go tries them.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

fn main() {
    match BUNDLES.iter().find(|path| fs::read(path).is_ok()) {
        Some(path) => println!("trusting {path}"),
        None => fail("certificate signed by unknown authority: no CA bundle found"),
    }
}
