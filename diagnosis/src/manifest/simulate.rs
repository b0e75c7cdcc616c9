//! Would it help? The judgement of the failing call, repeated with what a change of the manifest would make of the process
//! and of the files.

use super::{candidates::Change, chain::outside, located::Located};
use crate::{
    permission::{Attempt, Judgement, judge},
    pod::FsGroupReach,
    question::{Component, FileKind, Stop, Walk},
    record::{Creds, Errno},
};

/// What the kubelet adds to the mode of files and of directories for an fsGroup: `rwMask`, `roMask` and `execMask` of
/// `pkg/volume/volume_linux.go`.
const READ_WRITE: u32 = 0o660;
const READ_ONLY: u32 = 0o440;
const SEARCH: u32 = 0o110;
const SETGID: u32 = 0o2000;
/// A group that owns nothing: whose primary group a user has in the image is not known.
const NO_GROUP: u32 = u32::MAX - 1;

/// No rule refuses the call any more once the change is made.
pub(super) fn permits(change: &Change, attempt: &Attempt<'_>, place: Option<&Located<'_>>) -> bool {
    let (mut creds, mut walk) = (attempt.creds.clone(), attempt.walk.clone());
    apply(change, &mut creds, &mut walk, place);
    judge(&Attempt { creds: &creds, walk: &walk, ..*attempt }) == Judgement::Permitted
}

fn apply(change: &Change, creds: &mut Creds, walk: &mut Walk, place: Option<&Located<'_>>) {
    match change {
        Change::FsGroup(gid) => {
            let gid = outside(&walk.gid_map, *gid);
            creds.groups.push(gid);
            give_group(walk, place, gid);
        }
        Change::Reapply(gid) | Change::Remount(gid) => give_group(walk, place, outside(&walk.gid_map, *gid)),
        Change::Group(gid) => creds.groups.push(outside(&walk.gid_map, *gid)),
        Change::RunAs(uid) => become_user(creds, outside(&walk.uid_map, *uid)),
        Change::Readable(mode) => on_volume(walk, place, |component| {
            component.mode |= if component.kind == FileKind::File { *mode } else { 0 };
        }),
        Change::InitAs { uid, was, .. } => {
            let (uid, was) = (outside(&walk.uid_map, *uid), outside(&walk.uid_map, *was));
            below_volume(walk, place, |component| {
                if component.uid == was {
                    component.uid = uid;
                }
            });
        }
        Change::EmptyDir(directory) => cover(walk, directory),
        Change::Capability(capability) => creds.cap_effective |= 1 << capability.0,
    }
}

fn give_group(walk: &mut Walk, place: Option<&Located<'_>>, gid: u32) {
    let mask = |component: &Component, files: u32| if component.kind == FileKind::Directory { files | SEARCH | SETGID } else { files };
    let give = |component: &mut Component, files: u32| {
        component.gid = gid;
        if component.kind != FileKind::Link {
            component.mode |= mask(component, files);
        }
    };
    match place.map(Located::reach) {
        Some(FsGroupReach::Everything) => on_volume(walk, place, |component| give(component, READ_WRITE)),
        Some(FsGroupReach::Readable) => on_volume(walk, place, |component| give(component, READ_ONLY)),
        // Its top directory was open to all; who closed it since does so again.
        Some(FsGroupReach::NewDirectory) => on_volume(walk, place, |component| component.gid = gid),
        Some(FsGroupReach::Nothing) | None => {}
    }
}

fn become_user(creds: &mut Creds, uid: u32) {
    (creds.uid, creds.euid, creds.fsuid) = (uid, uid, uid);
    (creds.gid, creds.egid, creds.fsgid) = (NO_GROUP, NO_GROUP, NO_GROUP);
    creds.cap_effective = 0;
}

fn on_volume(walk: &mut Walk, place: Option<&Located<'_>>, mut change: impl FnMut(&mut Component)) {
    let Some(place) = place else { return };
    walk.components.iter_mut().filter(|component| place.holds(&component.path)).for_each(&mut change);
}

/// All that lies below the directory of the volume itself.
fn below_volume(walk: &mut Walk, place: Option<&Located<'_>>, mut change: impl FnMut(&mut Component)) {
    let Some(place) = place else { return };
    let is_below = |path: &str| place.holds(path) && path.trim_end_matches('/') != place.mount.path.trim_end_matches('/');
    walk.components.iter_mut().filter(|component| is_below(&component.path)).for_each(&mut change);
}

/// A new emptyDir (root's, 0777) at a directory: what the image has there is hidden.
fn cover(walk: &mut Walk, directory: &str) {
    let Some(at) = walk.components.iter().position(|component| component.path == directory) else {
        return make(walk, directory);
    };
    let hidden = walk.components.get(at + 1).map(|component| component.path.clone());
    walk.components.truncate(at + 1);
    if let Some(root) = walk.components.last_mut() {
        (root.uid, root.gid, root.mode) = (0, 0, 0o777);
        root.acl.clear();
    }
    if let Some(path) = hidden {
        walk.stopped = Some(Stop { path, errno: Errno::ENOENT, alike: Vec::new() });
    }
}

/// A new emptyDir where nothing is: the runtime makes the directory, and what the program makes, it makes in there.
fn make(walk: &mut Walk, directory: &str) {
    let Some(parent) = walk.components.last().cloned().filter(|_| walk.stopped.as_ref().is_some_and(|stop| stop.path == directory)) else {
        return;
    };
    let acl = Vec::new();
    walk.components.push(Component { path: directory.to_owned(), uid: 0, gid: 0, mode: 0o777, acl, ..parent });
    walk.stopped = Some(Stop { path: format!("{directory}/x"), errno: Errno::ENOENT, alike: Vec::new() });
}
