//! From a cgroup's path to what it is: a pod, a container, a part of a container, a local run, or none of these.
//!
//! The path alone decides, so that a container is known from its first moment and stays known after its last process
//! (`/proc/PID/cgroup` races with exit). The names are those that the runtimes give, under both cgroup drivers:
//!
//! ```text
//! cgroupfs  /kubepods/burstable/pod<uid>/<id>
//! systemd   /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope
//! mixed     /system.slice/containerd.service/kubepods-burstable-pod<uid>.slice:cri-containerd:<id>
//! ```
//!
//! The components are read from the root down and the innermost container wins: the node of a `kind` cluster is itself a
//! docker container, and its pods lie below it. What lies below a container without being one belongs to that container.
//! Runtimes' own monitors (`crio-conmon-…`, `libpod-conmon-…`) are not containers. A plain name such as `/my-container`,
//! as `runc` uses by default, tells nothing by itself: it is [`Place::Other`], and whoever sees the cgroup decides.

/// What a cgroup is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The cgroup of a pod: made before its sandbox and its containers.
    Pod {
        /// The pod's UID, with dashes as the API server writes it; of a static pod 32 hexadecimal digits.
        pod_uid: String,
    },
    /// The cgroup of one start of one container.
    Container {
        /// Whose naming it is.
        runtime: Runtime,
        /// The innermost pod that it lies in.
        pod_uid: Option<String>,
        /// The runtime's id, or the name when the runtime lets users choose it.
        container_id: String,
    },
    /// Below a container's own cgroup: systemd or docker inside it, or the `container` cgroup of crun.
    Nested {
        /// Path of the cgroup of the container: a prefix of the path asked about.
        container: String,
    },
    /// A command under `unready run`.
    Run {
        /// Its cgroup's name.
        name: String,
    },
    /// None of these by its name. It may still be a container of plain runc, whose name is the last component.
    Other,
}

/// Who made a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// containerd, under Kubernetes or by itself (ctr, nerdctl).
    Containerd,
    /// CRI-O.
    CriO,
    Docker,
    /// Podman and other users of libpod.
    Podman,
    /// runc without an engine above it.
    Runc,
    /// `unready run`.
    UnreadyRun,
    /// A container by its id, of an engine that the path does not name.
    Unknown,
}

impl Runtime {
    /// As it is written in a verdict.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Runc => "runc",
            Self::UnreadyRun => "unready run",
            Self::Unknown => "unknown",
        }
    }
}

/// What the cgroup at `path` (below the root of the unified hierarchy) is.
pub fn place(path: &str) -> Place {
    let mut pod: Option<Found> = None;
    let mut innermost: Option<Found> = None;
    let mut above: Vec<&str> = Vec::new();
    for (name, end) in components(path) {
        if let Some(what) = recognise(name, &above, innermost.as_ref().map(|found| &found.what)) {
            let found = Found { what, end, depth: above.len() };
            if matches!(found.what, What::Pod { .. }) {
                pod = Some(found.clone());
            }
            innermost = Some(found);
        }
        above.push(name);
    }
    innermost.map_or(Place::Other, |found| found.place(path, above.len(), pod))
}

/// The container that a cgroup lies below, by its path: the outermost. What lies below it may be made and named by that container.
pub fn around(path: &str) -> Option<&str> {
    let mut above: Vec<&str> = Vec::new();
    let mut innermost: Option<What> = None;
    for (name, end) in components(path) {
        match recognise(name, &above, innermost.as_ref()) {
            Some(What::Container { .. } | What::Run { .. }) => return (end < path.trim_end_matches('/').len()).then(|| &path[..end]),
            pod @ Some(What::Pod { .. }) => innermost = pod,
            None => {}
        }
        above.push(name);
    }
    None
}

/// The last component: the container's name where [`Place::Other`] turns out to be one.
pub fn last_component(path: &str) -> &str {
    components(path).last().map_or("", |(name, _)| name)
}

/// What a component was taken for, and where.
#[derive(Clone)]
struct Found {
    what: What,
    /// Where the component ends, in bytes of the path.
    end: usize,
    /// Components above it.
    depth: usize,
}

#[derive(Clone)]
enum What {
    Pod { uid: String },
    Container { runtime: Runtime, pod: Option<String>, id: String },
    Run { name: String },
}

impl Found {
    fn place(self, path: &str, depth: usize, pod: Option<Self>) -> Place {
        let is_last = self.depth + 1 == depth;
        match self.what {
            What::Pod { uid } if is_last => Place::Pod { pod_uid: uid },
            What::Pod { .. } => Place::Other,
            What::Container { .. } | What::Run { .. } if !is_last => Place::Nested { container: path[..self.end].to_owned() },
            What::Run { name } => Place::Run { name },
            What::Container { runtime, pod: own, id } => {
                let outer = pod.and_then(|found| match found.what {
                    What::Pod { uid } => Some(uid),
                    What::Container { .. } | What::Run { .. } => None,
                });
                Place::Container { runtime, pod_uid: own.or(outer), container_id: id }
            }
        }
    }
}

/// Components of a path, each with the offset of its end. Empty ones are passed over.
fn components(path: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut end = 0;
    path.split('/').filter_map(move |name| {
        let here = end + name.len();
        end = here + 1;
        (!name.is_empty()).then_some((name, here))
    })
}

/// What one component is, given the components above it and what the innermost of them that is anything is.
fn recognise(name: &str, above: &[&str], inside: Option<&What>) -> Option<What> {
    let parent = above.last().copied().unwrap_or_default();
    if parent == "unready" && name.starts_with("run-") {
        return Some(What::Run { name: name.to_owned() });
    }
    if let Some(uid) = pod_uid(name, parent) {
        return Some(What::Pod { uid });
    }
    let (runtime, pod, id) = literal_systemd(name)
        .or_else(|| scope(name).map(|(runtime, id)| (runtime, None, id)))
        .or_else(|| plain(name, parent, above.len(), inside).map(|(runtime, id)| (runtime, None, id)))?;
    Some(What::Container { runtime, pod, id: id.to_owned() })
}

/// `pod<uid>` (cgroupfs) or `…-pod<uid with underscores>.slice` (systemd).
fn pod_uid(name: &str, parent: &str) -> Option<String> {
    if let Some(stem) = name.strip_suffix(".slice") {
        let (before, uid) = stem.rsplit_once("-pod")?;
        let uid = uid.replace('_', "-");
        return (is_uid(&uid) || (before.contains("kubepods") && is_word(&uid))).then_some(uid);
    }
    let uid = name.strip_prefix("pod")?;
    // A static pod may carry a UID of its author's choice; below kubepods nothing else begins with "pod".
    let below_kubepods = matches!(parent, "kubepods" | "burstable" | "besteffort" | "guaranteed");
    (is_uid(uid) || (below_kubepods && is_word(uid))).then(|| uid.to_owned())
}

/// `<slice>:<prefix>:<id>`: what becomes of a systemd cgroup path when the runtime uses the cgroupfs driver.
fn literal_systemd(name: &str) -> Option<(Runtime, Option<String>, &str)> {
    let mut parts = name.splitn(3, ':');
    let (slice, prefix, id) = (parts.next()?, parts.next()?, parts.next()?);
    let runtime = engine(prefix)?;
    (is_id(id) || (runtime == Runtime::Runc && !id.is_empty())).then(|| (runtime, pod_uid(slice, ""), id))
}

/// `<prefix>-<id>.scope`, and without `.scope` where an engine names its cgroupfs directories so.
fn scope(name: &str) -> Option<(Runtime, &str)> {
    if let Some(stem) = name.strip_suffix(".scope") {
        // runc and crun take any name that a user gives; engines above them use ids.
        if let Some(id) = stem.strip_prefix("runc-").or_else(|| stem.strip_prefix("crun-")) {
            return (!id.is_empty()).then_some((Runtime::Runc, id));
        }
        return prefixed_id(stem);
    }
    prefixed_id(name)
}

fn prefixed_id(stem: &str) -> Option<(Runtime, &str)> {
    let (prefix, id) = stem.rsplit_once('-')?;
    // "crio-conmon-<id>" and "libpod-conmon-<id>" hold the monitor of a container: their prefix is no engine's.
    let runtime = engine(prefix)?;
    is_id(id).then_some((runtime, id))
}

/// Whose prefix it is.
fn engine(prefix: &str) -> Option<Runtime> {
    match prefix {
        "cri-containerd" | "nerdctl" | "containerd" => Some(Runtime::Containerd),
        "crio" => Some(Runtime::CriO),
        "docker" => Some(Runtime::Docker),
        // "payload": podman under systemd with --cgroups=split, as quadlets use it.
        "libpod" | "libpod-payload" => Some(Runtime::Podman),
        "runc" | "crun" => Some(Runtime::Runc),
        _ => None,
    }
}

/// A bare id or name whose parent tells that it is a container.
fn plain<'a>(name: &'a str, parent: &str, depth: usize, inside: Option<&What>) -> Option<(Runtime, &'a str)> {
    let directly_in_pod = matches!(inside, Some(What::Pod { .. })) && (pod_uid(parent, "kubepods").is_some());
    if directly_in_pod {
        return child_of_pod(name);
    }
    let runtime = match parent {
        "docker" => Runtime::Docker,
        "k8s.io" => Runtime::Containerd,
        // ctr and nerdctl name the directory after the namespace; ctr lets the user choose the container's name.
        "default" if depth == 1 && !is_systemd_unit(name) => return Some((Runtime::Containerd, name)),
        // The 64 digits below it are a podman pod, which is no Kubernetes pod.
        "libpod_parent" => return None,
        _ => Runtime::Unknown,
    };
    is_id(name).then_some((runtime, name))
}

/// Children of a pod's cgroup are its sandbox and its containers (and CRI-O's monitor). A bare name is containerd's:
/// CRI-O always writes its prefix.
fn child_of_pod(name: &str) -> Option<(Runtime, &str)> {
    if is_id(name) {
        return Some((Runtime::Containerd, name));
    }
    let is_monitor = name.contains("conmon");
    (!is_monitor && !is_systemd_unit(name) && name != "container").then_some((Runtime::Unknown, name))
}

fn is_systemd_unit(name: &str) -> bool {
    [".slice", ".scope", ".service", ".mount", ".socket"].iter().any(|suffix| name.ends_with(suffix))
}

/// A container's id: 64 hexadecimal digits with every engine.
fn is_id(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

/// A pod's UID: a UUID, or the 32 digits of a static pod (a hash of its manifest).
fn is_uid(text: &str) -> bool {
    match text.len() {
        32 => is_hex(text),
        36 => text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(is_hex),
        _ => false,
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
