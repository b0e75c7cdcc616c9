//! `VolumeSetup` in words: one sentence, its reasons and its remedy for each way in which a volume can fail.

use super::{
    PodFinding, Scene,
    build::{Build, found, moment, volume},
    message::{between, core, has_any, word},
    objects::{self, Object},
    volume_message::{Problem, Why, missing_key, missing_object},
};
use crate::{
    catalogue::{Layer, volume_setup},
    manifest::patch,
    pod::{Claim, Keys, Pod, PodEvent, Volume, VolumeSource},
    verdict::{Confidence, Severity, SubjectKind},
};
use serde_json::json;

pub(super) fn say(scene: &Scene<'_>, problem: &Problem<'_>) -> PodFinding {
    let pod = scene.pod;
    let build = match problem.why {
        Why::Object => object(pod, problem),
        Why::Key => key(pod, problem),
        Why::Claim => claim(scene, problem),
        Why::HostPath => host_path(pod, problem),
        Why::Driver => driver(pod, problem),
        Why::Elsewhere => elsewhere(scene, problem),
        Why::Ownership => ownership(scene, problem),
        Why::Resize => start(pod, problem, volume_setup::RESIZE, "could not be resized")
            .fix("Look at the claim's conditions and at the driver's pod on this node."),
        Why::Attach => attach(pod, problem),
        Why::Mount => mount(pod, problem),
        Why::TimedOut => timed_out(scene, problem),
    };
    let build = if problem.why == Why::Ownership { build } else { build.because(format!("the event says: {}", core(problem.says))) };
    build.event(problem.event).now(scene)
}

fn start(pod: &Pod, problem: &Problem<'_>, layer: Layer, what: &str) -> Build {
    found(layer, (SubjectKind::Volume, problem.volume), format!("{} {what}", thing(pod, problem.volume)))
}

fn thing(pod: &Pod, name: &str) -> String {
    if name.is_empty() { "a volume".to_owned() } else { volume(pod, name) }
}

fn of_pod<'a>(pod: &'a Pod, name: &str) -> Option<&'a VolumeSource> {
    pod.volumes.iter().find(|volume: &&Volume| volume.name == name).map(|volume| &volume.source)
}

fn object(pod: &Pod, problem: &Problem<'_>) -> Build {
    let Some(object) = missing_object(problem.says) else { return mount(pod, problem) };
    let what = format!("cannot be mounted: {} does not exist in namespace {}", object.word(), pod.namespace);
    let build = start(pod, problem, volume_setup::MISSING_OBJECT, &what);
    let like =
        objects::much_like(pod, object).map(|other| format!("the pod also names {} {other}, which is spelt much the same", object.kind));
    if object.name == "kube-root-ca.crt" {
        return build.fix("The controller manager makes this ConfigMap in every namespace: see whether it runs, and whether something deletes the ConfigMap.");
    }
    build.because_if(like).fix(format!(
        "Create it: {}, or correct its name in the volume. The kubelet tries again by itself, at most 2 minutes later.",
        objects::create(pod, object)
    ))
}

fn key(pod: &Pod, problem: &Problem<'_>) -> Build {
    let message = problem.says;
    let key = missing_key(message).unwrap_or_default();
    let secret = message.contains("secret key");
    let object = keyed(pod, problem.volume, key, secret);
    let name = object.map_or_else(|| if secret { "the Secret".to_owned() } else { "the ConfigMap".to_owned() }, |object| object.word());
    let build = start(pod, problem, volume_setup::MISSING_KEY, &format!("cannot be mounted: {name} has no key {key}"));
    let add = object.map_or_else(|| "Add the key".to_owned(), |object| format!("Add the key: {}", objects::add_key(pod, object, key)));
    build.fix(format!("{add}, or correct `items` of the volume. The kubelet tries again by itself, at most 2 minutes later."))
}

/// The object of this volume that should have the key: the only one of a volume, or that of a source whose `items` name it.
fn keyed<'a>(pod: &'a Pod, volume: &str, key: &str, secret: bool) -> Option<Object<'a>> {
    let source = of_pod(pod, volume)?;
    let kind = if secret { "Secret" } else { "ConfigMap" };
    let is_asked = |keys: &Keys<'_>| source.keys().is_some() || keys.items.iter().any(|item| item.key == key);
    source.all_keys().find(|keys| keys.kind == kind && is_asked(keys)).map(|keys| Object::new(keys.kind, keys.name))
}

fn claim(scene: &Scene<'_>, problem: &Problem<'_>) -> Build {
    let named = ["persistentvolumeclaim \"", "persistentvolumeclaims \""].iter().find_map(|before| between(problem.says, before, "\""));
    let what = format!("cannot be mounted: the claim{} does not exist", named.map(|name| format!(" {name}")).unwrap_or_default());
    start(scene.pod, problem, volume_setup::MISSING_CLAIM, &what)
        .fix("Create the PersistentVolumeClaim in the pod's namespace, or correct `claimName`.")
}

fn host_path(pod: &Pod, problem: &Problem<'_>) -> Build {
    let message = problem.says;
    let (path, kind) = match of_pod(pod, problem.volume) {
        Some(VolumeSource::HostPath { path, kind }) => (path.as_str(), kind.as_str()),
        _ => (word(message, "failed: ").or_else(|| word(message, "failed, ")).unwrap_or("the path"), ""),
    };
    let there = between(message, "it's a ", "\"").or_else(|| word(message, "it's a ")).map(|found| format!(" (it is a {found})"));
    let wanted = word(message, " is not a ").unwrap_or(if kind.is_empty() { "path of that kind" } else { kind });
    let absent = if there.is_some() { "" } else { ", or nothing is there" };
    let what = format!("cannot be mounted: {path} on node {} is no {wanted}{}{absent}", pod.node, there.clone().unwrap_or_default());
    let build =
        start(pod, problem, volume_setup::HOST_PATH, &what).because(format!("the volume's `type: {kind}` makes the kubelet check it"));
    if kind == "Directory" && there.is_none() {
        let volume = json!({ "volumes": [{ "name": problem.volume, "hostPath": { "path": path, "type": "DirectoryOrCreate" } }] });
        return build
            .fix("Correct the path, or keep the pod on nodes that have it; if an empty directory will do, let the kubelet make it: type DirectoryOrCreate.")
            .change(pod, volume)
            .also("The directory is made root's with mode 0755: a process of another user cannot write there.");
    }
    build.fix("Correct `path` or `type` of the volume, make it on the node, or keep the pod on nodes that have it.")
}

fn driver(pod: &Pod, problem: &Problem<'_>) -> Build {
    let name = word(problem.says, "driver name ").unwrap_or("of the volume");
    let what = format!("cannot be mounted: the CSI driver {name} does not run on node {}", pod.node);
    start(pod, problem, volume_setup::DRIVER, &what).fix(format!(
        "Install the driver {name}, or see why its DaemonSet has no ready pod on node {}: `kubectl get csinode {} -o yaml` lists the drivers that have registered there.",
        pod.node, pod.node
    ))
}

fn elsewhere(scene: &Scene<'_>, problem: &Problem<'_>) -> Build {
    let pod = scene.pod;
    let users = between(&format!("{} ", problem.event.message), "used by pod(s) ", " ").map(|pods| pods.replace(',', ", "));
    let by = users.as_ref().map(|pods| format!(", by pod {pods}")).unwrap_or_default();
    let build =
        start(pod, problem, volume_setup::ATTACHED_ELSEWHERE, &format!("is attached to another node{by}, and can be attached to one only"));
    let build = build.because_if(access_modes(scene, problem.volume));
    let owner = pod.owner.as_ref().filter(|owner| owner.kind == "Deployment" && owner.strategy == "RollingUpdate");
    let Some(owner) = owner else {
        return build.fix(
            "Delete the pod that has it, or wait until it has ended; if its node is gone, the volume is released 6 minutes after the pod is (deleted by force, or the node's taint node.kubernetes.io/out-of-service).",
        );
    };
    let strategy = json!({ "strategy": { "type": "Recreate", "rollingUpdate": null } });
    build
        .because(format!("{owner} updates by RollingUpdate: it keeps the old pod, which has the volume, until the new one is ready"))
        .fix(format!(
            "Let {owner} end the old pod first: strategy Recreate. With more than one replica the claim needs access mode ReadWriteMany."
        ))
        .patch(patch::strategic_with(pod, json!({}), &strategy))
        .also("Give it to `kubectl patch`: server-side apply keeps the fields of the old strategy, and the API server refuses the two together.")
}

fn access_modes(scene: &Scene<'_>, volume: &str) -> Option<String> {
    let claim = claim_of(scene, volume)?;
    let modes = crate::words::list(&claim.access_modes, 4);
    (!modes.is_empty()).then(|| format!("PVC {} has access mode {modes}", claim.name))
}

fn claim_of<'a>(scene: &Scene<'a>, volume: &str) -> Option<&'a Claim> {
    let Some(VolumeSource::Claim { name, .. }) = of_pod(scene.pod, volume) else { return None };
    scene.claims.iter().find(|claim| claim.name == *name)
}

fn ownership(scene: &Scene<'_>, problem: &Problem<'_>) -> Build {
    let (pod, event) = (scene.pod, problem.event);
    let group = pod.security.fs_group.map(|group| format!(" {group}")).unwrap_or_default();
    let files = between(&event.message, "processed ", " files").map(|files| format!("; {files} files so far")).unwrap_or_default();
    let build = start(
        pod,
        problem,
        volume_setup::OWNERSHIP_CHANGE,
        &format!("has many files, and the kubelet gives each of them to group{group} before the container starts"),
    );
    let build = build.because(format!("this goes on since {}{files}", moment(event.first))).severity(Severity::Slowing);
    if pod.security.fs_group_change_policy == "OnRootMismatch" {
        return build
            .because("fsGroupChangePolicy is OnRootMismatch: the volume's root had another group, so that this happens once")
            .fix("Wait: from the next start on it is passed over, as long as the root of the volume keeps its group and mode.");
    }
    build
        .because("fsGroupChangePolicy is Always, the default: it is done again at every start")
        .fix("Set fsGroupChangePolicy: OnRootMismatch, so that a volume whose root has the right group is left as it is.")
        .change(pod, json!({ "securityContext": { "fsGroupChangePolicy": "OnRootMismatch" } }))
        .also("If the root of the volume has another group or mode still, the first start after the change takes as long once more.")
}

fn attach(pod: &Pod, problem: &Problem<'_>) -> Build {
    let lower = problem.says.to_lowercase();
    let build = start(pod, problem, volume_setup::ATTACH, "cannot be attached to the node");
    if lower.contains("timed out waiting for external-attacher") {
        return build.fix("The driver's controller (its csi-attacher) does not answer: look at its pods and their log.");
    }
    if has_any(&lower, &["exceed", "maximum number", "limit"]) {
        return build.fix("The node has as many volumes as it can take: let the pod run on another node, or use fewer volumes.");
    }
    build.fix("Look at the VolumeAttachment objects and at the log of the driver's controller (csi-attacher).")
}

/// Phrases of mount(8) and its helpers, in lower case, and what they mean.
const MOUNT_WORDS: [(&[&str], &str); 14] = [
    (
        &["pvc is not bound", "pvc has empty pvc.spec.volumename", "not yet bound to the claim"],
        "Look at the claim (`kubectl describe pvc`) and at its provisioner: the claim was bound when the pod got its node, or the node was given by hand.",
    ),
    (
        &["does not point to claim"],
        "The PersistentVolume belongs to an earlier claim of that name: let the claim have a new volume, or take `claimRef.uid` out of the PersistentVolume.",
    ),
    (&["pvc is being deleted"], "The claim is being deleted: make it anew when it is gone; whatever deletes it may do so again."),
    (
        &["has volumemode"],
        "A claim of volumeMode Block belongs into `volumeDevices` of the container, one of Filesystem into `volumeMounts`: correct one of the two.",
    ),
    (
        &["no relationship found between node"],
        "The API server does not let this node's kubelet read it, which it does for what the node's pods name: see whether the pod names it itself, and the log of the API server.",
    ),
    (
        &["is forbidden"],
        "The API server refuses the kubelet a token or an object: the event names the rule. For a driver's tokens, compare `tokenRequests` of the CSIDriver with what the API server allows.",
    ),
    (
        &["serviceaccounts \""],
        "The pod's ServiceAccount is gone, so that there are no tokens for it: create it again; the kubelet tries again by itself.",
    ),
    (&["failed to fetch"], "The kubelet cannot get it from the API server: look at the kubelet's log and its way to the API server."),
    (
        &["you might need a /sbin/mount.", "unknown filesystem type", "need a helper program"],
        "Install what mounts this file system on the node (nfs-common, cifs-utils), or use a CSI driver that brings it.",
    ),
    (
        &["access denied by server", "permission denied", "mount.nfs: operation not permitted"],
        "The file server refuses the node: look at the export's list of clients and its options.",
    ),
    (
        &["connection timed out", "connection refused", "no route to host", "network is unreachable", "name or service not known"],
        "The file server cannot be reached from the node: look at its address, a firewall, and whether it runs.",
    ),
    (
        &["fsck", "structure needs cleaning", "bad superblock"],
        "The file system is damaged: repair it (fsck) where no pod uses it, or restore it.",
    ),
    (
        &["wrong fs type", "bad option", "already contains"],
        "File system or mount options do not fit the volume: look at fsType and mountOptions of the PersistentVolume or its StorageClass.",
    ),
    (&["no such file or directory", "does not exist"], "What is to be mounted is not there: look at path or export of the volume."),
];

fn mount(pod: &Pod, problem: &Problem<'_>) -> Build {
    let lower = problem.says.to_lowercase();
    let hint = MOUNT_WORDS.iter().find(|(phrases, _)| has_any(&lower, phrases)).map(|(_, hint)| *hint);
    let build = start(pod, problem, volume_setup::MOUNT, "cannot be mounted").sure(Confidence::Likely);
    build.fix(hint.unwrap_or("See what the event says; the log of the kubelet, and of the driver's pod on this node, has more."))
}

fn timed_out(scene: &Scene<'_>, problem: &Problem<'_>) -> Build {
    let pod = scene.pod;
    let build = start(pod, problem, volume_setup::MOUNT, "is not mounted, and the kubelet does not say why").sure(Confidence::Likely);
    let bound = claim_of(scene, problem.volume).map(|claim| format!("PVC {} is {}{}", claim.name, claim.phase, behind(claim)));
    build.because_if(bound).fix(
        "Look for events of the claim and of its VolumeAttachment, and at the log of the driver's pod on this node: a slow attach, a large fsGroup change or a hanging file server show there.",
    )
}

fn behind(claim: &Claim) -> String {
    match (claim.source.as_str(), claim.storage_class.as_str()) {
        ("", "") => String::new(),
        (source, "") => format!(", {source}"),
        ("", class) => format!(", StorageClass {class}"),
        (source, class) => format!(", StorageClass {class}, {source}"),
    }
}

/// `AlreadyMountedVolume` (`pkg/volume/local/local.go`): advisory, the pod goes on and may then be denied.
pub(super) fn shared(scene: &Scene<'_>, event: &PodEvent, name: &str) -> PodFinding {
    let summary = format!("volume {name} stays as it is, although the pod's fsGroup is another one: another pod has it mounted");
    found(volume_setup::SHARED_VOLUME, (SubjectKind::Volume, name), summary)
        .because("the kubelet gives a local volume to the fsGroup only when the first pod of a node mounts it")
        .fix("Give all pods that share the volume the same fsGroup; or end the other pod first (strategy Recreate, or scale to 0 and up again).")
        .severity(Severity::Advisory)
        .event(event)
        .then(scene.now)
}
