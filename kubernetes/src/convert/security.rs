//! Security contexts of pod and container.

use k8s_openapi::api::core::v1 as api;
use unready_diagnosis::pod::{PodSecurity, SecurityContext};

pub(super) fn of_pod(context: &api::PodSecurityContext) -> PodSecurity {
    PodSecurity {
        run_as_user: id(context.run_as_user),
        run_as_group: id(context.run_as_group),
        run_as_non_root: context.run_as_non_root,
        supplemental_groups: context.supplemental_groups.iter().flatten().filter_map(|group| id(Some(*group))).collect(),
        supplemental_groups_policy: context.supplemental_groups_policy.clone().unwrap_or_default(),
        fs_group: id(context.fs_group),
        fs_group_change_policy: context.fs_group_change_policy.clone().unwrap_or_default(),
        seccomp: context.seccomp_profile.as_ref().map(seccomp).unwrap_or_default(),
        app_armor: context.app_armor_profile.as_ref().map(app_armor).unwrap_or_default(),
        se_linux: context.se_linux_options.as_ref().map(se_linux).unwrap_or_default(),
        sysctls: context.sysctls.iter().flatten().map(|sysctl| sysctl.name.clone()).collect(),
    }
}

pub(super) fn of_container(context: &api::SecurityContext) -> SecurityContext {
    let capabilities = context.capabilities.as_ref();
    SecurityContext {
        run_as_user: id(context.run_as_user),
        run_as_group: id(context.run_as_group),
        run_as_non_root: context.run_as_non_root,
        read_only_root: context.read_only_root_filesystem,
        privileged: context.privileged,
        allow_privilege_escalation: context.allow_privilege_escalation,
        add: capabilities.and_then(|capabilities| capabilities.add.clone()).unwrap_or_default(),
        drop: capabilities.and_then(|capabilities| capabilities.drop.clone()).unwrap_or_default(),
        seccomp: context.seccomp_profile.as_ref().map(seccomp).unwrap_or_default(),
        app_armor: context.app_armor_profile.as_ref().map(app_armor).unwrap_or_default(),
    }
}

/// Ids are 32 bits wide in the kernel; the API server refuses others.
fn id(id: Option<i64>) -> Option<u32> {
    id.and_then(|id| u32::try_from(id).ok())
}

fn seccomp(profile: &api::SeccompProfile) -> String {
    with_name(&profile.type_, profile.localhost_profile.as_deref())
}

fn app_armor(profile: &api::AppArmorProfile) -> String {
    with_name(&profile.type_, profile.localhost_profile.as_deref())
}

fn with_name(kind: &str, name: Option<&str>) -> String {
    name.map_or_else(|| kind.to_owned(), |name| format!("{kind} {name}"))
}

fn se_linux(options: &api::SELinuxOptions) -> String {
    let parts = [("user", &options.user), ("role", &options.role), ("type", &options.type_), ("level", &options.level)];
    let set = parts.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_deref().filter(|value| !value.is_empty())?)));
    set.collect::<Vec<_>>().join(", ")
}
