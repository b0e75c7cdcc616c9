//! Bytes that are known by their SHA-256.

use crate::error::Error;
use oci_spec::image::{Descriptor, MediaType, Sha256Digest};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, str::FromStr as _};

/// Content of an archive.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) media_type: MediaType,
    pub(crate) digest: Sha256Digest,
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn new(media_type: MediaType, bytes: Vec<u8>) -> Result<Self, Error> {
        Ok(Self { media_type, digest: digest(Sha256::new_with_prefix(&bytes))?, bytes })
    }

    /// JSON with its keys in order: the OCI's types keep annotations and labels in maps without one.
    pub(crate) fn json(media_type: MediaType, value: &impl Serialize) -> Result<Self, Error> {
        Self::new(media_type, json(value)?)
    }

    /// How other blobs speak of this one.
    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.bytes.len() as u64, self.digest.clone())
    }

    /// Its place in an OCI layout.
    pub(crate) fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest.digest())
    }
}

/// See [`Blob::json`].
pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut value = serde_json::to_value(value)?;
    value.sort_all_objects();
    Ok(serde_json::to_vec(&value)?)
}

/// The sum of what was hashed.
pub(crate) fn digest(hash: Sha256) -> Result<Sha256Digest, Error> {
    let mut hex = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(Sha256Digest::from_str(&hex)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_digest_is_that_of_sha256sum() {
        let blob = Blob::new(MediaType::ImageConfig, b"abc".to_vec()).unwrap();
        assert_eq!(blob.path(), "blobs/sha256/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(blob.descriptor().size(), 3);
    }

    #[test]
    fn json_has_its_keys_in_order() {
        let map: HashMap<&str, HashMap<&str, u8>> =
            HashMap::from([("b", HashMap::from([("z", 1), ("y", 2), ("x", 3)])), ("a", HashMap::new())]);
        assert_eq!(json(&map).unwrap(), br#"{"a":{},"b":{"x":3,"y":2,"z":1}}"#);
    }
}
