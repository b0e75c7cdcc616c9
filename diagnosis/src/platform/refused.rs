//! `ContainerRefused`: kubelet or runtime refuse to make or to start a container.
//!
//! Before it is made: `CreateContainerConfigError` (Kubernetes 1.37 `pkg/kubelet/kuberuntime`: runAsNonRoot, subPath), `CreateContainerError` (the
//! runtime's specification: mounts, devices, profiles, users). When it is started: `RunContainerError` while it waits, `StartError` (containerd) or
//! `ContainerCannotRun` (Docker, CRI-O) once it is over, with the words of runc or crun.
//!
//! A command that is missing or may not be executed belongs to the causes of the command ([`super::command`]). What the
//! environment lacks belongs to [`super::config`].

use super::{
    Explanation, Scene,
    build::{Build, container, found},
    command, config,
    message::{between, core, has_any, quoted, word},
    scene::{last_end, waits},
};
use crate::{
    catalogue::container_refused,
    manifest::patch,
    pod::{Container, ContainerStatus, Pod},
    verdict::{Confidence, Severity, SubjectKind},
};
use serde_json::json;

const BEFORE: [&str; 4] = ["CreateContainerConfigError", "CreateContainerError", "PreCreateHookError", "PreStartHookError"];
const AT_START: [&str; 3] = ["RunContainerError", "StartError", "ContainerCannotRun"];

/// Adds the containers that are refused.
pub(super) fn explain(scene: &Scene<'_>, explanation: &mut Explanation) {
    for (spec, status) in scene.containers() {
        let Some((reason, message, since)) = refusal(scene, status) else { continue };
        if config::owns(reason, message, &scene.pod.namespace) || explanation.has_explained(&spec.name) {
            continue;
        }
        let command = AT_START.contains(&reason).then(|| command::read(message)).flatten();
        let build = match command {
            // The kernel saw the very call that failed.
            Some(_) if scene.kernel => continue,
            Some(problem) => command::say(spec, problem),
            None => say(scene.pod, spec, message),
        };
        let fact = format!("{}: {reason}: {message}", container(scene, &spec.name));
        let build = build.of(&spec.name).because(format!("the runtime says: {}", core(message)));
        explanation.findings.push(build.status(since, &fact).count(u64::from(status.restarts) + 1).now(scene));
    }
}

/// Reason and message of the refusal. While the kubelet backs off, the end of the last start has them.
fn refusal<'a>(scene: &Scene<'_>, status: &'a ContainerStatus) -> Option<(&'a str, &'a str, u64)> {
    let (reason, message) = waits(status);
    if BEFORE.contains(&reason) || (reason == "RunContainerError" && !message.is_empty()) {
        return Some((reason, message, scene.taken_up()));
    }
    let end = last_end(status).filter(|end| AT_START.contains(&end.reason) && super::scene::running_since(status).is_none())?;
    Some((end.reason, end.message, end.finished))
}

fn say(pod: &Pod, spec: &Container, message: &str) -> Build {
    let lower = message.to_lowercase();
    let name = &spec.name;
    let start = |layer, summary: String| found(layer, (SubjectKind::Container, name), summary);
    match lower.as_str() {
        text if text.contains("breaks non-root policy") || text.contains("runasnonroot") => non_root(pod, spec, message),
        text if has_any(text, &["failed to reserve container name", "is reserved for"]) => start(
            container_refused::NAME_RESERVED,
            format!("the runtime still works on an earlier attempt to make container {name}"),
        )
        .severity(Severity::Slowing)
        .fix("It is tried again by itself. If it stays so, the node's disk or runtime is overloaded: look at the runtime's log, restart it if it hangs."),
        text if text.contains("no command specified") || text.contains("no command or args") => start(
            container_refused::NO_COMMAND,
            format!("image {} names no command, and neither does container {name}", spec.image),
        )
        .fix(format!("Set `command` of container {name} to the program in the image, or give the image an ENTRYPOINT or CMD.")),
        text if has_any(text, &["no users found", "no matching entries in passwd", "unable to find user", "no such user"]) => start(
            container_refused::NO_SUCH_USER,
            format!("the image's user is not in its /etc/passwd, so that container {name} cannot be made"),
        )
        .fix(format!("Set runAsUser of container {name} to a number, or build the image with a user that it has.")),
        text if has_any(text, &["seccomp", "apparmor", "selinux"]) => profile(spec, message),
        text if has_any(text, &["chdir to cwd", "working directory", "mkdir cwd"]) => working_dir(spec, message),
        // runc makes a working directory that is missing.
        _ if !spec.working_dir.is_empty() && message.contains(&format!("mkdir {}", spec.working_dir)) => working_dir(spec, message),
        text if has_any(text, &["device", "cdi "]) && !text.contains("no space left on device") && !text.contains("mount") => {
            start(container_refused::DEVICES, format!("a device that container {name} asks for is not there"))
                .fix("Look at the device plug-in's or DRA driver's pod on this node; after a reboot of the node delete the pod, so that it gets its devices anew.")
        }
        text if has_any(text, &["mount", "subpath", "rootfs", "mkdir", "stat /", "failed to stat"]) => mount(pod, spec, message),
        text if has_any(text, &["context deadline exceeded", "deadlineexceeded"]) => start(
            container_refused::RUNTIME,
            format!("the runtime does not answer in time when container {name} is made"),
        )
        .severity(Severity::Slowing)
        .fix("The node's disk or runtime is overloaded: look at its load and at the runtime's log. It is tried again by itself."),
        _ => start(container_refused::RUNTIME, format!("the runtime refuses container {name}"))
            .sure(Confidence::Likely)
            .fix("See what the runtime says; its log on the node has more."),
    }
}

/// `verifyRunAsNonRoot` (`pkg/kubelet/kuberuntime/security_context_others.go`).
fn non_root(pod: &Pod, spec: &Container, message: &str) -> Build {
    let name = &spec.name;
    let user = between(message, "non-numeric user (", ")");
    let (layer, summary, uid) = match user {
        Some(user) => (
            container_refused::UNVERIFIABLE_USER,
            format!("container {name} must not run as root (runAsNonRoot), and the kubelet cannot tell whether the image's user {user} is"),
            number_of(user).or_else(|| uid_in_use(pod)),
        ),
        None if message.contains("breaks non-root policy") => {
            (container_refused::ROOT_USER, format!("container {name} sets runAsUser 0 and runAsNonRoot at once"), uid_in_use(pod))
        }
        None => (
            container_refused::ROOT_USER,
            format!("container {name} must not run as root (runAsNonRoot), and its image does"),
            uid_in_use(pod),
        ),
    };
    let build = found(layer, (SubjectKind::Container, name), summary);
    let build = build
        .because(format!("runAsNonRoot is set by {}", if spec.security.run_as_non_root.is_some() { "the container" } else { "the pod" }));
    let build = match user {
        Some(user) => build.because("only a number can be checked before the container runs").fix(format!(
            "Set runAsUser of container {name} to the number of user {user} in the image (`id -u {user}` there), or build the image with `USER` and that number."
        )),
        None => build.fix(format!("Let container {name} run as another user than root: runAsUser.")),
    };
    let known = uid.is_some();
    let build = build.change(pod, patch::of_container(spec, json!({ "securityContext": { "runAsUser": uid.unwrap_or(ANY_USER) } })));
    match user {
        Some(user) if !known => build.also(format!("{ANY_USER} stands for the number of {user}, which cannot be seen from here: put the right one in its place.")),
        Some(_) => build,
        None => build.also("The program must be able to do without root: where it writes, a volume with fsGroup helps; if it cannot, take runAsNonRoot away."),
    }
}

/// Any user that is not root.
const ANY_USER: u32 = 1000;

/// Numbers that these names have in every image: Debian, Alpine and Fedora agree on nobody, distroless images define nonroot.
fn number_of(user: &str) -> Option<u32> {
    match user {
        "nobody" => Some(65534),
        "nonroot" => Some(65532),
        _ => None,
    }
}

/// A user that the pod's spec names elsewhere.
fn uid_in_use(pod: &Pod) -> Option<u32> {
    let of_containers = pod.containers.iter().map(|container| container.security.run_as_user);
    std::iter::once(pod.security.run_as_user).chain(of_containers).flatten().find(|uid| *uid != 0)
}

fn profile(spec: &Container, message: &str) -> Build {
    let lower = message.to_lowercase();
    let (kind, place) = match lower.as_str() {
        text if text.contains("seccomp") => {
            ("seccomp", "the kubelet's directory seccomp (/var/lib/kubelet/seccomp), and name it relative to that")
        }
        text if text.contains("apparmor") => ("AppArmor", "the node's kernel (`apparmor_parser`; `aa-status` lists what is loaded)"),
        _ => ("SELinux", "the node's policy"),
    };
    let summary = format!("the {kind} profile of container {} cannot be used on this node", spec.name);
    found(container_refused::PROFILE, (SubjectKind::Container, &spec.name), summary)
        .fix(format!("Put the profile into {place}, on every node that may run the pod; or use RuntimeDefault."))
}

fn working_dir(spec: &Container, message: &str) -> Build {
    let path = quoted(message, "chdir to cwd (").unwrap_or(if spec.working_dir.is_empty() { "of the image" } else { &spec.working_dir });
    let why = match message {
        text if text.contains("permission denied") => "may not be entered by the container's user",
        text if text.contains("not a directory") => "is not a directory",
        text if text.contains("read-only file system") => "is not there and cannot be made",
        _ => "is not there",
    };
    let summary = format!("the working directory {path} of container {} {why}", spec.name);
    found(container_refused::WORKING_DIRECTORY, (SubjectKind::Container, &spec.name), summary)
        .fix("Correct `workingDir` (without it the image's WORKDIR counts), make the directory in the image, or give the user the right to enter it.")
}

fn mount(pod: &Pod, spec: &Container, message: &str) -> Build {
    let target = quoted(message, "to rootfs at ").or_else(|| mount_of(spec, message));
    let at = target.map(|path| format!(" at {path}")).unwrap_or_default();
    let summary = format!("a volume cannot be mounted{at} in container {}", spec.name);
    let build = found(container_refused::MOUNT, (SubjectKind::Container, &spec.name), summary);
    let lower = message.to_lowercase();
    if has_any(&lower, &["not a directory", "is a directory", "directory onto a file"]) {
        return build
            .because("one side of the mount is a file, the other a directory")
            .fix("Mount a single file with subPath and a mountPath that ends in its name; a whole volume needs a directory as mountPath. Delete the pod afterwards, if the kubelet has made a directory where the file was meant.");
    }
    if has_any(&lower, &["read-only file system"]) {
        return build
            .because("the mount point is not in the image and cannot be made: what it lies on is read-only")
            .fix("Make the directory in the image, or mount elsewhere: not below a read-only volume.");
    }
    if lower.contains("shared mount") || lower.contains("slave mount") {
        return build
            .because("mountPropagation needs a mount that the node shares")
            .fix("Take mountPropagation away, or share that mount on the node (`mount --make-rshared /`).");
    }
    if lower.contains("subpath") {
        let volume = quoted(message, "volumeMount ").map(|name| super::build::volume(pod, name));
        return build.because_if(volume.map(|volume| format!("it is {volume}"))).fix(
            "See whether the container's user or a read-only volume keeps the kubelet from making the subPath; it must not lead out of the volume, nor be a symbolic link.",
        );
    }
    let path = word(message, "stat ").filter(|path| path.starts_with('/')).map(|path| format!("{path} does not exist on the node"));
    build.because_if(path).fix("Correct the mount, or make what is to be mounted on the node.")
}

/// The mount path of this container that the message names, the longest one.
fn mount_of<'a>(spec: &'a Container, message: &str) -> Option<&'a str> {
    let paths = spec.mounts.iter().map(|mount| mount.path.as_str());
    paths.filter(|path| path.len() > 1 && message.contains(path)).max_by_key(|path| path.len())
}
