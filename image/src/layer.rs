//! A tree as a compressed tar archive.

use crate::{
    blob::{Blob, digest},
    epoch::Epoch,
    error::Error,
    tree::{Access, Entry, Tree},
};
use flate2::{Compression, GzBuilder, write::GzEncoder};
use oci_spec::image::{MediaType, Sha256Digest};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeSet,
    io::{self, Write},
};
use tar::{Builder, EntryType, Header};

/// Part of an image's file system.
#[derive(Clone, Debug)]
pub struct Layer {
    pub(crate) blob: Blob,
    /// The digest of the archive before it was compressed.
    pub(crate) diff_id: Sha256Digest,
    names: BTreeSet<String>,
}

impl Layer {
    /// Reads what the tree refers to, and packs it.
    pub fn new(tree: &Tree, epoch: Epoch) -> Result<Self, Error> {
        // Neither a file name nor a time: the only two things that differ between two runs of gzip.
        let compressor = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
        let mut archive = Builder::new(Hashing { hash: Sha256::new(), inner: compressor });
        for (path, entry) in tree.entries() {
            append(&mut archive, path, entry, epoch)?;
        }
        let finish = |archive: Builder<Hashing<GzEncoder<Vec<u8>>>>| {
            let Hashing { hash, inner } = archive.into_inner()?;
            Ok((hash, inner.finish()?))
        };
        let (hash, bytes) = finish(archive).map_err(|source| Error::Layer { path: "the end".to_owned(), source })?;
        let names = tree.entries().map(|(path, _)| path.to_owned()).collect();
        Ok(Self { blob: Blob::new(MediaType::ImageLayerGzip, bytes)?, diff_id: digest(hash)?, names })
    }

    /// Is there an entry of this absolute path?
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.names.contains(path.trim_start_matches('/'))
    }
}

fn append(archive: &mut Builder<impl Write>, path: &str, entry: &Entry, epoch: Epoch) -> Result<(), Error> {
    let failed = |source| Error::Layer { path: path.to_owned(), source };
    match entry {
        Entry::Directory(access) => {
            let mut header = header(EntryType::Directory, *access, 0, epoch);
            archive.append_data(&mut header, format!("{path}/"), io::empty()).map_err(failed)
        }
        Entry::File(access, content) => {
            let bytes = content.read()?;
            let mut header = header(EntryType::Regular, *access, bytes.len() as u64, epoch);
            archive.append_data(&mut header, path, bytes.as_slice()).map_err(failed)
        }
        Entry::Link(target) => {
            let mut header = header(EntryType::Symlink, Access::new(0, 0, 0o777), 0, epoch);
            archive.append_link(&mut header, path, target).map_err(failed)
        }
    }
}

fn header(kind: EntryType, access: Access, size: u64, epoch: Epoch) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mtime(epoch.0);
    header.set_mode(access.mode);
    header.set_uid(access.uid.into());
    header.set_gid(access.gid.into());
    header
}

/// Passes bytes on and keeps their sum.
struct Hashing<W> {
    hash: Sha256,
    inner: W,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
