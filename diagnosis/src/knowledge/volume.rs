//! Which Kubernetes volume a mount is, told from the mount alone.
//!
//! The kubelet keeps volumes below `ROOT/pods/UID/volumes/PLUGIN/NAME`; a bind mount shows that path in field 4 of
//! mountinfo (or as the source). Secrets and tokens are a tmpfs of their own, whose field 4 is `/`: they are recognised by
//! the links that the kubelet's atomic writer leaves (`key -> ..data/key`, `pkg/volume/util/atomic_writer.go`).

use crate::question::{Mount, Walk};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    pub kind: VolumeKind,
    /// Its name in `spec.volumes`, or of its `PersistentVolume`; empty when the mount does not tell.
    pub name: String,
    /// It is mounted by a subPath.
    pub sub_path: bool,
}

/// Kinds of volumes, as far as they matter to a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeKind {
    /// `configMap`.
    ConfigMap,
    /// `secret`.
    Secret,
    /// `projected`: tokens among others.
    Projected,
    /// `downwardAPI`.
    DownwardApi,
    /// One of the four above: only the kubelet writes it.
    KubeletWritten,
    /// `emptyDir`.
    EmptyDir,
    /// A file that the kubelet makes for each container: `/etc/hosts`, the termination log.
    KubeletFile,
    /// A `PersistentVolume`'s plugin: `csi`, `nfs`, `local-volume` …
    Plugin(String),
    /// A directory of the node: hostPath, or a `PersistentVolume` of kind local.
    Node,
    /// A kind that the mount does not tell.
    Unknown,
}

impl VolumeKind {
    /// Only the kubelet writes it; every mount of it is read-only.
    pub const fn is_kubelet_written(&self) -> bool {
        matches!(self, Self::ConfigMap | Self::Secret | Self::Projected | Self::DownwardApi | Self::KubeletWritten)
    }
}

impl fmt::Display for VolumeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "configMap",
            Self::Secret => "secret",
            Self::Projected => "projected",
            Self::DownwardApi => "downwardAPI",
            Self::KubeletWritten => "secret, configMap, projected or downwardAPI",
            Self::EmptyDir => "emptyDir",
            Self::KubeletFile => "a file of the kubelet",
            Self::Plugin(name) => name,
            Self::Node => "hostPath or local",
            Self::Unknown => "kind unknown",
        })
    }
}

/// `volume "data" (emptyDir)`.
impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.sub_path { ", by subPath" } else { "" };
        if self.name.is_empty() {
            write!(f, "a volume ({}{by})", self.kind)
        } else {
            write!(f, "volume \"{}\" ({}{by})", self.name, self.kind)
        }
    }
}

/// The volume that a mount of a pod is; `None` for the image's own file system and the kernel's.
pub fn of_mount(mount: &Mount) -> Option<Volume> {
    if matches!(mount.point.as_str(), "" | "/") || is_runtime_mount(mount) {
        return None;
    }
    [&mount.root, &mount.source].into_iter().find_map(|path| in_kubelet_tree(path)).or_else(|| outside_kubelet_tree(mount))
}

/// The same, with what a walk saw of its content.
pub fn of_walk(walk: &Walk, mount: &Mount) -> Option<Volume> {
    let volume = of_mount(mount)?;
    let atomic = walk.components.iter().any(|c| c.mount.point == mount.point && c.link.as_deref().is_some_and(is_atomic_link));
    if atomic && !volume.kind.is_kubelet_written() {
        return Some(Volume { kind: VolumeKind::KubeletWritten, ..volume });
    }
    Some(volume)
}

fn is_atomic_link(target: &str) -> bool {
    target.starts_with("..data/") || target.starts_with("..2")
}

/// What runtimes mount themselves (OCI runtime specification, "Default Filesystems").
fn is_runtime_mount(mount: &Mount) -> bool {
    ["/proc", "/sys", "/dev"]
        .iter()
        .any(|top| mount.point == *top || mount.point.strip_prefix(top).is_some_and(|rest| rest.starts_with('/')))
}

fn in_kubelet_tree(path: &str) -> Option<Volume> {
    let (_, below) = path.split_once("/pods/")?;
    let mut parts = below.splitn(4, '/');
    let (_uid, folder, first, rest) = (parts.next()?, parts.next()?, parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let name = rest.split('/').next().unwrap_or("").to_owned();
    match folder {
        "volumes" => Some(Volume { kind: plugin(first), name, sub_path: false }),
        "volume-subpaths" => Some(Volume { kind: VolumeKind::Unknown, name: first.to_owned(), sub_path: true }),
        "etc-hosts" | "containers" => Some(Volume { kind: VolumeKind::KubeletFile, name: String::new(), sub_path: false }),
        _ => None,
    }
}

fn plugin(folder: &str) -> VolumeKind {
    match folder.rsplit('~').next().unwrap_or(folder) {
        "configmap" => VolumeKind::ConfigMap,
        "secret" => VolumeKind::Secret,
        "projected" => VolumeKind::Projected,
        "downward-api" => VolumeKind::DownwardApi,
        "empty-dir" => VolumeKind::EmptyDir,
        other => VolumeKind::Plugin(other.to_owned()),
    }
}

fn outside_kubelet_tree(mount: &Mount) -> Option<Volume> {
    let kind = match mount.fstype.as_str() {
        _ if mount.point.ends_with("/secrets/kubernetes.io/serviceaccount") => VolumeKind::Projected,
        "tmpfs" if mount.root == "/" => VolumeKind::Unknown, // a Secret, or an emptyDir in memory
        "nfs" | "nfs4" | "cifs" | "ceph" => VolumeKind::Plugin(mount.fstype.clone()),
        _ if mount.root == "/" && mount.source.starts_with("/dev/") => VolumeKind::Plugin("block device".to_owned()),
        _ if mount.root.len() > 1 => VolumeKind::Node,
        _ => return None,
    };
    Some(Volume { kind, name: String::new(), sub_path: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::testing::{file, link, mounted, walk};

    fn at(point: &str, fstype: &str, root: &str, source: &str) -> Mount {
        Mount { root: root.into(), source: source.into(), ..mounted(point, fstype) }
    }

    #[test]
    fn mounts_of_a_pod() {
        let tree = "/var/lib/kubelet/pods/0b3f-11/volumes";
        let cases = [
            ("/etc/app", "ext4", format!("{tree}/kubernetes.io~configmap/settings"), "volume \"settings\" (configMap)"),
            ("/data", "ext4", format!("{tree}/kubernetes.io~empty-dir/data"), "volume \"data\" (emptyDir)"),
            ("/data", "ext4", "/pods/0b3f/volumes/kubernetes.io~csi/pvc-1/mount".into(), "volume \"pvc-1\" (csi)"),
            ("/keys", "tmpfs", format!("{tree}/kubernetes.io~secret/tls"), "volume \"tls\" (secret)"),
            ("/info", "tmpfs", format!("{tree}/kubernetes.io~downward-api/info"), "volume \"info\" (downwardAPI)"),
            (
                "/app.yaml",
                "ext4",
                "/var/lib/kubelet/pods/0b3f/volume-subpaths/cfg/app/0".into(),
                "volume \"cfg\" (kind unknown, by subPath)",
            ),
            ("/etc/hosts", "ext4", "/var/lib/kubelet/pods/0b3f/etc-hosts".into(), "a volume (a file of the kubelet)"),
            ("/data", "ext4", "/srv/data".into(), "a volume (hostPath or local)"),
            ("/data", "nfs4", "/".into(), "a volume (nfs4)"),
            ("/keys", "tmpfs", "/".into(), "a volume (kind unknown)"),
            ("/var/run/secrets/kubernetes.io/serviceaccount", "tmpfs", "/".into(), "a volume (projected)"),
        ];
        for (point, fstype, root, expected) in cases {
            let volume = of_mount(&at(point, fstype, &root, fstype)).map(|volume| volume.to_string());
            assert_eq!(volume.as_deref(), Some(expected), "{root}");
        }
        let by_source = at("/keys", "tmpfs", "/", "/var/lib/kubelet/pods/0b3f/volumes/kubernetes.io~secret/tls");
        assert_eq!(of_mount(&by_source).map(|volume| volume.kind), Some(VolumeKind::Secret));
    }

    #[test]
    fn what_is_no_volume() {
        for mount in [at("/", "overlay", "/", "overlay"), at("/proc", "proc", "/", "proc"), at("/dev/shm", "tmpfs", "/", "shm")] {
            assert_eq!(of_mount(&mount), None, "{}", mount.point);
        }
    }

    #[test]
    fn the_kubelets_links_tell_a_secret_from_memory() {
        let mount = at("/keys", "tmpfs", "/", "tmpfs");
        let on = |component: crate::question::Component| crate::question::Component { mount: mount.clone(), ..component };
        let secret = walk([on(link("/keys/tls.key", "..data/tls.key")), on(file("/keys/..2026_11/tls.key", 0, 0, 0o400))]);
        assert_eq!(of_walk(&secret, &mount).map(|volume| volume.kind), Some(VolumeKind::KubeletWritten));
        let memory = walk([on(file("/keys/tls.key", 0, 0, 0o400))]);
        assert_eq!(of_walk(&memory, &mount).map(|volume| volume.kind), Some(VolumeKind::Unknown));
    }
}
