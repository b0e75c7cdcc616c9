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
        /// Its sources.
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
}
