//! What the manifest adds to a finding: reasons, facts, and a remedy in place of the general one.

use super::{injected, patch};
use crate::{
    case::Manifest,
    pod::{ContainerKind, KeyPath},
    units::BootNanos,
    verdict::{Evidence, EvidenceKind, Remedy},
};
use serde_json::{Value, json};

/// What the manifest adds to a finding.
#[derive(Clone, Debug)]
pub(super) struct Advice {
    /// Further reasons.
    pub(super) explanation: Vec<String>,
    /// What to do: the finding's own remedy, until a better one is known.
    pub(super) remedy: Remedy,
    /// When the thing happened that the reasons are about.
    at: BootNanos,
    /// How many of the reasons are facts of the manifest too.
    facts: Vec<Evidence>,
}

impl Advice {
    pub(super) const fn new(remedy: Remedy, at: BootNanos) -> Self {
        Self { explanation: Vec::new(), remedy, at, facts: Vec::new() }
    }

    /// A reason that is a field of the manifest: a fact too.
    pub(super) fn say(&mut self, text: String) {
        self.facts.push(Evidence::new(self.at, EvidenceKind::Spec, text.clone()));
        self.explanation.push(text);
    }

    /// All reasons so far are facts too.
    pub(super) fn all_are_facts(&mut self) {
        self.facts = self.explanation.iter().map(|text| Evidence::new(self.at, EvidenceKind::Spec, text.clone())).collect();
    }

    pub(super) fn into_parts(self) -> (Vec<String>, Vec<Evidence>, Remedy) {
        (self.explanation, self.facts, self.remedy)
    }
}

/// Makes a change of the manifest the remedy: in words, as a patch of the owner, and with what must be done beside it.
pub(super) fn change(advice: &mut Advice, spec: &Manifest<'_>, text: String, fragment: Value) {
    if is_ephemeral(advice, spec) {
        return;
    }
    advice.remedy.text = text;
    let is_empty = fragment.as_object().is_none_or(serde_json::Map::is_empty);
    if !is_empty {
        match injected::sentence(&fragment) {
            Some(sentence) => advice.remedy.text = format!("{} {sentence}", advice.remedy.text),
            None => advice.remedy.also.extend(patch::caveats(spec.pod)),
        }
        advice.remedy.patch = patch::strategic(spec.pod, fragment);
    }
}

/// The same by operations, for what a merge cannot say.
pub(super) fn change_by(advice: &mut Advice, spec: &Manifest<'_>, text: String, operations: &[Value]) {
    if is_ephemeral(advice, spec) {
        return;
    }
    advice.remedy.text = text;
    advice.remedy.also.extend(patch::caveats(spec.pod));
    advice.remedy.patch = patch::json(spec.pod, operations);
}

/// A change of the manifest in words alone.
pub(super) fn advise(advice: &mut Advice, spec: &Manifest<'_>, text: String) {
    if !is_ephemeral(advice, spec) {
        advice.remedy.text = text;
    }
}

/// A container of `kubectl debug` is in no template: nothing of the owner is changed for its sake.
pub(super) fn is_ephemeral(advice: &mut Advice, spec: &Manifest<'_>) -> bool {
    let name = &spec.container.name;
    let is_one = spec.container.kind == ContainerKind::Ephemeral;
    if is_one {
        advice.remedy = Remedy {
            text: format!(
                "Container {name} is an ephemeral one, which cannot be changed and which the owner's template does not have: start another one that has what this one lacks. `kubectl debug --custom FILE` takes a securityContext, volumeMounts and a command."
            ),
            ..Remedy::default()
        };
    }
    is_one
}

/// An entry of `items`, which a patch must give as a whole.
pub(super) fn item(item: &KeyPath, mode: Option<u32>) -> Value {
    let mut entry = json!({ "key": item.key, "path": item.path });
    if let Some(mode) = mode {
        entry["mode"] = json!(mode);
    }
    entry
}
