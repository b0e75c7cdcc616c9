//! The path walk: every component of a path with what decides over access to it.

use super::{
    acl, mounts,
    resolve::{Halt, Seen, file_type, resolve},
    view::View,
};
use rustix::fs::{Dir, FileType, Mode, OFlags, Statx, StatxAttributes, StatxFlags, StatxTimestamp, openat};
use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
};
use unready_diagnosis::{
    question::{Component, FileKind, Mount, Stop, Walk},
    record::{Errno, FileId},
    units::Process,
};

/// Entries of a directory that are looked at for a name much like the missing one.
const MAX_ENTRIES: usize = 1000;
/// Names offered instead.
const MAX_ALIKE: usize = 5;

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

    pub(super) fn describe(&mut self, seen: &Seen<'_>) -> Component {
        let stat = seen.stat;
        let kind = kind(file_type(stat));
        Component {
            path: seen.path.to_owned(),
            kind,
            mode: u32::from(stat.stx_mode) & 0o7777,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            acl: if kind == FileKind::Link { Vec::new() } else { acl::read(&seen.file) },
            immutable: stat.stx_attributes.contains(StatxAttributes::IMMUTABLE),
            append_only: stat.stx_attributes.contains(StatxAttributes::APPEND),
            link: seen.link.map(str::to_owned),
            mount: self.mount(seen.file, seen.path, stat),
            born: born(stat),
            changed: wall_nanos(stat.stx_ctime),
        }
    }
}

fn kind(file_type: FileType) -> FileKind {
    match file_type {
        FileType::Directory => FileKind::Directory,
        FileType::RegularFile => FileKind::File,
        FileType::Symlink => FileKind::Link,
        FileType::Socket => FileKind::Socket,
        FileType::Fifo => FileKind::Fifo,
        FileType::CharacterDevice => FileKind::CharDevice,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::Unknown => FileKind::Other,
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
        Err(halt) => walk.stopped = Some(stop(halt)),
        Ok(_) => {}
    }
    let has_links = walk.components.iter().any(|component| component.kind == FileKind::Link);
    walk.resolved = Some(tidy(&absolute, !has_links));
    Ok(walk)
}

fn stop(halt: Halt) -> Stop {
    let alike = match halt.missing {
        Some((directory, name)) if halt.errno == Errno::ENOENT => alike(&directory, &name),
        _ => Vec::new(),
    };
    Stop { path: halt.path, errno: halt.errno, alike }
}

/// A path without empty and `.` components; without `..` as well where no link can change what that means.
fn tidy(path: &str, without_parents: bool) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if without_parents => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

/// Names of a directory that may have been meant.
fn alike(directory: &OwnedFd, wanted: &str) -> Vec<String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(entries) = openat(directory, c".", flags, Mode::empty()).and_then(Dir::new) else {
        return Vec::new();
    };
    let names = entries.take(MAX_ENTRIES).flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<(usize, String)> = names.filter_map(|name| Some((distance(wanted, &name)?, name))).collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).take(MAX_ALIKE).collect()
}

/// How far two names are apart, if they are much alike: up to two letters of at least six differ, only the case, or only
/// the extension, between those of configuration files: `tls.crt` beside a missing `tls.key` is no misspelling.
fn distance(wanted: &str, name: &str) -> Option<usize> {
    if name.starts_with("..") || name == "." {
        return None; // also the kubelet's `..data`
    }
    let (wanted, name) = (wanted.to_lowercase(), name.to_lowercase());
    let letters = strsim::osa_distance(&wanted, &name);
    let allowed = (wanted.chars().count() / 3).min(2);
    let same_stem = stem(&wanted).is_some() && stem(&wanted) == stem(&name);
    (letters <= allowed || same_stem).then_some(letters)
}

/// The name of a configuration file without its extension, if it has any; `None` for names with other extensions.
fn stem(name: &str) -> Option<&str> {
    const CONFIGURATION: [&str; 9] = ["yaml", "yml", "json", "toml", "conf", "cfg", "ini", "properties", "xml"];
    match name.rsplit_once('.') {
        None => Some(name),
        Some((stem, extension)) => (!stem.is_empty() && CONFIGURATION.contains(&extension)).then_some(stem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_much_alike() {
        assert!(distance("tls.kye", "tls.key").is_some());
        assert!(distance("Config.yaml", "config.yaml").is_some());
        assert!(distance("config.yaml", "config.yml").is_some());
        assert!(distance("config", "config.json").is_some());
        assert!(distance("tls.key", "tls.crt").is_none());
        assert!(distance("app", "api").is_some());
        assert!(distance("app", "bin").is_none());
        assert!(distance("a", "b").is_none());
        assert!(distance("data", "..data").is_none());
        assert!(distance(".env", ".git").is_none());
    }

    #[test]
    fn tidied_paths() {
        assert_eq!(tidy("/app//./../data/x", true), "/data/x");
        assert_eq!(tidy("/app/../data", false), "/app/../data");
        assert_eq!(tidy("/../..", true), "/");
    }
}
