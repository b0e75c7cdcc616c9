//! What the API server's word on a pod means, without the kernel.
//!
//! Pure functions of a [`Scene`]: the pod, its events, its claims, the time. They are used in three places: by the engine
//! for this node's pods, by the collector for what has no node, and by `kubectl unready` where nobody else has said
//! anything. None keeps state; each says everything again from what it is shown.
//!
//! - [`explain`]: what is known to be wrong.
//! - [`waiting()`]: for a pod that is not ready and with which nothing is wrong so far: what it waits for.
//! - [`owner`]: an owner that has fewer pods than it wants.
//!
//! What decides is the reason and the structured fields of status and events; messages are read for the layer and the
//! names in them, and quoted where they are not understood. A file a subject:
//!
//! | a pod … | rules |
//! |---|---|
//! | without a node | `schedule` |
//! | whose volumes or sandbox are being prepared | `volume`, `sandbox` |
//! | with a container that cannot be made or started | `image`, `config`, `refused` |
//! | with a container that ended | `hook`, `ended` |
//! | whose containers wait for another one, or for somebody outside | `init`, `gate` |
//! | that failed as a whole | `rejected` |
//! | that does not exist | `admission` |

mod admission;
mod asked;
mod build;
mod command;
mod config;
mod ended;
mod gate;
mod hook;
mod image;
mod init;
mod message;
mod objects;
mod pod_security;
mod refused;
mod rejected;
mod sandbox;
mod scene;
mod schedule;
mod schedule_message;
mod verdicts;
mod volume;
mod volume_message;
mod volume_words;
mod waiting;

pub use verdicts::{NO_CGROUP, of_owner, of_pod};

use crate::{
    case::finding::Finding,
    pod::{Claim, Owner, Pod, PodEvent},
    verdict::Confidence,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// All that is known of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    pub pod: &'a Pod,
    /// Its events, oldest first; empty when they were not asked for.
    pub events: &'a [PodEvent],
    /// Its claims, as far as they were asked about.
    pub claims: &'a [Claim],
    /// Now, wall-clock nanoseconds.
    pub now: u64,
    /// The kernel's evidence is at hand: how a container ended is then judged from that, not from here.
    pub kernel: bool,
    /// With the kernel's evidence: the containers whose present or last end that evidence does not cover (they ended before the
    /// agent came, or were not seen), by name. These are judged from here after all, and less surely.
    pub unseen: &'a [String],
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
pub struct Explanation {
    /// What is known to be wrong, the root cause first.
    pub findings: Vec<PodFinding>,
    /// The events are needed to say (more).
    pub needs_events: bool,
    /// Claims that are needed, by name.
    pub needs_claims: Vec<String>,
    /// Look again after this time even if nothing changes: something takes long that may be well.
    pub look_again: Option<Duration>,
}

/// Says what is wrong with a pod. A pod that is well, or ended well, has nothing; neither has one that is being ended, but for its
/// preStop hook.
pub fn explain(scene: &Scene<'_>) -> Explanation {
    let mut explanation = Explanation::default();
    let pod = scene.pod;
    let rules: &[fn(&Scene<'_>, &mut Explanation)] = if pod.is_well() {
        &[]
    } else if pod.deleted.is_some() {
        &[hook::ending]
    } else if pod.status.phase == "Failed" {
        &[rejected::explain, refused::explain, hook::explain, ended::explain]
    } else if pod.node.is_empty() {
        &[schedule::explain]
    } else {
        &[
            image::explain,
            config::explain,
            refused::explain,
            hook::explain,
            volume::explain,
            sandbox::explain,
            ended::explain,
            init::explain,
            gate::explain,
        ]
    };
    for rule in rules {
        rule(scene, &mut explanation);
    }
    // Stable: what is said first weighs more among equals.
    explanation.findings.sort_by_key(|found| std::cmp::Reverse(found.finding.severity));
    explanation
}

/// What a pod waits for, when nothing is known to be wrong: one sentence. `None`: it is well.
pub fn waiting(scene: &Scene<'_>) -> Option<String> {
    waiting::sentence(scene)
}

/// An owner, as far as the number of its pods tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnerState {
    /// Who it is: the top of the chain.
    pub owner: Owner,
    pub namespace: String,
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
    admission::explain(state, now)
}
