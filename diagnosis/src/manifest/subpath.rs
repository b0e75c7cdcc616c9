//! A directory where a file was meant, and the manifest: the kubelet makes a directory for a `subPath` that names no key, a
//! volume without `subPath` is always one, and so is a hostPath that did not exist.

use super::{
    advice::{Advice, change},
    alike,
    located::{Located, items_of, locate},
    patch::of_container,
};
use crate::{
    case::Case,
    pod::{KeyPath, VolumeSource},
};
use serde_json::json;

/// A directory where a file was meant, at the very place of a mount.
pub(super) fn directory(advice: &mut Advice, case: &Case<'_>, name: &str) {
    let Some(spec) = case.manifest else { return };
    let Some(place) = locate(&spec, name) else { return };
    advice.explanation.push(place.sentence(None));
    if !place.below.is_empty() || place.mount.sub_path.contains("$(") {
        return;
    }
    let file = name.rsplit('/').next().unwrap_or(name);
    let items = items_of(&place.volume.source);
    let sub_path = if place.mount.sub_path.is_empty() { whole_volume(&place, file, items) } else { misspelt(&place, file, items) };
    if let Some((key, why)) = sub_path {
        let text = format!(
            "Set subPath: {key} on the volumeMount at {name}{why}. The new pod gets the file; the directory goes with the old pod."
        );
        let mount = json!({ "mountPath": place.mount.path, "name": place.volume.name, "subPath": key });
        return change(advice, &spec, text, of_container(spec.container, json!({ "volumeMounts": [mount] })));
    }
    if let VolumeSource::HostPath { kind, .. } = &place.volume.source {
        on_node(advice, &place, kind, &spec.pod.node);
    }
}

/// A directory of the node: one that was asked for, or one that was made because nothing was there.
fn on_node(advice: &mut Advice, place: &Located<'_>, kind: &str, node: &str) {
    let path = place.on_node().unwrap_or_default();
    if kind == "Directory" && place.mount.sub_path.is_empty() {
        advice.explanation.push(format!("`type: Directory` of the volume asks for a directory, and {path} on node {node} is one"));
        advice.remedy.text = format!(
            "Mount the file that is meant: its path on the node with `type: File`, or subPath: FILE on the volumeMount; or tell the program a path below {}.",
            place.mount.path
        );
        return;
    }
    let maker = match kind {
        _ if !place.mount.sub_path.is_empty() => "for a subPath that is not there, the kubelet makes",
        "DirectoryOrCreate" => "type DirectoryOrCreate makes",
        _ => "without a type, the runtime makes",
    };
    advice.explanation.push(format!("{path} is a directory on the node: {maker} an empty one where nothing is"));
    advice.remedy.text = format!(
        "No change of the manifest brings the file: put it at {path} on node {node} (if an empty directory is there, remove it first). With `type: File` the kubelet says so instead of making a directory."
    );
}

/// The volume is mounted as a whole where one of its files was meant.
fn whole_volume(place: &Located<'_>, file: &str, items: Option<&[KeyPath]>) -> Option<(String, String)> {
    match items {
        _ if !place.is_kubelet_written() => None,
        Some(items) => items
            .iter()
            .find(|item| item.path == file)
            .map(|item| (item.path.clone(), ", so that the file is mounted and not the volume".to_owned())),
        None if is_file_name(file) => {
            Some((file.to_owned(), format!(", if {file} is the key: without subPath a volume is always a directory")))
        }
        None => None,
    }
}

/// `app.yaml`, not `app` or `conf.d`.
fn is_file_name(name: &str) -> bool {
    matches!(name.rsplit_once('.'), Some((stem, ending)) if !stem.is_empty() && !ending.is_empty() && ending != "d")
}

/// The key that subPath means.
fn misspelt(place: &Located<'_>, file: &str, items: Option<&[KeyPath]>) -> Option<(String, String)> {
    let told = place.mount.sub_path.as_str();
    let near = |name: &str| name != told && (alike::is_slip(name, told) || alike::is_same_stem(name, told) || name == file);
    match items {
        _ if !place.is_kubelet_written() => None,
        Some([only]) if only.path != told => Some((only.path.clone(), format!(": the only file of the volume (it says {told})"))),
        Some(items) => {
            items.iter().find(|item| near(&item.path)).map(|item| (item.path.clone(), format!(", as `items` spells it (it says {told})")))
        }
        None if near(file) => Some((file.to_owned(), format!(", if that is the key (it says {told}, which is none)"))),
        None => None,
    }
}
