//! Volumes that containers of a pod share: who else may have written what this one looks for, and in which order they start.

use super::{
    advice::{Advice, advise},
    located::Located,
};
use crate::{
    case::Manifest,
    pod::{Container, ContainerKind, VolumeMount},
    words,
};

/// Who else has an emptyDir: without another container only this one could have written there.
pub(super) fn emptied(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>) {
    let writers = writers(spec, place);
    let (volume, wanted) = (&place.volume.name, place.in_volume());
    let Some((name, kind)) = writers.first() else {
        let later = later(spec, place);
        let nobody = match later {
            Some(name) => format!("no container that starts before this one mounts it (container {name} does, and starts later)"),
            None => "no other container mounts it".to_owned(),
        };
        advice
            .explanation
            .push(format!("an emptyDir is empty when the pod starts and hides what the image has at {}; {nobody}", place.mount.path));
        let text = format!(
            "Let an init container{} put {wanted} into volume {volume}; or, if the image has the file, take the mount at {} off.",
            if later.is_some() { " that runs before this one" } else { "" },
            place.mount.path
        );
        return advise(advice, spec, text);
    };
    advice.explanation.push(format!("an emptyDir is empty when the pod starts; {} it too", mounts(&writers)));
    if *kind == ContainerKind::Init {
        advice.remedy.text =
            format!("Look at what init container {name} writes, and where it mounts volume {volume}: it ended well without {wanted}.");
    } else {
        advise(advice, spec, wait_for(name, *kind, place));
    }
}

/// What was written late: who writes it, and what makes the pod wait for that.
pub(super) fn written_late(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>) {
    let writers = writers(spec, place);
    if let Some((name, kind)) = writers.iter().find(|(_, kind)| *kind != ContainerKind::Init) {
        advice.explanation.push(format!("{} it too", mounts(&writers)));
        advice.remedy.text = wait_for(name, *kind, place);
    }
}

/// How the pod is made to wait for a container that goes on running.
fn wait_for(name: &str, kind: ContainerKind, place: &Located<'_>) -> String {
    let (directory, file) = (&place.mount.path, place.in_volume());
    if kind == ContainerKind::Sidecar {
        return format!("Give sidecar {name} a startupProbe that succeeds once {file} is there: the next containers start only then.");
    }
    format!(
        "Make container {name} a native sidecar, so that this one starts after it: move it to initContainers, with restartPolicy: Always and a startupProbe that looks for the file (`exec: test -f`, at its own mount of {directory}: {file})."
    )
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

/// Other containers that may have written to a volume, in the order in which they start. Init containers and sidecars start
/// one after the other, before all of the application's.
pub(super) fn writers<'a>(spec: &Manifest<'a>, place: &Located<'_>) -> Vec<(&'a str, ContainerKind)> {
    let mut all = spec.pod.containers.as_slice();
    if matches!(spec.container.kind, ContainerKind::Init | ContainerKind::Sidecar) {
        let own = all.iter().position(|container| container.name == spec.container.name).unwrap_or(all.len());
        all = &all[..own];
    }
    let others = all.iter().filter(|other| other.name != spec.container.name && may_write(other, place));
    others.map(|other| (other.name.as_str(), other.kind)).collect()
}

/// A container that may write to the volume, and starts only after this one.
fn later<'a>(spec: &Manifest<'a>, place: &Located<'_>) -> Option<&'a str> {
    let after = spec.pod.containers.iter().skip_while(|container| container.name != spec.container.name).skip(1);
    let first = after.filter(|other| may_write(other, place)).map(|other| other.name.as_str()).next();
    first.filter(|_| spec.container.kind != ContainerKind::App)
}

fn may_write(container: &Container, place: &Located<'_>) -> bool {
    let writes = |mount: &VolumeMount| mount.volume == place.volume.name && !mount.read_only;
    container.kind != ContainerKind::Ephemeral && container.mounts.iter().any(writes)
}
