//! Where verdicts go: to stdout as JSON lines, and to the collector.
//!
//! Each output has its own bounded queue and may be slow, or down, alone; offering to it never blocks. What a queue cannot
//! hold is dropped and counted.
//!
//! - [`stdout`]: one JSON object a line.
//! - [`collector`]: the gRPC stream, with resending of what was not acknowledged.
//! - [`tls`]: how that stream is secured.
//!
//! The collector's address, and what is wrong with one that does not answer: `unready_transport`.

pub mod collector;
mod config;
mod dates;
mod ended;
mod outbox;
mod report;
pub mod stdout;
pub mod tls;

pub use unready_transport::{peer, url};
