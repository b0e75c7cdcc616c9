//! What a runtime was told to run: the OCI `config.json` of a container, held open since it entered its root, or found in
//! the runtimes' usual places on the host.

use super::{contents, proc};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    iter,
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
};
use unready_diagnosis::question::{IdRange, Mount, PodAnnotations};
use unready_inspect::command::SearchPath;

/// Longest `config.json` or `state.json` that is read, bytes.
const MAX_BYTES: u64 = 1 << 20;
/// Most containers of a state root that are looked through for one with a given cgroup.
const MAX_SCANNED: usize = 512;

/// Where runtimes keep their containers: a directory of these has one directory a container, with `config.json` or with a
/// `state.json` that names the bundle. `*` stands for one directory (a namespace, a user).
const STATE_ROOTS: [&str; 12] = [
    "/run/containerd/io.containerd.runtime.v2.task/*",
    "/run/k3s/containerd/io.containerd.runtime.v2.task/*",
    "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/*",
    "/run/runc",
    "/run/containerd/runc/*",
    "/run/docker/runtime-runc/*",
    "/run/crun",
    "/var/run/containers/storage/overlay-containers",
    "/run/containers/storage/overlay-containers",
    "/var/lib/containers/storage/overlay-containers",
    "/run/user/*/runc",
    "/run/user/*/crun",
];

/// What matters of `config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    process: ProcessConfig,
    root: RootConfig,
    linux: LinuxConfig,
    mounts: Vec<MountConfig>,
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ProcessConfig {
    args: Vec<String>,
    cwd: String,
    env: Vec<String>,
    apparmor_profile: String,
    selinux_label: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RootConfig {
    path: String,
    readonly: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct MountConfig {
    destination: String,
    #[serde(rename = "type")]
    fstype: String,
    source: String,
    options: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LinuxConfig {
    seccomp: Option<serde::de::IgnoredAny>,
    #[serde(rename = "uidMappings")]
    uid_mappings: Vec<Mapping>,
    #[serde(rename = "gidMappings")]
    gid_mappings: Vec<Mapping>,
}

/// A range of ids of the container's user namespace.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Mapping {
    #[serde(rename = "containerID")]
    inside: u32,
    #[serde(rename = "hostID")]
    outside: u32,
    size: u32,
}

impl From<Mapping> for IdRange {
    fn from(mapping: Mapping) -> Self {
        Self { inside: mapping.inside, outside: mapping.outside, count: mapping.size }
    }
}

/// What matters of runc's and crun's `state.json` and `status`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    config: StateConfig,
    cgroup_paths: BTreeMap<String, String>,
    bundle: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StateConfig {
    labels: Vec<String>,
}

impl State {
    fn bundle(&self) -> Option<&str> {
        let label = self.config.labels.iter().find_map(|label| label.strip_prefix("bundle="));
        label.or(Some(self.bundle.as_str())).filter(|bundle| bundle.starts_with('/'))
    }

    fn has_cgroup(&self, path: &str) -> bool {
        path.len() > 1 && self.cgroup_paths.values().any(|known| known.ends_with(path))
    }
}

/// What a container was to run.
#[derive(Debug)]
pub(super) struct OciConfig {
    pub(super) args: Vec<String>,
    pub(super) cwd: String,
    pub(super) path: SearchPath,
    /// Where its root file system lies on the host, absolute; empty when not known.
    pub(super) rootfs: String,
    pub(super) library_path: Option<String>,
    mounts: Vec<MountConfig>,
    is_read_only: bool,
    seccomp: bool,
    lsm: Option<String>,
    /// Maps of user and group ids, when it has a user namespace of its own.
    pub(super) id_maps: (Vec<IdRange>, Vec<IdRange>),
    /// Which container of which pod it is; `None`: of no pod.
    pub(super) pod: Option<PodAnnotations>,
}

impl OciConfig {
    /// From an open `config.json`.
    pub(super) fn read(file: &File) -> Option<Self> {
        let length = usize::try_from(file.metadata().ok()?.len().min(MAX_BYTES)).ok()?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, 0).ok()?;
        serde_json::from_slice(&bytes).ok().map(Self::from_config)
    }

    fn from_bundle(bundle: &Path) -> Option<Self> {
        let bytes = contents::read_ours(&bundle.join("config.json"), MAX_BYTES)?;
        let mut spec = Self::from_config(serde_json::from_slice(&bytes).ok()?);
        spec.rootfs = bundle.join(&spec.rootfs).to_string_lossy().into_owned();
        Some(spec)
    }

    fn from_config(config: Config) -> Self {
        let ProcessConfig { args, cwd, env, apparmor_profile, selinux_label } = config.process;
        let variable = |name: &str| env.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='));
        let (path, library_path) = (SearchPath::of(variable("PATH")), variable("LD_LIBRARY_PATH").map(str::to_owned));
        let lsm = [apparmor_profile, selinux_label].into_iter().find(|label| !label.is_empty() && label != "unconfined");
        Self {
            args,
            cwd,
            path,
            library_path,
            rootfs: config.root.path,
            mounts: config.mounts,
            is_read_only: config.root.readonly,
            seccomp: config.linux.seccomp.is_some(),
            lsm,
            id_maps: (ranges(config.linux.uid_mappings), ranges(config.linux.gid_mappings)),
            pod: pod_of(&config.annotations),
        }
    }

    pub(super) fn confinement(&self) -> proc::Confinement {
        proc::Confinement { seccomp: Some(self.seccomp), lsm: self.lsm.clone() }
    }

    /// The command; empty if there is none.
    pub(super) fn command(&self) -> &str {
        self.args.first().map(String::as_str).unwrap_or_default()
    }

    /// The mounts that it would have.
    pub(super) fn volumes(&self) -> Volumes {
        Volumes { mounts: self.mounts.clone(), is_read_only: self.is_read_only, id_maps: self.id_maps.clone() }
    }
}

/// containerd 2.4 `internal/cri/annotations/annotations.go`, CRI-O 1.33 `pkg/annotations/annotations.go` and the labels of
/// the kubelet, which CRI-O copies.
fn pod_of(annotations: &BTreeMap<String, String>) -> Option<PodAnnotations> {
    let first = |keys: [&str; 2]| keys.iter().find_map(|key| annotations.get(*key)).cloned().unwrap_or_default();
    let kind = first(["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"]);
    (!kind.is_empty()).then(|| PodAnnotations {
        is_sandbox: kind == "sandbox",
        container: first(["io.kubernetes.cri.container-name", "io.kubernetes.container.name"]),
        pod: first(["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]),
        namespace: first(["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]),
        image: first(["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"]),
    })
}

fn ranges(mappings: Vec<Mapping>) -> Vec<IdRange> {
    mappings.into_iter().map(IdRange::from).collect()
}

/// Mounts that a container would have, by its description.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    mounts: Vec<MountConfig>,
    is_read_only: bool,
    pub(super) id_maps: (Vec<IdRange>, Vec<IdRange>),
}

/// What lies at a path that is a mount point by the description.
pub(super) enum Source {
    /// A file or directory of the host.
    Host(OwnedFd),
    /// A file system that went with the container.
    Lost,
}

impl Volumes {
    /// The source of the mount at exactly this path, if there is one.
    pub(super) fn source(&self, path: &str) -> Option<Source> {
        let mount = self.mounts.iter().rfind(|mount| mount.destination.trim_end_matches('/') == path)?;
        let is_bind = mount.fstype == "bind" || mount.options.iter().any(|option| option == "bind" || option == "rbind");
        let host = if is_bind && mount.source.starts_with('/') { proc::hold(&mount.source) } else { None };
        Some(host.map_or(Source::Lost, Source::Host))
    }

    /// Where something is mounted, the root first.
    pub(super) fn destinations(&self) -> impl Iterator<Item = &str> {
        iter::once("/").chain(self.mounts.iter().map(|mount| mount.destination.as_str()))
    }

    /// A mount of the host, as the container would see it at a path.
    pub(super) fn translate(&self, path: &str, host: &mut Mount) {
        let covers = |mount: &&MountConfig| is_below(path, mount.destination.trim_end_matches('/'));
        if let Some(mount) = self.mounts.iter().filter(covers).max_by_key(|mount| mount.destination.len()) {
            mount.destination.clone_into(&mut host.point);
            mount.source.clone_into(&mut host.root);
            let has = |name: &str| mount.options.iter().any(|option| option == name);
            (host.read_only, host.noexec) = (host.read_only || has("ro"), host.noexec || has("noexec"));
        } else {
            "/".clone_into(&mut host.point);
            host.read_only |= self.is_read_only;
        }
    }
}

/// Whether a path is a directory or lies below it; the empty directory is the root.
fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Looks a container up on the host: by its id, else by its cgroup.
pub(super) fn find(further_roots: &[PathBuf], id: &str, cgroup: Option<&str>) -> Option<OciConfig> {
    let roots: Vec<PathBuf> = further_roots.iter().cloned().chain(STATE_ROOTS.iter().flat_map(|root| expand(root))).collect();
    let ids = ids(id);
    let by_id = || roots.iter().flat_map(|root| ids.iter().map(|id| root.join(id))).find_map(|directory| spec_in(&directory, None));
    by_id().or_else(|| {
        let cgroup = cgroup?;
        roots.iter().flat_map(|root| children(root)).find_map(|directory| spec_in(&directory, Some(cgroup)))
    })
}

/// The id as given, and without what systemd's naming puts around it (`cri-containerd-<id>.scope`).
fn ids(id: &str) -> Vec<String> {
    let plain = |id: &str| !id.is_empty() && !id.contains('/') && !matches!(id, "." | "..");
    let bare = id.strip_suffix(".scope").and_then(|id| id.rsplit_once('-')).map(|(_, id)| id);
    iter::once(id).chain(bare).filter(|id| plain(id)).map(str::to_owned).collect()
}

/// The bundle of a container's directory below a state root. With a cgroup: only if it has that one.
fn spec_in(directory: &Path, cgroup: Option<&str>) -> Option<OciConfig> {
    let state = ["state.json", "status"].iter().find_map(|name| read_state(&directory.join(name)));
    if cgroup.is_some_and(|cgroup| !state.as_ref().is_some_and(|state| state.has_cgroup(cgroup))) {
        return None;
    }
    let named = state.as_ref().and_then(State::bundle).and_then(|bundle| OciConfig::from_bundle(Path::new(bundle)));
    named.or_else(|| OciConfig::from_bundle(directory)).or_else(|| OciConfig::from_bundle(&directory.join("userdata")))
}

fn read_state(path: &Path) -> Option<State> {
    serde_json::from_slice(&contents::read_ours(path, MAX_BYTES)?).ok()
}

/// Directories that a pattern of the table stands for.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once("/*") else {
        return vec![PathBuf::from(pattern)];
    };
    children(Path::new(before)).map(|child| child.join(after.trim_start_matches('/'))).collect()
}

fn children(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().take(MAX_SCANNED).map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const CONFIG: &str = r#"{"process": {"args": ["app", "-v"], "cwd": "/srv", "env": ["A=1", "PATH=/opt/bin:/bin"], "selinuxLabel": ""},
        "root": {"path": "rootfs"}, "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}}"#;

    #[test]
    fn found_by_id_and_by_cgroup() {
        let place = tempfile::tempdir().unwrap();
        let (bundle, state) = (place.path().join("bundle"), place.path().join("runc/web"));
        fs::create_dir_all(&bundle).unwrap();
        fs::create_dir_all(&state).unwrap();
        fs::write(bundle.join("config.json"), CONFIG).unwrap();
        let text =
            format!(r#"{{"config": {{"labels": ["bundle={}"]}}, "cgroup_paths": {{"": "/sys/fs/cgroup/demo/web-1"}}}}"#, bundle.display());
        fs::write(state.join("state.json"), text).unwrap();

        let roots = [place.path().join("runc")];
        for spec in [find(&roots, "web", None), find(&roots, "web-1", Some("/demo/web-1"))] {
            let spec = spec.unwrap();
            assert_eq!(spec.args, ["app", "-v"]);
            assert_eq!(spec.rootfs, bundle.join("rootfs").to_string_lossy());
            assert_eq!(spec.path.candidates(spec.command(), &spec.cwd), ["/opt/bin/app", "/bin/app"]);
            assert_eq!(spec.confinement(), proc::Confinement { seccomp: Some(true), lsm: None });
        }
        assert!(find(&roots, "other", Some("/demo/other")).is_none());
        assert!(find(&roots, "../web", None).is_none());
    }

    #[test]
    fn the_runtimes_annotations_name_the_container() {
        let of = |text: &str| pod_of(&serde_json::from_str(text).unwrap());
        let containerd = of(r#"{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "app",
                "io.kubernetes.cri.sandbox-name": "web-0", "io.kubernetes.cri.sandbox-namespace": "shop"}"#);
        let cri_o = of(r#"{"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.container.name": "app",
                "io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop"}"#);
        assert_eq!(containerd, cri_o);
        let named = containerd.map(|pod| (pod.namespace, pod.pod, pod.container, pod.is_sandbox));
        assert_eq!(named, Some(("shop".to_owned(), "web-0".to_owned(), "app".to_owned(), false)));
        assert_eq!(of(r#"{"io.kubernetes.cri.container-type": "sandbox"}"#).map(|pod| pod.is_sandbox), Some(true));
        assert_eq!(of(r#"{"org.example": "x"}"#), None);
    }

    #[test]
    fn ids_of_systemd_scopes() {
        assert_eq!(ids("cri-containerd-0123.scope"), ["cri-containerd-0123.scope", "0123"]);
        assert_eq!(ids(".."), Vec::<String>::new());
    }
}
