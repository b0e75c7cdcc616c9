//! What a file's own bytes say of why it cannot be executed.

use crate::{
    case::{
        Case, Setting,
        finding::{Finding, Matter},
        look::inode,
    },
    catalogue::{Layer, loader_missing, not_executable, script_interpreter_missing, wrong_architecture},
    outside,
    question::{ExecFormat, Executable, FileKind},
    story::{fact, fact::Fact},
    units::BootNanos,
    verdict::{Evidence, EvidenceKind, SubjectKind},
    words,
};

/// The finding for an executable that is there; `None` when its format shows nothing wrong. `failed`: what was tried in vain, which the
/// summary begins with.
pub(super) fn explain(executable: &Executable, at: BootNanos, failed: &str, case: &Case<'_>) -> Option<Finding> {
    let setting = case.setting();
    let file = executable.file.as_ref()?;
    if file.kind == FileKind::Directory {
        let reason = format!("{} is a directory, not a program", executable.path);
        let summary = format!("{failed}: {reason}");
        return Some(not_executable(executable, not_executable::DIRECTORY, reason, summary, setting));
    }
    let mut found = match &executable.format {
        ExecFormat::Elf { machine, host, .. } if machine != host => wrong_machine(executable, machine, host, failed, setting),
        ExecFormat::Elf { interpreter: Some((loader, false)), .. } => loader_missing(executable, loader, failed, setting),
        ExecFormat::Script { interpreter, exists: false, crlf } => interpreter_missing(executable, interpreter, *crlf, failed, setting),
        ExecFormat::Unknown { what } => {
            let reason = format!("{} is neither an ELF file nor a script: {what}", executable.path);
            let summary = format!("{failed}: {reason}");
            not_executable(executable, not_executable::NO_PROGRAM, reason, summary, setting)
        }
        ExecFormat::Elf { .. } | ExecFormat::Script { .. } | ExecFormat::Unreadable { .. } => return None,
    };
    found.matter = matter(executable);
    let text = format!("{} is {}", words::component(file), words::owner_mode(file));
    let fact = fact::File { path: executable.path.clone(), found: Some(inode(file)) };
    found.evidence.push(Evidence::new(at, EvidenceKind::File, text).with(Fact::File(fact)));
    found.proved = true;
    Some(found)
}

/// What the manifest can do about it: choose nodes of the right kind, or nothing.
fn matter(executable: &Executable) -> Option<Matter> {
    match &executable.format {
        ExecFormat::Elf { machine, host, .. } if machine != host => Some(Matter::OtherMachine(architecture(machine).to_owned())),
        ExecFormat::Elf { .. } | ExecFormat::Script { .. } | ExecFormat::Unknown { .. } => Some(Matter::Image(executable.path.clone())),
        ExecFormat::Unreadable { .. } => None,
    }
}

/// `NotExecutable` of a file that is there.
pub(super) fn not_executable(executable: &Executable, layer: Layer, reason: String, summary: String, setting: Setting) -> Finding {
    let mut found = Finding::new(layer, (SubjectKind::Command, &executable.path), summary);
    found.explanation = vec![reason];
    found.remedy.text = not_executable_remedy(layer, &executable.path, setting);
    found
}

/// What to do about a file that may not be executed.
pub(super) fn not_executable_remedy(layer: Layer, path: &str, setting: Setting) -> String {
    match (layer, setting) {
        (not_executable::NOEXEC_MOUNT, Setting::Pod) => {
            format!("Put {path} into the image or onto a volume that is mounted without noexec (mountOptions of the PersistentVolume).")
        }
        (not_executable::NOEXEC_MOUNT, _) => format!("Put {path} onto a file system that is mounted without noexec."),
        (not_executable::DIRECTORY, _) => format!("Name the program in the command; {path} is the directory that it may lie in."),
        (not_executable::NO_PROGRAM, _) => {
            format!("Write `#!/bin/sh` (or its interpreter) as the first line of {path} if it is a script; otherwise build it for Linux.")
        }
        (_, Setting::Pod) => format!(
            "Set the x bit in the image (`RUN chmod +x {path}`, `COPY --chmod=0755 …`); for a script from a ConfigMap set defaultMode: 0555 on its volume, or start it with its interpreter (`command: [sh, {path}]`)."
        ),
        (_, Setting::Container) => format!("Set the x bit in the image (`RUN chmod +x {path}`, `COPY --chmod=0755 …`)."),
        (_, Setting::Local) => format!("Run `chmod +x {path}`, or start it with its interpreter."),
    }
}

fn wrong_machine(executable: &Executable, machine: &str, host: &str, failed: &str, setting: Setting) -> Finding {
    let reason = format!("{} is a program for {machine}; this machine is {host}", executable.path);
    let summary = format!("{failed}: {reason}");
    let mut found = Finding::new(wrong_architecture::MACHINE, (SubjectKind::Command, &executable.path), summary);
    found.explanation = vec![reason];
    let build = format!("Build for {}: `docker build --platform {}`, or use a multi-platform image", platform(host), platform(host));
    found.remedy.text = match setting {
        Setting::Pod => format!("{build}. Or keep the pod on nodes that fit: nodeSelector kubernetes.io/arch: {}.", architecture(machine)),
        Setting::Container => format!("{build}."),
        Setting::Local => format!("Build the program for {host}."),
    };
    found
}

/// The platform that image builders take.
fn platform(machine: &str) -> String {
    match machine {
        "arm" => "linux/arm/v7".to_owned(),
        other => format!("linux/{}", architecture(other)),
    }
}

/// A machine by the name that Go, OCI and Kubernetes give it.
fn architecture(machine: &str) -> &str {
    match machine {
        "x86-64" | "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "x86" => "386",
        other => other,
    }
}

fn loader_missing(executable: &Executable, loader: &str, failed: &str, setting: Setting) -> Finding {
    let summary = format!("{failed}: the loader {loader} does not exist");
    let mut found = Finding::new(loader_missing::LOADER, (SubjectKind::Path, loader), summary);
    found.explanation = vec![
        format!("{} is there; it is dynamically linked and asks for the loader {loader}, which does not exist", executable.path),
        "execve reports the missing loader as if the program itself were missing (ENOENT)".to_owned(),
    ];
    found.remedy.text = if setting == Setting::Local {
        format!(
            "The program was built for another C library than this machine has: install the one with {loader}, build the program here, or link it statically."
        )
    } else if loader.contains("musl") {
        "The program is built for musl (Alpine), and the image is not: build it for glibc, link it statically, or use an Alpine image."
            .to_owned()
    } else if loader.contains("ld-linux") || loader.contains("ld64") {
        "The program is built for glibc, and the image has none (scratch, Alpine): use an image with glibc (debian:stable-slim, distroless/base), or link it statically (Go: CGO_ENABLED=0; Rust: a musl target).".to_owned()
    } else {
        format!("Add {loader} to the image, or link the program statically.")
    };
    found
}

fn interpreter_missing(executable: &Executable, interpreter: &str, crlf: bool, failed: &str, setting: Setting) -> Finding {
    let shown = outside::escaped(interpreter); // a CR is the very thing that has to be seen
    let layer = if crlf { script_interpreter_missing::CRLF } else { script_interpreter_missing::INTERPRETER };
    // What has to change is the subject: the line ends of the script, or the interpreter that is not there.
    let subject = if crlf { (SubjectKind::Command, executable.path.as_str()) } else { (SubjectKind::Path, &*shown) };
    let summary = format!("{failed}: the interpreter {shown} does not exist");
    let mut found = Finding::new(layer, subject, summary);
    found.explanation =
        vec![format!("{} is a script; its first line names the interpreter {shown}, which does not exist", executable.path)];
    let path = &executable.path;
    let bare = interpreter.trim_end_matches('\r').split_whitespace().next().unwrap_or_default();
    found.remedy.text = if crlf {
        found.explanation.push("the line ends in CR LF, as Windows editors write it, and the CR belongs to the name".to_owned());
        format!(
            "Write the script with LF alone: `sed -i 's/\\r$//' {path}`, and `*.sh text eol=lf` in .gitattributes, so that a checkout on Windows leaves it so."
        )
    } else {
        let add = match setting {
            Setting::Pod | Setting::Container => format!("add {bare} to the image"),
            Setting::Local => format!("install {bare}"),
        };
        format!(
            "Name an interpreter that is there in the first line of {path} (Alpine and distroless have no bash: `#!/bin/sh`), or {add}."
        )
    };
    found
}
