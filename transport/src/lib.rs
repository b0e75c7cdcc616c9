//! What agent, collector and command line share of the network.
//!
//! - [`url`]: the collector's address as a user writes it; [`peer`]: what is wrong with one that does not answer as a collector.
//! - [`tls`]: certificates from directories that change under us, and errors as sentences.
//! - [`incoming`]: the server's side of a port, with or without TLS.
//! - [`outgoing`]: the client's side.
//! - [`complaints`]: complaints that are made once.
//! - [`http`]: a port with `/metrics`, `/livez` and `/readyz`.
//!
//! TLS is 1.2 or 1.3 by rustls with ring. What it refuses: certificates that no named authority signed (there is no list of
//! public authorities), names that are not in the certificate, and anything that begins without TLS on a port that has it.
#![forbid(unsafe_code)]

pub mod complaints;
pub mod http;
pub mod incoming;
pub mod outgoing;
pub mod peer;
pub mod tls;
pub mod url;
