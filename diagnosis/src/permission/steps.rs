//! What each call asks of the components of its path, in the kernel's order.

use super::{
    Attempt, Capability, Class, Denial, Doubt, EXEC, Layer, Purpose, READ, Rights, Role, WRITE, Want,
    bits::{self, Refusal},
    paths::Located,
    rights::Reach,
};
use crate::{
    question::{Component, FileKind},
    record::{Call, Errno},
};

/// Everything that refuses, in the order in which the kernel would meet it.
pub(super) fn denials(attempt: &Attempt<'_>, rights: &Rights<'_>, place: &Located<'_>) -> Vec<Denial> {
    let mut found = Found { rights, denials: Vec::new() };
    for directory in &place.passed {
        found.bits(directory, EXEC, Purpose::Pass);
    }
    for (link, directory) in &place.followed {
        found.protected_link(link, *directory);
    }
    last(attempt, place, &mut found);
    found.denials
}

fn last(attempt: &Attempt<'_>, place: &Located<'_>, found: &mut Found<'_>) {
    match attempt.call {
        Call::Open => open(attempt.arg, place, found),
        Call::Access => access(attempt.arg, place, found),
        Call::Exec => execute(place, found),
        Call::Mknod => make_node(attempt, place, found),
        Call::Rename if attempt.role == Role::To && place.target.is_none() => create(place, found),
        Call::Unlink | Call::Rmdir | Call::Rename => remove(place, found),
        Call::Link if attempt.role == Role::From => link_source(place, found),
        Call::Mkdir | Call::Symlink | Call::Bind | Call::Link => create(place, found),
        Call::Chmod | Call::Chown => change(attempt, place, found),
        Call::Truncate => truncate(place, found),
        Call::Chdir => use_target(place, EXEC, found),
        Call::Readdir => use_target(place, READ, found),
        Call::Connect => use_target(place, WRITE, found),
        Call::Stat
        | Call::Readlink
        | Call::Setuid
        | Call::Setgid
        | Call::Setgroups
        | Call::Write
        | Call::Sync
        | Call::Read
        | Call::Socket
        | Call::Accept
        | Call::Clone => {}
    }
}

/// `path_openat`, `may_open` and `may_create_in_sticky` of `fs/namei.c`.
fn open(flags: u64, place: &Located<'_>, found: &mut Found<'_>) {
    use super::open_flags::{ACCMODE, APPEND, CREAT, NOATIME, PATH, TMPFILE, TRUNC};
    if flags & PATH != 0 {
        return;
    }
    let Some(inode) = place.target else {
        if flags & CREAT != 0 {
            create(place, found);
        }
        return;
    };
    if flags & TMPFILE != 0 {
        return found.bits(inode, WRITE | EXEC, Purpose::Create);
    }
    if matches!(inode.kind, FileKind::CharDevice | FileKind::BlockDevice) && has_option(inode, "nodev") {
        found.push(Layer::MountFlag("nodev"), inode, Purpose::Use, Errno::EACCES);
    }
    let truncating = if flags & TRUNC != 0 { WRITE } else { 0 };
    let want = truncating
        | match flags & ACCMODE {
            0 => READ,
            1 => WRITE,
            _ => READ | WRITE,
        };
    found.bits(inode, want, Purpose::Use);
    if inode.append_only && want & WRITE != 0 && (flags & APPEND == 0 || truncating != 0) {
        found.push(Layer::AppendOnly, inode, Purpose::Use, Errno::EPERM);
    }
    if flags & NOATIME != 0 {
        found.ownership(inode);
    }
    if flags & CREAT != 0 {
        found.protected_create(inode, place.parent);
    }
}

/// `do_faccessat` of `fs/open.c`.
fn access(mode: u64, place: &Located<'_>, found: &mut Found<'_>) {
    let Some(inode) = place.target else { return };
    let want = (mode & 7) as Want;
    if want & EXEC != 0 && inode.kind == FileKind::File && inode.mount.noexec {
        found.push(Layer::MountFlag("noexec"), inode, Purpose::Execute, Errno::EACCES);
    }
    found.bits(inode, want, Purpose::Use);
}

/// `do_open_execat` of `fs/exec.c`.
fn execute(place: &Located<'_>, found: &mut Found<'_>) {
    let Some(inode) = place.target else { return };
    found.bits(inode, EXEC, Purpose::Execute);
    if inode.mount.noexec {
        found.push(Layer::MountFlag("noexec"), inode, Purpose::Execute, Errno::EACCES);
    }
}

/// `may_create` of `fs/namei.c`.
fn create(place: &Located<'_>, found: &mut Found<'_>) {
    if (place.only_last_missing || place.target.is_some())
        && let Some(directory) = place.parent
    {
        found.bits(directory, WRITE | EXEC, Purpose::Create);
    }
}

/// `vfs_mknod`: devices are for those who may make them in the initial user namespace.
fn make_node(attempt: &Attempt<'_>, place: &Located<'_>, found: &mut Found<'_>) {
    create(place, found);
    let is_device = matches!(attempt.arg & 0o170_000, 0o020_000 | 0o060_000);
    let may = found.rights.has(Capability::MKNOD) && !found.rights.namespaced;
    if let (true, false, Some(directory)) = (is_device, may, place.parent) {
        let layer = found.capability_or_namespace(Capability::MKNOD, directory);
        found.push(layer, directory, Purpose::Create, Errno::EPERM);
    }
}

/// `may_delete` of `fs/namei.c`.
fn remove(place: &Located<'_>, found: &mut Found<'_>) {
    let (Some(directory), Some(inode)) = (place.parent, place.target) else { return };
    found.bits(directory, WRITE | EXEC, Purpose::Remove);
    found.flags(directory, Purpose::Remove, |c| c.append_only);
    found.sticky(inode, directory);
    found.flags(inode, Purpose::Remove, |c| c.append_only || c.immutable);
}

/// `may_linkat` and `vfs_link` of `fs/namei.c`.
fn link_source(place: &Located<'_>, found: &mut Found<'_>) {
    let Some(inode) = place.target else { return };
    found.flags(inode, Purpose::Use, |c| c.append_only || c.immutable);
    let set_id = inode.mode & 0o4000 != 0 || inode.mode & 0o2010 == 0o2010;
    let safe = inode.kind == FileKind::File && !set_id && bits::check(found.rights, inode, READ | WRITE).is_ok();
    if !safe && found.rights.owns(inode) != Reach::Reaches {
        found.push(Layer::Sysctl("fs.protected_hardlinks"), inode, Purpose::Use, Errno::EPERM);
    }
}

/// `notify_change` of `fs/attr.c`: flags before everything.
fn change(attempt: &Attempt<'_>, place: &Located<'_>, found: &mut Found<'_>) {
    let Some(inode) = place.target else { return };
    found.flags(inode, Purpose::Change, |c| c.append_only || c.immutable);
    if attempt.call == Call::Chown {
        chown(attempt.arg, inode, found);
    } else {
        found.ownership(inode);
    }
}

/// `chown_ok` and `chgrp_ok` of `fs/attr.c`: an owner may give the file to a group of his own, and nothing else.
fn chown(arg: u64, inode: &Component, found: &mut Found<'_>) {
    let (uid, gid) = ((arg >> 32) as u32, arg as u32);
    let rights = found.rights;
    let wanted_uid = (uid != u32::MAX).then_some(uid);
    let wanted_gid = (gid != u32::MAX).then_some(gid);
    let is_owner = inode.uid == rights.uid;
    // The ids of the call are those of the process's namespace; the inode's are shown as it sees them.
    let keeps_owner = wanted_uid.is_none_or(|uid| is_owner && rights.uid_inside(inode.uid) == Some(uid));
    let own_group = |gid| rights.gid_inside(inode.gid) == Some(gid) || found.rights_group_inside(gid);
    let keeps_group = wanted_gid.is_none_or(|gid| is_owner && own_group(gid));
    if (keeps_owner && keeps_group) || rights.reach(Capability::CHOWN, inode) == Reach::Reaches {
        return;
    }
    let only_group = wanted_uid.is_none() && !is_owner && !rights.is_root();
    let layer = if only_group { Layer::Ownership } else { found.capability_or_namespace(Capability::CHOWN, inode) };
    found.push(layer, inode, Purpose::Change, Errno::EPERM);
}

fn truncate(place: &Located<'_>, found: &mut Found<'_>) {
    let Some(inode) = place.target else { return };
    found.bits(inode, WRITE, Purpose::Change);
    found.flags(inode, Purpose::Change, |c| c.append_only);
}

fn use_target(place: &Located<'_>, want: Want, found: &mut Found<'_>) {
    if let Some(inode) = place.target {
        found.bits(inode, want, Purpose::Use);
    }
}

/// Whether a mount has this option.
fn has_option(inode: &Component, option: &str) -> bool {
    inode.mount.options.split(',').any(|o| o == option)
}

/// Collects refusals.
struct Found<'a> {
    rights: &'a Rights<'a>,
    denials: Vec<Denial>,
}

impl Found<'_> {
    fn push(&mut self, layer: Layer, at: &Component, purpose: Purpose, errno: Errno) {
        self.deny(Refusal { layer, missing: 0 }, at, purpose, errno);
    }

    fn deny(&mut self, Refusal { layer, missing }: Refusal, at: &Component, purpose: Purpose, errno: Errno) {
        let doubt = match &layer {
            Layer::UserNamespace { .. } => self.rights.lacks_map().then_some(Doubt::IdMap),
            // A group that was not captured could have let it pass, and then another rule refused.
            Layer::ModeBits(Class::Group | Class::Other) | Layer::SupplementaryGroup { .. } | Layer::Acl { .. } | Layer::Capability(_) => {
                (self.rights.groups_cut && missing != 0).then_some(Doubt::Groups)
            }
            Layer::ModeBits(Class::Owner)
            | Layer::Ownership
            | Layer::Sticky { .. }
            | Layer::Sysctl(_)
            | Layer::Immutable
            | Layer::AppendOnly
            | Layer::MountFlag(_) => None,
        };
        self.denials.push(Denial { layer, at: at.clone(), purpose, missing, errno, doubt });
    }

    /// `inode_permission` of `fs/namei.c`: nobody writes to what is immutable, then mode bits and ACL.
    fn bits(&mut self, at: &Component, want: Want, purpose: Purpose) {
        if want & WRITE != 0 && at.immutable {
            self.push(Layer::Immutable, at, purpose, Errno::EPERM);
        }
        if let Err(refusal) = bits::check(self.rights, at, want) {
            self.deny(refusal, at, purpose, Errno::EACCES);
        }
    }

    fn flags(&mut self, at: &Component, purpose: Purpose, refuses: impl Fn(&Component) -> bool) {
        if refuses(at) {
            let layer = if at.immutable { Layer::Immutable } else { Layer::AppendOnly };
            self.push(layer, at, purpose, Errno::EPERM);
        }
    }

    /// `inode_owner_or_capable`.
    fn ownership(&mut self, at: &Component) {
        let layer = match self.rights.owns(at) {
            Reach::Reaches => return,
            Reach::Lacking if !self.rights.is_root() => Layer::Ownership,
            Reach::Lacking | Reach::Unmapped => self.capability_or_namespace(Capability::FOWNER, at),
        };
        self.push(layer, at, Purpose::Change, Errno::EPERM);
    }

    /// `__check_sticky` of `fs/namei.c`.
    fn sticky(&mut self, inode: &Component, directory: &Component) {
        let rights = self.rights;
        if directory.mode & 0o1000 == 0 || inode.uid == rights.uid || directory.uid == rights.uid {
            return;
        }
        let layer = match rights.reach(Capability::FOWNER, inode) {
            Reach::Reaches => return,
            Reach::Lacking if !rights.is_root() => Layer::Sticky { directory: Box::new(directory.clone()) },
            Reach::Lacking | Reach::Unmapped => self.capability_or_namespace(Capability::FOWNER, inode),
        };
        self.push(layer, inode, Purpose::Remove, Errno::EPERM);
    }

    /// `may_create_in_sticky` of `fs/namei.c` (`fs.protected_regular`, `fs.protected_fifos`): no capability helps.
    fn protected_create(&mut self, inode: &Component, directory: Option<&Component>) {
        let name = match inode.kind {
            FileKind::File => "fs.protected_regular",
            FileKind::Fifo => "fs.protected_fifos",
            FileKind::Directory | FileKind::Link | FileKind::Socket | FileKind::CharDevice | FileKind::BlockDevice | FileKind::Other => {
                return;
            }
        };
        let Some(directory) = directory.filter(|d| d.mode & 0o1000 != 0 && d.mode & 0o022 != 0) else { return };
        if inode.uid != directory.uid && inode.uid != self.rights.uid {
            self.push(Layer::Sysctl(name), inode, Purpose::Use, Errno::EACCES);
        }
    }

    /// `may_follow_link` of `fs/namei.c` (`fs.protected_symlinks`).
    fn protected_link(&mut self, link: &Component, directory: Option<&Component>) {
        let Some(directory) = directory.filter(|d| d.mode & 0o1002 == 0o1002) else { return };
        if link.uid != self.rights.uid && link.uid != directory.uid {
            self.push(Layer::Sysctl("fs.protected_symlinks"), link, Purpose::Follow, Errno::EACCES);
        }
    }

    fn capability_or_namespace(&self, capability: Capability, at: &Component) -> Layer {
        if self.rights.has(capability) {
            let (uid_inside, gid_inside) = (self.rights.uid_inside(at.uid), self.rights.gid_inside(at.gid));
            Layer::UserNamespace { capability, uid_inside, gid_inside }
        } else {
            Layer::Capability(capability)
        }
    }

    fn rights_group_inside(&self, gid: u32) -> bool {
        let own = std::iter::once(&self.rights.gid).chain(self.rights.groups);
        own.into_iter().any(|outside| self.rights.gid_inside(*outside) == Some(gid))
    }
}
