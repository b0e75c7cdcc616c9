//! Where a relative path started, and where a descriptor's file lies, also when only device and inode are left of them.
//!
//! A program changes its directory, fails, and is gone before anybody could read `/proc/PID/cwd`. The kernel half tells
//! which directory it was, but not its path. That is looked for where a program of a container works: where it was told
//! to, where its mounts are, where its other processes are, directly below its mounts. Every find is compared with device
//! and inode; what is not found stays unknown, for a wrong path would blame the wrong volume.

use super::{
    metadata::{list, stat},
    mounts, proc,
    view::{View, pids},
};
use rustix::fs::{FileType, Mode, OFlags, Statx, openat};
use std::{
    cell::OnceCell,
    os::fd::{AsFd, OwnedFd},
};
use unready_diagnosis::{
    question::{FileKind, Mount},
    record::FileId,
    units::Process,
};
use unready_inspect::resolve::find;

/// Mounts of one device that are looked at.
const MAX_MOUNTS: usize = 64;
/// Mounts whose directories are looked at.
const MAX_LISTED: usize = 16;
/// Entries of all these directories that are looked at.
const MAX_ENTRIES: usize = 400;
/// Processes of the cgroup whose working directories are looked at.
const MAX_PROCESSES: usize = 16;

impl View {
    /// The absolute path meant by a path of the process, in the container; `None` when its start is unknown.
    /// `start` is the directory that the kernel saw it start from: a process may have gone elsewhere since.
    pub(super) fn absolute(&self, process: Process, path: &str, dirfd: Option<i32>, start: Option<FileId>) -> Option<String> {
        if path.starts_with('/') {
            return Some(path.to_owned());
        }
        let start = match (start, dirfd) {
            (Some(start), _) => Search::new(self, start).directory(process, dirfd)?,
            (None, Some(fd)) => proc::place(self.live?, &format!("fd/{fd}"))?,
            (None, None) => self.working_directory(process)?,
        };
        Some(join(&start, path))
    }

    fn working_directory(&self, process: Process) -> Option<String> {
        if let Some(place) = self.live.and_then(|pid| proc::place(pid, "cwd")) {
            return Some(place);
        }
        self.remembered_directory(process)
    }

    fn remembered_directory(&self, process: Process) -> Option<String> {
        let remembered = self.held.as_ref().and_then(|held| held.working_directory(process));
        remembered.or_else(|| self.cwd.clone())
    }

    /// Where the container's programs are likely to work, the likeliest first.
    fn working_directories(&self, process: Process) -> Vec<String> {
        let others = self.held.iter().flat_map(|held| held.working_directories());
        self.remembered_directory(process).into_iter().chain(others).collect()
    }
}

/// A search for the path of one file.
pub(super) struct Search<'v> {
    view: &'v View,
    wanted: FileId,
    mountinfo: OnceCell<String>,
}

impl<'v> Search<'v> {
    pub(super) fn new(view: &'v View, wanted: FileId) -> Self {
        Self { view, wanted, mountinfo: OnceCell::new() }
    }

    /// Path of the directory: of a descriptor, or the working directory.
    pub(super) fn directory(&self, process: Process, dirfd: Option<i32>) -> Option<String> {
        let still = self.view.live.and_then(|pid| self.behind(pid, &dirfd.map_or("cwd".to_owned(), |fd| format!("fd/{fd}"))));
        still
            .or_else(|| self.view.working_directories(process).into_iter().find(|path| self.is_at(path)))
            .or_else(|| self.points().into_iter().find(|point| self.is_at(point)))
            .or_else(|| self.of_siblings())
            .or_else(|| self.below_mounts())
    }

    /// Mount and path of a file with this name of its own: it is itself the root of a mount, or lies directly in one, or
    /// where the container's programs work.
    pub(super) fn file(&self, process: Process, name: &str) -> Option<(Option<Mount>, String)> {
        let points = self.points();
        let directories = points.iter().cloned().chain(self.view.working_directories(process));
        let inside = directories.filter(|_| !name.is_empty() && name != "/").map(|directory| join(&directory, name));
        points.iter().cloned().chain(inside).find_map(|path| {
            let found = find(self.view, &path).ok().filter(|found| self.is(&found.node.stat))?;
            Some((mounts::by_id(self.mountinfo(), found.node.stat.stx_mnt_id), path))
        })
    }

    fn mountinfo(&self) -> &str {
        self.mountinfo.get_or_init(|| self.view.mountinfo())
    }

    fn is(&self, stat: &Statx) -> bool {
        stat.stx_ino == self.wanted.inode && self.is_on_device(stat)
    }

    /// stat(2) may tell another device than the super block's (btrfs, files of overlays); the mount has that one.
    fn is_on_device(&self, stat: &Statx) -> bool {
        (stat.stx_dev_major, stat.stx_dev_minor) == self.wanted.device
            || mounts::lines(self.mountinfo()).any(|line| line.id == stat.stx_mnt_id && line.device == self.wanted.device)
    }

    fn is_at(&self, path: &str) -> bool {
        find(self.view, path).is_ok_and(|found| self.is(&found.node.stat))
    }

    /// Where a link of a living process leads, if that is the directory.
    fn behind(&self, pid: u32, link: &str) -> Option<String> {
        let file = proc::hold(&proc::path(pid, link))?;
        stat(file.as_fd()).ok().filter(|stat| self.is(stat))?;
        proc::place(pid, link)
    }

    /// Mount points of the file's device.
    fn points(&self) -> Vec<String> {
        let point = |line: mounts::Line<'_>| (line.device == self.wanted.device).then(|| line.mount().point);
        let listed = || mounts::lines(self.mountinfo()).filter_map(point).take(MAX_MOUNTS).collect();
        self.view.volumes.as_ref().map_or_else(listed, |volumes| volumes.destinations().take(MAX_MOUNTS).map(str::to_owned).collect())
    }

    fn of_siblings(&self) -> Option<String> {
        let pids = pids(self.view.cgroup.as_deref()?);
        // A helper of the runtime works elsewhere: its path must mean the same in the container.
        pids.into_iter().take(MAX_PROCESSES).find_map(|pid| self.behind(pid, "cwd").filter(|path| self.is_at(path)))
    }

    fn below_mounts(&self) -> Option<String> {
        let mut entries = MAX_ENTRIES;
        self.points().into_iter().take(MAX_LISTED).find_map(|point| {
            let directory = find(self.view, &point).ok().filter(|found| found.node.kind() == FileKind::Directory)?;
            Some(join(&point, &self.child(&directory.node.file, &mut entries)?))
        })
    }

    /// Name of the directory below another one that is the wanted one.
    fn child(&self, directory: &OwnedFd, entries: &mut usize) -> Option<String> {
        for entry in list(directory).ok()?.flatten() {
            *entries = entries.checked_sub(1)?;
            let name = entry.file_name();
            let is_candidate = matches!(entry.file_type(), FileType::Directory | FileType::Unknown) && name != c"." && name != c"..";
            if is_candidate
                && let Ok(file) = openat(directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
                && stat(file.as_fd()).is_ok_and(|stat| self.is(&stat))
            {
                return name.to_str().ok().map(str::to_owned);
            }
        }
        None
    }
}

fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}
