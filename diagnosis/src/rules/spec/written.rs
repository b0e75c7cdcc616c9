//! Directories of the image that a program writes to: where an emptyDir can take their place.

use super::{
    change,
    patch::{join, of_container},
};
use crate::rules::{Context, Finding, Spec};
use serde_json::{Value, json};

/// What images keep their programs and configuration in, with all that lies below.
const PROGRAMS: [&str; 11] = ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr"];
/// Directories that hold others' directories: an emptyDir would hide them.
const SHARED: [&str; 12] = ["/", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/var", "/var/lib", "/var/log", "/var/cache", "/app"];

/// Whether an emptyDir at a directory hides nothing that the program is known to need: not the system's directories, not
/// the ones that it was started from.
pub(in crate::rules) fn may_be_covered(directory: &str, context: &Context<'_>) -> bool {
    let inside = |path: &str, directory: &str| super::place::below(path, directory).is_some();
    let of_system = PROGRAMS.iter().any(|top| inside(directory, top)) || SHARED.contains(&directory);
    let named = context.processes.iter().flat_map(|process| process.args.iter().chain([&process.path]));
    let started_from =
        named.filter(|path| path.starts_with('/')).any(|path| path != directory && inside(path, directory) && is_program(path));
    let works_in = context.spec.is_some_and(|spec| spec.container.working_dir.trim_end_matches('/') == directory);
    !(of_system || started_from || works_in)
}

/// A path among the arguments that is read rather than written: a program, a script, a configuration.
fn is_program(path: &str) -> bool {
    const WRITTEN: [&str; 8] = [".db", ".sqlite", ".log", ".pid", ".sock", ".lock", ".tmp", ".cache"];
    !WRITTEN.iter().any(|ending| path.ends_with(ending))
}

/// An emptyDir at each of these directories.
pub(super) fn empty_dirs(spec: &Spec<'_>, directories: &[String]) -> Value {
    let mut all = json!({});
    for directory in directories {
        let name = volume_name(spec, directory);
        join(&mut all, json!({ "volumes": [{ "name": name, "emptyDir": {} }] }));
        join(&mut all, of_container(spec.container, json!({ "volumeMounts": [{ "name": name, "mountPath": directory }] })));
    }
    all
}

/// A directory that programs take for granted and the image lacks: an emptyDir makes it.
pub(in crate::rules) fn missing_directory(finding: &mut Finding, context: &Context<'_>, directory: &str) {
    let Some(spec) = context.spec else { return };
    let known = ["/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm"].contains(&directory);
    if !known || spec.container.mounts.iter().any(|mount| mount.path.trim_end_matches('/') == directory) {
        return;
    }
    let mut fragment = empty_dirs(&spec, &[directory.to_owned()]);
    if directory == "/dev/shm" {
        fragment["volumes"][0]["emptyDir"] = json!({ "medium": "Memory" });
    }
    change(finding, &spec, format!("Mount an emptyDir at {directory}, or make the directory in the image (mode 1777)."), fragment);
}

/// A name after the directory that no volume of the pod has: `/var/cache/nginx` becomes `var-cache-nginx`. Names are DNS
/// labels of at most 63 characters.
fn volume_name(spec: &Spec<'_>, directory: &str) -> String {
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
