//! A read-only place and the manifest: what made it read-only, and the smallest change that gives the program a place to write.
//!
//! `readOnlyRootFilesystem` stays: an emptyDir at the directory that is written does what is needed.

use super::{
    advice::{Advice, change},
    located::{Located, locate},
    patch::{join, of_container},
    written::{self, may_be_covered, may_be_made},
};
use crate::{
    case::{Case, Manifest},
    permission::{open_flags::CREAT, paths::parent_path},
    pod::VolumeSource,
    question::{FileKind, Mount, Walk},
    record::{Call, Errno},
    story::failure::Failure,
    words,
};
use serde_json::{Value, json};

/// Says what the manifest says of the place, and proposes a change where one helps.
pub(super) fn explain(advice: &mut Advice, failure: &Failure, case: &Case<'_>, name: &str, walk: Option<&Walk>) {
    let Some(spec) = case.manifest else { return };
    let seen = walk.and_then(|walk| Some((walk, &walk.components.last()?.mount)));
    match locate(&spec, name) {
        Some(place) => on_volume(advice, failure, &spec, &place, seen.map(|(_, mount)| mount)),
        None if seen.is_none_or(|(_, mount)| mount.point == "/") => {
            on_root(advice, failure, case, &spec, name, seen.map(|(walk, _)| walk));
        }
        None => {}
    }
}

fn on_root(advice: &mut Advice, failure: &Failure, case: &Case<'_>, spec: &Manifest<'_>, name: &str, walk: Option<&Walk>) {
    if spec.container.security.read_only_root != Some(true) {
        return; // the manifest does not ask for it: a failing disk, or a policy of the runtime
    }
    advice.say(format!("the container sets readOnlyRootFilesystem: true, and no volume is mounted at {}", parent_path(name)));
    let Some(directory) = directory_for(failure, case, name, walk) else {
        advice.remedy.text = format!(
            "Let the program write {name} to a directory of its own, by its configuration, and mount an emptyDir there; readOnlyRootFilesystem stays. An emptyDir at {} would hide what the image has there.",
            parent_path(name)
        );
        return;
    };
    let mut directories = vec![directory];
    for other in others(failure, case) {
        if !directories.contains(&other) && locate(spec, &other).is_none() {
            directories.push(other);
        }
    }
    let text = format!(
        "Mount an emptyDir at {}, where the program writes; readOnlyRootFilesystem stays. (A PersistentVolumeClaim, if the data must last.)",
        words::list(&directories, 4)
    );
    change(advice, spec, text, written::empty_dirs(spec, &directories));
}

/// Where an emptyDir goes: the directory that is written in; for mkdir in one that must stay, the directory to be made.
fn directory_for(failure: &Failure, case: &Case<'_>, name: &str, walk: Option<&Walk>) -> Option<String> {
    let is_there = walk.is_some_and(|walk| walk.stopped.is_none());
    let kept = is_there && failure.call.call == Call::Open && failure.call.arg & CREAT == 0;
    if kept {
        return None; // a file of the image is changed in place: an emptyDir would hide it
    }
    let existing = walk.and_then(|walk| walk.components.iter().rev().find(|c| c.kind == FileKind::Directory)).map(|c| c.path.as_str());
    let parent = existing.filter(|_| !is_there).unwrap_or_else(|| parent_path(name));
    // mkdir of a directory that is there fails with EEXIST, also on a read-only file system (`filename_create` of fs/namei.c).
    let made = (failure.call.call == Call::Mkdir && !is_there).then_some(name).filter(|made| may_be_made(made));
    Some(parent).filter(|parent| may_be_covered(parent, case)).or(made).map(str::to_owned)
}

/// Directories in which the program was refused to make something else: one patch for all.
fn others(failure: &Failure, case: &Case<'_>) -> Vec<String> {
    let makes = |call: Call| matches!(call, Call::Open | Call::Mkdir | Call::Bind | Call::Mknod | Call::Symlink);
    let paths = case
        .failures
        .iter()
        .filter(|other| other.call.errno == Errno::EROFS && makes(other.call.call) && !std::ptr::eq(*other, failure) && !other.is_noise())
        .filter_map(Failure::path)
        .filter(|path| path.is_absolute() && !path.cut)
        .map(|path| parent_path(&path.path));
    paths.filter(|directory| may_be_covered(directory, case)).map(str::to_owned).collect()
}

fn on_volume(advice: &mut Advice, _failure: &Failure, spec: &Manifest<'_>, place: &Located<'_>, mount: Option<&Mount>) {
    let by_mount = if place.mount.read_only { ", which the container mounts with readOnly: true" } else { "" };
    advice.say(place.sentence(mount) + by_mount);
    let at = &place.mount.path;
    let copy = format!(
        "Let the program write elsewhere; or mount an emptyDir at {at}, and let an init container copy the files of {} into it (`cp -rL`).",
        place.name()
    );
    if place.is_kubelet_written() {
        advice.remedy.text = format!("No field makes such a volume writable. {copy}");
    } else if let VolumeSource::Image { .. } = &place.volume.source {
        advice.remedy.text = format!("An image volume is always read-only. {copy}");
    } else if place.claim.is_some_and(|claim| claim.read_only) {
        advice.remedy.text = format!(
            "The PersistentVolume itself is read-only (its driver's readOnly, or accessModes of only ReadOnlyMany): use a claim that may be written, or let the program write elsewhere than {at}."
        );
    } else {
        writable(advice, spec, place);
    }
}

/// The volume with `readOnly` taken off, if it is set there.
fn writable_volume(source: &VolumeSource) -> Option<Value> {
    if let VolumeSource::Claim { name, read_only: true } = source {
        Some(json!({ "persistentVolumeClaim": { "claimName": name, "readOnly": false } }))
    } else if let VolumeSource::Csi { driver, read_only: true } = source {
        Some(json!({ "csi": { "driver": driver, "readOnly": false } }))
    } else {
        None
    }
}

/// Takes `readOnly` off where it is set: at the volumeMount, at the volume, at both.
fn writable(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>) {
    let name = &place.volume.name;
    let mut fragment: Value = json!({});
    let mut fields = Vec::new();
    if place.mount.read_only {
        fields.push(format!("the volumeMount of {}", place.mount.path));
        let mut mount = json!({ "mountPath": place.mount.path, "name": name, "readOnly": false });
        if place.mount.recursive_read_only {
            mount["recursiveReadOnly"] = json!("Disabled"); // refused without readOnly
        }
        join(&mut fragment, of_container(spec.container, json!({ "volumeMounts": [mount] })));
    }
    if let Some(mut source) = writable_volume(&place.volume.source) {
        fields.push(format!("volume {name}"));
        source["name"] = json!(name);
        join(&mut fragment, json!({ "volumes": [source] }));
    }
    if !fields.is_empty() {
        let text = format!("Take readOnly off {}; or let the program write elsewhere, if it was meant.", words::list(&fields, 2));
        change(advice, spec, text, fragment);
    }
}
