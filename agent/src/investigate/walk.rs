//! The path walk: every component of a path with what decides over access to it.

use super::{acl, metadata::mode, mounts, rootfs::Node, view::View};
use rustix::fs::{Statx, StatxAttributes, StatxFlags, StatxTimestamp};
use std::{collections::BTreeMap, os::fd::AsFd};
use unready_diagnosis::{
    question::{Component, FileKind, Mount, Stop, Walk},
    record::FileId,
    units::Process,
};
use unready_inspect::{
    alike,
    resolve::{Seen, resolve, tidy},
};

/// Makes components of files, with their mounts.
pub(super) struct Describer<'v> {
    view: &'v View,
    mountinfo: String,
    known: BTreeMap<u64, Mount>,
}

impl<'v> Describer<'v> {
    pub(super) fn new(view: &'v View) -> Self {
        Self { view, mountinfo: view.mountinfo(), known: BTreeMap::new() }
    }

    /// The mount of a file of the container.
    pub(super) fn mount(&mut self, file: impl AsFd, path: &str, stat: &Statx) -> Mount {
        let id = stat.stx_mnt_id;
        let (mountinfo, known) = (&self.mountinfo, &mut self.known);
        let mut mount = known.entry(id).or_insert_with(|| mounts::by_id(mountinfo, id).unwrap_or_else(|| mounts::unlisted(file))).clone();
        if let Some(volumes) = &self.view.volumes {
            volumes.translate(path, &mut mount);
        }
        mount
    }

    pub(super) fn describe(&mut self, seen: &Seen<'_, Node>) -> Component {
        let Node { file, stat } = seen.node;
        let kind = seen.node.kind();
        Component {
            path: seen.path.to_owned(),
            kind,
            mode: mode(stat),
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            acl: if kind == FileKind::Link { Vec::new() } else { acl::read(file) },
            immutable: stat.stx_attributes.contains(StatxAttributes::IMMUTABLE),
            append_only: stat.stx_attributes.contains(StatxAttributes::APPEND),
            link: seen.link.map(str::to_owned),
            mount: self.mount(file, seen.path, stat),
            born: born(stat),
            changed: wall_nanos(stat.stx_ctime),
        }
    }
}

/// When a file was made, if its file system tells.
pub(super) fn born(stat: &Statx) -> Option<u64> {
    if stat.stx_mask & StatxFlags::BTIME.bits() == 0 { None } else { wall_nanos(stat.stx_btime) }
}

/// Nanoseconds since 1970; `None` for zero and before.
pub(super) fn wall_nanos(time: StatxTimestamp) -> Option<u64> {
    let seconds = u64::try_from(time.tv_sec).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(u64::from(time.tv_nsec)).filter(|nanos| *nanos != 0)
}

/// Walks a path as the process would. An `Err` says why it cannot be known.
pub(super) fn walk(
    view: &View,
    process: Process,
    path: &str,
    (dirfd, start): (Option<i32>, Option<FileId>),
    follow: bool,
) -> Result<Walk, String> {
    let confinement = view.confinement(process);
    let (uid_map, gid_map) = view.id_maps();
    let mut walk = Walk {
        uid_map,
        gid_map,
        seccomp: confinement.seccomp,
        lsm: confinement.lsm,
        view: view.kind,
        at: crate::clock::now(),
        ..Walk::default()
    };
    let Some(absolute) = view.absolute(process, path, dirfd, start) else {
        return Ok(walk);
    };
    let mut describer = Describer::new(view);
    let end = resolve(view, &absolute, follow, |seen| walk.components.push(describer.describe(seen)));
    match end {
        Err(halt) if halt.unknowable => return Err(halt.why_unknowable()),
        Err(halt) => walk.stopped = Some(Stop { alike: alike::names(view, &halt), path: halt.path, errno: halt.errno }),
        Ok(_) => {}
    }
    let has_links = walk.components.iter().any(|component| component.kind == FileKind::Link);
    walk.resolved = Some(tidy(&absolute, !has_links));
    Ok(walk)
}
