//! Mounts of a container: its `/proc/PID/mountinfo`, held open and read when asked.
//!
//! The open file belongs to the mount namespace and the root that the process had, not to the process: it keeps the
//! namespace, and shows at any later time what is mounted there then.

use super::proc;
use rustix::fs::{StatVfsMountFlags, fstatvfs};
use std::{
    collections::BTreeSet,
    fs::File,
    os::{fd::AsFd, unix::fs::FileExt},
    sync::Arc,
};
use unready_diagnosis::question::Mount;

/// Longest text that is read, bytes: a node with hundreds of pods has some 100 KiB.
const MAX_READ: usize = 4 << 20;

/// Opens the mount table of a process, without reading it.
pub(super) fn open(pid: u32) -> Option<Arc<File>> {
    File::open(proc::path(pid, "mountinfo")).ok().map(Arc::new)
}

/// The node's own mounts: those of kthreadd where we live in a pod, else ours.
pub(super) fn of_node() -> Option<Arc<File>> {
    let is_elsewhere = proc::namespace(proc::KTHREADD, "mnt").is_some_and(|node| proc::own_namespace("mnt") != Some(node));
    open(if is_elsewhere { proc::KTHREADD } else { std::process::id() })
}

/// The table as it is now. Reading at offsets leaves the descriptor as it was, for other threads and the next time.
pub(super) fn read(table: &File) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 8192];
    while bytes.len() < MAX_READ
        && let Ok(length @ 1..) = table.read_at(&mut piece, bytes.len() as u64)
    {
        bytes.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A line of mountinfo, proc(5).
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) id: u64,
    pub(super) device: (u32, u32),
    root: &'a str,
    point: &'a str,
    options: &'a str,
    fstype: &'a str,
    source: &'a str,
    super_options: &'a str,
}

impl<'a> Line<'a> {
    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
    fn parse(text: &'a str) -> Option<Self> {
        let (left, right) = text.split_once(" - ")?;
        let mut left = left.split(' ');
        let mut right = right.split(' ');
        let id = left.next()?.parse().ok()?;
        let (major, minor) = left.nth(1)?.split_once(':')?;
        Some(Self {
            id,
            device: (major.parse().ok()?, minor.parse().ok()?),
            root: left.next()?,
            point: left.next()?,
            options: left.next()?,
            fstype: right.next()?,
            source: right.next()?,
            super_options: right.next().unwrap_or_default(),
        })
    }

    /// The mount as the engine knows it.
    pub(super) fn mount(&self) -> Mount {
        let options = join(self.options, self.super_options);
        let has = |name: &str| options.split(',').any(|option| option == name);
        Mount {
            read_only: has("ro"),
            noexec: has("noexec"),
            idmapped: has("idmapped"),
            point: unescape(self.point),
            fstype: self.fstype.to_owned(),
            root: unescape(self.root),
            source: unescape(self.source),
            options,
        }
    }
}

/// Options of mount and super block, each once.
fn join(mount: &str, super_block: &str) -> String {
    let mut seen = BTreeSet::new();
    let all = mount.split(',').chain(super_block.split(','));
    all.filter(|option| !option.is_empty() && seen.insert(*option)).collect::<Vec<_>>().join(",")
}

/// Undoes the kernel's octal escapes of space, tab, newline and backslash.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some(byte) = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            plain.push(char::from(byte));
            plain.push_str(&part[3..]);
        } else {
            plain.push('\\');
            plain.push_str(part);
        }
    }
    plain
}

/// The lines of a mountinfo text; a line that cannot be understood is passed over.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(Line::parse)
}

/// The mount with this id.
pub(super) fn by_id(text: &str, id: u64) -> Option<Mount> {
    lines(text).find(|line| line.id == id).map(|line| line.mount())
}

/// What can be said of the mount of a file when no table lists it: `chroot` hides the mount of its root.
pub(super) fn unlisted(file: impl AsFd) -> Mount {
    let flags = fstatvfs(file).map_or(StatVfsMountFlags::empty(), |stat| stat.f_flag);
    Mount { read_only: flags.contains(StatVfsMountFlags::RDONLY), noexec: flags.contains(StatVfsMountFlags::NOEXEC), ..Mount::default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const TEXT: &str = "\
        600 599 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a\n\
        601 600 0:51 / /proc rw,nosuid - proc proc rw\n\
        602 600 254:0 /var/lib/kubelet/pods/u/volumes/x\\040y /data ro,noexec,relatime,idmapped master:1 - ext4 /dev/vda rw\n\
        610 600 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        611 610 0:3 / /sys rw - sysfs sysfs rw\n\
        garbage\n";

    #[test]
    fn a_volume() {
        let mount = by_id(TEXT, 602).unwrap();
        assert_eq!(mount.root, "/var/lib/kubelet/pods/u/volumes/x y");
        assert_eq!((mount.point.as_str(), mount.fstype.as_str(), mount.source.as_str()), ("/data", "ext4", "/dev/vda"));
        assert_eq!(mount.options, "ro,noexec,relatime,idmapped,rw");
        assert!(mount.read_only && mount.noexec && mount.idmapped);
        assert!(by_id(TEXT, 1).is_none());
    }

    #[test]
    fn an_open_table_can_be_read_again() {
        let table = open(std::process::id()).unwrap();
        let text = read(&table);
        assert!(lines(&text).any(|line| line.point == "/"));
        assert_eq!(read(&table), text);
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\040b\134c"), r"a b\c");
        assert_eq!(unescape(r"a\9"), r"a\9");
        assert_eq!(unescape(r"\"), r"\");
    }
}
