//! What the programs for people take on the command line. `cargo xtask` reads these too, so that it answers `--help`, and refuses
//! what they do not know, before it builds them.
//!
//! Where programs and images are is not here: that is between `cargo xtask` and the programs.

use clap::Args;
use std::path::PathBuf;

/// Of `unready-demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep what the agent saw in this file, for `unready replay`
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Print the logs of agent and collector at the end
    #[arg(long)]
    pub logs: bool,
}

/// Of `unready-bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Failing containers for the time to a verdict
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub failures: usize,
}

/// Of `unready-cluster-demo`.
#[derive(Debug, Args)]
pub struct ClusterDemo {
    /// Name of the chart's release and its namespace: another one, beside a release that is there already; "unready" is in it
    #[arg(long, value_name = "NAME", default_value = "unready")]
    pub release: String,
    /// Compare everything, a line a check, and end with `N passed, N failed`
    #[arg(long)]
    pub check: bool,
    /// Write what 110 pods at once cost into this file, as Markdown
    #[arg(long, value_name = "FILE")]
    pub measure: Option<PathBuf>,
    /// Leave chart and workloads in the cluster
    #[arg(long)]
    pub keep: bool,
    /// Print the logs of agent and collector at the end
    #[arg(long)]
    pub logs: bool,
}
