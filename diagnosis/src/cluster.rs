//! What the engine hears of the cluster, and what it may ask about it. `unready-kubernetes` brings the one and answers the other.

use crate::pod::{Claim, Pod, PodEvent};
use serde::{Deserialize, Serialize};

/// A change of this node's pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodChange {
    /// A pod, new or changed.
    Apply(Box<Pod>),
    /// A pod is gone.
    Delete { uid: String },
    /// All pods of the node: after the first list, and after every one that follows an outage. What is not in it is gone.
    Reset(Vec<Pod>),
    /// The API server does not answer, since now: pods may change without our knowledge.
    Unreachable,
}

/// A question about the cluster: asked rarely, when something does not come up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterQuestion {
    /// The events about a pod, oldest first.
    PodEvents {
        namespace: String,
        pod: String,
        /// Uid of the pod's API object.
        uid: String,
    },
    /// A `PersistentVolumeClaim` and what stands behind it.
    Claim {
        namespace: String,
        /// Name of the claim.
        name: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterAnswer {
    /// To [`ClusterQuestion::PodEvents`].
    PodEvents(Vec<PodEvent>),
    /// To [`ClusterQuestion::Claim`].
    Claim(Claim),
    /// The API server cannot be asked, or forbids it.
    Unknown {
        /// Why, as a clause.
        reason: String,
    },
}
