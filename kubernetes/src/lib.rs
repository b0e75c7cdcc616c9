//! The API server, seen from Unready: this node's pods as the rules want them, answers to questions about the cluster,
//! and verdicts as Events.
//!
//! Everything that knows the API's types is here, and nothing of them gets out (`cargo xtask check` sees to it): beyond it there are
//! what `unready_diagnosis` knows, JSON where any object will do, a [`Client`] to be handed back in, and its [`Error`], which
//! [`request_error`] puts into words.
//!
//! - [`client`]: which cluster, and how to get there.
//! - `convert`: API objects to what the rules know, stripped.
//! - [`owner`]: who makes a pod again, at the top of the chain.
//! - [`watch`]: the pods of one node, as changes.
//! - [`pods`]: pods by name or selector, listed or followed.
//! - [`objects`]: any object as it stands.
//! - [`ask`]: events of a pod, a claim and what stands behind it.
//! - [`shortfall`]: owners that make fewer pods than they want, and why.
//! - [`lease`]: one of several does what one must do.
//! - [`events`]: verdicts as Events.
//! - [`installed`]: Unready's own pods, and the way to a port of theirs.
//! - [`authority`], [`token`]: whom agents trust as the collector, and how it knows them.
//! - [`request_error`]: what went wrong with a request, in words that say what to do.
//!
//! Refused: to write anything but Events, a Lease and the `ConfigMap` of authorities; to keep values of an environment, annotations or managed fields.
#![forbid(unsafe_code)]

pub mod ask;
pub mod authority;
pub mod client;
mod convert;
pub mod events;
pub mod installed;
pub mod lease;
pub mod objects;
pub mod owner;
mod pauses;
pub mod pods;
pub mod request_error;
pub mod shortfall;
pub mod token;
pub mod watch;

pub use convert::quantity::units_of;
pub use kube::{Client, Error};

use kube::{Api, Resource};

/// Objects of one namespace, or of all.
pub(crate) fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
