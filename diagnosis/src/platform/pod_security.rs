//! Violations of the Pod Security Standards, and the least change of a pod template that heeds them.
//!
//! The plug-in lists them as `NAME (DETAIL), NAME (DETAIL)` (Kubernetes 1.37 `pod-security-admission/policy/check_*.go`); the details name
//! containers without saying whether they are init containers. A change is proposed only if it heeds *all* of them: anything less would be
//! refused again. What takes a function away from the program (hostPath, hostPort, an added capability) is left to people.

use super::message::all_quoted;
use crate::{
    manifest::patch::{join, of_container},
    pod::{Container, ContainerKind, Pod},
};
use serde_json::{Value, json};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation<'a> {
    /// `runAsNonRoot != true`.
    pub(super) name: &'a str,
    /// `pod or container "app" must set securityContext.runAsNonRoot=true`.
    pub(super) detail: &'a str,
}

/// Takes `violates PodSecurity "restricted:latest": …` apart.
pub(super) fn violations(text: &str) -> Vec<Violation<'_>> {
    let list = text.split_once("\": ").map_or(text, |(_, rest)| rest);
    let mut all = Vec::new();
    let mut rest = list;
    while let Some(open) = rest.find(" (") {
        let (name, inner) = (rest.get(..open), rest.get(open + 2..));
        let (Some(name), Some(inner)) = (name, inner) else { break };
        let close = closing(inner);
        let Some(detail) = inner.get(..close) else { break };
        all.push(Violation { name: name.trim_start_matches([',', ' ']).trim(), detail });
        rest = inner.get(close..).unwrap_or_default().trim_start_matches(')');
    }
    all
}

/// Where the parenthesis that is open closes; details have parentheses of their own.
fn closing(text: &str) -> usize {
    let mut depth = 1_i32;
    for (at, letter) in text.char_indices() {
        depth += match letter {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The change of the pod's spec; `None`: some of them cannot be heeded by a change that is known to be harmless.
pub(super) fn fragment(violations: &[Violation<'_>], pod: &Pod) -> Option<Value> {
    let mut all = json!({});
    for violation in violations {
        join(&mut all, heed(violation, pod)?);
    }
    (!violations.is_empty()).then_some(all)
}

fn heed(violation: &Violation<'_>, pod: &Pod) -> Option<Value> {
    let detail = violation.detail;
    match violation.name {
        "allowPrivilegeEscalation != false" => of_named(detail, pod, &json!({ "securityContext": { "allowPrivilegeEscalation": false } })),
        // An added capability that is forbidden is in the same violation.
        "unrestricted capabilities" if !detail.contains("must not include") => {
            of_named(detail, pod, &json!({ "securityContext": { "capabilities": { "drop": ["ALL"] } } }))
        }
        "runAsNonRoot != true" if detail.contains("must not set") => {
            on_setters(detail, pod, &json!({ "securityContext": { "runAsNonRoot": true } }))
        }
        "runAsNonRoot != true" => Some(json!({ "securityContext": { "runAsNonRoot": true } })),
        "seccompProfile" if detail.contains("must set") => {
            Some(json!({ "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } } }))
        }
        "seccompProfile" if detail.contains("must not set") => {
            on_setters(detail, pod, &json!({ "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } } }))
        }
        "privileged" => of_named(detail, pod, &json!({ "securityContext": { "privileged": false } })),
        _ => None,
    }
}

/// The pod, containers, or both, that set what they must not.
fn on_setters(detail: &str, pod: &Pod, fields: &Value) -> Option<Value> {
    let mut all = if detail.starts_with("pod ") { fields.clone() } else { json!({}) };
    let setters = detail.split(" must not set").next().unwrap_or_default();
    if setters.contains("container") {
        join(&mut all, of_named(setters, pod, fields)?);
    }
    Some(all)
}

/// These fields, on each container that the detail names.
fn of_named(detail: &str, pod: &Pod, fields: &Value) -> Option<Value> {
    let names = detail.split(" must ").next().map(all_quoted).filter(|names| !names.is_empty())?;
    let mut all = json!({});
    for name in names {
        join(&mut all, of_container(&container(pod, name)?, fields.clone()));
    }
    Some(all)
}

/// Without a template, which list a container is in is not known: most are ordinary ones only if nothing speaks against it, so that none is guessed.
fn container(pod: &Pod, name: &str) -> Option<Container> {
    pod.container(name).filter(|container| container.kind != ContainerKind::Ephemeral).cloned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const RESTRICTED: &str = "violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (containers \"migrate\", \"app\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"app\" must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"app\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container \"app\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")";

    fn pod() -> Pod {
        let of = |name: &str, kind| Container { name: name.to_owned(), kind, ..Container::default() };
        Pod { containers: vec![of("migrate", ContainerKind::Init), of("app", ContainerKind::App)], ..Pod::default() }
    }

    #[test]
    fn the_list_is_taken_apart() {
        let names: Vec<&str> = violations(RESTRICTED).iter().map(|violation| violation.name).collect();
        assert_eq!(names, ["allowPrivilegeEscalation != false", "unrestricted capabilities", "runAsNonRoot != true", "seccompProfile"]);
        let nested = violations("violates PodSecurity \"x\": a (b (c) d), e (f)");
        assert_eq!(nested, [Violation { name: "a", detail: "b (c) d" }, Violation { name: "e", detail: "f" }]);
        assert!(violations("violates PodSecurity \"x\": nothing").is_empty());
    }

    #[test]
    fn exactly_what_is_listed_is_changed() {
        let expected = json!({
            "initContainers": [{ "name": "migrate", "securityContext": { "allowPrivilegeEscalation": false } }],
            "containers": [{ "name": "app", "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } } }],
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        });
        assert_eq!(fragment(&violations(RESTRICTED), &pod()), Some(expected));
    }

    #[test]
    fn what_cannot_be_heeded_whole_is_not_changed_at_all() {
        let text = format!("{RESTRICTED}, hostPath volumes (volume \"host\")");
        assert_eq!(fragment(&violations(&text), &pod()), None);
        assert_eq!(fragment(&violations(RESTRICTED), &Pod::default()), None, "no template, no guess");
        let added = "violates PodSecurity \"x\": unrestricted capabilities (container \"app\" must not include \"NET_ADMIN\" in securityContext.capabilities.add)";
        assert_eq!(fragment(&violations(added), &pod()), None);
    }

    #[test]
    fn a_container_that_says_the_contrary_is_corrected_where_it_says_so() {
        let text =
            "violates PodSecurity \"x\": runAsNonRoot != true (pod and container \"app\" must not set securityContext.runAsNonRoot=false)";
        let expected = json!({
            "securityContext": { "runAsNonRoot": true },
            "containers": [{ "name": "app", "securityContext": { "runAsNonRoot": true } }],
        });
        assert_eq!(fragment(&violations(text), &pod()), Some(expected));
    }
}
