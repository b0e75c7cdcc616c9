//! The API server, seen from Unready: this node's pods as the rules want them, answers to questions about the cluster,
//! and verdicts as Events.
//!
//! Everything that knows the API's types is here; beyond it there are `unready_diagnosis::pod` and the client alone.
//!
//! - [`client`]: which cluster, and how to get there.
//! - [`convert`]: API objects to what the rules know, stripped.
//! - [`owner`]: who makes a pod again, at the top of the chain.
//! - [`watch`]: the pods of one node, as changes.
//! - [`objects`]: any object as it stands.
//! - [`ask`]: events of a pod, a claim and what stands behind it.
//! - [`shortfall`]: owners that make fewer pods than they want, and why.
//! - [`lease`]: one of several does what one must do.
//! - [`events`]: verdicts as Events.
//! - [`trouble`]: what went wrong with a request, in words that say what to do.
//!
//! Refused: to write anything but Events, to keep values of an environment, annotations or managed fields.
#![forbid(unsafe_code)]

pub mod ask;
pub mod client;
pub mod convert;
pub mod events;
pub mod lease;
pub mod objects;
pub mod owner;
pub mod shortfall;
pub mod trouble;
pub mod watch;

pub use k8s_openapi;
pub use kube;
