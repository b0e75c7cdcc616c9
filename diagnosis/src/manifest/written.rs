//! Directories of the image that a program writes to: where an emptyDir can take their place.

use super::{
    advice::{Advice, change},
    patch::{join, of_container},
    refusal::Refusal,
};
use crate::{
    case::{Case, Manifest},
    permission::Layer,
};
use serde_json::{Value, json};

/// What images keep their programs and configuration in, with all that lies below.
const PROGRAMS: [&str; 11] = ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr"];
/// Below these a directory is a program's own, and holds what the program makes.
const OF_PROGRAMS: [&str; 6] = ["/run", "/var/run", "/var/cache", "/var/log", "/var/spool", "/var/tmp"];
/// Directories whose content no image needs.
const SCRATCH: [&str; 6] = ["/tmp", "/run", "/var/run", "/var/tmp", "/dev/shm", "/var/lib/nginx"];
/// What such directories are called elsewhere.
const SCRATCH_NAMES: [&str; 9] = ["cache", ".cache", "log", "logs", "pids", "run", "spool", "temp", "tmp"];

/// Whether an emptyDir at a directory of the image hides nothing that the program needs. What lies in it is not known, so that only
/// directories that are there to be written in come into question: by their place, or by their name if they are not the
/// system's, and none that the program was started from or works in.
pub(super) fn may_be_covered(directory: &str, case: &Case<'_>) -> bool {
    let inside = |path: &str, directory: &str| super::located::below(path, directory).is_some();
    let own = OF_PROGRAMS.iter().any(|top| directory != *top && inside(directory, top));
    let name = directory.rsplit('/').next().unwrap_or_default();
    let named_so = SCRATCH_NAMES.contains(&name) && !OF_PROGRAMS.contains(&directory) && !PROGRAMS.iter().any(|top| inside(directory, top));
    let named = case.processes.iter().flat_map(|process| process.args.iter().chain([&process.path]));
    let started_from =
        named.filter(|path| path.starts_with('/')).any(|path| path != directory && inside(path, directory) && is_program(path));
    let works_in = case.manifest.is_some_and(|spec| inside(&spec.container.working_dir, directory));
    (own || SCRATCH.contains(&directory) || named_so) && !(started_from || works_in)
}

/// Directories that every image has, and with much in them: whatever is mounted over one hides that.
pub(super) fn is_of_system(directory: &str) -> bool {
    const TOPS: [&str; 8] = ["/home", "/media", "/mnt", "/opt", "/root", "/srv", "/var", "/var/lib"];
    const BELOW_USR: [&str; 6] = ["/usr/bin", "/usr/lib", "/usr/lib64", "/usr/local", "/usr/sbin", "/usr/share"];
    let directory = if directory.len() > 1 { directory.trim_end_matches('/') } else { directory };
    let all = [PROGRAMS.as_slice(), &OF_PROGRAMS, &TOPS, &BELOW_USR, &["/"]];
    all.iter().any(|directories| directories.contains(&directory))
}

/// Whether an emptyDir may stand where a directory was to be made: it hides nothing. The kernel's own file systems have no
/// room, and directories that hold others' are nobody's own.
pub(super) fn may_be_made(directory: &str) -> bool {
    let of_kernel = ["/dev", "/proc", "/sys"].iter().any(|top| super::located::below(directory, top).is_some());
    directory.starts_with('/') && directory != "/" && !of_kernel && !OF_PROGRAMS.contains(&directory)
}

/// Where no patch may be given: what would help, and at what price.
pub(super) fn in_words(refusal: &Refusal<'_>) -> Option<String> {
    let denial = refusal.denial;
    let at = &denial.at.path;
    match (&refusal.place, &denial.layer) {
        (Some(place), Layer::SupplementaryGroup { gid }) => {
            let path = place.on_node()?;
            let gid = refusal.rights.gid_inside(*gid).unwrap_or(*gid);
            let grants = if is_runtime_socket(&path) {
                format!("{path} is the socket of the node's container runtime: whoever may write to it is root on the node")
            } else {
                format!(
                    "{path} belongs to the node, and its group {gid} may do there, and with all else of that group on the node, what the mode says"
                )
            };
            let how = if gid == 0 {
                "Let the node's administrator give it a group of its own: root's group opens more than this".to_owned()
            } else {
                format!("If the pod is meant to have that, spec.securityContext.supplementalGroups: [{gid}] gives it")
            };
            Some(format!("{grants}. {how}; otherwise do without the hostPath."))
        }
        (None, Layer::ModeBits(_) | Layer::SupplementaryGroup { .. }) if refusal.makes() && denial.doubt.is_none() && may_be_made(at) => {
            Some(format!(
                "Let the program write to a directory of its own, by its configuration, and mount an emptyDir (or a PersistentVolumeClaim, if the data must last) there; or let the image give {at} to the user that it runs as. A volume at {at} itself would hide what the image has there."
            ))
        }
        _ => None,
    }
}

fn is_runtime_socket(path: &str) -> bool {
    const SOCKETS: [&str; 5] = ["docker.sock", "containerd.sock", "crio.sock", "cri-dockerd.sock", "podman.sock"];
    SOCKETS.iter().any(|socket| path.rsplit('/').next() == Some(*socket))
}

/// A path among the arguments that is read rather than written: a program, a script, a configuration.
fn is_program(path: &str) -> bool {
    const WRITTEN: [&str; 8] = [".db", ".sqlite", ".log", ".pid", ".sock", ".lock", ".tmp", ".cache"];
    !WRITTEN.iter().any(|ending| path.ends_with(ending))
}

/// An emptyDir at each of these directories.
pub(super) fn empty_dirs(spec: &Manifest<'_>, directories: &[String]) -> Value {
    let mut all = json!({});
    for directory in directories {
        let name = volume_name(spec, directory);
        join(&mut all, json!({ "volumes": [{ "name": name, "emptyDir": {} }] }));
        join(&mut all, of_container(spec.container, json!({ "volumeMounts": [{ "name": name, "mountPath": directory }] })));
    }
    all
}

/// A directory that programs take for granted and the image lacks: an emptyDir makes it.
pub(super) fn missing_directory(advice: &mut Advice, case: &Case<'_>, directory: &str) {
    let Some(spec) = case.manifest else { return };
    let known = ["/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm"].contains(&directory);
    if !known || spec.container.mounts.iter().any(|mount| mount.path.trim_end_matches('/') == directory) {
        return;
    }
    let mut fragment = empty_dirs(&spec, &[directory.to_owned()]);
    if directory == "/dev/shm" {
        fragment["volumes"][0]["emptyDir"] = json!({ "medium": "Memory" });
    }
    change(advice, &spec, format!("Mount an emptyDir at {directory}, or make the directory in the image (mode 1777)."), fragment);
}

/// A name after the directory that no volume of the pod has: `/var/cache/nginx` becomes `var-cache-nginx`. Names are DNS
/// labels of at most 63 characters.
fn volume_name(spec: &Manifest<'_>, directory: &str) -> String {
    let label: String = directory.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let label = label.trim_matches('-');
    let label = label.get(label.len().saturating_sub(50)..).unwrap_or(label).trim_matches('-');
    let label = if label.is_empty() { "writable" } else { label };
    let taken = |name: &str| spec.pod.volumes.iter().any(|volume| volume.name == name);
    let mut name = label.to_owned();
    let mut number = 2;
    while taken(&name) {
        name = format!("{label}-{number}");
        number += 1;
    }
    name
}
