//! Accounts of a container: its `/etc/passwd`, by the numbers in it. Names, homes and shells are not looked at.

use crate::{resolve::read, rootfs::Rootfs};

/// Longest `/etc/passwd` that is read, bytes.
const MAX_PASSWD: usize = 1 << 20;

/// Whether the container has an account with this uid; `None`: it has no `/etc/passwd`.
pub fn has_uid<R: Rootfs>(rootfs: &R, uid: u32) -> Option<bool> {
    read(rootfs, "/etc/passwd", MAX_PASSWD).map(|bytes| is_listed(&String::from_utf8_lossy(&bytes), uid))
}

/// `name:password:uid:…`, passwd(5).
fn is_listed(passwd: &str, uid: u32) -> bool {
    passwd.lines().filter_map(|line| line.split(':').nth(2)?.parse::<u32>().ok()).any(|known| known == uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids() {
        let text = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/:/bin/false\nbroken\n::\n";
        assert!(is_listed(text, 0) && is_listed(text, 1000));
        assert!(!is_listed(text, 100));
    }
}
