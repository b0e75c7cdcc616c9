//! Where a path of the container lies by its manifest: volumeMount, volume, source, and what an fsGroup does there.

use crate::{
    case::Manifest,
    pod::{Claim, FsGroupReach, KeyPath, Keys, ProjectedSource, Volume, VolumeMount, VolumeSource},
    question::{Component, Mount, Walk},
    words,
};

/// A path on a volume of the pod.
#[derive(Clone, Debug)]
pub(crate) struct Located<'a> {
    /// Where the volume is mounted.
    pub(crate) mount: &'a VolumeMount,
    pub(crate) volume: &'a Volume,
    /// Its claim, when there is one and it was asked about.
    pub(crate) claim: Option<&'a Claim>,
    /// The path below the mount, without a slash before it; empty: the mount itself.
    pub(crate) below: String,
}

/// On which volume a path lies: the longest `mountPath` that it begins with. The path is the one after links were followed.
pub(crate) fn locate<'a>(spec: &Manifest<'a>, path: &str) -> Option<Located<'a>> {
    let path = unlinked(path);
    let (mount, below) = spec
        .container
        .mounts
        .iter()
        .filter_map(|mount| Some((mount, below(&path, &unlinked(&mount.path))?)))
        .max_by_key(|(mount, _)| unlinked(&mount.path).len())?;
    let volume = spec.pod.volumes.iter().find(|volume| volume.name == mount.volume)?;
    Some(Located { mount, volume, claim: claim_of(spec, volume), below })
}

/// The claim behind a volume.
fn claim_of<'a>(spec: &Manifest<'a>, volume: &Volume) -> Option<&'a Claim> {
    let name = volume.claim()?;
    spec.claims.iter().find(|claim| claim.name == name)
}

/// `/var/run` is a link to `/run` in most images: the manifest says the one, the walk the other.
fn unlinked(path: &str) -> String {
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    match path.strip_prefix("/var/run") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("/run{rest}"),
        _ => path.to_owned(),
    }
}

/// What follows a directory in a path; `None`: the path is not in it.
pub(crate) fn below(path: &str, directory: &str) -> Option<String> {
    if directory == "/" {
        return Some(path.trim_start_matches('/').to_owned());
    }
    let rest = path.strip_prefix(directory)?;
    if rest.is_empty() { Some(String::new()) } else { rest.strip_prefix('/').map(str::to_owned) }
}

impl Located<'_> {
    /// How far an fsGroup reaches.
    pub(crate) fn reach(&self) -> FsGroupReach {
        if self.claim.is_some_and(|claim| VolumeSource::WITHOUT_FS_GROUP.contains(&claim.source.as_str())) {
            return FsGroupReach::Nothing;
        }
        self.volume.source.fs_group_reach()
    }

    /// Its directory in the container, when a walk came to it.
    pub(crate) fn top<'w>(&self, walk: &'w Walk) -> Option<&'w Component> {
        self.entry(walk).filter(|_| self.mount.sub_path.is_empty())
    }

    /// Where a walk entered it: its directory, or what a subPath chose of it.
    pub(crate) fn entry<'w>(&self, walk: &'w Walk) -> Option<&'w Component> {
        walk.components.iter().find(|component| self.holds(&component.path))
    }

    /// A path of the container lies on it.
    pub(crate) fn holds(&self, path: &str) -> bool {
        below(&unlinked(path), &unlinked(&self.mount.path)).is_some()
    }

    /// Its files are a Secret's.
    pub(crate) const fn is_secret(&self) -> bool {
        matches!(self.volume.source, VolumeSource::Secret { .. })
    }

    /// Only the kubelet writes it.
    pub(crate) const fn is_kubelet_written(&self) -> bool {
        self.volume.source.written().is_some()
    }

    /// The directory of the node that is behind it, with what follows.
    pub(crate) fn on_node(&self) -> Option<String> {
        let VolumeSource::HostPath { path, .. } = &self.volume.source else { return None };
        // A subPathExpr is expanded from the environment, which is not known: `$(POD_NAME)` is written as POD_NAME, which no
        // shell takes for a command.
        let sub_path = self.mount.sub_path.replace("$(", "").replace(')', "");
        let parts = [path.as_str(), sub_path.as_str(), self.below.as_str()];
        let parts: Vec<&str> = parts.into_iter().map(|part| part.trim_matches('/')).filter(|part| !part.is_empty()).collect();
        Some(format!("/{}", parts.join("/")))
    }

    /// The path inside the volume: subPath and what follows it. A file of the kubelet's lies behind links, `..data` and a
    /// directory `..2026_11_24_10_15_00.17`, which no item names.
    pub(crate) fn in_volume(&self) -> String {
        let below = match self.below.split_once('/') {
            Some((first, rest)) if first.starts_with("..") && self.is_kubelet_written() => rest,
            _ => self.below.as_str(),
        };
        let parts = [self.mount.sub_path.trim_matches('/'), below];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    }

    /// `/data is volume "data" (PVC orders-data, StorageClass fast, csi (ebs.csi.aws.com), ext4)`.
    pub(crate) fn sentence(&self, mount: Option<&Mount>) -> String {
        let fstype = mount.map(|mount| mount.fstype.as_str()).filter(|fstype| !fstype.is_empty() && self.is_of_a_disk());
        let parts: Vec<String> = self.source().into_iter().chain(fstype.map(str::to_owned)).chain(self.sub_path()).collect();
        format!("{} is volume \"{}\" ({})", self.mount.path, self.volume.name, parts.join(", "))
    }

    /// `volume "data" (PVC orders-data)`.
    pub(crate) fn name(&self) -> String {
        format!("volume \"{}\" ({})", self.volume.name, self.source().first().cloned().unwrap_or_default())
    }

    /// Its file system says something.
    const fn is_of_a_disk(&self) -> bool {
        matches!(
            self.volume.source,
            VolumeSource::Claim { .. }
                | VolumeSource::HostPath { .. }
                | VolumeSource::Csi { .. }
                | VolumeSource::Other(_)
                | VolumeSource::Unknown
        )
    }

    fn sub_path(&self) -> Option<String> {
        let sub_path = &self.mount.sub_path;
        match sub_path.contains("$(") {
            _ if sub_path.is_empty() => None,
            true => Some(format!("subPathExpr {sub_path}")),
            false => Some(format!("subPath {sub_path}")),
        }
    }

    fn source(&self) -> Vec<String> {
        let wanted = self.in_volume();
        match &self.volume.source {
            source @ (VolumeSource::ConfigMap { mode, .. } | VolumeSource::Secret { mode, .. }) => {
                source.keys().map(|keys| keyed(keys, *mode, &wanted)).unwrap_or_default()
            }
            VolumeSource::Projected { sources, mode } => {
                let of = sources.iter().find_map(|source| projected(source, &wanted));
                std::iter::once(of.unwrap_or_else(|| "projected".to_owned())).chain(mode.map(default_mode)).collect()
            }
            VolumeSource::DownwardApi { mode, .. } => std::iter::once("downwardAPI".to_owned()).chain(mode.map(default_mode)).collect(),
            VolumeSource::EmptyDir { medium, size_limit } => {
                let kind = if medium == "Memory" { "emptyDir in memory" } else { "emptyDir" };
                std::iter::once(kind.to_owned()).chain(size_limit.map(|limit| format!("sizeLimit {}", words::bytes(limit)))).collect()
            }
            VolumeSource::HostPath { path, kind } => {
                let kind = (!kind.is_empty()).then(|| format!("type {kind}"));
                std::iter::once(format!("hostPath {path}")).chain(kind).collect()
            }
            VolumeSource::Claim { name, .. } => claim_words(name, self.claim),
            VolumeSource::Image { reference } => vec![format!("image {reference}")],
            VolumeSource::Csi { driver, .. } => vec![format!("csi {driver}")],
            VolumeSource::Other(kind) => vec![kind.clone()],
            VolumeSource::Unknown => vec!["kind unknown".to_owned()],
        }
    }
}

fn claim_words(name: &str, claim: Option<&Claim>) -> Vec<String> {
    let mut all = vec![format!("PVC {name}")];
    if let Some(claim) = claim {
        all.extend((!claim.storage_class.is_empty()).then(|| format!("StorageClass {}", claim.storage_class)));
        all.extend((!claim.source.is_empty()).then(|| claim.source.clone()));
    }
    all
}

fn keyed(keys: Keys<'_>, mode: Option<u32>, wanted: &str) -> Vec<String> {
    let Keys { kind, name, items, optional } = keys;
    let item = items.iter().find(|item| item.path == wanted && !wanted.is_empty());
    let key = item.filter(|item| item.key != item.path).map(|item| format!("key {} as {}", item.key, item.path));
    let mode = item.and_then(|item| item.mode).map(|mode| format!("mode {mode:04o}")).or_else(|| mode.map(default_mode));
    let optional = optional.then(|| "optional".to_owned());
    std::iter::once(format!("{kind} {name}")).chain(key).chain(mode).chain(optional).collect()
}

/// The part of a projected volume that a file comes from.
fn projected(source: &ProjectedSource, wanted: &str) -> Option<String> {
    source.paths().filter(|paths| paths.contains(&wanted))?;
    Some(match source.keys() {
        Some(keys) => format!("projected from {} {}", keys.kind, keys.name),
        None if matches!(source, ProjectedSource::Token { .. }) => "projected service-account token".to_owned(),
        None => "projected from the downward API".to_owned(),
    })
}

fn default_mode(mode: u32) -> String {
    format!("defaultMode {mode:04o}")
}

/// The `items` of a volume, when it has any.
pub(super) fn items_of(source: &VolumeSource) -> Option<&[KeyPath]> {
    source.keys().map(|keys| keys.items).filter(|items| !items.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::{Container, KeyPath, Pod};

    fn spec_of(volumes: Vec<(&str, VolumeSource)>, mounts: &[(&str, &str, &str)]) -> Pod {
        let mount = |(volume, path, sub_path): &(&str, &str, &str)| VolumeMount {
            volume: (*volume).into(),
            path: (*path).into(),
            sub_path: (*sub_path).into(),
            ..VolumeMount::default()
        };
        let container = Container { name: "app".into(), mounts: mounts.iter().map(mount).collect(), ..Container::default() };
        let volumes = volumes.into_iter().map(|(name, source)| Volume { name: name.into(), source }).collect();
        Pod { volumes, containers: vec![container], ..Pod::default() }
    }

    fn said(pod: &Pod, claims: &[Claim], path: &str) -> Option<String> {
        let spec = Manifest { pod, container: &pod.containers[0], claims };
        locate(&spec, path).map(|place| place.sentence(Some(&Mount { fstype: "ext4".into(), ..Mount::default() })))
    }

    fn key(key: &str, path: &str, mode: Option<u32>) -> KeyPath {
        KeyPath { key: key.into(), path: path.into(), mode }
    }

    #[test]
    fn the_longest_mount_path_decides() {
        let volumes = vec![
            ("data", VolumeSource::EmptyDir { medium: String::new(), size_limit: None }),
            ("wal", VolumeSource::HostPath { path: "/srv/wal/".into(), kind: "Directory".into() }),
        ];
        let pod = spec_of(volumes, &[("data", "/data", ""), ("wal", "/data/wal/", "shop")]);
        assert_eq!(said(&pod, &[], "/data/orders.db").as_deref(), Some("/data is volume \"data\" (emptyDir)"));
        assert_eq!(
            said(&pod, &[], "/data/wal/1").as_deref(),
            Some("/data/wal/ is volume \"wal\" (hostPath /srv/wal/, type Directory, ext4, subPath shop)")
        );
        assert_eq!(said(&pod, &[], "/database"), None, "a name that begins alike is another directory");
        let spec = Manifest { pod: &pod, container: &pod.containers[0], claims: &[] };
        assert_eq!(locate(&spec, "/data/wal/a/b").and_then(|place| place.on_node()).as_deref(), Some("/srv/wal/shop/a/b"));
    }

    #[test]
    fn an_expression_is_no_command_for_a_shell() {
        let host = VolumeSource::HostPath { path: "/srv/wal".into(), kind: String::new() };
        let pod = spec_of(vec![("wal", host)], &[("wal", "/wal", "$(POD_NAME)")]);
        let spec = Manifest { pod: &pod, container: &pod.containers[0], claims: &[] };
        assert_eq!(locate(&spec, "/wal/a").and_then(|place| place.on_node()).as_deref(), Some("/srv/wal/POD_NAME/a"));
    }

    #[test]
    fn what_is_used_read_only_gets_no_fs_group() {
        let claim = |read_only| VolumeSource::Claim { name: "data".into(), read_only };
        let csi = |read_only| VolumeSource::Csi { driver: "csi.cert-manager.io".into(), read_only };
        assert_eq!((claim(true).fs_group_reach(), csi(true).fs_group_reach()), (FsGroupReach::Nothing, FsGroupReach::Nothing));
        assert_eq!((claim(false).fs_group_reach(), csi(false).fs_group_reach()), (FsGroupReach::Everything, FsGroupReach::Everything));
    }

    #[test]
    fn a_claim_is_told_with_what_stands_behind_it() {
        let pod = spec_of(vec![("data", VolumeSource::Claim { name: "orders-data".into(), read_only: false })], &[("data", "/data", "")]);
        assert_eq!(said(&pod, &[], "/data").as_deref(), Some("/data is volume \"data\" (PVC orders-data, ext4)"));
        let claim =
            |source: &str| Claim { name: "orders-data".into(), storage_class: "fast".into(), source: source.into(), ..Claim::default() };
        let claims = [claim("csi (ebs.csi.aws.com)")];
        assert_eq!(
            said(&pod, &claims, "/data").as_deref(),
            Some("/data is volume \"data\" (PVC orders-data, StorageClass fast, csi (ebs.csi.aws.com), ext4)")
        );
        let reach = |claims: &[Claim]| {
            let spec = Manifest { pod: &pod, container: &pod.containers[0], claims };
            locate(&spec, "/data/x").map(|place| place.reach())
        };
        assert_eq!(reach(&claims), Some(FsGroupReach::Everything));
        assert_eq!(reach(&[claim("local")]), Some(FsGroupReach::Everything));
        assert_eq!(reach(&[claim("hostPath")]), Some(FsGroupReach::Nothing));
    }

    #[test]
    fn keys_are_told_with_their_mode() {
        let items = vec![key("tls.key", "key.pem", Some(0o400)), key("tls.crt", "tls.crt", None)];
        let secret = VolumeSource::Secret { name: "tls".into(), items, mode: Some(0o440), optional: true };
        let pod = spec_of(vec![("tls", secret)], &[("tls", "/etc/tls", "")]);
        let cases = [
            ("/etc/tls/key.pem", "/etc/tls is volume \"tls\" (Secret tls, key tls.key as key.pem, mode 0400, optional)"),
            ("/etc/tls/tls.crt", "/etc/tls is volume \"tls\" (Secret tls, defaultMode 0440, optional)"),
        ];
        for (path, expected) in cases {
            assert_eq!(said(&pod, &[], path).as_deref(), Some(expected));
        }
    }

    #[test]
    fn projected_sources_are_told_down_to_the_item() {
        let sources = vec![
            ProjectedSource::Token { path: "token".into(), audience: String::new() },
            ProjectedSource::ConfigMap { name: "kube-root-ca.crt".into(), items: vec![key("ca.crt", "ca.crt", None)], optional: false },
        ];
        let volume = VolumeSource::Projected { sources, mode: Some(0o644) };
        let pod = spec_of(vec![("kube-api-access", volume)], &[("kube-api-access", "/var/run/secrets/kubernetes.io/serviceaccount", "")]);
        let at = "/var/run/secrets/kubernetes.io/serviceaccount is volume \"kube-api-access\"";
        assert_eq!(
            said(&pod, &[], "/run/secrets/kubernetes.io/serviceaccount/token"),
            Some(format!("{at} (projected service-account token, defaultMode 0644)"))
        );
        assert_eq!(
            said(&pod, &[], "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"),
            Some(format!("{at} (projected from ConfigMap kube-root-ca.crt, defaultMode 0644)"))
        );
    }
}
