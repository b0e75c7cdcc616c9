//! What a container is made of, beside its state and its story.

use crate::{
    pod::{Claim, ContainerState, Pod},
    story::report::{Stage, Wait},
    units::BootNanos,
};
use std::sync::Arc;

/// A container's part of a pod that the API server has told of.
#[derive(Clone, Debug)]
pub(crate) struct KnownManifest {
    pub(crate) pod: Arc<Pod>,
    pub(crate) name: String,
    pub(crate) claims: Arc<Vec<Claim>>,
}

/// Whether its start was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was.
    #[default]
    Seen,
    /// It was there before us.
    Before,
    /// The same, and it was not ready: it is looked at, and its main process is not known.
    Revived,
}

/// What a container knows of the pod that it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Membership {
    /// Uid of the pod as its cgroup has it; empty: in no pod.
    pub(crate) pod_uid: String,
    /// Pods are told of: names and specs can be waited for.
    pub(crate) in_cluster: bool,
    pub(crate) manifest: Option<KnownManifest>,
    pub(crate) origin: Origin,
    /// It got over what was said of it.
    pub(crate) got_well: bool,
}

/// When things were heard of a container.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// The last record.
    pub(super) touched: BootNanos,
    /// When its start was over.
    pub(super) over: Option<BootNanos>,
    /// What the API server said of this very start that the records did not, and when.
    pub(super) told: Option<(BootNanos, ContainerState)>,
}

/// What was told of a start, and when it was looked at.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// When what happened was last looked at.
    pub(super) looked: BootNanos,
    /// Something is tried again and again.
    pub(super) waits: bool,
    /// When what is retried was last to be judged.
    pub(super) retried: Option<BootNanos>,
    /// Waits that are over.
    pub(super) over: Vec<Wait>,
    /// When it was last told, with how far it was and how much had happened.
    pub(super) told: Option<(BootNanos, Stage, u64)>,
}

impl Telling {
    pub(super) const fn footprint(&self) -> usize {
        self.over.len()
    }
}
