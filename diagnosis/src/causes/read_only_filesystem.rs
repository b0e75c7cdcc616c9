//! `ReadOnlyFilesystem`: EROFS. Tells the read-only root from a volume that the kubelet writes, and from other mounts.

use super::rule::{self, Calls, Rule};
use crate::{
    case::{
        Case, Setting,
        finding::{Finding, Matter},
        look::{gap, is_live, mount_fact, name_of, paths, walk_of, walks},
    },
    catalogue::{Cause, read_only_filesystem},
    knowledge::volume,
    permission::{Role, paths::parent_path},
    question::{Component, FileKind, Mount, Walk},
    record::{Errno, PathArg},
    story::failure::Failure,
    words,
};

/// See the module's head.
pub(super) const RULE: Rule =
    Rule { says: &[Cause::ReadOnlyFilesystem], calls: Some(Calls { takes, questions: walks, explain }), others: None };

fn takes(failure: &Failure) -> bool {
    failure.call.errno == Errno::EROFS && rule::is_on_file(failure)
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a rule")]
fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    let paths = paths(failure, case);
    let walked: Vec<(&PathArg, &Walk)> = paths.iter().filter_map(|(_, path)| Some((path, walk_of(case, path)?))).collect();
    let read_only = walked.iter().find(|(_, walk)| place(walk).is_some_and(|at| at.mount.read_only));
    Some(match (read_only, walked.first()) {
        (Some((path, walk)), _) | (None, Some((path, walk))) => on_mount(failure, case, path, walk),
        (None, None) => not_walked(failure, case, paths.iter().find(|(role, _)| *role != Role::From).map(|(_, path)| path)),
    })
}

/// Where the write went: the thing itself, or the directory that it was to be made in.
fn place(walk: &Walk) -> Option<&Component> {
    walk.components.last()
}

fn on_mount(failure: &Failure, case: &Case<'_>, path: &PathArg, walk: &Walk) -> Finding {
    let mount = place(walk).map(|at| at.mount.clone()).unwrap_or_default();
    let name = name_of(path, Some(walk));
    let volume = volume::of_walk(walk, &mount);
    let layer = match &volume {
        Some(volume) if volume.kind.is_kubelet_written() => read_only_filesystem::READ_ONLY_VOLUME,
        _ if mount.point == "/" => read_only_filesystem::READ_ONLY_ROOT,
        _ => read_only_filesystem::READ_ONLY_MOUNT,
    };
    let mut finding = Finding::about(layer, &name, failure);
    let setting = case.setting();
    finding.explanation = reasons(&name, &mount, volume.as_ref(), setting, case.manifest.is_some());
    finding.remedy.text = remedy(&name, walk, &mount, volume.as_ref(), setting);
    finding.evidence = vec![mount_fact(&mount, walk)];
    finding.proved = mount.read_only && is_live(walk);
    finding.matter = Some(Matter::ReadOnly(name, Some(path.clone())));
    finding
}

fn reasons(name: &str, mount: &Mount, volume: Option<&volume::Volume>, setting: Setting, manifest: bool) -> Vec<String> {
    let state = if mount.read_only {
        "is mounted read-only"
    } else {
        "is not read-only now: it was remounted since, or the kernel made it read-only after an input/output error (`dmesg`)"
    };
    let mut reasons = vec![format!("{name} lies on {}, which {state}", words::mount(mount))];
    if let Some(volume) = volume.filter(|_| setting == Setting::Pod) {
        if !manifest {
            reasons.push(format!("{} is {volume}", mount.point)); // the manifest knows it better
        }
        if volume.kind.is_kubelet_written() {
            reasons.push("such volumes are written by the kubelet alone and are always read-only".to_owned());
        }
    }
    if matches!(mount.fstype.as_str(), "squashfs" | "erofs" | "iso9660") {
        reasons.push(format!("{} can never be written", mount.fstype));
    }
    reasons
}

fn remedy(name: &str, walk: &Walk, mount: &Mount, volume: Option<&volume::Volume>, setting: Setting) -> String {
    let directory = directory_to_mount(name, walk);
    match (setting, volume) {
        (_, Some(volume)) if volume.kind.is_kubelet_written() => format!(
            "Let the program write elsewhere (an emptyDir), or let an init container copy the files of {} into an emptyDir and mount that instead.",
            mount.point
        ),
        (Setting::Pod, Some(_)) => {
            format!(
                "Take `readOnly: true` off the volumeMount of {} (and off the volume), or let the program write elsewhere.",
                mount.point
            )
        }
        (Setting::Pod, None) => match directory {
            Some(directory) => format!("Mount an emptyDir at {directory}; readOnlyRootFilesystem can stay."),
            None => format!(
                "Let the program write {name} below a directory of its own and mount an emptyDir there; readOnlyRootFilesystem can stay."
            ),
        },
        (Setting::Container, _) => match directory {
            Some(directory) if mount.point == "/" => {
                format!("Mount a tmpfs or a volume at {directory} (`--tmpfs {directory}`); the root can stay read-only.")
            }
            _ => format!(
                "Mount {} without the option ro, or let the program write elsewhere.",
                if mount.point.is_empty() { name } else { &mount.point }
            ),
        },
        (Setting::Local, _) if mount.point.is_empty() => "Let the program write elsewhere, or remount it writable (`findmnt`).".to_owned(),
        (Setting::Local, _) => format!("Let the program write elsewhere, or remount it: `mount -o remount,rw {}`.", mount.point),
    }
}

/// The directory that an emptyDir would go to: the one that the program writes in, unless that is `/` or `/etc`.
fn directory_to_mount(name: &str, walk: &Walk) -> Option<String> {
    let wanted = parent_path(name);
    let existing = walk.components.iter().rev().find(|c| c.kind == FileKind::Directory).map(|c| c.path.as_str());
    let directory = if walk.stopped.is_some() { existing.unwrap_or(wanted) } else { wanted };
    (!matches!(directory, "/" | "/etc" | "/usr" | "/var" | "/lib" | "/bin")).then(|| directory.to_owned())
}

fn not_walked(failure: &Failure, case: &Case<'_>, path: Option<&PathArg>) -> Finding {
    let name = path.map_or_else(|| words::subject_name(&failure.call.target), |path| path.path.clone());
    let mut finding = Finding::about(read_only_filesystem::READ_ONLY_MOUNT, &name, failure);
    let why = gap(case).unwrap_or("the path has not been looked at");
    finding.explanation =
        vec![format!("{name} lies on a file system that is mounted read-only"), format!("which mount that is, is not known: {why}")];
    finding.remedy.text = match case.setting() {
        Setting::Pod => format!("Mount an emptyDir where {name} is written, or take readOnly off its volumeMount."),
        Setting::Container | Setting::Local => format!("Let the program write {name} elsewhere, or mount its file system writable."),
    };
    if name.starts_with('/') {
        finding.matter = Some(Matter::ReadOnly(name, None));
    }
    finding
}
