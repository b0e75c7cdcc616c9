//! The cluster's demo and its checks: Unready in a real Kubernetes, with sick and healthy workloads.
//!
//! - [`workload`]: the manifests of `tests/cluster/workloads`, which say what is expected of them.
//! - [`images`]: the programs that run in them; [`volumes`]: what their claims are bound to.
//! - [`kube`]: kubectl, Helm and the cluster's script; [`patience`]: waiting for what they say.
//! - [`release`]: Unready itself, installed by its chart.
//! - [`events`], [`feed`]: what was said, and when.
//! - [`judge`]: whether that is right; [`checks`]: the count.
//! - [`repair`]: every patch that is proposed, applied.
//! - [`short_lived`], [`group`], [`outage`], [`scale`]: a pod that is gone at once, a right fsGroup that does not reach its volume,
//!   messengers that fail, 110 pods at once; [`cost`]: what the agent takes.
//! - [`stage`]: all of it, in order; [`report`]: the table for people.

pub mod checks;
pub mod cost;
pub mod events;
pub mod feed;
pub mod group;
pub mod images;
pub mod judge;
pub mod kube;
pub mod outage;
pub mod patience;
pub mod release;
pub mod repair;
pub mod report;
pub mod scale;
pub mod short_lived;
pub mod stage;
pub mod volumes;
pub mod workload;
