//! What the API server's account of a pod means, without the kernel.
//!
//! Pure functions of a [`Scene`]: the pod, its events, its claims, the time. They are used in three places: by the engine
//! for this node's pods, by the collector for what has no node, and by `kubectl unready` where nobody else has said
//! anything. None keeps state; each says everything again from what it is shown.
//!
//! - [`explain`]: what is known to be wrong.
//! - [`waiting`]: for a pod that is not ready and with which nothing is wrong so far: what it waits for.
//! - [`owner`]: an owner that has fewer pods than it wants.

use crate::{
    pod::{Claim, Owner, Pod, PodEvent},
    rules::Finding,
    verdict::Confidence,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// All that is known of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its events, oldest first; empty when they were not asked for.
    pub events: &'a [PodEvent],
    /// Its claims, as far as they were asked about.
    pub claims: &'a [Claim],
    /// Now, wall-clock nanoseconds.
    pub now: u64,
    /// The kernel's evidence is at hand: how a container ended is then judged from that, not from here.
    pub kernel: bool,
}

/// A finding about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFinding {
    /// What is found. Its evidence carries wall-clock nanoseconds as times.
    pub finding: Finding,
    /// The container that it is about; `None`: the pod as a whole.
    pub container: Option<String>,
    /// How sure.
    pub confidence: Confidence,
    /// Since when, wall-clock nanoseconds.
    pub since: u64,
    /// When it was last so.
    pub last: u64,
    /// How often.
    pub count: u64,
}

/// What there is to do about a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What is known to be wrong, the root cause first.
    pub findings: Vec<PodFinding>,
    /// The events are needed to say (more).
    pub needs_events: bool,
    /// Claims that are needed, by name.
    pub needs_claims: Vec<String>,
    /// Look again after this time even if nothing changes: something takes long that may be well.
    pub look_again: Option<Duration>,
}

/// Says what is wrong with a pod.
pub fn explain(scene: &Scene<'_>) -> Account {
    let _ = scene;
    Account::default()
}

/// What a pod waits for, when nothing is known to be wrong: one sentence. `None`: it is well.
pub fn waiting(scene: &Scene<'_>) -> Option<String> {
    (!scene.pod.is_well()).then(|| "waiting, nothing wrong so far".to_owned())
}

/// An owner, as far as the number of its pods tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnerState {
    /// Who it is: the top of the chain.
    pub owner: Owner,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// Pods that it wants.
    pub wanted: u32,
    /// Pods that there are.
    pub present: u32,
    /// Its pod template, as far as it is known: `spec` alone bears on what is said, `owner` is filled in from above.
    pub template: Option<Box<Pod>>,
    /// Events and conditions about it and what stands between it and its pods (a `ReplicaSet`), oldest first.
    pub events: Vec<PodEvent>,
}

/// Says why an owner makes no pod.
pub fn owner(state: &OwnerState, now: u64) -> Vec<PodFinding> {
    let _ = (state, now);
    Vec::new()
}
