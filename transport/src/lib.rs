//! What agent and collector share of the network.
//!
//! - [`http`]: a port with `/metrics`, `/livez` and `/readyz`.
#![forbid(unsafe_code)]

pub mod http;
