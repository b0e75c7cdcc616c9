//! The collector: receives verdicts from agents, keeps them, answers queries.
//!
//! ```text
//!   agents ──► ingest ── append ──► store ── list, revision ──► query ──► unready get, dashboards
//!      ◄─ ack ────┘ (after commit)    └─ `SQLite`: one writer thread, group commit
//! ```
//!
//! - [`server`]: the services on one port, with health and reflection, until shutdown.
//! - [`ingest`]: the agents' streams.
//! - [`query`]: list and watch.
//! - [`store`]: what a storage must do, and `SQLite`.
//!
//! Nothing but the store keeps state: a `PostgreSQL` store can stand beside [`store::sqlite`].
#![forbid(unsafe_code)]

pub mod ingest;
pub mod query;
pub mod server;
pub mod store;

pub use server::{ServeError, serve};
