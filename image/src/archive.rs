//! Images as one file in the OCI image layout.
//!
//! `index.json` holds one entry: the manifest of the one image, or else an index of them by platform. The entry carries the name twice:
//! in full for containerd (`io.containerd.image.name`), which takes it as it is, and as `org.opencontainers.image.ref.name`, from
//! which the others make it.

use crate::{
    blob::{Blob, json},
    epoch::Epoch,
    error::Error,
    image::Image,
    platform::Platform,
    reference::Reference,
};
use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor, ImageIndexBuilder, MediaType, OciLayoutBuilder, SCHEMA_VERSION};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{self, Write},
    path::{Path, PathBuf},
};
use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;

/// What containerd reads a name from: `images.AnnotationImageName`.
const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";
/// The version of the layout, which is not that of the specification: `ImageLayoutVersion`.
const LAYOUT_VERSION: &str = "1.0.0";

/// An archive that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub reference: Reference,
    /// What a registry would show, and `ctr images ls`: `sha256:…` of the manifest or of the index.
    pub digest: String,
    /// Bytes of the archive.
    pub size: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// Writes the images, one a platform, to `path`. A file that is there is replaced when the new one is complete.
pub fn write(reference: &Reference, images: &[Image], epoch: Epoch, path: &Path) -> Result<Written, Error> {
    let (target, blobs) = collect(images, epoch)?;
    let digest = target.digest().to_string();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |source| Error::Write { path: path.to_owned(), source };
    let index = named_index(reference, target)?;
    let mut file = NamedTempFile::new_in(folder).map_err(failed)?;
    let layout = json(&OciLayoutBuilder::default().image_layout_version(LAYOUT_VERSION).build()?)?;
    write_layout([("oci-layout", &layout), ("index.json", &index)], &blobs, epoch, io::BufWriter::new(file.as_file_mut()))
        .map_err(failed)?;
    publish(file, path).map_err(failed)?;
    let size = std::fs::metadata(path).map_err(failed)?.len();
    Ok(Written { reference: reference.clone(), digest, size, path: path.to_owned() })
}

/// Readable for all, as any other file that a build makes: a temporary file is the owner's alone.
fn publish(file: NamedTempFile, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

/// What the name stands for, and every blob once, by its place in the layout.
fn collect(images: &[Image], epoch: Epoch) -> Result<(Descriptor, BTreeMap<String, Vec<u8>>), Error> {
    let mut blobs = BTreeMap::new();
    let mut keep = |blob: Blob| {
        let descriptor = blob.descriptor();
        blobs.insert(blob.path(), blob.bytes);
        descriptor
    };
    let mut manifests = Vec::new();
    for image in ordered(images)? {
        let built = image.blobs(epoch)?;
        image.layers.iter().for_each(|layer| drop(keep(layer.blob.clone())));
        keep(built.config);
        let mut descriptor = keep(built.manifest);
        descriptor.set_platform(Some(image.platform.spec()?));
        manifests.push(descriptor);
    }
    let target = if manifests.len() > 1 {
        let index = ImageIndexBuilder::default().schema_version(SCHEMA_VERSION).media_type(MediaType::ImageIndex).manifests(manifests);
        keep(Blob::json(MediaType::ImageIndex, &index.build()?)?)
    } else {
        manifests.pop().ok_or(Error::NoImage)?
    };
    Ok((target, blobs))
}

/// By platform, so that the order in which they were built does not matter.
fn ordered(images: &[Image]) -> Result<Vec<&Image>, Error> {
    let mut seen: BTreeSet<Platform> = BTreeSet::new();
    if let Some(twice) = images.iter().find(|image| !seen.insert(image.platform)) {
        return Err(Error::PlatformTwice(twice.platform));
    }
    let mut images: Vec<&Image> = images.iter().collect();
    images.sort_by_key(|image| image.platform);
    Ok(images)
}

fn named_index(reference: &Reference, mut target: Descriptor) -> Result<Vec<u8>, Error> {
    let names = [(ANNOTATION_IMAGE_NAME, reference.canonical()), (ANNOTATION_REF_NAME, reference.canonical())];
    target.set_annotations(Some(names.into_iter().map(|(key, name)| (key.to_owned(), name)).collect::<HashMap<_, _>>()));
    let index = ImageIndexBuilder::default().schema_version(SCHEMA_VERSION).media_type(MediaType::ImageIndex).manifests([target]);
    json(&index.build()?)
}

/// The marker comes first: readers that stream tell the layout by it.
fn write_layout(documents: [(&str, &Vec<u8>); 2], blobs: &BTreeMap<String, Vec<u8>>, epoch: Epoch, file: impl Write) -> io::Result<()> {
    let mut archive = Builder::new(file);
    let blobs = blobs.iter().map(|(path, bytes)| (path.as_str(), bytes));
    for (path, bytes) in documents.into_iter().chain(blobs) {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mtime(epoch.0);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, path, bytes.as_slice())?;
    }
    archive.into_inner()?.flush()
}
