//! Delivery to the collector; as one of the [`crate::sinks`] it is offered verdicts and starts.
//!
//! - [`collector`]: the gRPC stream, with resending of what was not acknowledged.
//! - [`tls`]: how that stream is secured.
//!
//! The collector's address, and what is wrong with one that does not answer: `unready_transport`.

pub mod collector;
mod config;
mod counts;
mod dates;
mod ended;
mod outbox;
mod report;
mod starts;
pub mod tls;

pub use unready_transport::{peer, url};
