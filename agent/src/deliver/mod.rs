//! Delivery to the collector; as one of the [`crate::sinks`] it is offered verdicts and starts.
//!
//! - [`collector`]: the gRPC stream, with resending of what was not acknowledged.
//! - [`tls`]: how that stream is secured.
//! - [`url`]: the collector's address as a user writes it.
//! - [`peer`]: what is wrong with an address that does not answer as a collector.

pub mod collector;
mod config;
mod dates;
mod ended;
mod outbox;
pub mod peer;
mod report;
mod starts;
pub mod tls;
pub mod url;
