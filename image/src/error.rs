//! What can be wrong with what an image shall be made of.

use crate::platform::Platform;
use std::{io, path::PathBuf};

/// Why an image cannot be built. Each names the thing to change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path that is no place inside an image.
    #[error("{path:?} is not a path inside an image: {reason}")]
    Path {
        /// As it was given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two entries claim one path.
    #[error("{0} is in the image twice: leave one out")]
    Twice(String),
    /// Something lies below a file or a link.
    #[error("{path} cannot be in the image, because {parent} is not a directory there")]
    NotADirectory {
        /// What was to be added.
        path: String,
        /// What is in its way.
        parent: String,
    },
    /// A hard link to something that the archive did not bring before it.
    #[error("{path} is a hard link to {target}, which is not in the image: add that file first")]
    NoTarget {
        path: String,
        /// What it means.
        target: String,
    },
    /// Devices, sockets and pipes: an image for Kubernetes has no use for them.
    #[error("{0} is neither a file nor a directory nor a symbolic link: leave it out of the image")]
    Kind(String),
    /// The machine's part failed.
    #[error("cannot read {path}")]
    Read {
        /// On the machine.
        path: PathBuf,
        source: io::Error,
    },
    /// A tar archive is not what it should be.
    #[error("the tar archive cannot be read")]
    Unpack(#[source] io::Error),
    /// The archive cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// On the machine.
        path: PathBuf,
        source: io::Error,
    },
    /// Compressing into memory failed: an entry that tar cannot express.
    #[error("{path} cannot be put into a layer")]
    Layer {
        /// Inside the image.
        path: String,
        source: io::Error,
    },
    /// A name for an image that registries and runtimes would not take.
    #[error("{reference:?} is not a name for an image: {reason}")]
    Reference {
        /// As it was given.
        reference: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A platform that nothing here builds for.
    #[error("{0:?} is not a platform that images are built for: choose from linux/amd64 and linux/arm64")]
    Platform(String),
    /// An image has to be for something.
    #[error("an archive needs at least one image")]
    NoImage,
    /// Which of the two is meant?
    #[error("two images are for {0}: an index holds one for each platform")]
    PlatformTwice(Platform),
    /// The container could not start.
    #[error("the entry point {0} is not among the image's files")]
    NoEntrypoint(String),
    /// `SOURCE_DATE_EPOCH`.
    #[error("SOURCE_DATE_EPOCH is {0:?}: it has to be a number of seconds since 1970")]
    Epoch(String),
    /// A value that the OCI's types refuse.
    #[error("the image's description cannot be written")]
    Spec(#[from] oci_spec::OciSpecError),
    /// A description that is not JSON.
    #[error("the image's description cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}
