//! `ConfigMissing`: the environment of a container needs a `ConfigMap`, a Secret or a key that does not exist.
//!
//! The kubelet says `CreateContainerConfigError` with the API server's `secret "x" not found` or its own `couldn't find key k in
//! Secret ns/x` (Kubernetes 1.37 `pkg/kubelet/kubelet_pods.go`, `makeEnvironmentVariables`), and tries again every few
//! seconds. It names the first thing that is missing; there may be more. An object that is `optional` is not waited for.

use super::{
    Explanation, Scene,
    build::{Build, container, found},
    message::{between, core, quoted, word},
    objects::{self, Object},
    scene::waits,
};
use crate::{
    catalogue::config_missing,
    manifest::patch,
    pod::{Container, EnvSource, Pod},
    verdict::SubjectKind,
};
use serde_json::{Value, json};

const REASON: &str = "CreateContainerConfigError";

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Missing<'a> {
    object: Object<'a>,
    key: Option<&'a str>,
}

/// Adds what is missing for the environment.
pub(super) fn explain(scene: &Scene<'_>, explanation: &mut Explanation) {
    for (spec, status) in scene.containers() {
        let (reason, message) = waits(status);
        let missing = (reason == REASON).then(|| read(message, &scene.pod.namespace)).flatten();
        let Some(missing) = missing else { continue };
        let fact = format!("{}: waiting, {reason}: {message}", container(scene, &spec.name));
        let build = say(scene.pod, spec, missing).of(&spec.name).because(format!("the kubelet says: {}", core(message)));
        explanation.findings.push(build.status(scene.taken_up(), &fact).now(scene));
    }
}

fn read<'a>(message: &'a str, namespace: &str) -> Option<Missing<'a>> {
    if let Some(key) = word(message, "find key ") {
        for kind in ["Secret", "ConfigMap"] {
            if let Some(path) = word(message, &format!(" in {kind} ")) {
                let name = path.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path);
                return Some(Missing { object: Object::new(kind, name), key: Some(key) });
            }
        }
    }
    let kinds = ["secret", "configmap"].into_iter();
    let mut absent = kinds.filter_map(|kind| Some((kind, quoted(message, &format!("{kind} "))?)));
    let (kind, name) = absent.find(|(kind, name)| message.contains(&format!("{kind} \"{name}\" not found")))?;
    Some(Missing { object: Object::new(kind, name), key: None })
}

fn say(pod: &Pod, spec: &Container, missing: Missing<'_>) -> Build {
    let Missing { object, key } = missing;
    let uses = objects::variables(spec, object, key);
    match key {
        None => {
            let summary = format!("{} does not exist, and the environment of container {} needs it", object.word(), spec.name);
            let build = found(config_missing::MISSING_OBJECT, (SubjectKind::Object, &object.word()), summary);
            let build = build.because(needed_by(&uses));
            match objects::proved_like(pod, object) {
                Some(other) => {
                    correct(build, pod, spec, renamed(&uses, object.kind, other, None).as_ref(), &format!("{} {other}", object.kind))
                }
                None => {
                    build.fix(format!("Create it: {}. The kubelet tries again by itself every few seconds.", objects::create(pod, object)))
                }
            }
        }
        Some(key) => {
            let thing = format!("{}, key {key}", object.word());
            let summary = format!("{} has no key {key}, and the environment of container {} needs it", object.word(), spec.name);
            let build = found(config_missing::MISSING_KEY, (SubjectKind::Object, &thing), summary);
            let build = build.because(needed_by(&uses));
            match objects::proved_key(pod, object, key) {
                Some(other) => {
                    correct(build, pod, spec, renamed(&uses, object.kind, object.name, Some(other)).as_ref(), &format!("key {other}"))
                }
                None => build.fix(format!(
                    "Add the key: {}, or correct it in the manifest. The kubelet tries again by itself every few seconds.",
                    objects::add_key(pod, object, key)
                )),
            }
        }
    }
}

fn needed_by(uses: &[&EnvSource]) -> String {
    let names: Vec<&str> = uses.iter().map(|source| source.variable.as_str()).filter(|name| !name.is_empty()).collect();
    match names.as_slice() {
        [] if uses.is_empty() => "which entry of the environment needs it could not be told from the pod's spec".to_owned(),
        [] => "`envFrom` takes all its keys as variables".to_owned(),
        names => format!("it is wanted for {}", crate::words::list(names.iter().map(|name| format!("${name}")), 4)),
    }
}

/// The variables with the name or key that exists. `None` where one of them is an `envFrom`: that list has no merge key.
fn renamed(uses: &[&EnvSource], kind: &str, name: &str, key: Option<&str>) -> Option<Value> {
    if uses.is_empty() || uses.iter().any(|source| source.variable.is_empty()) {
        return None;
    }
    let field = if kind == "Secret" { "secretKeyRef" } else { "configMapKeyRef" };
    let one = |source: &&EnvSource| json!({ "name": source.variable, "valueFrom": { field: { "name": name, "key": key.unwrap_or(&source.key) } } });
    Some(json!({ "env": uses.iter().map(one).collect::<Vec<_>>() }))
}

fn correct(build: Build, pod: &Pod, spec: &Container, env: Option<&Value>, other: &str) -> Build {
    let build = build.because(format!("the pod also uses {other}, which exists and is spelt much the same"));
    let build = build.fix(format!("Correct the name in the environment of container {}: {other}.", spec.name));
    match env {
        Some(env) => build.change(pod, patch::of_container(spec, env.clone())),
        None => build,
    }
}

/// The refusal is about the environment's sources, or about a cache of them that is not filled yet.
pub(super) fn owns(reason: &str, message: &str, namespace: &str) -> bool {
    reason == REASON && (read(message, namespace).is_some() || is_passing(message))
}

/// What the kubelet says when it has only just heard of a pod, and gets over by itself.
pub(super) fn is_passing(message: &str) -> bool {
    let cache = message.contains("failed to sync") && message.contains("cache");
    cache || between(message, "object \"", "not registered").is_some()
}
