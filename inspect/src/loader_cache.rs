//! `/etc/ld.so.cache`: where glibc's loader finds libraries by their names. The file is the container's, and may hold
//! anything: its entries and the text taken from them are bounded.

use crate::{resolve::read, rootfs::Rootfs};
use std::collections::BTreeMap;

/// Longest cache that is read, bytes.
const MAX_BYTES: usize = 4 << 20;
/// Entries that are taken from it.
const MAX_ENTRIES: usize = 1 << 16;
/// Bytes of names and paths that are taken from it: several entries may share a text.
const MAX_TEXT: usize = 8 << 20;
/// How the part begins that counts.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// Length of its header, bytes.
const HEADER: usize = 48;
/// Length of an entry, bytes.
const ENTRY: usize = 24;

/// Names of libraries to paths.
#[derive(Debug, Default)]
pub struct Cache {
    names: BTreeMap<String, Vec<String>>,
    /// It has more than what was taken.
    pub is_cut: bool,
}

impl Cache {
    /// The container's; an empty one if there is none.
    pub fn read<R: Rootfs>(rootfs: &R) -> Self {
        read(rootfs, "/etc/ld.so.cache", MAX_BYTES).map(|bytes| Self::parse(&bytes)).unwrap_or_default()
    }

    /// Paths of a library, best first.
    pub fn paths(&self, name: &str) -> &[String] {
        self.names.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// glibc's `struct cache_file_new` (sysdeps/generic/dl-cache.h): a header of 48 bytes, entries of 24 with the offsets of
    /// name and path from the start of the header. Caches of the old format carry the new one behind it.
    fn parse(bytes: &[u8]) -> Self {
        let mut taken = Self::default();
        let Some(start) = bytes.windows(MAGIC.len()).position(|window| window == MAGIC) else {
            return taken;
        };
        let cache = &bytes[start..];
        let count = word(cache, MAGIC.len()).unwrap_or(0);
        let mut room = MAX_TEXT;
        for index in 0..count.min(MAX_ENTRIES) {
            let entry = HEADER + ENTRY * index;
            let text = |at| word(cache, at).and_then(|offset| text(cache, offset));
            let (Some(name), Some(path)) = (text(entry + 4), text(entry + 8)) else {
                break;
            };
            let Some(left) = room.checked_sub(name.len() + path.len()) else {
                taken.is_cut = true;
                return taken;
            };
            room = left;
            taken.names.entry(name).or_default().push(path);
        }
        taken.is_cut = count > MAX_ENTRIES;
        taken
    }
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_ne_bytes(*word)).ok()
}

fn text(bytes: &[u8], at: usize) -> Option<String> {
    let rest = bytes.get(at..)?;
    let rest = &rest[..rest.len().min(4096)];
    let end = rest.iter().position(|&byte| byte == 0)?;
    std::str::from_utf8(&rest[..end]).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// A cache in which every entry has the name and the path at these offsets.
    fn cache_of(entries: usize, texts: &[u8], name_at: usize, path_at: usize) -> Vec<u8> {
        let mut cache = vec![0; HEADER + ENTRY * entries];
        cache[..MAGIC.len()].copy_from_slice(MAGIC);
        cache[20..24].copy_from_slice(&u32::try_from(entries).unwrap().to_ne_bytes());
        let texts_at = cache.len();
        for index in 0..entries {
            let entry = HEADER + ENTRY * index;
            for (at, text) in [(entry + 4, name_at), (entry + 8, path_at)] {
                cache[at..at + 4].copy_from_slice(&u32::try_from(texts_at + text).unwrap().to_ne_bytes());
            }
        }
        cache.extend(texts);
        cache
    }

    #[test]
    fn a_cache_and_every_kind_of_damage() {
        let whole = [b"an old cache".as_slice(), &cache_of(2, b"libc.so.6\0/lib/libc.so.6\0", 0, 10)].concat();
        let cache = Cache::parse(&whole);
        assert_eq!(
            (cache.paths("libc.so.6"), cache.is_cut),
            (["/lib/libc.so.6".to_owned(), "/lib/libc.so.6".to_owned()].as_slice(), false)
        );
        assert!(cache.paths("libm.so.6").is_empty());
        for end in 0..whole.len() {
            assert!(Cache::parse(&whole[..end]).paths("libc.so.6").len() < 2, "{end}");
        }
        let mut damaged = whole;
        for at in 12 + MAGIC.len()..damaged.len() {
            damaged[at] = 0xff;
            let _ = Cache::parse(&damaged);
        }
    }

    #[test]
    fn a_cache_whose_entries_share_a_long_text_is_cut() {
        let long = [[b'x'; 4000].as_slice(), b"\0"].concat();
        let cache = Cache::parse(&cache_of(MAX_ENTRIES, &long, 0, 0));
        let bytes: usize = cache.names.values().flatten().map(String::len).sum();
        assert!(cache.is_cut && bytes <= MAX_TEXT, "{bytes}");
    }
}
