//! Volumes and mounts.

use super::quantity;
use k8s_openapi::api::core::v1 as api;
use unready_diagnosis::pod::{KeyPath, ProjectedSource, Volume, VolumeMount, VolumeSource};

pub(super) fn all(spec: &api::PodSpec, pod: &str) -> Vec<Volume> {
    let one = |volume: &api::Volume| Volume { name: volume.name.clone(), source: source(volume, pod) };
    spec.volumes.iter().flatten().map(one).collect()
}

pub(super) fn mounts(mounts: Option<&Vec<api::VolumeMount>>) -> Vec<VolumeMount> {
    let one = |mount: &api::VolumeMount| VolumeMount {
        volume: mount.name.clone(),
        path: mount.mount_path.clone(),
        sub_path: mount.sub_path.clone().or_else(|| mount.sub_path_expr.clone()).unwrap_or_default(),
        read_only: mount.read_only.unwrap_or_default(),
        recursive_read_only: mount.recursive_read_only.as_deref().is_some_and(|mode| mode != "Disabled"),
    };
    mounts.into_iter().flatten().map(one).collect()
}

fn source(volume: &api::Volume, pod: &str) -> VolumeSource {
    let common = || [config_map(volume), secret(volume), projected(volume), downward(volume)].into_iter().flatten().next();
    let storage = || [empty_dir(volume), host_path(volume), claim(volume, pod), image(volume), csi(volume)].into_iter().flatten().next();
    common().or_else(storage).unwrap_or_else(|| other(volume).map_or(VolumeSource::Unknown, |name| VolumeSource::Other(name.to_owned())))
}

fn config_map(volume: &api::Volume) -> Option<VolumeSource> {
    let map = volume.config_map.as_ref()?;
    let (mode, optional) = (bits(map.default_mode), map.optional.unwrap_or_default());
    Some(VolumeSource::ConfigMap { name: map.name.clone(), items: items(map.items.as_ref()), mode, optional })
}

fn secret(volume: &api::Volume) -> Option<VolumeSource> {
    let secret = volume.secret.as_ref()?;
    let (mode, optional) = (bits(secret.default_mode), secret.optional.unwrap_or_default());
    Some(VolumeSource::Secret { name: secret.secret_name.clone().unwrap_or_default(), items: items(secret.items.as_ref()), mode, optional })
}

fn projected(volume: &api::Volume) -> Option<VolumeSource> {
    let projected = volume.projected.as_ref()?;
    let sources = projected.sources.iter().flatten().filter_map(projection).collect();
    Some(VolumeSource::Projected { sources, mode: bits(projected.default_mode) })
}

fn projection(source: &api::VolumeProjection) -> Option<ProjectedSource> {
    if let Some(map) = &source.config_map {
        let (items, optional) = (items(map.items.as_ref()), map.optional.unwrap_or_default());
        Some(ProjectedSource::ConfigMap { name: map.name.clone(), items, optional })
    } else if let Some(secret) = &source.secret {
        let (items, optional) = (items(secret.items.as_ref()), secret.optional.unwrap_or_default());
        Some(ProjectedSource::Secret { name: secret.name.clone(), items, optional })
    } else if let Some(token) = &source.service_account_token {
        Some(ProjectedSource::Token { path: token.path.clone(), audience: token.audience.clone().unwrap_or_default() })
    } else if let Some(downward) = &source.downward_api {
        Some(ProjectedSource::DownwardApi { paths: paths(downward.items.as_ref()) })
    } else {
        // A source that this version of the API's types does not know comes as nothing (`podCertificate` of 1.34).
        source.cluster_trust_bundle.as_ref().map(|_| ProjectedSource::Other("clusterTrustBundle".to_owned()))
    }
}

fn downward(volume: &api::Volume) -> Option<VolumeSource> {
    let downward = volume.downward_api.as_ref()?;
    Some(VolumeSource::DownwardApi { paths: paths(downward.items.as_ref()), mode: bits(downward.default_mode) })
}

fn empty_dir(volume: &api::Volume) -> Option<VolumeSource> {
    let empty = volume.empty_dir.as_ref()?;
    let size_limit = empty.size_limit.as_ref().and_then(quantity::units);
    Some(VolumeSource::EmptyDir { medium: empty.medium.clone().unwrap_or_default(), size_limit })
}

fn host_path(volume: &api::Volume) -> Option<VolumeSource> {
    let host = volume.host_path.as_ref()?;
    Some(VolumeSource::HostPath { path: host.path.clone(), kind: host.type_.clone().unwrap_or_default() })
}

/// The claim of a generic ephemeral volume is named after pod and volume (`VolumeClaimName` of
/// `k8s.io/component-helpers/storage/ephemeral`).
fn claim(volume: &api::Volume, pod: &str) -> Option<VolumeSource> {
    if let Some(claim) = &volume.persistent_volume_claim {
        return Some(VolumeSource::Claim { name: claim.claim_name.clone(), read_only: claim.read_only.unwrap_or_default() });
    }
    volume.ephemeral.as_ref().map(|_| VolumeSource::Claim { name: format!("{pod}-{}", volume.name), read_only: false })
}

fn image(volume: &api::Volume) -> Option<VolumeSource> {
    let image = volume.image.as_ref()?;
    Some(VolumeSource::Image { reference: image.reference.clone().unwrap_or_default() })
}

fn csi(volume: &api::Volume) -> Option<VolumeSource> {
    let csi = volume.csi.as_ref()?;
    Some(VolumeSource::Csi { driver: csi.driver.clone(), read_only: csi.read_only.unwrap_or_default() })
}

fn other(volume: &api::Volume) -> Option<&'static str> {
    let kinds = [
        ("nfs", volume.nfs.is_some()),
        ("iscsi", volume.iscsi.is_some()),
        ("fc", volume.fc.is_some()),
        ("cephfs", volume.cephfs.is_some()),
        ("rbd", volume.rbd.is_some()),
        ("glusterfs", volume.glusterfs.is_some()),
        ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some()),
        ("gcePersistentDisk", volume.gce_persistent_disk.is_some()),
        ("azureDisk", volume.azure_disk.is_some()),
        ("azureFile", volume.azure_file.is_some()),
        ("cinder", volume.cinder.is_some()),
        ("vsphereVolume", volume.vsphere_volume.is_some()),
        ("portworxVolume", volume.portworx_volume.is_some()),
        ("photonPersistentDisk", volume.photon_persistent_disk.is_some()),
        ("quobyte", volume.quobyte.is_some()),
        ("scaleIO", volume.scale_io.is_some()),
        ("storageos", volume.storageos.is_some()),
        ("flexVolume", volume.flex_volume.is_some()),
        ("flocker", volume.flocker.is_some()),
        ("gitRepo", volume.git_repo.is_some()),
    ];
    kinds.into_iter().find_map(|(name, is_set)| is_set.then_some(name))
}

fn items(items: Option<&Vec<api::KeyToPath>>) -> Vec<KeyPath> {
    let one = |item: &api::KeyToPath| KeyPath { key: item.key.clone(), path: item.path.clone(), mode: bits(item.mode) };
    items.into_iter().flatten().map(one).collect()
}

fn paths(items: Option<&Vec<api::DownwardAPIVolumeFile>>) -> Vec<String> {
    items.into_iter().flatten().map(|item| item.path.clone()).collect()
}

fn bits(mode: Option<i32>) -> Option<u32> {
    mode.and_then(|mode| u32::try_from(mode).ok())
}

/// What a `PersistentVolume` is: `csi (ebs.csi.aws.com)`, `hostPath`, `local`, `nfs`.
pub(crate) fn persistent(spec: &api::PersistentVolumeSpec) -> String {
    if let Some(csi) = &spec.csi {
        return format!("csi ({})", csi.driver);
    }
    let kinds = [
        ("hostPath", spec.host_path.is_some()),
        ("local", spec.local.is_some()),
        ("nfs", spec.nfs.is_some()),
        ("iscsi", spec.iscsi.is_some()),
        ("fc", spec.fc.is_some()),
        ("cephfs", spec.cephfs.is_some()),
        ("rbd", spec.rbd.is_some()),
        ("glusterfs", spec.glusterfs.is_some()),
        ("awsElasticBlockStore", spec.aws_elastic_block_store.is_some()),
        ("gcePersistentDisk", spec.gce_persistent_disk.is_some()),
        ("azureDisk", spec.azure_disk.is_some()),
        ("azureFile", spec.azure_file.is_some()),
        ("cinder", spec.cinder.is_some()),
        ("vsphereVolume", spec.vsphere_volume.is_some()),
        ("flexVolume", spec.flex_volume.is_some()),
    ];
    kinds.into_iter().find_map(|(name, is_set)| is_set.then(|| name.to_owned())).unwrap_or_default()
}
