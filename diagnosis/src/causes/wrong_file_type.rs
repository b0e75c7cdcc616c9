//! `WrongFileType`: EISDIR, ENOTDIR, ELOOP, ENXIO. Above all the empty directory that the kubelet (or a runtime) makes
//! where a file to be mounted does not exist.

use super::rule::{self, Calls, Rule};
use crate::{
    case::{
        Case, Setting,
        finding::{Finding, Matter},
        look::{file_fact, found_mount, gap, is_live, name_of, paths, walk_of, walks, whereabouts},
    },
    catalogue::{Cause, Layer, wrong_file_type},
    knowledge::volume,
    question::{Component, FileKind, Walk},
    record::{Call, Errno, PathArg, Target},
    story::failure::Failure,
    words,
};

/// See the module's head.
pub(super) const RULE: Rule = Rule { says: &[Cause::WrongFileType], calls: Some(Calls { takes, questions: walks, explain }), others: None };

fn takes(failure: &Failure) -> bool {
    matches!(failure.call.errno, Errno::EISDIR | Errno::ENOTDIR | Errno::ELOOP | Errno::ENXIO) && rule::is_on_file(failure)
}

pub(super) fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    let paths = paths(failure, case);
    let walked = paths.iter().find_map(|(_, path)| Some((path, walk_of(case, path)?)));
    match walked {
        Some((path, walk)) => Some(seen(failure, case, path, walk)),
        None => unseen(failure, case, paths.first().map(|(_, path)| path)),
    }
}

fn layer_of(failure: &Failure) -> Layer {
    match failure.call.errno {
        Errno::EISDIR => wrong_file_type::DIRECTORY_FOR_FILE,
        Errno::ENOTDIR => wrong_file_type::FILE_FOR_DIRECTORY,
        Errno::ELOOP if is_nofollow(failure) => wrong_file_type::LINK_REFUSED,
        Errno::ELOOP => wrong_file_type::LINK_LOOP,
        _ => wrong_file_type::NO_PEER,
    }
}

fn is_nofollow(failure: &Failure) -> bool {
    failure.call.call == Call::Open && failure.call.arg & words::O_NOFOLLOW != 0
}

fn seen(failure: &Failure, case: &Case<'_>, path: &PathArg, walk: &Walk) -> Finding {
    let name = name_of(path, Some(walk));
    let culprit = culprit(failure, walk);
    let mut finding = Finding::about(layer_of(failure), &name, failure);
    let setting = case.setting();
    finding.explanation = reasons(failure, walk, &name, culprit, setting);
    finding.remedy.text = remedy(failure, walk, &name, culprit, setting);
    finding.matter = (failure.call.errno == Errno::EISDIR).then_some(Matter::DirectoryForFile(name));
    finding.evidence = culprit.map(|at| file_fact(at, walk)).into_iter().collect();
    finding.proved = is_live(walk) && holds(failure, walk, culprit);
    finding
}

/// The component of the wrong type: where the walk could not go on, or the last one.
fn culprit<'a>(failure: &Failure, walk: &'a Walk) -> Option<&'a Component> {
    if failure.call.errno == Errno::ENOTDIR {
        let stopped = walk
            .stopped
            .as_ref()
            .and_then(|stop| walk.components.iter().rev().find(|c| stop.path == c.path || stop.path.starts_with(&format!("{}/", c.path))));
        return stopped.filter(|c| c.kind != FileKind::Directory).or_else(|| walk.components.last());
    }
    walk.components.last()
}

/// Whether what is there now explains the errno.
fn holds(failure: &Failure, walk: &Walk, culprit: Option<&Component>) -> bool {
    let Some(at) = culprit else { return false };
    match failure.call.errno {
        Errno::EISDIR => at.kind == FileKind::Directory,
        Errno::ENOTDIR => !matches!(at.kind, FileKind::Directory | FileKind::Link),
        Errno::ELOOP => {
            is_nofollow(failure) && walk.components.iter().any(|c| c.kind == FileKind::Link)
                || walk.stopped.as_ref().is_some_and(|stop| stop.errno == Errno::ELOOP)
        }
        _ => matches!(at.kind, FileKind::Fifo | FileKind::Socket | FileKind::CharDevice | FileKind::BlockDevice),
    }
}

fn reasons(failure: &Failure, walk: &Walk, name: &str, culprit: Option<&Component>, setting: Setting) -> Vec<String> {
    let Some(at) = culprit else { return vec![format!("{name} was of another type than the program expects")] };
    let is = format!("{} is a {}", at.path, words::kind(at.kind));
    let mut reasons = match failure.call.errno {
        Errno::EISDIR if at.kind == FileKind::Directory => vec![format!("{is}, and the program wants a file")],
        Errno::ENOTDIR if at.kind != FileKind::Directory => vec![format!("{is}, and the program wants a directory")],
        Errno::ELOOP if is_nofollow(failure) => {
            vec![format!("{name} is a symbolic link, and the program refuses to follow one (O_NOFOLLOW)")]
        }
        Errno::ELOOP => vec![format!("the symbolic links of {name} lead to each other: {}", links(walk))],
        Errno::ENXIO => vec![no_peer(at, &is)],
        _ => vec![format!("{is} now; at the failure it was something else")],
    };
    reasons.extend(made_for_mount(walk, at, setting));
    reasons
}

fn links(walk: &Walk) -> String {
    let links = walk.components.iter().filter_map(|c| Some(format!("{} → {}", c.path, c.link.as_ref()?)));
    words::list(links, 3)
}

fn no_peer(at: &Component, is: &str) -> String {
    match at.kind {
        FileKind::Fifo => format!("{is} that nobody has open for reading"),
        FileKind::Socket => format!("{is}: it is connected to (connect), not opened"),
        FileKind::CharDevice | FileKind::BlockDevice => format!("{is} without a driver behind it"),
        FileKind::Directory | FileKind::File | FileKind::Link | FileKind::Other => {
            format!("{is} now; at the failure it was something else")
        }
    }
}

/// A directory that is itself a mount point was made by whoever mounted it.
fn made_for_mount(walk: &Walk, at: &Component, setting: Setting) -> Option<String> {
    if at.kind != FileKind::Directory || at.mount.point != at.path {
        return whereabouts(walk, at, setting);
    }
    let volume = volume::of_walk(walk, &at.mount);
    let maker = match volume {
        Some(volume) if volume.sub_path => "the kubelet makes an empty directory when the key or file that subPath names does not exist",
        Some(_) => {
            "a hostPath without `type: File` becomes an empty directory when the file does not exist on the node; a volume without subPath is always a directory"
        }
        None => "runtimes make an empty directory when the file to be mounted does not exist",
    };
    Some(format!("{} is a mount point: {maker}", at.path))
}

fn remedy(failure: &Failure, walk: &Walk, name: &str, culprit: Option<&Component>, setting: Setting) -> String {
    let mounted = culprit.filter(|at| at.kind == FileKind::Directory && at.mount.point == at.path);
    match (failure.call.errno, mounted.map(|at| volume::of_walk(walk, &at.mount)), setting) {
        (Errno::EISDIR, Some(Some(volume)), Setting::Pod) if volume.sub_path => format!(
            "Correct the key: subPath of the volumeMount at {name} must be a key of {volume}, spelt the same; then delete the pod, because the directory stays until then."
        ),
        (Errno::EISDIR, Some(_), Setting::Pod) => {
            format!(
                "Mount the file and not the directory: subPath with the key's name on the volumeMount at {name}, or `type: File` on the hostPath."
            )
        }
        (Errno::EISDIR, Some(_), _) => format!("Make the source of the mount at {name} a file that exists before the container starts."),
        (Errno::EISDIR, None, _) => format!("Tell the program the file and not the directory ({name}), or remove the directory."),
        (Errno::ENOTDIR, ..) => {
            let at = culprit.map_or(name, |at| at.path.as_str());
            format!("Make {at} a directory, or correct the path that the program is told.")
        }
        (Errno::ELOOP, ..) if is_nofollow(failure) => {
            format!(
                "Give the program the real file instead of the link {name} (files of ConfigMaps and Secrets are links: mount the key by subPath, or copy it in an init container)."
            )
        }
        (Errno::ELOOP, ..) => format!("Correct the symbolic links of {name}."),
        _ => format!("Start what reads from {name} first, or correct the path that the program is told."),
    }
}

/// Where the directory is by the manifest, when its mount is known, or its path.
fn mount_of_directory(case: &Case<'_>, name: &str) -> Option<String> {
    match found_mount(case) {
        Some((Some(mount), None)) => Some(mount.point),
        Some((_, Some(path))) => Some(path),
        Some((None, None)) | None => name.starts_with('/').then(|| name.to_owned()),
    }
}

/// Without a walk only the call itself speaks. A read that meets a directory says enough; a name searched along a path
/// that runs through a file does not.
fn unseen(failure: &Failure, case: &Case<'_>, path: Option<&PathArg>) -> Option<Finding> {
    let name = match (&failure.call.target, path) {
        (_, Some(path)) => path.path.clone(),
        (Target::File { name, .. }, None) => name.clone(),
        _ => return None,
    };
    let mut finding = Finding::about(layer_of(failure), &name, failure);
    finding.explanation = vec![match failure.call.errno {
        Errno::EISDIR => format!("{name} is a directory, and the program wants a file"),
        Errno::ENOTDIR => format!("a part of {name} is not a directory"),
        Errno::ELOOP if is_nofollow(failure) => format!("{name} is a symbolic link, and the program refuses to follow one (O_NOFOLLOW)"),
        Errno::ELOOP => format!("the symbolic links of {name} lead to each other"),
        _ => format!("nobody is behind {name}: a FIFO without a reader, a socket, or a device without a driver"),
    }];
    if let Some((Some(mount), _)) = found_mount(case) {
        finding.explanation.push(format!("it lies on {}", words::mount(&mount)));
    }
    finding.explanation.push(format!("what is there now is not known: {}", gap(case).unwrap_or("the path has not been looked at")));
    finding.remedy.text = match failure.call.errno {
        Errno::EISDIR => "A file that is to be mounted and does not exist becomes a directory: look at subPath, at the key's name and at the source of the mount.".to_owned(),
        _ => "Look at the type of each component of the path (`namei -l`).".to_owned(),
    };
    if failure.call.errno == Errno::EISDIR
        && let Some(at) = mount_of_directory(case, &name)
    {
        finding.matter = Some(Matter::DirectoryForFile(at));
    }
    Some(finding)
}
