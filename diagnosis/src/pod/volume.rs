//! Volumes of a pod and where they are mounted.

use serde::{Deserialize, Serialize};

/// An entry of `spec.volumes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// `name`.
    pub name: String,
    /// What it is.
    pub source: VolumeSource,
}

impl Volume {
    /// The claim that it is, by its name.
    pub fn claim(&self) -> Option<&str> {
        if let VolumeSource::Claim { name, .. } = &self.source { Some(name) } else { None }
    }
}

/// What a volume is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeSource {
    /// `configMap`.
    ConfigMap {
        /// Name of the object.
        name: String,
        /// `items`; empty: all keys.
        items: Vec<KeyPath>,
        /// `defaultMode`.
        mode: Option<u32>,
        /// It may be missing.
        optional: bool,
    },
    /// `secret`.
    Secret {
        /// Name of the object.
        name: String,
        /// `items`; empty: all keys.
        items: Vec<KeyPath>,
        /// `defaultMode`.
        mode: Option<u32>,
        /// It may be missing.
        optional: bool,
    },
    /// `projected`.
    Projected {
        sources: Vec<ProjectedSource>,
        /// `defaultMode`.
        mode: Option<u32>,
    },
    /// `downwardAPI`.
    DownwardApi {
        /// `items[].path`.
        paths: Vec<String>,
        /// `defaultMode`.
        mode: Option<u32>,
    },
    /// `emptyDir`.
    EmptyDir {
        /// `medium`: empty, or `Memory`.
        medium: String,
        /// `sizeLimit`, bytes.
        size_limit: Option<u64>,
    },
    /// `hostPath`.
    HostPath {
        /// `path`.
        path: String,
        /// `type`; empty: not checked.
        kind: String,
    },
    /// `persistentVolumeClaim`, and `ephemeral`, whose claim is named after pod and volume.
    Claim {
        /// `claimName`.
        name: String,
        /// `readOnly`.
        read_only: bool,
    },
    /// `image` (KEP-4639): always read-only.
    Image {
        /// `reference`.
        reference: String,
    },
    /// `csi`: an inline volume.
    Csi {
        /// `driver`.
        driver: String,
        /// `readOnly`.
        read_only: bool,
    },
    /// Another one, by its field's name.
    Other(String),
    /// Not set.
    #[default]
    Unknown,
}

/// Keys of a `ConfigMap` or Secret that become files: a volume of its own, or a source of a projected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    /// `ConfigMap` or `Secret`.
    pub kind: &'static str,
    /// Name of the object.
    pub name: &'a str,
    /// `items`; empty: all keys.
    pub items: &'a [KeyPath],
    /// It may be missing.
    pub optional: bool,
}

impl<'a> Keys<'a> {
    const fn config_map(name: &'a str, items: &'a [KeyPath], optional: bool) -> Self {
        Self { kind: "ConfigMap", name, items, optional }
    }

    const fn secret(name: &'a str, items: &'a [KeyPath], optional: bool) -> Self {
        Self { kind: "Secret", name, items, optional }
    }
}

/// A volume whose files the kubelet writes, and nobody else: each mount of it is read-only (`GetAttributes` of
/// `pkg/volume/configmap`, `secret`, `projected`, `downwardapi`), and its files lie behind links
/// (`pkg/volume/util/atomic_writer.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its field of `spec.volumes[]`.
    pub field: &'static str,
    /// `defaultMode`: that of each file to which no item gives another one. The API server fills in 0644.
    pub mode: Option<u32>,
}

/// How far an fsGroup reaches into a volume (`pkg/volume/volume_linux.go` and the plugins that call it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsGroupReach {
    /// Group and rw for all that is in it, at each mount.
    Everything,
    /// The empty directory as it is made; what is made in it later inherits the group alone (set-gid directory).
    NewDirectory,
    /// Group and r for the files, which only the kubelet writes.
    Readable,
    Nothing,
}

impl VolumeSource {
    /// Volumes of `PersistentVolume`s and pods whose directory the kubelet hands over as it is: their plugins do not call
    /// `SetVolumeOwnership` (`pkg/volume/hostpath`, `pkg/volume/nfs`; of older releases `cephfs`, `glusterfs`).
    pub const WITHOUT_FS_GROUP: [&'static str; 4] = ["hostPath", "nfs", "cephfs", "glusterfs"];

    /// The keys that it takes from one object, when it is a `configMap` or a `secret`.
    pub fn keys(&self) -> Option<Keys<'_>> {
        if let Self::ConfigMap { name, items, optional, .. } = self {
            Some(Keys::config_map(name, items, *optional))
        } else if let Self::Secret { name, items, optional, .. } = self {
            Some(Keys::secret(name, items, *optional))
        } else {
            None
        }
    }

    /// The keys that it takes from all objects: from its own, or as a projected volume from those of its sources.
    pub fn all_keys(&self) -> impl Iterator<Item = Keys<'_>> {
        let sources: &[ProjectedSource] = if let Self::Projected { sources, .. } = self { sources } else { &[] };
        self.keys().into_iter().chain(sources.iter().filter_map(ProjectedSource::keys))
    }

    /// Only the kubelet writes it.
    pub const fn written(&self) -> Option<Written> {
        let (field, mode) = match self {
            Self::ConfigMap { mode, .. } => ("configMap", *mode),
            Self::Secret { mode, .. } => ("secret", *mode),
            Self::Projected { mode, .. } => ("projected", *mode),
            Self::DownwardApi { mode, .. } => ("downwardAPI", *mode),
            Self::EmptyDir { .. }
            | Self::HostPath { .. }
            | Self::Claim { .. }
            | Self::Image { .. }
            | Self::Csi { .. }
            | Self::Other(_)
            | Self::Unknown => return None,
        };
        Some(Written { field, mode })
    }

    /// The volume itself says `readOnly`, and not only a mount of it. Plugins then change no owner in it (`supportsFSGroup` of
    /// `pkg/volume/csi/csi_mounter.go`, `diskSetUp` of the others).
    pub const fn is_read_only(&self) -> bool {
        matches!(self, Self::Claim { read_only: true, .. } | Self::Csi { read_only: true, .. })
    }

    /// How far an fsGroup reaches, as far as the pod alone tells: what stands behind a claim, and its driver, can do less.
    pub fn fs_group_reach(&self) -> FsGroupReach {
        if self.is_read_only() {
            return FsGroupReach::Nothing;
        }
        match self {
            Self::ConfigMap { .. } | Self::Secret { .. } | Self::Projected { .. } | Self::DownwardApi { .. } => FsGroupReach::Readable,
            Self::EmptyDir { .. } => FsGroupReach::NewDirectory,
            Self::HostPath { .. } | Self::Image { .. } => FsGroupReach::Nothing,
            Self::Other(kind) if Self::WITHOUT_FS_GROUP.contains(&kind.as_str()) => FsGroupReach::Nothing,
            Self::Claim { .. } | Self::Csi { .. } | Self::Other(_) | Self::Unknown => FsGroupReach::Everything,
        }
    }
}

impl ProjectedSource {
    /// The keys that it takes from one object.
    pub fn keys(&self) -> Option<Keys<'_>> {
        if let Self::ConfigMap { name, items, optional } = self {
            Some(Keys::config_map(name, items, *optional))
        } else if let Self::Secret { name, items, optional } = self {
            Some(Keys::secret(name, items, *optional))
        } else {
            None
        }
    }

    /// The files that it makes; `None`: the manifest does not tell (all keys of an object, a source of another kind).
    pub fn paths(&self) -> Option<Vec<&str>> {
        match self {
            Self::ConfigMap { items, .. } | Self::Secret { items, .. } if items.is_empty() => None,
            Self::ConfigMap { items, .. } | Self::Secret { items, .. } => Some(items.iter().map(|item| item.path.as_str()).collect()),
            Self::Token { path, .. } => Some(vec![path]),
            Self::DownwardApi { paths } => Some(paths.iter().map(String::as_str).collect()),
            Self::Other(_) => None,
        }
    }
}

/// A key of a `ConfigMap` or Secret and the file that it becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyPath {
    /// `key`.
    pub key: String,
    /// `path`, relative.
    pub path: String,
    /// `mode`.
    pub mode: Option<u32>,
}

/// A source of a projected volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectedSource {
    /// `configMap`.
    ConfigMap {
        /// Name of the object.
        name: String,
        /// `items`.
        items: Vec<KeyPath>,
        /// It may be missing.
        optional: bool,
    },
    /// `secret`.
    Secret {
        /// Name of the object.
        name: String,
        /// `items`.
        items: Vec<KeyPath>,
        /// It may be missing.
        optional: bool,
    },
    /// `serviceAccountToken`.
    Token {
        /// `path`.
        path: String,
        /// `audience`.
        audience: String,
    },
    /// `downwardAPI`.
    DownwardApi {
        /// `items[].path`.
        paths: Vec<String>,
    },
    /// Another one, by its field's name (`clusterTrustBundle`, `podCertificate`).
    Other(String),
}

/// An entry of `volumeMounts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeMount {
    /// `name` of the volume.
    pub volume: String,
    /// `mountPath`.
    pub path: String,
    /// `subPath`, or `subPathExpr` as written.
    pub sub_path: String,
    /// `readOnly`.
    pub read_only: bool,
    /// `recursiveReadOnly` is `Enabled` or `IfPossible`, which the API server takes only together with `readOnly`.
    pub recursive_read_only: bool,
}
