//! What the kubelet and the scheduler say of a pod.

use serde::{Deserialize, Serialize};

/// `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    /// `phase`: Pending, Running, Succeeded, Failed, Unknown.
    pub phase: String,
    /// `reason`: Evicted, `UnexpectedAdmissionError` …
    pub reason: String,
    /// `message`.
    pub message: String,
    /// `startTime`: when the kubelet took it up.
    pub started: Option<u64>,
    /// `conditions`.
    pub conditions: Vec<Condition>,
    /// All container statuses, in the order of [`super::Pod::containers`] as far as there are any.
    pub containers: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// `type`: Ready, `PodScheduled`, `PodReadyToStartContainers` …
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// `reason`.
    pub reason: String,
    /// `message`.
    pub message: String,
    /// `lastTransitionTime`.
    pub since: u64,
}

/// Status of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerStatus {
    /// `name`.
    pub name: String,
    /// `containerID` without its scheme; empty before the first start.
    pub id: String,
    /// `lastState.terminated.containerID` without its scheme.
    pub last_id: String,
    /// `imageID`; empty until the image is there.
    pub image_id: String,
    /// `ready`.
    pub is_ready: bool,
    /// `started`: the startup probe has succeeded, or there is none and it runs.
    pub is_started: bool,
    /// `restartCount`.
    pub restarts: u32,
    /// `state`.
    pub state: ContainerState,
    /// `lastState`, when it is a terminated one.
    pub last: Option<ContainerState>,
}

/// State of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerState {
    /// It has not begun, or waits for its next start.
    Waiting {
        /// `ContainerCreating`, `PodInitializing`, `CrashLoopBackOff`, `ErrImagePull`, `CreateContainerConfigError` …
        reason: String,
        /// What it says.
        message: String,
    },
    /// It runs.
    Running {
        /// `startedAt`.
        since: u64,
    },
    /// It has ended.
    Terminated {
        /// `exitCode`.
        code: i32,
        /// `signal`.
        signal: i32,
        /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerCannotRun` …
        reason: String,
        /// What it says.
        message: String,
        /// `startedAt`.
        started: u64,
        /// `finishedAt`.
        finished: u64,
    },
}

impl Default for ContainerState {
    fn default() -> Self {
        Self::Waiting { reason: String::new(), message: String::new() }
    }
}

impl ContainerStatus {
    /// Whether this runtime id is, or was last, this container's.
    pub fn has_id(&self, id: &str) -> bool {
        !id.is_empty() && (self.id == id || self.last_id == id)
    }

    /// How often the container had been started before the start with this id.
    pub fn restarts_before(&self, id: &str) -> u32 {
        // `restartCount` counts the starts after the first, the current one included.
        if self.id != id && self.last_id == id { self.restarts.saturating_sub(1) } else { self.restarts }
    }
}
