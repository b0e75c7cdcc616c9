//! What the pod's manifest says of a failure, and the change of it that helps.
//!
//! The rules find out what failed from the kernel and the live file system alone. Here the manifest is laid beside it:
//! where the path comes from ([`place`]), which fields bear on the rights of the process ([`chain`]), and what has to change
//! in the spec, as text and as a patch of the owner ([`patch`]). A change is proposed only if the judgement, repeated with
//! what the kubelet would make of it, no longer refuses ([`simulate`]).

pub(in crate::rules) mod alike;
mod candidates;
mod chain;
pub(in crate::rules) mod command;
pub(in crate::rules) mod denied;
mod injected;
pub(in crate::rules) mod limits;
pub(in crate::rules) mod missing;
mod mode;
pub mod patch;
pub(in crate::rules) mod place;
pub(in crate::rules) mod readonly;
pub(in crate::rules) mod rights;
mod shared;
mod simulate;
pub(in crate::rules) mod subpath;
mod ungiven;
mod unmounted;
pub(in crate::rules) mod written;

use crate::{
    pod::{ContainerKind, KeyPath},
    rules::{Finding, Spec},
    verdict::Remedy,
};
use serde_json::{Value, json};

/// Makes a change of the manifest the remedy: in words, as a patch of the owner, and with what must be done beside it.
fn change(finding: &mut Finding, spec: &Spec<'_>, text: String, fragment: Value) {
    if is_ephemeral(finding, spec) {
        return;
    }
    finding.remedy.text = text;
    let is_empty = fragment.as_object().is_none_or(serde_json::Map::is_empty);
    if !is_empty {
        match injected::sentence(&fragment) {
            Some(sentence) => finding.remedy.text = format!("{} {sentence}", finding.remedy.text),
            None => finding.remedy.also.extend(patch::caveats(spec.pod)),
        }
        finding.remedy.patch = patch::strategic(spec.pod, fragment);
    }
}

/// The same by operations, for what a merge cannot say.
fn change_by(finding: &mut Finding, spec: &Spec<'_>, text: String, operations: &[Value]) {
    if is_ephemeral(finding, spec) {
        return;
    }
    finding.remedy.text = text;
    finding.remedy.also.extend(patch::caveats(spec.pod));
    finding.remedy.patch = patch::json(spec.pod, operations);
}

/// A change of the manifest in words alone.
fn advise(finding: &mut Finding, spec: &Spec<'_>, text: String) {
    if !is_ephemeral(finding, spec) {
        finding.remedy.text = text;
    }
}

/// A container of `kubectl debug` is in no template: nothing of the owner is changed for its sake.
fn is_ephemeral(finding: &mut Finding, spec: &Spec<'_>) -> bool {
    let name = &spec.container.name;
    let is_one = spec.container.kind == ContainerKind::Ephemeral;
    if is_one {
        finding.remedy = Remedy {
            text: format!(
                "Container {name} is an ephemeral one, which cannot be changed and which the owner's template does not have: start another one that has what this one lacks. `kubectl debug --custom FILE` takes a securityContext, volumeMounts and a command."
            ),
            ..Remedy::default()
        };
    }
    is_one
}

/// An entry of `items`, which a patch must give as a whole.
fn item(item: &KeyPath, mode: Option<u32>) -> Value {
    let mut entry = json!({ "key": item.key, "path": item.path });
    if let Some(mode) = mode {
        entry["mode"] = json!(mode);
    }
    entry
}

#[cfg(test)]
mod tests;
