//! What is deployed, put to the test: the dashboard and the alerts against a real Prometheus, the chart against a real API server.
//!
//! - [`prometheus`]: a Prometheus of Debian's, on a port of loopback.
//! - [`dashboard`]: the queries of `deploy/grafana/unready.json`.
//! - [`chart`]: Helm and kubectl, for the chart in a cluster.

pub mod chart;
pub mod dashboard;
pub mod prometheus;

use std::path::{Path, PathBuf};

/// The folder `deploy`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new(".")).join("deploy")
}
