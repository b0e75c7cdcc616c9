//! Who a process is to an inode: ids, groups, capabilities, and how far the capabilities reach.

use super::{Attempt, Capability};
use crate::{
    question::{Component, IdRange, Walk},
    record::{Call, Creds},
};

/// Inode number of the initial user namespace: `PROC_USER_INIT_INO` of `include/uapi/linux/nsfs.h` (`0xEFFF_FFFD`).
pub const INITIAL_USER_NS: u32 = 4_026_531_837;

/// The rights that count for one call.
#[derive(Clone, Copy, Debug)]
pub struct Rights<'a> {
    /// The user id that is compared with owners.
    pub uid: u32,
    /// The group id that is compared with groups.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: &'a [u32],
    /// There are more groups than these.
    pub groups_cut: bool,
    /// Effective capabilities.
    pub capabilities: u64,
    /// The process lives in a user namespace of its own.
    pub namespaced: bool,
    /// What the namespace maps; empty with `namespaced`: not known.
    uid_map: &'a [IdRange],
    gid_map: &'a [IdRange],
}

/// Whether a capability helps with an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It does.
    Reaches,
    /// The process does not have it.
    Lacking,
    /// The process has it in a namespace that does not know the inode's owner or group.
    Unmapped,
}

impl<'a> Rights<'a> {
    /// The rights with which the kernel judges this call.
    ///
    /// File access goes by fsuid and fsgid. access(2) goes by the real ids, and without capabilities unless the real
    /// user is root (`access_override_creds` of `fs/open.c`); `AT_EACCESS` cannot be seen from the records.
    pub fn of(attempt: &Attempt<'a>) -> Self {
        Self::new(attempt.call, attempt.creds, attempt.walk)
    }

    /// The same from its parts.
    pub fn new(call: Call, creds: &'a Creds, walk: &'a Walk) -> Self {
        let by_real = call == Call::Access;
        let (uid, gid) = if by_real { (creds.uid, creds.gid) } else { (creds.fsuid, creds.fsgid) };
        let mut rights = Self {
            uid,
            gid,
            groups: &creds.groups,
            groups_cut: creds.groups_cut,
            capabilities: creds.cap_effective,
            namespaced: is_namespaced(creds, &walk.uid_map),
            uid_map: &walk.uid_map,
            gid_map: &walk.gid_map,
        };
        if by_real && !rights.is_root() {
            rights.capabilities = 0;
        }
        rights
    }

    /// User 0 of its namespace: expects to be allowed everything.
    pub fn is_root(&self) -> bool {
        if self.namespaced { self.uid_inside(self.uid) == Some(0) } else { self.uid == 0 }
    }

    /// `in_group_p` of `kernel/groups.c`.
    pub fn in_group(&self, gid: u32) -> bool {
        gid == self.gid || self.groups.contains(&gid)
    }

    /// Has the capability, whatever it reaches.
    pub const fn has(&self, capability: Capability) -> bool {
        capability.is_in(self.capabilities)
    }

    /// `capable_wrt_inode_uidgid` of `kernel/capability.c`: in a namespace of its own a process has power only over
    /// inodes whose owner *and* group that namespace maps.
    pub fn reach(&self, capability: Capability, inode: &Component) -> Reach {
        if !self.has(capability) {
            Reach::Lacking
        } else if self.knows_uid(inode.uid) && self.knows_gid(inode.gid) {
            Reach::Reaches
        } else {
            Reach::Unmapped
        }
    }

    /// `inode_owner_or_capable` of `fs/inode.c`: here the owner alone must be mapped.
    pub fn owns(&self, inode: &Component) -> Reach {
        if inode.uid == self.uid {
            Reach::Reaches
        } else if !self.has(Capability::FOWNER) {
            Reach::Lacking
        } else if self.knows_uid(inode.uid) {
            Reach::Reaches
        } else {
            Reach::Unmapped
        }
    }

    /// A uid of the initial namespace as the process sees it.
    pub fn uid_inside(&self, uid: u32) -> Option<u32> {
        if self.namespaced { inside(self.uid_map, uid) } else { Some(uid) }
    }

    /// A gid of the initial namespace as the process sees it.
    pub fn gid_inside(&self, gid: u32) -> Option<u32> {
        if self.namespaced { inside(self.gid_map, gid) } else { Some(gid) }
    }

    /// The map of its user namespace is not known: a process that is gone has none. Then the capabilities are taken to
    /// reach nothing, because the call *was* refused; the denial carries the doubt.
    pub const fn lacks_map(&self) -> bool {
        self.namespaced && self.uid_map.is_empty()
    }

    fn knows_uid(&self, uid: u32) -> bool {
        self.uid_inside(uid).is_some()
    }

    fn knows_gid(&self, gid: u32) -> bool {
        self.gid_inside(gid).is_some()
    }
}

/// Whether the process lives in a user namespace other than the initial one.
pub fn is_namespaced(creds: &Creds, uid_map: &[IdRange]) -> bool {
    match creds.user_ns {
        INITIAL_USER_NS => false,
        0 => !uid_map.is_empty() && !is_identity(uid_map),
        _ => true,
    }
}

/// An id of the initial namespace as a map shows it inside.
pub fn inside(map: &[IdRange], outside: u32) -> Option<u32> {
    map.iter().find_map(|range| {
        let offset = outside.checked_sub(range.outside)?;
        (offset < range.count).then(|| range.inside.saturating_add(offset))
    })
}

/// The map of the initial namespace: `0 0 4294967295`.
fn is_identity(map: &[IdRange]) -> bool {
    matches!(map, [IdRange { inside: 0, outside: 0, count: u32::MAX }])
}
