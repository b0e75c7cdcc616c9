//! Builds container images from files, without a daemon and without root: the same files give the same bytes.
//!
//! The way of an image: a [`Tree`] is what the file system holds, with an owner and permission bits for each entry that
//! come from whoever builds it and never from the machine; a [`Layer`] is that tree as a compressed tar archive; an
//! [`Image`] adds what to start and labels; [`write()`] puts one image a platform into one archive in the OCI image layout, which
//! `ctr images import`, `podman load`, `skopeo copy oci-archive:` and `docker load` read.
//!
//! What makes two builds the same: entries are sorted by name, times are one [`Epoch`], owners are numbers without names,
//! the compressor writes no time and no file name, JSON has its keys in order, and the archive holds its blobs by digest.
//!
//! Refused: paths that leave the root, devices and sockets, names that an overlay reads as deletions (`.wh.…`), an entry
//! below something that is not a directory, an entry point that the layers do not hold, a reference without a tag. A base image
//! is not fetched: nothing here opens a connection.
#![forbid(unsafe_code)]

mod archive;
mod blob;
mod epoch;
mod error;
mod image;
mod layer;
mod platform;
mod reference;
mod tree;

pub use archive::{Written, write};
pub use epoch::Epoch;
pub use error::Error;
pub use image::{Image, Process};
pub use layer::Layer;
pub use oci_spec::image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REVISION, ANNOTATION_SOURCE, ANNOTATION_TITLE, ANNOTATION_VERSION,
};
pub use platform::Platform;
pub use reference::Reference;
pub use tree::{Access, Tree};
