//! POSIX access control lists, read through the extended attribute that the kernel keeps them in.

use rustix::{buffer::spare_capacity, fs::getxattr};
use std::os::fd::AsRawFd;
use unready_diagnosis::question::{AclEntry, AclTag};

/// Longest attribute that is read: 512 entries; longer lists are cut.
const MAX_BYTES: usize = 4 + 8 * 512;

/// The entries beyond the mode bits; empty when the three base entries say it all, or there is no list.
pub(super) fn read(file: &impl AsRawFd) -> Vec<AclEntry> {
    let mut bytes = Vec::with_capacity(MAX_BYTES);
    // An O_PATH descriptor has no fgetxattr; its magic link leads to the very same inode.
    let path = format!("{}/self/fd/{}", super::proc::PROC, file.as_raw_fd());
    match getxattr(path, c"system.posix_acl_access", spare_capacity(&mut bytes)) {
        Ok(_) => decode(&bytes),
        Err(_) => Vec::new(),
    }
}

/// `struct posix_acl_xattr_header` and its entries, `include/uapi/linux/posix_acl_xattr.h`: little endian.
fn decode(bytes: &[u8]) -> Vec<AclEntry> {
    const VERSION: [u8; 4] = 2u32.to_le_bytes();
    let Some(entries) = bytes.strip_prefix(&VERSION) else {
        return Vec::new();
    };
    let entries: Vec<_> = entries.as_chunks::<8>().0.iter().copied().filter_map(entry).collect();
    if entries.len() > 3 { entries } else { Vec::new() }
}

fn entry([t0, t1, p0, _, i0, i1, i2, i3]: [u8; 8]) -> Option<AclEntry> {
    let id = u32::from_le_bytes([i0, i1, i2, i3]);
    let tag = match u16::from_le_bytes([t0, t1]) {
        0x01 => AclTag::UserObj,
        0x02 => AclTag::User(id),
        0x04 => AclTag::GroupObj,
        0x08 => AclTag::Group(id),
        0x10 => AclTag::Mask,
        0x20 => AclTag::Other,
        _ => return None,
    };
    Some(AclEntry { tag, perm: p0 & 7 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = 2u32.to_le_bytes().to_vec();
        for (tag, perm, id) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(perm.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn base_entries_say_nothing_new() {
        assert_eq!(decode(&wire(&[(1, 6, u32::MAX), (4, 4, u32::MAX), (0x20, 0, u32::MAX)])), []);
    }

    #[test]
    fn named_user() {
        let entries = decode(&wire(&[(1, 7, !0), (2, 5, 1000), (4, 4, !0), (0x10, 1, !0), (0x20, 0, !0)]));
        assert_eq!(entries[1], AclEntry { tag: AclTag::User(1000), perm: 5 });
        assert_eq!(entries[3], AclEntry { tag: AclTag::Mask, perm: 1 });
        assert_eq!(entries.len(), 5);
    }

    #[test]
    fn every_truncation_and_an_unknown_version() {
        let whole = wire(&[(1, 7, 0), (2, 5, 1), (4, 4, 0), (8, 4, 7), (0x10, 7, 0), (0x20, 0, 0)]);
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).len() < 6);
        }
        let mut other = whole;
        other[0] = 3;
        assert_eq!(decode(&other), []);
    }
}
