//! The collector: receives verdicts and starts from agents, keeps them, answers queries; in a cluster it also says what no node can.
//!
//! ```text
//!   agents ──► ingest ── append ──► store ── list, revision ──► query ──► unready get, dashboards
//!      ◄─ ack ────┘ (after commit)    ▲ `SQLite`: one writer thread, group commit
//!   API server ──► cluster ───────────┘ (one collector at a time: a lease)
//! ```
//!
//! - [`server`]: the services on their ports, with health and reflection, until shutdown.
//! - [`ingest`]: the agents' streams, who may open one, and for how long.
//! - [`query`]: list and watch verdicts, list starts.
//! - [`store`]: what a storage must do, and `SQLite`.
//! - [`certificate`]: a certificate made at the start.
//! - [`cluster`]: what has no node.
//! - [`metrics`]: what it tells of itself.
//!
//! Nothing but the store keeps state: a `PostgreSQL` store can stand beside [`store::sqlite`].
#![forbid(unsafe_code)]

pub mod certificate;
pub mod cluster;
pub mod ingest;
pub mod metrics;
pub mod query;
pub mod server;
mod stop;
pub mod store;

pub use server::{Ports, ServeError, serve, serve_on};
