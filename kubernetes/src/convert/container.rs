//! Containers of the spec: init containers and sidecars first, then the app's, then ephemeral ones.

use super::{cut, probe, quantity, security, volume, words};
use k8s_openapi::{api::core::v1 as api, apimachinery::pkg::api::resource::Quantity};
use unready_diagnosis::pod::{Container, ContainerKind, EnvSource};

pub(super) fn all(spec: &api::PodSpec) -> Vec<Container> {
    let init = spec.init_containers.iter().flatten().map(|container| one(container, init_kind(container)));
    let app = spec.containers.iter().map(|container| one(container, ContainerKind::App));
    init.chain(app).chain(spec.ephemeral_containers.iter().flatten().map(ephemeral)).collect()
}

fn init_kind(container: &api::Container) -> ContainerKind {
    if container.restart_policy.as_deref() == Some("Always") { ContainerKind::Sidecar } else { ContainerKind::Init }
}

fn one(container: &api::Container, kind: ContainerKind) -> Container {
    let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let limit = |name: &str, read: fn(&Quantity) -> Option<u64>| limits?.get(name).and_then(read);
    let lifecycle = container.lifecycle.as_ref();
    Container {
        name: container.name.clone(),
        kind,
        image: container.image.clone().unwrap_or_default(),
        pull_policy: container.image_pull_policy.clone().unwrap_or_default(),
        command: words(container.command.as_ref()),
        args: words(container.args.as_ref()),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        ports: container.ports.iter().flatten().filter_map(port).collect(),
        env_from: environment(container.env.as_ref(), container.env_from.as_ref()),
        mounts: volume::mounts(container.volume_mounts.as_ref()),
        security: container.security_context.as_ref().map(security::of_container).unwrap_or_default(),
        requests: container.resources.as_ref().map(requests).unwrap_or_default(),
        memory_limit: limit("memory", quantity::units),
        cpu_limit: limit("cpu", quantity::thousandths),
        storage_limit: limit("ephemeral-storage", quantity::units),
        readiness: container.readiness_probe.as_ref().map(probe::probe),
        liveness: container.liveness_probe.as_ref().map(probe::probe),
        startup: container.startup_probe.as_ref().map(probe::probe),
        post_start: lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref()).map(probe::handler),
        pre_stop: lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref()).map(probe::handler),
    }
}

/// Ephemeral containers have no ports, probes, limits or hooks.
fn ephemeral(container: &api::EphemeralContainer) -> Container {
    Container {
        name: container.name.clone(),
        kind: ContainerKind::Ephemeral,
        image: container.image.clone().unwrap_or_default(),
        pull_policy: container.image_pull_policy.clone().unwrap_or_default(),
        command: words(container.command.as_ref()),
        args: words(container.args.as_ref()),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        env_from: environment(container.env.as_ref(), container.env_from.as_ref()),
        mounts: volume::mounts(container.volume_mounts.as_ref()),
        security: container.security_context.as_ref().map(security::of_container).unwrap_or_default(),
        ..Container::default()
    }
}

fn requests(resources: &api::ResourceRequirements) -> Vec<(String, String)> {
    resources.requests.iter().flatten().map(|(name, quantity)| (name.clone(), quantity.0.clone())).collect()
}

fn port(port: &api::ContainerPort) -> Option<(String, u16)> {
    Some((port.name.clone().unwrap_or_default(), u16::try_from(port.container_port).ok()?))
}

/// Where it comes from; values stay where they are.
fn environment(variables: Option<&Vec<api::EnvVar>>, sets: Option<&Vec<api::EnvFromSource>>) -> Vec<EnvSource> {
    let single = variables.into_iter().flatten().filter_map(variable);
    single.chain(sets.into_iter().flatten().filter_map(set)).collect()
}

fn variable(variable: &api::EnvVar) -> Option<EnvSource> {
    let from = variable.value_from.as_ref()?;
    let source = |kind: &str, name: &str, key: &str, optional: Option<bool>| EnvSource {
        variable: cut(&variable.name, super::MAX_WORD),
        kind: kind.to_owned(),
        name: name.to_owned(),
        key: key.to_owned(),
        optional: optional.unwrap_or_default(),
    };
    let map = from.config_map_key_ref.as_ref().map(|key| source("ConfigMap", &key.name, &key.key, key.optional));
    map.or_else(|| from.secret_key_ref.as_ref().map(|key| source("Secret", &key.name, &key.key, key.optional)))
}

fn set(set: &api::EnvFromSource) -> Option<EnvSource> {
    let source = |kind: &str, name: &str, optional: Option<bool>| EnvSource {
        kind: kind.to_owned(),
        name: name.to_owned(),
        optional: optional.unwrap_or_default(),
        ..EnvSource::default()
    };
    let map = set.config_map_ref.as_ref().map(|map| source("ConfigMap", &map.name, map.optional));
    map.or_else(|| set.secret_ref.as_ref().map(|secret| source("Secret", &secret.name, secret.optional)))
}
