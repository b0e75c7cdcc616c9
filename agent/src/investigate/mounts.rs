//! Mounts of a container: `/proc/PID/mountinfo`, parsed when asked, kept as text.
//!
//! Flags are asked of the kernel again at the time of the question (`fstatvfs` of the component itself): a runtime makes
//! mounts read-only after the text was read.

use rustix::fs::{StatVfsMountFlags, fstatvfs};
use std::{collections::BTreeSet, os::fd::AsFd};
use unready_diagnosis::question::Mount;

/// Longest text of a container that is kept, bytes.
pub(super) const MAX_TEXT: usize = 64 * 1024;

/// Longest text that is read, bytes: a node with hundreds of pods has some 100 KiB.
pub(super) const MAX_READ: u64 = 4 << 20;

/// A line of mountinfo, proc(5).
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) id: u64,
    pub(super) parent: u64,
    pub(super) device: (u32, u32),
    root: &'a str,
    pub(super) point: &'a str,
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
        let (id, parent) = (left.next()?.parse().ok()?, left.next()?.parse().ok()?);
        let (major, minor) = left.next()?.split_once(':')?;
        Some(Self {
            id,
            parent,
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

/// The part of a mount table that hangs below a container's root: what is kept of a table read right after
/// `pivot_root`, when the old root, with all mounts of the node, is still stacked on the new one.
pub(super) fn below_root(text: &str, root: Option<u64>) -> Box<str> {
    let Some(root) = root.filter(|root| lines(text).any(|line| line.id == *root)) else {
        return cut(text).into();
    };
    let mut inside = BTreeSet::from([root]);
    let mut kept = String::new();
    for raw in text.lines() {
        // Parents come before their children: the kernel lists a tree from its root.
        let Some(line) = Line::parse(raw) else { continue };
        let stacked_on_root = line.parent == root && line.point == "/";
        let is_inside = line.id == root || (inside.contains(&line.parent) && !stacked_on_root);
        if is_inside && kept.len() + raw.len() < MAX_TEXT {
            inside.insert(line.id);
            kept.push_str(raw);
            kept.push('\n');
        }
    }
    kept.into()
}

/// Whole lines within what is kept.
fn cut(text: &str) -> &str {
    if text.len() <= MAX_TEXT {
        return text;
    }
    let end = text.as_bytes()[..MAX_TEXT].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    &text[..end]
}

/// The mount with this id.
pub(super) fn by_id(text: &str, id: u64) -> Option<Mount> {
    lines(text).find(|line| line.id == id).map(|line| line.mount())
}

/// Brings a mount's flags up to date with what the kernel says of a file on it.
pub(super) fn refresh(mount: &mut Mount, file: impl AsFd) {
    let Ok(stat) = fstatvfs(file) else { return };
    let read_only = stat.f_flag.contains(StatVfsMountFlags::RDONLY);
    if read_only != mount.read_only {
        let (old, new) = if read_only { ("rw", "ro") } else { ("ro", "rw") };
        let options = mount.options.split(',').map(|option| if option == old { new } else { option });
        mount.options = join(&options.collect::<Vec<_>>().join(","), "");
        mount.read_only = read_only;
    }
    mount.noexec = stat.f_flag.contains(StatVfsMountFlags::NOEXEC);
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
    fn the_old_root_is_left_out() {
        let kept = below_root(TEXT, Some(600));
        assert_eq!(lines(&kept).map(|line| line.id).collect::<Vec<_>>(), [600, 601, 602]);
        assert_eq!(&*below_root(TEXT, None), TEXT);
    }

    #[test]
    fn long_tables_are_cut_at_a_line() {
        let text = TEXT.repeat(400);
        let kept = cut(&text);
        assert!(kept.len() <= MAX_TEXT && kept.ends_with('\n') && kept.len() > MAX_TEXT - 200);
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\040b\134c"), r"a b\c");
        assert_eq!(unescape(r"a\9"), r"a\9");
        assert_eq!(unescape(r"\"), r"\");
    }
}
