//! Rights that a pod's spec gives and takes.

use serde::{Deserialize, Serialize};

/// `spec.securityContext`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodSecurity {
    /// `runAsUser`.
    pub run_as_user: Option<u32>,
    /// `runAsGroup`.
    pub run_as_group: Option<u32>,
    /// `runAsNonRoot`.
    pub run_as_non_root: Option<bool>,
    /// `supplementalGroups`.
    pub supplemental_groups: Vec<u32>,
    /// `supplementalGroupsPolicy`: `Merge` or `Strict` (KEP-3619).
    pub supplemental_groups_policy: String,
    /// `fsGroup`.
    pub fs_group: Option<u32>,
    /// `fsGroupChangePolicy`: `Always` or `OnRootMismatch`.
    pub fs_group_change_policy: String,
    /// `seccompProfile`: `RuntimeDefault`, `Unconfined`, `Localhost profile.json`; empty when not set.
    pub seccomp: String,
    /// `appArmorProfile`, written the same way.
    pub app_armor: String,
    /// `seLinuxOptions`, in words; empty when not set.
    pub se_linux: String,
    /// `sysctls[].name`.
    pub sysctls: Vec<String>,
}

/// `securityContext` of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityContext {
    /// `runAsUser`.
    pub run_as_user: Option<u32>,
    /// `runAsGroup`.
    pub run_as_group: Option<u32>,
    /// `runAsNonRoot`.
    pub run_as_non_root: Option<bool>,
    /// `readOnlyRootFilesystem`.
    pub read_only_root: Option<bool>,
    /// `privileged`.
    pub privileged: Option<bool>,
    /// `allowPrivilegeEscalation`.
    pub allow_privilege_escalation: Option<bool>,
    /// `capabilities.add`, as written.
    pub add: Vec<String>,
    /// `capabilities.drop`, as written.
    pub drop: Vec<String>,
    /// `seccompProfile`; see [`PodSecurity::seccomp`].
    pub seccomp: String,
    /// `appArmorProfile`.
    pub app_armor: String,
}
