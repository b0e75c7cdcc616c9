//! A missing file and no volume at its place, in this container: the token that was switched off, the volume that another
//! container has, the mountPath with a slip in it, the volume that nobody mounts.
//!
//! A volume is never mounted over a directory of the system: it would hide what the image has there.

use super::{
    advice::{Advice, change},
    alike,
    located::{Located, below, items_of},
    patch::of_container,
    written,
};
use crate::{case::Manifest, permission::paths::parent_path, pod::VolumeMount};
use serde_json::{Value, json};

const TOKEN_DIRECTORY: &str = "/run/secrets/kubernetes.io/serviceaccount";

/// Something is to be made in a directory that the image does not have.
pub(super) fn directory_to_write(advice: &mut Advice, spec: &Manifest<'_>, name: &str) {
    let directory = parent_path(name).to_owned();
    advice.explanation.push(format!("no volume of the pod is mounted at {directory}: the path belongs to the image"));
    if written::may_be_made(&directory) {
        let text = format!(
            "Mount an emptyDir at {directory} (or a PersistentVolumeClaim, if the data must last), or make the directory in the image."
        );
        change(advice, spec, text, written::empty_dirs(spec, &[directory]));
    }
}

/// Nothing of the pod is mounted there, in this container.
pub(super) fn on_none(advice: &mut Advice, spec: &Manifest<'_>, name: &str) {
    if is_of_token(name) {
        return no_token(advice, spec);
    }
    if let Some((other, mount)) = mounted_elsewhere(spec, name) {
        advice
            .explanation
            .push(format!("volume \"{}\" is mounted at {} in container {other}, and not in this one", mount.volume, mount.path));
        let text = format!("Mount volume {} in container {} too, at {}.", mount.volume, spec.container.name, mount.path);
        return change(advice, spec, text, add_mount(spec, mount, &mount.path));
    }
    if let Some((mount, meant)) = mount_path_meant(spec, name) {
        advice.explanation.push(format!("volume \"{}\" is mounted at {}, one letter beside {meant}", mount.volume, mount.path));
        let text = format!("Mount volume {} at {meant} too, or correct its mountPath {}.", mount.volume, mount.path);
        return change(advice, spec, text, add_mount(spec, mount, &meant));
    }
    if let Some((volume, key)) = mounted_nowhere(spec, name) {
        advice.explanation.push(format!("volume \"{volume}\" has {key}, and no container mounts it"));
        let text = format!("Mount volume {volume} in container {}: its file {key} at {name}.", spec.container.name);
        let mount = json!({ "name": volume, "mountPath": name, "subPath": key, "readOnly": true });
        return change(advice, spec, text, of_container(spec.container, json!({ "volumeMounts": [mount] })));
    }
    advice.explanation.push(format!("no volume of the pod is mounted at {}: the path belongs to the image", parent_path(name)));
}

fn is_of_token(path: &str) -> bool {
    below(path.strip_prefix("/var").unwrap_or(path), TOKEN_DIRECTORY).is_some()
}

/// The token of the pod's service account, which admission mounts into every container that a pod is created with.
fn no_token(advice: &mut Advice, spec: &Manifest<'_>) {
    if spec.pod.is_mirror {
        advice.explanation.push("no service-account token is mounted: a static pod has no service account".to_owned());
        "Give the program a kubeconfig by a hostPath, as the components of the control plane have it; or run it as a DaemonSet."
            .clone_into(&mut advice.remedy.text);
        return;
    }
    let mut others = spec.pod.containers.iter().filter(|other| other.name != spec.container.name);
    let other = others.find_map(|other| Some((other, other.mounts.iter().find(|mount| is_of_token(&mount.path))?)));
    if let Some((other, mount)) = other {
        advice.explanation.push(format!(
            "the service-account token is mounted in container {}, and not in this one: admission mounts it only into containers that the pod has when it is created",
            other.name
        ));
        let text = format!("Mount volume {} in container {} too, at {}.", mount.volume, spec.container.name, mount.path);
        return change(advice, spec, text, add_mount(spec, mount, &mount.path));
    }
    advice.explanation.push(
        "no service-account token is mounted: automountServiceAccountToken is false, in the pod or in its service account".to_owned(),
    );
    let text = format!("Set spec.automountServiceAccountToken: true, if the program needs the API as service account {}.", account(spec));
    change(advice, spec, text, json!({ "automountServiceAccountToken": true }));
}

fn account<'a>(spec: &Manifest<'a>) -> &'a str {
    if spec.pod.service_account.is_empty() { "default" } else { &spec.pod.service_account }
}

fn add_mount(spec: &Manifest<'_>, like: &VolumeMount, path: &str) -> Value {
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
fn mounted_elsewhere<'a>(spec: &Manifest<'a>, name: &str) -> Option<(&'a str, &'a VolumeMount)> {
    let others = spec.pod.containers.iter().filter(|other| other.name != spec.container.name);
    others.flat_map(|other| other.mounts.iter().map(|mount| (other.name.as_str(), mount))).find(|(_, mount)| {
        !written::is_of_system(&mount.path)
            && !mount.sub_path.contains("$(")
            && below(name, mount.path.trim_end_matches('/')).is_some_and(|file| may_have(spec, mount, &file))
    })
}

/// Whether a volume can have this file: not when its `items` leave it out.
fn may_have(spec: &Manifest<'_>, mount: &VolumeMount, file: &str) -> bool {
    let Some(volume) = spec.pod.volumes.iter().find(|volume| volume.name == mount.volume) else { return false };
    let place = Located { mount, volume, claim: None, below: file.to_owned() };
    let wanted = place.in_volume();
    items_of(&volume.source).is_none_or(|items| items.iter().any(|item| item.path == wanted))
}

/// A mount of this container whose path is a slip of the one that is looked in.
fn mount_path_meant<'a>(spec: &Manifest<'a>, name: &str) -> Option<(&'a VolumeMount, String)> {
    let parts: Vec<&str> = name.split('/').collect();
    spec.container.mounts.iter().filter(|mount| !mount.sub_path.contains("$(")).find_map(|mount| {
        let path = mount.path.trim_end_matches('/');
        let depth = path.split('/').count();
        let prefix = parts.get(..depth)?.join("/");
        let file = parts.get(depth..)?.join("/");
        (alike::is_slip(&prefix, path) && !written::is_of_system(&prefix) && may_have(spec, mount, &file)).then_some((mount, prefix))
    })
}

/// A volume that no container mounts and whose `items` have the file.
fn mounted_nowhere<'a>(spec: &Manifest<'a>, name: &str) -> Option<(&'a str, &'a str)> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let is_mounted = |volume: &str| spec.pod.containers.iter().flat_map(|other| &other.mounts).any(|mount| mount.volume == volume);
    let free = spec.pod.volumes.iter().filter(|volume| !is_mounted(&volume.name));
    free.filter_map(|volume| Some((volume.name.as_str(), items_of(&volume.source)?)))
        .find_map(|(volume, items)| Some((volume, items.iter().find(|item| item.path == base)?.path.as_str())))
}
