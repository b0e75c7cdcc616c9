//! Mode bits and ACL of one inode against one process.

use super::{Capability, Class, EXEC, Layer, READ, Rights, WRITE, Want, rights::Reach};
use crate::question::{AclEntry, AclTag, Component, FileKind};

/// A refusal by one inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub layer: Layer,
    /// What was wanted and is not given.
    pub missing: Want,
}

/// What mode bits and ACL say, before capabilities are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decision {
    class: Class,
    acl: Option<(AclTag, Want, Option<Want>)>,
    granted: Want,
}

/// `generic_permission` of `fs/namei.c`: mode bits and ACL first, then the capabilities that override them.
pub fn check(rights: &Rights<'_>, inode: &Component, want: Want) -> Result<(), Refusal> {
    let decision = decide(rights, inode, want);
    let missing = want & !decision.granted;
    if missing == 0 {
        return Ok(());
    }
    let layer = match overriding(rights, inode, want) {
        Reach::Reaches => return Ok(()),
        Reach::Unmapped => Layer::UserNamespace {
            capability: Capability::DAC_OVERRIDE,
            uid_inside: rights.uid_inside(inode.uid),
            gid_inside: rights.gid_inside(inode.gid),
        },
        Reach::Lacking if rights.is_root() && capability_would_help(inode, want) => Layer::Capability(Capability::DAC_OVERRIDE),
        Reach::Lacking => without_capability(rights, inode, decision, want),
    };
    Err(Refusal { layer, missing })
}

/// `acl_permission_check` of `fs/namei.c`. The class that fits first decides alone: an owner whose own bits are weaker
/// than those of others is denied.
fn decide(rights: &Rights<'_>, inode: &Component, want: Want) -> Decision {
    if inode.uid == rights.uid {
        return Decision { class: Class::Owner, acl: None, granted: bits(inode.mode, Class::Owner) };
    }
    // The kernel skips the ACL when the group bits (which are then its mask) grant nothing.
    if !inode.acl.is_empty() && bits(inode.mode, Class::Group) != 0 {
        return decide_by_acl(rights, inode, want);
    }
    let class = if rights.in_group(inode.gid) { Class::Group } else { Class::Other };
    Decision { class, acl: emptied_entry(rights, inode, want), granted: bits(inode.mode, class) }
}

/// An entry that would give what is wanted, were the mask not empty: what the reader of `getfacl` sees.
fn emptied_entry(rights: &Rights<'_>, inode: &Component, want: Want) -> Option<(AclTag, Want, Option<Want>)> {
    let of_process = |entry: &&AclEntry| match entry.tag {
        AclTag::User(uid) => uid == rights.uid,
        AclTag::Group(gid) => rights.in_group(gid),
        AclTag::GroupObj => rights.in_group(inode.gid),
        AclTag::UserObj | AclTag::Mask | AclTag::Other => false,
    };
    inode.acl.iter().filter(of_process).find(|entry| entry.perm & want == want).map(|entry| (entry.tag, entry.perm, Some(0)))
}

/// `posix_acl_permission` of `fs/posix_acl.c`: a named user first; then any group entry of the process that grants all
/// that is wanted; others only if no group entry fitted at all. The mask bounds all but owner and others.
fn decide_by_acl(rights: &Rights<'_>, inode: &Component, want: Want) -> Decision {
    if let Some(entry) = inode.acl.iter().find(|entry| entry.tag == AclTag::User(rights.uid)) {
        return masked(inode, *entry, Class::Group);
    }
    let mut groups = inode.acl.iter().filter(|entry| match entry.tag {
        AclTag::GroupObj => rights.in_group(inode.gid),
        AclTag::Group(gid) => rights.in_group(gid),
        AclTag::UserObj | AclTag::User(_) | AclTag::Mask | AclTag::Other => false,
    });
    let first = groups.clone().next();
    if let Some(entry) = groups.find(|entry| entry.perm & want == want).or(first) {
        return masked(inode, *entry, Class::Group);
    }
    let perm = entry_of(inode, AclTag::Other).unwrap_or(bits(inode.mode, Class::Other));
    Decision { class: Class::Other, acl: Some((AclTag::Other, perm, None)), granted: perm }
}

fn masked(inode: &Component, entry: AclEntry, class: Class) -> Decision {
    let mask = entry_of(inode, AclTag::Mask);
    let granted = entry.perm & mask.unwrap_or(7);
    Decision { class, acl: Some((entry.tag, entry.perm, mask.filter(|_| granted != entry.perm))), granted }
}

fn entry_of(inode: &Component, tag: AclTag) -> Option<Want> {
    inode.acl.iter().find(|entry| entry.tag == tag).map(|entry| entry.perm)
}

/// The bits of a class.
pub const fn bits(mode: u32, class: Class) -> Want {
    let shift = match class {
        Class::Owner => 6,
        Class::Group => 3,
        Class::Other => 0,
    };
    (mode >> shift & 7) as Want
}

/// Which capability would override the refusal, and whether it reaches: `CAP_DAC_READ_SEARCH` for reading files and for
/// reading and searching directories, `CAP_DAC_OVERRIDE` for all but executing a file without any x bit.
fn overriding(rights: &Rights<'_>, inode: &Component, want: Want) -> Reach {
    let read_search = if inode.kind == FileKind::Directory { want & WRITE == 0 } else { want == READ };
    let by_read = if read_search { rights.reach(Capability::DAC_READ_SEARCH, inode) } else { Reach::Lacking };
    let by_override = if capability_would_help(inode, want) { rights.reach(Capability::DAC_OVERRIDE, inode) } else { Reach::Lacking };
    match (by_read, by_override) {
        (Reach::Reaches, _) | (_, Reach::Reaches) => Reach::Reaches,
        (Reach::Unmapped, _) | (_, Reach::Unmapped) => Reach::Unmapped,
        (Reach::Lacking, Reach::Lacking) => Reach::Lacking,
    }
}

const fn capability_would_help(inode: &Component, want: Want) -> bool {
    matches!(inode.kind, FileKind::Directory) || want & EXEC == 0 || inode.mode & 0o111 != 0
}

fn without_capability(rights: &Rights<'_>, inode: &Component, decision: Decision, want: Want) -> Layer {
    if decision.class == Class::Other
        && let Some(gid) = permitted_group(rights, inode, want)
    {
        return Layer::SupplementaryGroup { gid };
    }
    match decision.acl {
        Some((tag, perm, masked_by)) => Layer::Acl { tag, perm, masked_by },
        None => Layer::ModeBits(decision.class),
    }
}

/// The group that is allowed what is wanted: the inode's own, or one that the ACL names.
fn permitted_group(rights: &Rights<'_>, inode: &Component, want: Want) -> Option<u32> {
    if inode.acl.is_empty() {
        return (bits(inode.mode, Class::Group) & want == want).then_some(inode.gid);
    }
    let mask = entry_of(inode, AclTag::Mask).unwrap_or(7);
    inode.acl.iter().filter(|entry| entry.perm & mask & want == want).find_map(|entry| match entry.tag {
        AclTag::GroupObj if !rights.in_group(inode.gid) => Some(inode.gid),
        AclTag::Group(gid) if !rights.in_group(gid) => Some(gid),
        AclTag::GroupObj | AclTag::Group(_) | AclTag::UserObj | AclTag::User(_) | AclTag::Mask | AclTag::Other => None,
    })
}
