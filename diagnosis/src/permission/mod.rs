//! Which component of a path, and which rule, denied a call.
//!
//! Pure evaluation: a [`Walk`] over the live file system, the [`Creds`] captured at the failure, the call with its
//! argument and its errno go in, a [`Judgement`] comes out. The rules are the kernel's, in the kernel's order:
//!
//! - [`bits`]: `generic_permission` and `acl_permission_check` of `fs/namei.c`, `posix_acl_permission` of `fs/posix_acl.c`;
//! - [`rights`]: who the process is to an inode: `capable_wrt_inode_uidgid` of `kernel/capability.c`, `in_group_p`;
//! - [`paths`]: which directories the call passed, and which is the parent of what it wanted;
//! - [`steps`]: what each call asks of them: `may_open`, `may_create`, `may_delete`, `setattr_prepare` …
//!
//! A rule counts only if it refuses with the errno that was seen: mode bits say EACCES, ownership says EPERM. What no
//! rule here explains is [`Judgement::Permitted`], never a guess; a walk that could not see the place is
//! [`Judgement::Unseen`].

pub mod bits;
pub mod capability;
pub mod open_flags;
pub mod paths;
pub mod rights;
mod steps;
#[cfg(test)]
mod tests;

use crate::{
    question::{AclTag, Component, Walk},
    record::{Call, Creds, Errno},
};
pub use capability::Capability;
pub use rights::Rights;

/// Permission bits as in the mode: 4 read, 2 write, 1 execute or search (`MAY_READ`, `MAY_WRITE`, `MAY_EXEC`).
pub type Want = u8;
pub const READ: Want = 4;
pub const WRITE: Want = 2;
/// Execute a file, search a directory.
pub const EXEC: Want = 1;

/// A call that was refused, and what was seen of its path afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// What was tried.
    pub call: Call,
    /// Flags, mode or ids: see `unready_agent_common::call::Call`.
    pub arg: u64,
    /// What the kernel said.
    pub errno: Errno,
    /// With whose rights.
    pub creds: &'a Creds,
    /// The path as the process gave it: a relative one needs no search permission above where it starts.
    pub given: &'a str,
    /// Which of a call's paths this is.
    pub role: Role,
    /// What is there.
    pub walk: &'a Walk,
}

/// Which of a call's paths is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The only one.
    Only,
    /// The existing file of rename and link.
    From,
    /// The new name of rename, link and symlink.
    To,
}

/// What the evaluation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// This rule refuses, now as then.
    Denied(Box<Denial>),
    /// No rule that can be evaluated from outside refuses it with this errno.
    Permitted,
    /// The walk could not see the place; why, as a clause.
    Unseen(String),
}

/// A rule that refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub layer: Layer,
    /// On which component.
    pub at: Component,
    /// What the call needed there.
    pub purpose: Purpose,
    /// Which permission was wanted and is not given; 0 where the rule is not about permission bits.
    pub missing: Want,
    /// The errno that this rule answers with.
    pub errno: Errno,
    /// What is not known and could make another rule the reason.
    pub doubt: Option<Doubt>,
}

/// What an evaluation lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The process has more groups than were captured.
    Groups,
    /// The map of its user namespace could not be read any more.
    IdMap,
}

/// The rule, with what it was decided by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The mode bits of this class.
    ModeBits(Class),
    /// The mode bits permit the group, and the process is not in it.
    SupplementaryGroup {
        /// The group, an id of the initial namespace.
        gid: u32,
    },
    /// A POSIX ACL's entry.
    Acl {
        /// Which entry decided.
        tag: AclTag,
        /// What it grants by itself.
        perm: Want,
        /// The mask, where it took something away from this entry.
        masked_by: Option<Want>,
    },
    /// Only the owner may.
    Ownership,
    /// Only the owner of the file or of the sticky directory may.
    Sticky {
        /// The sticky directory.
        directory: Box<Component>,
    },
    /// A hardening rule of `fs.protected_*`; whether it is switched on was not read.
    Sysctl(&'static str),
    /// The file may not be changed (chattr +i).
    Immutable,
    /// The file may only be appended to (chattr +a).
    AppendOnly,
    /// Root, or a call that always needs it, without this capability.
    Capability(Capability),
    /// The process has the capability, but its user namespace does not know the inode's owner or group.
    UserNamespace {
        /// The capability that does not reach the inode.
        capability: Capability,
        /// The owner as the namespace shows it; `None`: not mapped.
        uid_inside: Option<u32>,
        /// The group as the namespace shows it; `None`: not mapped.
        gid_inside: Option<u32>,
    },
    /// The mount refuses it: `noexec` or `nodev`.
    MountFlag(&'static str),
}

/// Which of the three classes of mode bits applies, inode(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Owner,
    Group,
    Other,
}

/// What was wanted of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Pass through a directory on the way to the path.
    Pass,
    /// Make a name in this directory.
    Create,
    /// Take a name out of this directory, or replace one.
    Remove,
    /// Open, read or write the thing itself.
    Use,
    /// Execute the file.
    Execute,
    /// Change its mode, owner, time or length.
    Change,
    /// Follow a link.
    Follow,
}

/// Evaluates a call with a path.
///
/// ```
/// # use unready_diagnosis::{permission::*, question::*, record::*};
/// let mut root = Component { path: "/".into(), kind: FileKind::Directory, mode: 0o755, uid: 0, gid: 0, acl: vec![],
///     immutable: false, append_only: false, link: None, mount: Mount::default(), born: None, changed: None };
/// let walk = Walk { resolved: Some("/f".into()), components: vec![root.clone()], stopped: Some(Stop {
///     path: "/f".into(), errno: Errno::ENOENT, alike: vec![] }), ..Walk::default() };
/// let creds = Creds { uid: 1000, euid: 1000, fsuid: 1000, ..Creds::default() };
/// let attempt = Attempt { call: Call::Mkdir, arg: 0o755, errno: Errno::EACCES, creds: &creds, given: "/f",
///     role: Role::Only, walk: &walk };
/// let Judgement::Denied(denial) = judge(&attempt) else { panic!("root's directory lets user 1000 make nothing") };
/// assert_eq!(denial.missing, WRITE);
/// ```
pub fn judge(attempt: &Attempt<'_>) -> Judgement {
    let place = match paths::locate(attempt) {
        Ok(place) => place,
        Err(why) => return Judgement::Unseen(why),
    };
    let rights = Rights::of(attempt);
    match steps::denials(attempt, &rights, &place).into_iter().find(|denial| denial.errno == attempt.errno) {
        Some(denial) => Judgement::Denied(Box::new(denial)),
        None => Judgement::Permitted,
    }
}
