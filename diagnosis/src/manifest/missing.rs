//! A missing file and the manifest: the key that `items` leaves out, the volume that another container has, the token that
//! was switched off, the container that writes too late.
//!
//! Contents of `ConfigMap`s and Secrets are not read. Which keys an object has is known only from `items` and from what is in
//! the volume; where a patch needs more than that, its text says what must be looked at first.

use super::{
    advice::{Advice, advise, change, is_ephemeral, item},
    alike,
    located::{Located, locate},
    shared, unmounted,
};
use crate::{
    case::{Case, Manifest},
    permission::open_flags::CREAT,
    pod::{KeyPath, Keys, ProjectedSource, VolumeSource},
    question::Stop,
    record::Call,
    story::failure::Failure,
    words,
};
use serde_json::{Value, json};

/// A file that is not there.
pub(super) fn absent(advice: &mut Advice, failure: &Failure, case: &Case<'_>, name: &str, stop: Option<&Stop>) {
    let Some(spec) = case.manifest.filter(|_| name.starts_with('/')) else { return };
    match locate(&spec, name) {
        Some(place) => on_volume(advice, &spec, &place, stop),
        None if makes(failure) && is_directory_missing(name, stop) => unmounted::directory_to_write(advice, &spec, name),
        None => unmounted::on_none(advice, &spec, name),
    }
    advice.all_are_facts();
}

/// Not the thing itself stopped the walk, but a directory on the way to it.
fn is_directory_missing(name: &str, stop: Option<&Stop>) -> bool {
    stop.is_some_and(|stop| stop.path != name)
}

fn on_volume(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>, stop: Option<&Stop>) {
    advice.explanation.push(place.sentence(None));
    let source = &place.volume.source;
    if let Some(keys) = source.keys() {
        no_key(advice, spec, place, &keys, stop);
    } else if let VolumeSource::Projected { sources, .. } = source {
        not_projected(advice, spec, place, sources);
    } else if let VolumeSource::DownwardApi { paths, .. } = source {
        no_field(advice, spec, place, paths);
    } else if let VolumeSource::EmptyDir { .. } = source {
        shared::emptied(advice, spec, place);
    } else if let Some(path) = place.on_node() {
        not_on_node(advice, spec, &path);
    } else {
        advice.explanation.push(format!("what the image has at {} is hidden by the volume", place.mount.path));
    }
}

fn no_field(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>, paths: &[String]) {
    advice.explanation.push(format!("its items give {}", words::list(paths, 6)));
    let text = format!(
        "Add an item with path {} to the downwardAPI volume {}, or correct the path that the program is told.",
        place.in_volume(),
        place.volume.name
    );
    advise(advice, spec, text);
}

fn not_on_node(advice: &mut Advice, spec: &Manifest<'_>, path: &str) {
    let node = if spec.pod.node.is_empty() { "its node" } else { &spec.pod.node };
    advice.explanation.push(format!("on node {node} there is no {path}"));
    advice.remedy.text =
        format!("No change of the manifest helps: put {path} on every node that the pod may run on, or use a volume that follows the pod.");
}

/// The item that was meant: of this key under another path, or under a path that differs by a slip.
fn meant<'a>(items: &'a [KeyPath], wanted: &str) -> Option<&'a KeyPath> {
    let base = wanted.rsplit('/').next().unwrap_or(wanted);
    let by_key = items.iter().find(|item| item.key == wanted || item.key == base);
    let mut slips = items.iter().filter(|item| alike::is_slip(&item.path, wanted) || alike::is_slip(&item.key, base));
    by_key.or_else(|| match (slips.next(), slips.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    })
}

fn no_key(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>, keys: &Keys<'_>, stop: Option<&Stop>) {
    let wanted = place.in_volume();
    let has_item = keys.items.iter().any(|item| item.path == wanted);
    if keys.items.is_empty() && wanted.contains('/') {
        below_the_top(advice, spec, place, keys, &wanted);
    } else if keys.optional && (keys.items.is_empty() || has_item) {
        optional(advice, spec, place, keys, &wanted);
    } else if keys.items.is_empty() {
        not_a_key(advice, spec, keys, &wanted, stop);
    } else if !has_item {
        not_listed(advice, spec, place, keys, wanted);
    }
}

/// `ConfigMap app`.
fn object(keys: &Keys<'_>) -> String {
    format!("{} {}", keys.kind, keys.name)
}

/// `kubectl -n shop VERB configmap app`.
fn kubectl(verb: &str, spec: &Manifest<'_>, keys: &Keys<'_>) -> String {
    format!("kubectl -n {} {verb} {} {}", spec.pod.namespace, keys.kind.to_lowercase(), keys.name)
}

/// Keys have letters, digits, `-`, `_` and `.` alone (`IsConfigMapKey` of `k8s.io/apimachinery`).
fn below_the_top(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>, keys: &Keys<'_>, wanted: &str) {
    let (object, volume) = (object(keys), &place.volume.name);
    advice
        .explanation
        .push(format!("every key of {object} is a file of the volume's top directory: a key cannot hold a slash, as {wanted} does"));
    let text = format!(
        "Give volume {volume} `items` that say where each key goes ({{key: KEY, path: {wanted}}}; then only the keys that are listed are there), or correct the path that the program is told."
    );
    advise(advice, spec, text);
}

fn optional(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>, keys: &Keys<'_>, wanted: &str) {
    let object = object(keys);
    advice.explanation.push(format!("the volume is optional: the pod starts without it if {object} or its key does not exist"));
    // What a subPath was when the container started it stays.
    let filled = if place.mount.sub_path.is_empty() {
        "the kubelet then fills the volume within a minute or two"
    } else {
        "the pod must then be made anew, a subPath does not follow its volume"
    };
    advice.remedy.text =
        format!("Create {object} with the key {wanted} (`{}` shows whether it exists); {filled}.", kubectl("get", spec, keys));
}

fn not_a_key(advice: &mut Advice, spec: &Manifest<'_>, keys: &Keys<'_>, wanted: &str, stop: Option<&Stop>) {
    let object = object(keys);
    advice.explanation.push(format!("every key of {object} is a file there: it has no key {wanted}"));
    let near = stop
        .and_then(|stop| stop.alike.first())
        .map(|near| format!(" It has {near}: if that is meant, correct the path that the program is told."))
        .unwrap_or_default();
    advice.remedy.text =
        format!("Add the key {wanted} to {object} (`{}`); the pod's manifest is right.{near}", kubectl("edit", spec, keys));
}

fn not_listed(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>, keys: &Keys<'_>, wanted: String) {
    let volume = &place.volume.name;
    let listed = words::list(keys.items.iter().map(|item| &item.path), 6);
    advice.explanation.push(format!("`items` of the volume lists {listed}, and not {wanted}: a key that is not listed is not there"));
    let (new, text) = if let Some(meant) = meant(keys.items, &wanted) {
        let text = format!(
            "Mount the key {} as {wanted} too: `items` of volume {volume} (it is {} now); or tell the program that path.",
            meant.key, meant.path
        );
        (KeyPath { path: wanted, ..meant.clone() }, text)
    } else {
        let key = wanted.rsplit('/').next().unwrap_or(&wanted).to_owned();
        let text = format!(
            "Add {{key: {key}, path: {wanted}}} to `items` of volume {volume}, if {} has that key (`{} -o yaml`): one that it does not have keeps the pod from starting. Or correct the path that the program is told.",
            object(keys),
            kubectl("get", spec, keys)
        );
        (KeyPath { key, path: wanted, mode: None }, text)
    };
    add_item(advice, spec, place, &new, text);
}

/// One item more: `items` is replaced as a whole.
fn add_item(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>, new: &KeyPath, text: String) {
    let (Some(written), Some(keys)) = (place.volume.source.written(), place.volume.source.keys()) else { return };
    let items: Vec<Value> = keys.items.iter().chain([new]).map(|one| item(one, one.mode)).collect();
    change(advice, spec, text, json!({ "volumes": [{ "name": place.volume.name, written.field: { "items": items } }] }));
}

fn not_projected(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>, sources: &[ProjectedSource]) {
    let wanted = place.in_volume();
    let paths = sources.iter().flat_map(given);
    advice.explanation.push(format!("the sources of the projected volume give {}", words::list(paths, 8)));
    let text = format!(
        "Add a source or an item with path {wanted} to the projected volume {}, or correct the path that the program is told.",
        place.volume.name
    );
    advise(advice, spec, text);
}

/// What a source of a projected volume gives, in words.
fn given(source: &ProjectedSource) -> Vec<String> {
    if let Some(paths) = source.paths() {
        return paths.into_iter().map(str::to_owned).collect();
    }
    let all = source.keys().map(|keys| format!("all keys of {} {}", keys.kind, keys.name));
    let other = if let ProjectedSource::Other(kind) = source { Some(format!("what {kind} gives")) } else { None };
    all.or(other).into_iter().collect()
}

/// It came, but late: who writes it, and what makes the pod wait for it.
pub(super) fn late(advice: &mut Advice, case: &Case<'_>, name: &str) {
    let Some(spec) = case.manifest else { return };
    let Some(place) = locate(&spec, name) else { return };
    advice.explanation.push(place.sentence(None));
    if is_ephemeral(advice, &spec) {
        return;
    }
    let source = &place.volume.source;
    if let (Some(written), Some(true)) = (source.written(), source.keys().map(|keys| keys.optional)) {
        let volume = &place.volume.name;
        advice.explanation.push("the volume is optional: the kubelet starts the pod without it and fills it later".to_owned());
        let text =
            format!("Take `optional: true` off volume {volume}: the kubelet then starts the container only when the object is there.");
        return change(advice, &spec, text, json!({ "volumes": [{ "name": volume, written.field: { "optional": false } }] }));
    }
    shared::written_late(advice, &spec, &place);
}

fn makes(failure: &Failure) -> bool {
    failure.call.arg & CREAT != 0 && failure.call.call == Call::Open || matches!(failure.call.call, Call::Mkdir | Call::Mknod | Call::Bind)
}
