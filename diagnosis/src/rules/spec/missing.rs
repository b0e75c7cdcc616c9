//! A missing file and the manifest: the key that `items` leaves out, the volume that another container has, the token that
//! was switched off, the container that writes too late.
//!
//! Contents of `ConfigMap`s and Secrets are not read. Which keys an object has is known only from `items` and from what is in
//! the volume; where a patch needs more than that, its text says what must be looked at first.

use super::{
    alike, change, item,
    patch::of_container,
    place::{Located, below, locate},
    written,
};
use crate::{
    permission::{open_flags::CREAT, place::parent_path},
    pod::{ContainerKind, KeyPath, Keys, ProjectedSource, VolumeMount, VolumeSource},
    question::Stop,
    record::Call,
    rules::{Context, Failure, Finding, Spec, words, words::layer},
    verdict::{Evidence, EvidenceKind},
};
use serde_json::{Value, json};

const TOKEN_DIRECTORY: &str = "/run/secrets/kubernetes.io/serviceaccount";

/// A file that is not there.
pub(in crate::rules) fn absent(finding: &mut Finding, failure: &Failure, context: &Context<'_>, name: &str, stop: Option<&Stop>) {
    let Some(spec) = context.spec.filter(|_| name.starts_with('/')) else { return };
    let at = failure.last;
    let before = finding.explanation.len();
    match locate(&spec, name) {
        Some(place) => on_volume(finding, &spec, &place, stop),
        None if makes(failure) && finding.layer == layer::MISSING_DIRECTORY => directory_to_write(finding, &spec, name),
        None => on_none(finding, &spec, name),
    }
    let said = finding.explanation[before..].iter().map(|text| Evidence { at, kind: EvidenceKind::Spec, text: text.clone() });
    finding.evidence.extend(said.collect::<Vec<_>>());
}

fn on_volume(finding: &mut Finding, spec: &Spec<'_>, place: &Located<'_>, stop: Option<&Stop>) {
    finding.explanation.push(place.sentence(None));
    let source = &place.volume.source;
    if let Some(keys) = source.keys() {
        no_key(finding, spec, place, &keys, stop);
    } else if let VolumeSource::Projected { sources, .. } = source {
        not_projected(finding, place, sources);
    } else if let VolumeSource::DownwardApi { paths, .. } = source {
        no_field(finding, place, paths);
    } else if let VolumeSource::EmptyDir { .. } = source {
        shared_by(finding, spec, place);
    } else if let Some(path) = place.on_node() {
        not_on_node(finding, spec, &path);
    } else {
        finding.explanation.push(format!("what the image has at {} is hidden by the volume", place.mount.path));
    }
}

fn no_field(finding: &mut Finding, place: &Located<'_>, paths: &[String]) {
    finding.explanation.push(format!("its items give {}", words::list(paths, 6)));
    finding.remedy.text = format!(
        "Add an item with path {} to the downwardAPI volume {}, or correct the path that the program is told.",
        place.in_volume(),
        place.volume.name
    );
}

fn not_on_node(finding: &mut Finding, spec: &Spec<'_>, path: &str) {
    let node = if spec.pod.node.is_empty() { "its node" } else { &spec.pod.node };
    finding.explanation.push(format!("on node {node} there is no {path}"));
    finding.remedy.text =
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

fn no_key(finding: &mut Finding, spec: &Spec<'_>, place: &Located<'_>, keys: &Keys<'_>, stop: Option<&Stop>) {
    let wanted = place.in_volume();
    let (ns, object, volume) = (&spec.pod.namespace, format!("{} {}", keys.kind, keys.name), &place.volume.name);
    let resource = keys.kind.to_lowercase();
    let has_item = keys.items.iter().any(|item| item.path == wanted);
    if keys.optional && (keys.items.is_empty() || has_item) {
        finding.explanation.push(format!("the volume is optional: the pod starts without it if {object} or its key does not exist"));
        finding.remedy.text = format!(
            "Create {object} with the key {wanted} (`kubectl -n {ns} get {resource} {}` shows whether it exists); the kubelet then fills the volume within a minute or two.",
            keys.name
        );
    } else if keys.items.is_empty() {
        finding.explanation.push(format!("every key of {object} is a file there: it has no key {wanted}"));
        let near = stop
            .and_then(|stop| stop.alike.first())
            .map(|near| format!(" It has {near}: if that is meant, correct the path that the program is told."))
            .unwrap_or_default();
        let folder =
            if wanted.contains('/') { " (keys become files of the volume's top directory; a path below it needs `items`)" } else { "" };
        finding.remedy.text = format!(
            "Add the key {wanted} to {object} (`kubectl -n {ns} edit {resource} {}`){folder}; the pod's manifest is right.{near}",
            keys.name
        );
    } else if !has_item {
        let listed = words::list(keys.items.iter().map(|item| &item.path), 6);
        finding.explanation.push(format!("`items` of the volume lists {listed}, and not {wanted}: a key that is not listed is not there"));
        let (new, text) = if let Some(meant) = meant(keys.items, &wanted) {
            let text = format!(
                "Mount the key {} as {wanted} too: `items` of volume {volume} (it is {} now); or tell the program that path.",
                meant.key, meant.path
            );
            (KeyPath { path: wanted, ..meant.clone() }, text)
        } else {
            let key = wanted.rsplit('/').next().unwrap_or(&wanted).to_owned();
            let text = format!(
                "Add {{key: {key}, path: {wanted}}} to `items` of volume {volume}, if {object} has that key (`kubectl -n {ns} get {resource} {} -o yaml`): one that it does not have keeps the pod from starting. Or correct the path that the program is told.",
                keys.name
            );
            (KeyPath { key, path: wanted, mode: None }, text)
        };
        add_item(finding, spec, place, &new, text);
    }
}

/// One item more: `items` is replaced as a whole.
fn add_item(finding: &mut Finding, spec: &Spec<'_>, place: &Located<'_>, new: &KeyPath, text: String) {
    let (Some(written), Some(keys)) = (place.volume.source.written(), place.volume.source.keys()) else { return };
    let items: Vec<Value> = keys.items.iter().chain([new]).map(|one| item(one, one.mode)).collect();
    change(finding, spec, text, json!({ "volumes": [{ "name": place.volume.name, written.field: { "items": items } }] }));
}

fn not_projected(finding: &mut Finding, place: &Located<'_>, sources: &[ProjectedSource]) {
    let wanted = place.in_volume();
    let paths = sources.iter().flat_map(given);
    finding.explanation.push(format!("the sources of the projected volume give {}", words::list(paths, 8)));
    finding.remedy.text = format!(
        "Add a source or an item with path {wanted} to the projected volume {}, or correct the path that the program is told.",
        place.volume.name
    );
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

/// Who else has an emptyDir: without another container only this one could have written there.
fn shared_by(finding: &mut Finding, spec: &Spec<'_>, place: &Located<'_>) {
    let writers = writers(spec, place);
    let volume = &place.volume.name;
    if writers.is_empty() {
        finding.explanation.push(format!(
            "an emptyDir is empty when the pod starts and hides what the image has at {}; no other container mounts it",
            place.mount.path
        ));
        finding.remedy.text = format!(
            "Let an init container put {} into volume {volume}; or, if the image has the file, take the mount at {} off.",
            place.in_volume(),
            place.mount.path
        );
        return;
    }
    finding.explanation.push(format!("an emptyDir is empty when the pod starts; {} it too", mounts(&writers)));
    let (name, kind) = writers[0];
    finding.remedy.text = if kind == ContainerKind::Init {
        format!(
            "Look at what init container {name} writes, and where it mounts volume {volume}: it ended well without {}.",
            place.in_volume()
        )
    } else {
        native_sidecar(name, &place.mount.path, &place.in_volume())
    };
}

fn mounts(writers: &[(&str, ContainerKind)]) -> String {
    let names = words::list(
        writers.iter().map(|(name, kind)| {
            if *kind == ContainerKind::App { format!("container {name}") } else { format!("{} container {name}", kind.word()) }
        }),
        4,
    );
    format!("{names} mount{}", if writers.len() == 1 { "s" } else { "" })
}

/// Other containers that may write to a volume, in the order in which they start.
fn writers<'a>(spec: &Spec<'a>, place: &Located<'_>) -> Vec<(&'a str, ContainerKind)> {
    let writes = |mount: &VolumeMount| mount.volume == place.volume.name && !mount.read_only;
    spec.pod
        .containers
        .iter()
        .filter(|other| other.name != spec.container.name && other.kind != ContainerKind::Ephemeral && other.mounts.iter().any(writes))
        .map(|other| (other.name.as_str(), other.kind))
        .collect()
}

fn native_sidecar(name: &str, directory: &str, file: &str) -> String {
    format!(
        "Make container {name} a native sidecar, so that this one starts after it: move it to initContainers, with restartPolicy: Always and a startupProbe that looks for the file (`exec: test -f`, at its own mount of {directory}: {file})."
    )
}

/// It came, but late: who writes it, and what makes the pod wait for it.
pub(in crate::rules) fn late(finding: &mut Finding, context: &Context<'_>, name: &str) {
    let Some(spec) = context.spec else { return };
    let Some(place) = locate(&spec, name) else { return };
    finding.explanation.push(place.sentence(None));
    let source = &place.volume.source;
    if let (Some(written), Some(true)) = (source.written(), source.keys().map(|keys| keys.optional)) {
        let volume = &place.volume.name;
        finding.explanation.push("the volume is optional: the kubelet starts the pod without it and fills it later".to_owned());
        let text =
            format!("Take `optional: true` off volume {volume}: the kubelet then starts the container only when the object is there.");
        return change(finding, &spec, text, json!({ "volumes": [{ "name": volume, written.field: { "optional": false } }] }));
    }
    let writers = writers(&spec, &place);
    let beside = writers.iter().find(|(_, kind)| *kind != ContainerKind::Init);
    if let Some((name, kind)) = beside {
        finding.explanation.push(format!("{} it too", mounts(&writers)));
        finding.remedy.text = if *kind == ContainerKind::Sidecar {
            format!(
                "Give sidecar {name} a startupProbe that succeeds once {} is there: the next containers start only then.",
                place.in_volume()
            )
        } else {
            native_sidecar(name, &place.mount.path, &place.in_volume())
        };
    }
}

fn makes(failure: &Failure) -> bool {
    failure.call.arg & CREAT != 0 && failure.call.call == Call::Open || matches!(failure.call.call, Call::Mkdir | Call::Mknod | Call::Bind)
}

/// Something is to be made in a directory that the image does not have.
fn directory_to_write(finding: &mut Finding, spec: &Spec<'_>, name: &str) {
    let directory = parent_path(name).to_owned();
    finding.explanation.push(format!("no volume of the pod is mounted at {directory}: the path belongs to the image"));
    if written::may_be_made(&directory) {
        let text = format!(
            "Mount an emptyDir at {directory} (or a PersistentVolumeClaim, if the data must last), or make the directory in the image."
        );
        change(finding, spec, text, written::empty_dirs(spec, &[directory]));
    }
}

/// Nothing of the pod is mounted there, in this container.
fn on_none(finding: &mut Finding, spec: &Spec<'_>, name: &str) {
    let unlinked = name.strip_prefix("/var").unwrap_or(name);
    if below(unlinked, TOKEN_DIRECTORY).is_some() {
        finding.explanation.push(
            "no service-account token is mounted: automountServiceAccountToken is false, in the pod or in its service account".to_owned(),
        );
        let text =
            format!("Set spec.automountServiceAccountToken: true, if the program needs the API as service account {}.", account(spec));
        return change(finding, spec, text, json!({ "automountServiceAccountToken": true }));
    }
    if let Some((other, mount)) = mounted_elsewhere(spec, name) {
        finding
            .explanation
            .push(format!("volume \"{}\" is mounted at {} in container {other}, and not in this one", mount.volume, mount.path));
        let text = format!("Mount volume {} in container {} too, at {}.", mount.volume, spec.container.name, mount.path);
        return change(finding, spec, text, add_mount(spec, mount, &mount.path));
    }
    if let Some((mount, meant)) = mount_path_meant(spec, name) {
        finding.explanation.push(format!("volume \"{}\" is mounted at {}, one letter beside {meant}", mount.volume, mount.path));
        let text = format!("Mount volume {} at {meant} too, or correct its mountPath {}.", mount.volume, mount.path);
        return change(finding, spec, text, add_mount(spec, mount, &meant));
    }
    if let Some((volume, key)) = mounted_nowhere(spec, name) {
        finding.explanation.push(format!("volume \"{volume}\" has {key}, and no container mounts it"));
        let text = format!("Mount volume {volume} in container {}: its file {key} at {name}.", spec.container.name);
        let mount = json!({ "name": volume, "mountPath": name, "subPath": key, "readOnly": true });
        return change(finding, spec, text, of_container(spec.container, json!({ "volumeMounts": [mount] })));
    }
    finding.explanation.push(format!("no volume of the pod is mounted at {}: the path belongs to the image", parent_path(name)));
}

fn account<'a>(spec: &Spec<'a>) -> &'a str {
    if spec.pod.service_account.is_empty() { "default" } else { &spec.pod.service_account }
}

fn add_mount(spec: &Spec<'_>, like: &VolumeMount, path: &str) -> Value {
    let mut mount = json!({ "name": like.volume, "mountPath": path });
    if like.read_only {
        mount["readOnly"] = json!(true);
    }
    if !like.sub_path.is_empty() {
        mount["subPath"] = json!(like.sub_path);
    }
    of_container(spec.container, json!({ "volumeMounts": [mount] }))
}

/// A volume that another container has where this one looks; with `items`, only if it has the file.
fn mounted_elsewhere<'a>(spec: &Spec<'a>, name: &str) -> Option<(&'a str, &'a VolumeMount)> {
    let others = spec.pod.containers.iter().filter(|other| other.name != spec.container.name);
    others.flat_map(|other| other.mounts.iter().map(|mount| (other.name.as_str(), mount))).find(|(_, mount)| {
        mount.path != "/"
            && !mount.sub_path.contains("$(")
            && below(name, mount.path.trim_end_matches('/')).is_some_and(|file| may_have(spec, mount, &file))
    })
}

/// Whether a volume can have this file: not when its `items` leave it out.
fn may_have(spec: &Spec<'_>, mount: &VolumeMount, file: &str) -> bool {
    let Some(volume) = spec.pod.volumes.iter().find(|volume| volume.name == mount.volume) else { return false };
    let place = Located { mount, volume, claim: None, below: file.to_owned() };
    let wanted = place.in_volume();
    items_of(&volume.source).is_none_or(|items| items.iter().any(|item| item.path == wanted))
}

/// The `items` of a volume, when it has any.
pub(super) fn items_of(source: &VolumeSource) -> Option<&[KeyPath]> {
    source.keys().map(|keys| keys.items).filter(|items| !items.is_empty())
}

/// A mount of this container whose path is a slip of the one that is looked in.
fn mount_path_meant<'a>(spec: &Spec<'a>, name: &str) -> Option<(&'a VolumeMount, String)> {
    let parts: Vec<&str> = name.split('/').collect();
    spec.container.mounts.iter().filter(|mount| !mount.sub_path.contains("$(")).find_map(|mount| {
        let path = mount.path.trim_end_matches('/');
        let depth = path.split('/').count();
        let prefix = parts.get(..depth)?.join("/");
        let file = parts.get(depth..)?.join("/");
        (alike::is_slip(&prefix, path) && may_have(spec, mount, &file)).then_some((mount, prefix))
    })
}

/// A volume that no container mounts and whose `items` have the file.
fn mounted_nowhere<'a>(spec: &Spec<'a>, name: &str) -> Option<(&'a str, &'a str)> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let is_mounted = |volume: &str| spec.pod.containers.iter().flat_map(|other| &other.mounts).any(|mount| mount.volume == volume);
    let free = spec.pod.volumes.iter().filter(|volume| !is_mounted(&volume.name));
    free.filter_map(|volume| Some((volume.name.as_str(), items_of(&volume.source)?)))
        .find_map(|(volume, items)| Some((volume, items.iter().find(|item| item.path == base)?.path.as_str())))
}
