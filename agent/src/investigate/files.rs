//! Questions about files that are not path walks: the mount of a descriptor, the use of a file system, accounts, limits,
//! and whether a file has appeared.

use super::{
    mounts, proc,
    rootfs::Node,
    start::Search,
    view::View,
    walk::{Describer, born, wall_nanos},
};
use rustix::fs::fstatvfs;
use std::{
    fs,
    os::{fd::AsFd, unix::fs::MetadataExt},
};
use unready_diagnosis::{
    question::{Answer, FileKind, Limits, Mount, Usage},
    record::FileId,
    units::{BootNanos, Process},
};
use unready_inspect::{
    passwd,
    resolve::{Seen, find, resolve},
};

/// Times of files are of the kernel's last tick, at most 10 ms (`HZ=100`) behind.
const TICK: u64 = 10_000_000;

/// Mount and path of a descriptor's file: as the process still has it open, else as it is found again.
pub(super) fn find_mount(view: &View, process: Process, fd: i32, (file, name): (FileId, &str)) -> Answer {
    let open = view.live.and_then(|pid| OpenFile::of(pid, fd, file));
    let again = || if file.inode == 0 { None } else { Search::new(view, file).file(process, name) };
    match open.as_ref().map_or_else(again, |_| None) {
        Some((mount, path)) => Answer::Mount { mount: mount.or_else(|| mount_of_device(view, file.device, None)), path: Some(path) },
        None => Answer::Mount { mount: mount_of_device(view, file.device, open.as_ref()), path: open.and_then(|open| open.path) },
    }
}

/// The mount with a device; of several (a node's disk holds many volumes) the one that the descriptor lies on, if the
/// process still has it, else the first that is a directory.
fn mount_of_device(view: &View, device: (u32, u32), open: Option<&OpenFile>) -> Option<Mount> {
    let text = view.mountinfo();
    let mut candidates = mounts::lines(&text).filter(|line| line.device == device);
    let by_file = open.and_then(|open| open.mount).and_then(|id| mounts::by_id(&text, id));
    let is_directory = |mount: &Mount| find(view, &mount.point).is_ok_and(|found| found.node.kind() == FileKind::Directory);
    let by_device = || {
        let all: Vec<Mount> = candidates.by_ref().take(64).map(|line| line.mount()).collect();
        all.iter().find(|mount| is_directory(mount)).or(all.first()).cloned()
    };
    by_file.or_else(by_device)
}

/// A descriptor that a process still has open, and still of the file that the failure was on.
struct OpenFile {
    path: Option<String>,
    mount: Option<u64>,
}

impl OpenFile {
    fn of(pid: u32, fd: i32, file: FileId) -> Option<Self> {
        let metadata = fs::metadata(proc::path(pid, &format!("fd/{fd}"))).ok()?;
        let is_same = file.inode == 0 || file.inode == metadata.ino();
        if !is_same || (rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev())) != file.device {
            return None; // closed, and the number was used again
        }
        let info = proc::read(pid, &format!("fdinfo/{fd}"), 4096);
        let mount = info.as_deref().and_then(|info| info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok()));
        Some(Self { path: proc::place(pid, &format!("fd/{fd}")), mount })
    }
}

/// Use of the file system of a path, or of the last directory on the way to it that exists.
pub(super) fn usage(view: &View, process: Process, path: &str, start: Option<FileId>) -> Result<Usage, String> {
    let Some(absolute) = view.absolute(process, path, None, start) else {
        return Err(format!("the directory that {path} starts from is not known"));
    };
    let (Node { file, stat }, place) = match find(view, &absolute) {
        Ok(found) => (found.node, found.path),
        Err(halt) => match halt.missing {
            Some((directory, _)) => (directory, halt.path),
            None => return Err(format!("{} could not be entered: {}", halt.path, halt.errno)),
        },
    };
    let use_of = fstatvfs(&file).map_err(|error| error.to_string())?;
    Ok(Usage {
        mount: Describer::new(view).mount(file.as_fd(), &place, &stat),
        bytes: use_of.f_blocks.saturating_mul(use_of.f_frsize),
        bytes_available: use_of.f_bavail.saturating_mul(use_of.f_frsize),
        inodes: use_of.f_files,
        inodes_available: use_of.f_favail,
    })
}

/// Whether `/etc/passwd` of the container has a uid.
pub(super) fn account(view: &View, uid: u32) -> Answer {
    let entry = passwd::has_uid(view, uid);
    Answer::Account { file: entry.is_some(), entry: entry.unwrap_or(false) }
}

/// Limits of open files: of the process, of another of its container, or as they were when it executed.
pub(super) fn limits(view: &View, process: Process) -> Result<Limits, String> {
    let remembered = || view.held.as_ref().and_then(|held| held.open_files(process));
    let known = view.live.and_then(proc::open_files).or_else(remembered).or_else(|| view.neighbour.and_then(proc::open_files));
    let Some((soft, hard)) = known else {
        return Err("the process ended, and its limits were not read before".to_owned());
    };
    Ok(Limits {
        open_files_soft: Some(soft),
        open_files_hard: Some(hard),
        open_files: view.live.and_then(open_now),
        system_files: proc::read_bytes(format!("{}/sys/fs/file-max", proc::PROC), 64)
            .ok()
            .and_then(|bytes| String::from_utf8_lossy(&bytes).trim().parse().ok()),
    })
}

/// Descriptors that a process has open. Newer kernels tell it as the directory's size (since 6.2); older are counted.
fn open_now(pid: u32) -> Option<u64> {
    let directory = proc::path(pid, "fd");
    match fs::metadata(&directory).ok()?.len() {
        0 => Some(fs::read_dir(directory).ok()?.take(1 << 20).count() as u64),
        count => Some(count),
    }
}

/// When a path came to exist; `None` while it does not. `absent_at` is when it was last seen missing.
pub(super) fn appeared(view: &View, path: &str, absent_at: Option<BootNanos>) -> Result<Option<BootNanos>, String> {
    let clock = crate::clock::anchor(); // a date by another clock, if it was set just now, is not plausible
    let mut newest = None;
    let mut parent_changed = None;
    let visit = |seen: &Seen<'_, Node>| {
        newest = newest.max(born(&seen.node.stat)); // it cannot have been there before each directory and link on its way
        if seen.link.is_none() && seen.node.kind() == FileKind::Directory {
            parent_changed = wall_nanos(seen.node.stat.stx_mtime);
        }
    };
    let found = match resolve(view, path, true, visit) {
        Ok(found) => found,
        Err(halt) if halt.unknowable => return Err(halt.why_unknowable()),
        Err(_) => return Ok(None),
    };
    let changed = wall_nanos(found.node.stat.stx_ctime);
    // Renaming into place sets the directory's mtime and the file's ctime at once, and leaves its birth as it was.
    let renamed = changed.zip(parent_changed).filter(|(file, directory)| file.abs_diff(*directory) <= TICK).map(|(file, _)| file);
    let seen = [newest.max(renamed), changed].into_iter().flatten().map(|wall| clock.boot_nanos(wall));
    Ok(Some(plausible(seen, absent_at, clock.boot)))
}

/// The first date between the last look and this one; the time of this look when there is none.
fn plausible(mut dates: impl Iterator<Item = BootNanos>, absent_at: Option<BootNanos>, now: BootNanos) -> BootNanos {
    let earliest = absent_at.map_or(0, |at| at.0.saturating_sub(TICK));
    dates.find(|date| (earliest..=now.0).contains(&date.0)).map_or(now, |date| absent_at.map_or(date, |absent| date.max(absent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_outside_the_gap_are_not_believed() {
        let at = |ms: u64| BootNanos(ms * 1_000_000);
        let gap = |dates: &[u64]| plausible(dates.iter().map(|ms| at(*ms)), Some(at(1000)), at(1020));
        assert_eq!(gap(&[1010]), at(1010));
        assert_eq!(gap(&[500, 1012]), at(1012));
        assert_eq!(gap(&[500, 2000]), at(1020));
        assert_eq!(gap(&[995]), at(1000)); // a tick early
        assert_eq!(plausible([at(3)].into_iter(), None, at(1020)), at(3));
    }
}
