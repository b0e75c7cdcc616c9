//! A pod as the rules see it: what the API server says of its spec and status, stripped to what bears on a start.
//!
//! Times are wall-clock nanoseconds since 1970 UTC; the API server's have whole seconds. Lists keep the spec's order,
//! containers are one list (init containers and sidecars first, then the app's, then ephemeral ones). Defaults that the
//! API server fills in are filled in here too when they arrive; what is `None` was not set by anybody.

mod security;
mod status;
mod volume;

pub use security::{PodSecurity, SecurityContext};
pub use status::{Condition, ContainerState, ContainerStatus, PodStatus};
pub use volume::{FsGroupReach, KeyPath, Keys, ProjectedSource, Volume, VolumeMount, VolumeSource, Written};

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// `metadata.uid`; of a static pod the mirror pod's `kubernetes.io/config.hash`, which its cgroup is named after.
    pub uid: String,
    /// `metadata.uid` of the API object, also of a mirror pod.
    pub api_uid: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.nodeName`; empty while it is not scheduled.
    pub node: String,
    /// Who makes it again: the controller at the top of the chain (a Deployment over its `ReplicaSet`).
    pub owner: Option<Owner>,
    /// `metadata.creationTimestamp`.
    pub created: u64,
    /// `metadata.deletionTimestamp`.
    pub deleted: Option<u64>,
    /// It mirrors a static pod: its manifest is a file on the node.
    pub is_mirror: bool,
    /// `spec.restartPolicy`.
    pub restart_policy: RestartPolicy,
    /// `spec.hostUsers`.
    pub host_users: Option<bool>,
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `spec.runtimeClassName`.
    pub runtime_class: String,
    /// `spec.serviceAccountName`.
    pub service_account: String,
    /// `spec.terminationGracePeriodSeconds`.
    #[serde(default = "default_grace")]
    pub grace_seconds: u64,
    /// `spec.schedulerName`.
    pub scheduler: String,
    /// `spec.securityContext`.
    pub security: PodSecurity,
    /// `spec.volumes`.
    pub volumes: Vec<Volume>,
    /// All containers.
    pub containers: Vec<Container>,
    /// `spec.readinessGates[].conditionType`.
    pub readiness_gates: Vec<String>,
    /// `spec.schedulingGates[].name`.
    pub scheduling_gates: Vec<String>,
    /// `spec.nodeSelector`: label and value.
    pub node_selector: Vec<(String, String)>,
    /// `spec.imagePullSecrets[].name`.
    pub pull_secrets: Vec<String>,
    /// `status`.
    pub status: PodStatus,
}

/// What the API server sets where a manifest says nothing (`DefaultTerminationGracePeriodSeconds` of `pkg/apis/core/v1/defaults.go`).
const fn default_grace() -> u64 {
    30
}

/// Who makes a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Its name; it is in the pod's namespace (a Node, which owns mirror pods, is not).
    pub name: String,
    /// Of a Deployment or `StatefulSet`: `RollingUpdate`, `Recreate`, `OnDelete`; empty when not known.
    pub strategy: String,
}

/// `Deployment/orders`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// `spec.restartPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Ended containers are started again, whatever their exit code.
    #[default]
    Always,
    /// Those that failed are.
    OnFailure,
    /// None is.
    Never,
}

/// Kinds of containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerKind {
    /// Runs to its end before the next container starts.
    Init,
    /// An init container with `restartPolicy: Always` (KEP-753).
    Sidecar,
    /// One of `spec.containers`.
    #[default]
    App,
    /// Added by `kubectl debug`.
    Ephemeral,
}

impl ContainerKind {
    /// As it is written in a verdict.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Sidecar => "sidecar",
            Self::App => "app",
            Self::Ephemeral => "ephemeral",
        }
    }

    /// The field of the pod's spec that holds it.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Init | Self::Sidecar => "initContainers",
            Self::App => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

/// A container of the spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// `name`.
    pub name: String,
    /// Which list it is in.
    pub kind: ContainerKind,
    /// `image`, as written.
    pub image: String,
    /// `imagePullPolicy`.
    pub pull_policy: String,
    /// `command`; empty: the image's entrypoint.
    pub command: Vec<String>,
    /// `args`; empty: the image's.
    pub args: Vec<String>,
    /// `workingDir`; empty: the image's.
    pub working_dir: String,
    /// `ports`: name and number.
    pub ports: Vec<(String, u16)>,
    /// What the environment is taken from; never its values.
    pub env_from: Vec<EnvSource>,
    /// `volumeMounts`.
    pub mounts: Vec<VolumeMount>,
    /// `securityContext`.
    pub security: SecurityContext,
    /// `resources.requests`: resource and quantity, as written.
    pub requests: Vec<(String, String)>,
    /// `resources.limits.memory`, bytes.
    pub memory_limit: Option<u64>,
    /// `resources.limits.cpu`, thousandths of a CPU.
    pub cpu_limit: Option<u64>,
    /// `resources.limits["ephemeral-storage"]`, bytes.
    pub storage_limit: Option<u64>,
    /// `readinessProbe`.
    pub readiness: Option<Probe>,
    /// `livenessProbe`.
    pub liveness: Option<Probe>,
    /// `startupProbe`.
    pub startup: Option<Probe>,
    /// `lifecycle.postStart`, in words: `exec /bin/register`.
    pub post_start: Option<String>,
    /// `lifecycle.preStop`, in words.
    pub pre_stop: Option<String>,
}

/// Where a variable, or a set of variables, of the environment comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvSource {
    /// The variable; empty for `envFrom`.
    pub variable: String,
    /// `ConfigMap` or `Secret`.
    pub kind: String,
    /// Name of that object.
    pub name: String,
    /// The key; empty for `envFrom`.
    pub key: String,
    /// It may be missing.
    pub optional: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probe {
    /// What is done, in words: `GET http://:8080/readyz`, `TCP :5432`, `exec pg_isready`, `gRPC :9000`.
    pub action: String,
    /// The port as written: a number, or a name of `ports`.
    pub port: String,
    /// `initialDelaySeconds`.
    pub initial_delay: u32,
    /// `periodSeconds`.
    pub period: u32,
    /// `timeoutSeconds`.
    pub timeout: u32,
    /// `failureThreshold`.
    pub failures: u32,
}

/// An event of the API server about a pod or its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodEvent {
    /// `FailedMount`.
    pub reason: String,
    /// What it says.
    pub message: String,
    /// `type: Warning`.
    pub is_warning: bool,
    /// Who says it: `kubelet`, `default-scheduler`.
    pub source: String,
    /// `regarding.fieldPath`: `spec.containers{app}`.
    pub field: String,
    /// First time.
    pub first: u64,
    /// Last time.
    pub last: u64,
    /// How often.
    pub count: u32,
}

/// A `PersistentVolumeClaim` with what stands behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claim {
    pub name: String,
    /// It exists.
    pub exists: bool,
    /// `status.phase`: Pending, Bound, Lost.
    pub phase: String,
    /// `spec.storageClassName`.
    pub storage_class: String,
    /// The class exists, when one is named.
    pub class_exists: bool,
    /// `volumeBindingMode` of the class.
    pub binding_mode: String,
    /// Name of the `PersistentVolume`.
    pub volume: String,
    /// Its source: `csi (ebs.csi.aws.com)`, `hostPath`, `local`, `nfs`.
    pub source: String,
    /// `spec.accessModes`.
    pub access_modes: Vec<String>,
    /// The `PersistentVolume`'s `spec.csi.readOnly`, or `accessModes` of only `ReadOnlyMany`.
    pub read_only: bool,
}

impl Pod {
    /// Whether its containers run on a kernel of their own, by the name of its runtime class: gVisor and Kata under the names
    /// that their manuals give them.
    pub fn has_own_kernel(&self) -> bool {
        let class = self.runtime_class.to_lowercase();
        ["gvisor", "runsc", "kata"].iter().any(|name| class.split(['-', '_', '.']).any(|part| part.starts_with(name)))
    }

    /// Names of the claims that its volumes are.
    pub fn claim_names(&self) -> impl Iterator<Item = &str> {
        self.volumes.iter().filter_map(Volume::claim)
    }

    /// A container of the spec by its name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The status of a container by its name.
    pub fn status_of(&self, name: &str) -> Option<&ContainerStatus> {
        self.status.containers.iter().find(|status| status.name == name)
    }

    /// The container that has, or last had, this runtime id.
    pub fn container_with_id(&self, id: &str) -> Option<(&Container, &ContainerStatus)> {
        let status = self.status.containers.iter().find(|status| status.has_id(id))?;
        Some((self.container(&status.name)?, status))
    }

    /// A condition by its type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Its condition Ready is true.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|ready| ready.status == "True")
    }

    /// It ended well: a finished Job's pod is not ready and healthy.
    pub fn has_succeeded(&self) -> bool {
        self.status.phase == "Succeeded"
    }

    /// It has failed for good, and its owner has made this other one since: an evicted or rejected pod stays in the API for
    /// long, and is history. Only of owners that replace what fails: a Job's pods are its attempts, a `StatefulSet`'s are made
    /// again under their names, and siblings are no successors.
    pub fn is_replaced_by(&self, other: &Self) -> bool {
        let (Some(owner), Some(theirs)) = (&self.owner, &other.owner) else { return false };
        self.status.phase == "Failed"
            && matches!(owner.kind.as_str(), "Deployment" | "ReplicaSet" | "DaemonSet" | "ReplicationController")
            && (&owner.kind, &owner.name, &self.namespace) == (&theirs.kind, &theirs.name, &other.namespace)
            && (self.created, &self.uid) < (other.created, &other.uid)
            && other.created.saturating_add(1_000_000_000) >= self.failed_at()
    }

    /// When it failed, as far as the status tells; the API server's times have whole seconds.
    fn failed_at(&self) -> u64 {
        let ends = self.status.containers.iter().filter_map(|status| match status.state {
            ContainerState::Terminated { finished, .. } => Some(finished),
            ContainerState::Waiting { .. } | ContainerState::Running { .. } => None,
        });
        ends.max().unwrap_or(self.created)
    }

    /// Nothing is expected of it any more, or all that is expected is there.
    pub fn is_well(&self) -> bool {
        self.is_ready() || self.has_succeeded()
    }
}
