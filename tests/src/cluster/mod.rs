//! What the cluster's demo and tests need of a real Kubernetes.
//!
//! - [`images`]: the programs that run in it.

pub mod images;
