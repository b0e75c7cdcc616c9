//! Where verdicts go: to stdout as JSON lines, and to the collector.
//!
//! Each output has its own bounded queue and may be slow, or down, alone; offering to it never blocks. What a queue cannot
//! hold is dropped and counted.
//!
//! - [`stdout`]: one JSON object a line.
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
pub mod stdout;
pub mod tls;
pub mod url;
