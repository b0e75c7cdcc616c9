//! `ConfigMaps` and Secrets that a pod needs: which keys of which object, names that are much alike, and how to make what is missing.
//! Values are never asked for nor shown.

use super::{message::alike, scene::ended};
use crate::pod::{Container, EnvSource, Keys, Pod};

/// An object that is missing, or lacks a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Object<'a> {
    /// `ConfigMap` or `Secret`.
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
}

impl<'a> Object<'a> {
    /// Of the API server's or the kubelet's word for it: `secret`, `configMap`.
    pub(super) fn new(kind: &str, name: &'a str) -> Self {
        Self { kind: if kind.eq_ignore_ascii_case("secret") { "Secret" } else { "ConfigMap" }, name }
    }

    /// `Secret db`.
    pub(super) fn word(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    fn is(&self, kind: &str, name: &str) -> bool {
        self.kind == kind && self.name == name
    }
}

/// A use of an object in the pod's spec.
struct Use<'a> {
    kind: &'static str,
    name: &'a str,
    keys: Vec<&'a str>,
    optional: bool,
}

impl<'a> From<Keys<'a>> for Use<'a> {
    fn from(Keys { kind, name, items, optional }: Keys<'a>) -> Self {
        Self { kind, name, keys: items.iter().map(|item| item.key.as_str()).collect(), optional }
    }
}

fn volume_uses(pod: &Pod) -> Vec<Use<'_>> {
    pod.volumes.iter().flat_map(|volume| volume.source.all_keys()).map(Use::from).collect()
}

fn env_uses(container: &Container) -> impl Iterator<Item = Use<'_>> {
    container.env_from.iter().map(|source| Use {
        kind: if source.kind.eq_ignore_ascii_case("secret") { "Secret" } else { "ConfigMap" },
        name: &source.name,
        keys: if source.key.is_empty() { Vec::new() } else { vec![&source.key] },
        optional: source.optional,
    })
}

/// What the kubelet has found already when it makes a container's environment: all volumes are mounted by then, and containers
/// that were started had theirs.
fn proved_uses(pod: &Pod) -> Vec<Use<'_>> {
    let started = |container: &&Container| {
        pod.status_of(&container.name).is_some_and(|status| !status.id.is_empty() || ended(&status.state).is_some())
    };
    let of_started = pod.containers.iter().filter(started).flat_map(env_uses);
    volume_uses(pod).into_iter().chain(of_started).filter(|one| !one.optional).collect()
}

fn all_uses(pod: &Pod) -> Vec<Use<'_>> {
    volume_uses(pod).into_iter().chain(pod.containers.iter().flat_map(env_uses)).collect()
}

/// Keys of an object that the pod asks for, each once.
pub(super) fn keys_needed<'a>(pod: &'a Pod, object: Object<'_>) -> Vec<&'a str> {
    let mut all: Vec<&str> = all_uses(pod).into_iter().filter(|one| object.is(one.kind, one.name)).flat_map(|one| one.keys).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Another object of the kind that the pod names, too, and that is spelt much the same.
pub(super) fn much_like<'a>(pod: &'a Pod, object: Object<'_>) -> Option<&'a str> {
    one(all_uses(pod).into_iter().filter(|one| one.kind == object.kind).map(|one| one.name), object.name)
}

/// The same among those that are known to exist.
pub(super) fn proved_like<'a>(pod: &'a Pod, object: Object<'_>) -> Option<&'a str> {
    one(proved_uses(pod).into_iter().filter(|one| one.kind == object.kind).map(|one| one.name), object.name)
}

/// A key of the object that is known to exist and is spelt much like this one.
pub(super) fn proved_key<'a>(pod: &'a Pod, object: Object<'_>, key: &str) -> Option<&'a str> {
    one(proved_uses(pod).into_iter().filter(|one| object.is(one.kind, one.name)).flat_map(|one| one.keys), key)
}

/// The only name that is much like `wanted`.
fn one<'a>(names: impl Iterator<Item = &'a str>, wanted: &str) -> Option<&'a str> {
    let mut found = None;
    for name in names.filter(|name| alike(name, wanted)) {
        if found.is_some_and(|known| known != name) {
            return None;
        }
        found = Some(name);
    }
    found
}

/// Entries of a container's environment that need this object (or this key of it).
pub(super) fn variables<'a>(container: &'a Container, object: Object<'_>, key: Option<&str>) -> Vec<&'a EnvSource> {
    let fits = |source: &&EnvSource| {
        Object::new(&source.kind, &source.name) == object && !source.optional && key.is_none_or(|key| source.key == key)
    };
    container.env_from.iter().filter(fits).collect()
}

/// How to make an object, with the keys that the pod asks for.
pub(super) fn create(pod: &Pod, object: Object<'_>) -> String {
    let keys = keys_needed(pod, object);
    let keys = if keys.is_empty() { vec!["KEY"] } else { keys };
    let literals = keys.iter().fold(String::new(), |all, key| all + " --from-literal=" + key + "=VALUE");
    let kind = if object.kind == "Secret" { "secret generic" } else { "configmap" };
    format!("`kubectl -n {} create {kind} {}{literals}`", pod.namespace, object.name)
}

/// How to add a key to one that exists.
pub(super) fn add_key(pod: &Pod, object: Object<'_>, key: &str) -> String {
    let (kind, field) = if object.kind == "Secret" { ("secret", "stringData") } else { ("configmap", "data") };
    format!("`kubectl -n {} patch {kind} {} --type merge -p '{{\"{field}\":{{\"{key}\":\"VALUE\"}}}}'`", pod.namespace, object.name)
}
