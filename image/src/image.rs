//! Layers, what to start in them, and what to say of them.

use crate::{blob::Blob, epoch::Epoch, error::Error, layer::Layer, platform::Platform};
use oci_spec::image::{
    ConfigBuilder, Digest, HistoryBuilder, ImageConfigurationBuilder, ImageManifestBuilder, MediaType, Os, RootFsBuilder, SCHEMA_VERSION,
};
use std::collections::{BTreeMap, HashMap};

/// What a container of the image runs when its pod says nothing else.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Program and first arguments. An absolute program has to be in the layers.
    pub entrypoint: Vec<String>,
    /// Further arguments, which a pod's `args` take the place of.
    pub arguments: Vec<String>,
    /// `NAME=value` each.
    pub environment: Vec<String>,
    /// `UID` or `UID:GID`; empty is root. Numbers, because `runAsNonRoot` cannot judge a name.
    pub user: String,
    /// Working directory; empty is the root.
    pub directory: String,
}

/// One image for one platform.
#[derive(Clone, Debug)]
pub struct Image {
    /// What its programs run on.
    pub platform: Platform,
    /// What it starts.
    pub process: Process,
    /// The keys of `org.opencontainers.image.*` above all; they become labels and annotations.
    pub labels: BTreeMap<String, String>,
    /// From the lowest to the highest.
    pub layers: Vec<Layer>,
}

/// An image's manifest and all that it refers to.
pub(crate) struct Blobs {
    pub(crate) manifest: Blob,
    pub(crate) config: Blob,
}

impl Image {
    pub(crate) fn blobs(&self, epoch: Epoch) -> Result<Blobs, Error> {
        self.check()?;
        let config = self.config(epoch)?;
        let layers: Vec<_> = self.layers.iter().map(|layer| layer.blob.descriptor()).collect();
        let mut manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor())
            .layers(layers);
        if !self.labels.is_empty() {
            manifest = manifest.annotations(self.labels());
        }
        Ok(Blobs { manifest: Blob::json(MediaType::ImageManifest, &manifest.build()?)?, config })
    }

    fn config(&self, epoch: Epoch) -> Result<Blob, Error> {
        let Process { entrypoint, arguments, environment, user, directory } = &self.process;
        let mut process = ConfigBuilder::default().labels(self.labels()).env(environment.clone());
        if !entrypoint.is_empty() {
            process = process.entrypoint(entrypoint.clone());
        }
        if !arguments.is_empty() {
            process = process.cmd(arguments.clone());
        }
        if !user.is_empty() {
            process = process.user(user.clone());
        }
        if !directory.is_empty() {
            process = process.working_dir(directory.clone());
        }
        let diff_ids: Vec<String> = self.layers.iter().map(|layer| Digest::from(layer.diff_id.clone()).to_string()).collect();
        let one = || HistoryBuilder::default().created(epoch.rfc3339()).created_by("unready-image").build();
        let history: Vec<_> = self.layers.iter().map(|_| one()).collect::<Result<_, _>>()?;
        let config = ImageConfigurationBuilder::default()
            .created(epoch.rfc3339())
            .architecture(self.platform.arch())
            .os(Os::Linux)
            .config(process.build()?)
            .rootfs(RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build()?)
            .history(history)
            .build()?;
        Blob::json(MediaType::ImageConfig, &config)
    }

    fn check(&self) -> Result<(), Error> {
        let program = self.process.entrypoint.first().filter(|program| program.starts_with('/'));
        match program.filter(|program| !self.layers.iter().any(|layer| layer.contains(program))) {
            Some(missing) => Err(Error::NoEntrypoint(missing.clone())),
            None => Ok(()),
        }
    }

    /// As the OCI's types want them; [`Blob::json`] puts them in order.
    fn labels(&self) -> HashMap<String, String> {
        self.labels.clone().into_iter().collect()
    }
}
