//! What to change, said for the one who can change it. Never `privileged`, never a mode that all may write.

use crate::{
    case::Setting,
    knowledge::volume::{self, Volume, VolumeKind},
    permission::{Capability, Class, Denial, EXEC, Layer, Purpose, WRITE, bits::bits},
    question::{Component, FileKind, Walk},
    record::Call,
    story::failure::Failure,
    words,
};

/// Directories that belong to the system: their owner is not to be changed for one program.
const SYSTEM_DIRECTORIES: [&str; 22] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv",
    "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/log",
];

/// Who needs a right, and where: what the sentences are made of.
struct Need<'a> {
    uid: u32,
    gid: u32,
    letters: String,
    at: &'a Component,
    purpose: Purpose,
}

/// The remedy of a denial.
pub(super) fn for_denial(failure: &Failure, walk: &Walk, denial: &Denial, setting: Setting) -> String {
    let creds = &failure.call.creds;
    let by_real = failure.call.call == Call::Access;
    let need = Need {
        uid: if by_real { creds.uid } else { creds.fsuid },
        gid: if by_real { creds.gid } else { creds.fsgid },
        letters: words::permissions(denial.missing),
        at: &denial.at,
        purpose: denial.purpose,
    };
    let path = &denial.at.path;
    match &denial.layer {
        Layer::ModeBits(class) => give_right(&need, *class, walk, setting),
        Layer::SupplementaryGroup { gid } => join_group(*gid, setting),
        Layer::Acl { masked_by: Some(mask), .. } => {
            format!("Widen the ACL's mask: `setfacl -m m::{} {path}`.", words::permissions(mask | denial.missing))
        }
        Layer::Acl { .. } => format!("Give the process an entry of its own: `setfacl -m u:{}:{} {path}`.", need.uid, need.letters),
        Layer::Ownership => own(&need, walk, setting),
        Layer::Sticky { .. } => format!(
            "Let uid {} own {path}, or give the program a directory of its own; a shared sticky directory such as /tmp is for everybody's own files only.",
            need.uid
        ),
        Layer::Sysctl(name) => format!(
            "Let the program use a directory of its own instead of a shared sticky one; {name} is a protection of the whole node and should stay on."
        ),
        Layer::Immutable => {
            format!("Take the flag away where the file system is managed: `chattr -i {path}` (it needs CAP_LINUX_IMMUTABLE).")
        }
        Layer::AppendOnly => {
            format!("Open {path} with O_APPEND, or take the flag away: `chattr -a {path}` (it needs CAP_LINUX_IMMUTABLE).")
        }
        Layer::Capability(capability) => grant(*capability, &need, walk, setting),
        Layer::UserNamespace { .. } => map_owner(&need, setting),
        Layer::MountFlag(flag) => format!("Put what is needed on a file system that is mounted without {flag}, such as the image itself."),
    }
}

/// The right on a file or directory, by the way that fits where it lies.
fn give_right(need: &Need<'_>, class: Class, walk: &Walk, setting: Setting) -> String {
    let volume = volume::of_walk(walk, &need.at.mount);
    match (setting, volume) {
        (Setting::Pod, Some(volume)) => on_volume(need, class, &volume),
        (Setting::Pod, None) => in_image(need),
        (Setting::Container, _) => on_host(need, class, "in the image or the mounted directory", "user of the container"),
        (Setting::Local, _) => on_host(need, class, "", "user (`--uid`, `--gid`)"),
    }
}

fn on_volume(need: &Need<'_>, class: Class, volume: &Volume) -> String {
    let (at, gid) = (&need.at.path, group_to_give(need));
    match &volume.kind {
        kind if kind.is_kubelet_written() => format!(
            "Set spec.securityContext.fsGroup: {gid}: the kubelet then gives the volume's files to that group, readable. Or set the volume's defaultMode to 0444."
        ),
        VolumeKind::KubeletFile => format!("{at} is a file of the kubelet: let the program use another path."),
        VolumeKind::Node => format!(
            "On a hostPath volume fsGroup has no effect: on the node, or in an init container that runs as root, `{}`. On a local PersistentVolume set spec.securityContext.fsGroup: {gid}.",
            chmod_command(need, class)
        ),
        _ if class == Class::Owner => {
            format!("uid {} owns {at}: `chmod u+{} {at}` in an init container, or where the volume was filled.", need.uid, need.letters)
        }
        VolumeKind::EmptyDir | VolumeKind::Plugin(_) | VolumeKind::Unknown => format!(
            "Set spec.securityContext.fsGroup: {gid}: the kubelet then gives the volume to that group, writable. While another pod on the node uses the volume, the kubelet leaves it as it is."
        ),
        VolumeKind::ConfigMap | VolumeKind::Secret | VolumeKind::Projected | VolumeKind::DownwardApi | VolumeKind::KubeletWritten => {
            String::new()
        } // above
    }
}

/// A group for fsGroup: the one that the process has already, unless that is root's.
const fn group_to_give(need: &Need<'_>) -> u32 {
    if need.gid != 0 { need.gid } else { need.uid }
}

/// Nothing is mounted there: the image, or a volume that is missing.
fn in_image(need: &Need<'_>) -> String {
    let at = &need.at.path;
    let run_as = if need.at.uid == 0 { String::new() } else { format!(", or set securityContext.runAsUser: {} (its owner)", need.at.uid) };
    let is_root = at == "/";
    match (need.purpose, need.at.kind) {
        (Purpose::Create | Purpose::Remove, _) if is_root => {
            "Let the program write below a directory of its own, and mount an emptyDir (or a PersistentVolumeClaim) there; set spec.securityContext.fsGroup with it.".to_owned()
        }
        (Purpose::Create | Purpose::Remove, _) => format!(
            "No volume is mounted at {at}: mount one (an emptyDir, or a PersistentVolumeClaim if the data must last) with spec.securityContext.fsGroup: {}, or build the image with the directory owned by uid {}{run_as}.",
            group_to_give(need),
            need.uid
        ),
        (_, FileKind::Directory) => format!("Build the image so that uid {} has {} on {at} (`chmod o+x`, or `chown`){run_as}.", need.uid, need.letters),
        _ => format!("Build the image so that uid {} has {} on {at} (`COPY --chown={}:{} …`){run_as}.", need.uid, need.letters, need.uid, need.gid),
    }
}

fn on_host(need: &Need<'_>, class: Class, place: &str, user: &str) -> String {
    let at = &need.at.path;
    let place = if place.is_empty() { String::new() } else { format!(" ({place})") };
    let writes = matches!(need.purpose, Purpose::Create | Purpose::Remove);
    if SYSTEM_DIRECTORIES.contains(&at.as_str()) && (writes || at == "/root") {
        return format!(
            "{at} belongs to the system: give the program a directory of its own, `install -d -o {} -g {} DIRECTORY`{place}, and point it there; or run it as another {user}.",
            need.uid, need.gid
        );
    }
    let foreign = need.at.uid != need.uid && need.at.uid != 0;
    if foreign && need.at.kind == FileKind::Directory && is_private(need.at) {
        // A private directory of another user, such as a database's: opening it is not what its owner wants.
        return format!(
            "{at} is private to uid {0}: run the program as that user, or give it the directory with all that is in it, `chown -R {1}:{2} {at}`{place}.",
            need.at.uid, need.uid, need.gid
        );
    }
    let or_owner = if foreign { format!(", or run the program as uid {}", need.at.uid) } else { String::new() };
    format!("Run `{}`{place}{or_owner}.", chmod_command(need, class))
}

/// Neither its group nor others have any permission.
const fn is_private(at: &Component) -> bool {
    bits(at.mode, Class::Group) == 0 && bits(at.mode, Class::Other) == 0
}

/// The least change of owner, group or mode that gives the right.
fn chmod_command(need: &Need<'_>, class: Class) -> String {
    let (at, letters) = (&need.at.path, &need.letters);
    match class {
        Class::Owner => format!("chmod u+{letters} {at}"),
        Class::Group => format!("chmod g+{letters} {at}"),
        Class::Other if need.at.kind == FileKind::Directory && need.letters == words::permissions(EXEC) => format!("chmod o+x {at}"),
        Class::Other if need.at.kind == FileKind::Directory && need.letters.contains('w') => {
            format!("chown {}:{} {at}", need.uid, need.gid)
        }
        Class::Other => format!("chgrp {} {at} && chmod g+{letters} {at}", need.gid),
    }
}

fn join_group(gid: u32, setting: Setting) -> String {
    match setting {
        Setting::Pod => format!("Add the group: spec.securityContext.supplementalGroups: [{gid}]."),
        Setting::Container => format!("Run the container with group {gid} added (`--group-add {gid}`, process.user.additionalGids)."),
        Setting::Local => format!("Run the program with group {gid} (`unready run --groups {gid}`, `usermod -aG` for the user)."),
    }
}

fn own(need: &Need<'_>, walk: &Walk, setting: Setting) -> String {
    let (at, uid, owner) = (&need.at.path, need.uid, need.at.uid);
    let run_as = match setting {
        Setting::Pod if owner == 0 => "run that step in an init container as root".to_owned(),
        Setting::Pod => format!("set securityContext.runAsUser: {owner}"),
        Setting::Container | Setting::Local => format!("run it as uid {owner}"),
    };
    let fs_group = match volume::of_walk(walk, &need.at.mount) {
        Some(_) if setting == Setting::Pod => " spec.securityContext.fsGroup changes the group only, not the owner.",
        _ => "",
    };
    format!("Let the program leave owner and mode of {at} alone, or let uid {uid} own it (`chown {uid} {at}`), or {run_as}.{fs_group}")
}

fn grant(capability: Capability, need: &Need<'_>, walk: &Walk, setting: Setting) -> String {
    let at = &need.at.path;
    let name = capability.name();
    let add = match setting {
        Setting::Pod => format!("add it: securityContext.capabilities.add: [{name}]"),
        Setting::Container => format!("add it (`--cap-add {name}`, process.capabilities)"),
        Setting::Local => format!("leave it to the program (no `--drop {name}`)"),
    };
    match capability {
        Capability::DAC_OVERRIDE | Capability::DAC_READ_SEARCH => {
            let owner = if need.at.uid == 0 { String::new() } else { format!(" Or run as the owner, uid {}.", need.at.uid) };
            let group = match volume::of_walk(walk, &need.at.mount) {
                Some(volume) if setting == Setting::Pod && volume.kind != VolumeKind::Node => {
                    ", or spec.securityContext.fsGroup: 0 for the volume"
                }
                _ => "",
            };
            format!("Root without {capability} is an ordinary user: let root own {at} (`chown 0 {at}`{group}), or {add}.{owner}")
        }
        Capability::CHOWN => format!(
            "Give {at} to its owner beforehand (in the image, by fsGroup or in an init container) and let the program leave it, or {add}."
        ),
        Capability::MKNOD => format!("Let the runtime make the device (a device plugin, or the container's devices), or {add}."),
        _ => format!("Let the process own {at}, or {add}."),
    }
}

fn map_owner(need: &Need<'_>, setting: Setting) -> String {
    let at = &need.at.path;
    let writes = need.letters.contains(words::permissions(WRITE).as_str());
    let rights = if writes { "readable and writable" } else { "readable" };
    match setting {
        Setting::Pod => format!(
            "With hostUsers: false, files of {at} must belong to ids that the pod's user namespace maps: use a volume whose file system supports idmapped mounts, or set fsGroup so that it is {rights} for the pod's group."
        ),
        Setting::Container | Setting::Local => format!(
            "Give {at} to an id that the user namespace maps (`chown` from outside to the first mapped id for its root), mount it idmapped, or make it {rights} for a mapped group."
        ),
    }
}
