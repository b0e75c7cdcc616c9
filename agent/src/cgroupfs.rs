//! The unified cgroup hierarchy: where it is mounted, and which cgroups exist.
//!
//! On a pure machine it is `/sys/fs/cgroup`, on a hybrid one usually `/sys/fs/cgroup/unified`; a machine with v1
//! hierarchies only has none, and is refused: `bpf_get_current_cgroup_id` knows only the unified one.
//!
//! A container sees its own cgroup at that place, which looks like a hierarchy's root when it has a cgroup namespace. The
//! node's tree is then another mount (a hostPath), wherever it is: its root shows as the way up from there, `/../..`
//! (`cgroup_show_path` in kernel/cgroup/cgroup.c). The true root is inode 1 (`kernfs_create_root` in fs/kernfs/dir.c).

mod snapshot;

pub use snapshot::Limits;
use std::{
    fs,
    os::unix::fs::{DirEntryExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};
use unready_diagnosis::units::CgroupId;

/// Why the hierarchy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No cgroup2 mount.
    #[error(
        "no cgroup2 hierarchy is mounted; boot with systemd.unified_cgroup_hierarchy=1, or `mount -t cgroup2 none /sys/fs/cgroup/unified`"
    )]
    NoUnified,
    /// Only the container's own part of it is mounted.
    #[error(
        "only this container's own cgroup is mounted, at {}; mount the node's /sys/fs/cgroup too (hostPath, read-only), for example at /host/sys/fs/cgroup",
        .0.display()
    )]
    OwnOnly(PathBuf),
    /// The list of mounts could not be read.
    #[error("cannot read {path}: {source}; is /proc mounted?")]
    Mounts { path: &'static str, source: std::io::Error },
}

/// Of the root directory of a hierarchy.
const ROOT_INODE: u64 = 1;

/// Among how many cgroups one is looked for.
const LOOKED_AT: usize = 256;

/// The mount of the unified hierarchy.
#[derive(Clone, Debug)]
pub struct CgroupRoot {
    path: PathBuf,
    v1_memory: Option<PathBuf>,
    v1_pids: Option<PathBuf>,
}

impl CgroupRoot {
    /// Finds it in `/proc/self/mountinfo`.
    pub fn find() -> Result<Self, CgroupError> {
        const MOUNTINFO: &str = "/proc/self/mountinfo";
        let text = fs::read_to_string(MOUNTINFO).map_err(|source| CgroupError::Mounts { path: MOUNTINFO, source })?;
        let root = Self::from_mountinfo(&text).ok_or(CgroupError::NoUnified)?;
        // A directory that cannot be looked at will be missed soon enough, by its own error.
        if fs::metadata(&root.path).is_ok_and(|root| root.ino() != ROOT_INODE) {
            return Err(CgroupError::OwnOnly(root.path));
        }
        Ok(root)
    }

    /// The mount of the whole hierarchy by a mountinfo text, the shallowest if there are several: pods may mount further ones
    /// below.
    pub fn from_mountinfo(text: &str) -> Option<Self> {
        let mounts = || {
            text.lines().filter_map(|line| {
                let (left, right) = line.split_once(" - ")?;
                let mut fields = left.split(' ');
                let (root, point) = (fields.nth(3)?, fields.next()?);
                let fstype = right.split(' ').next()?;
                let options = right.rsplit(' ').next()?;
                Some((root, point, fstype, options))
            })
        };
        let path = whole(mounts().filter(|(_, _, fstype, _)| *fstype == "cgroup2").map(|(root, point, ..)| (root, point)))?;
        let v1 = |controller: &str| {
            let has_it = |options: &str| options.split(',').any(|option| option == controller);
            let found = mounts().filter(|(_, _, fstype, options)| *fstype == "cgroup" && has_it(options));
            whole(found.map(|(root, point, ..)| (root, point)))
        };
        Some(Self { path, v1_memory: v1("memory"), v1_pids: v1("pids") })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the v1 memory hierarchy is mounted, on hybrid machines that account memory there.
    pub fn v1_memory(&self) -> Option<&Path> {
        self.v1_memory.as_deref()
    }

    /// Where the v1 hierarchy is mounted that counts processes, on hybrid machines.
    pub fn v1_pids(&self) -> Option<&Path> {
        self.v1_pids.as_deref()
    }

    /// Directory of a cgroup, from its path in the hierarchy (`/kubepods/…`).
    pub fn directory(&self, cgroup: &str) -> PathBuf {
        self.path.join(cgroup.trim_start_matches('/'))
    }

    /// The whole path of a cgroup of which a record holds the beginning, `cut`. Looks where it must lie, at no more than
    /// [`LOOKED_AT`] cgroups: who makes them chooses how many there are.
    pub fn whole_path(&self, id: CgroupId, cut: &str) -> Option<String> {
        let cut = cut.trim_end_matches(char::REPLACEMENT_CHARACTER); // the cut may have gone through a character
        let (above, _) = cut.rsplit_once('/')?;
        let mut unread = vec![self.directory(above)];
        let mut left = LOOKED_AT;
        while let Some(directory) = unread.pop() {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten(); // none, if it was removed meanwhile
            for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                left = left.checked_sub(1)?;
                let path = format!("/{}", entry.path().strip_prefix(&self.path).ok()?.display());
                if !path.starts_with(cut) {
                    continue;
                }
                if entry.ino() == id.0 {
                    return Some(path);
                }
                unread.push(entry.path());
            }
        }
        None
    }
}

/// Of the mounts of one hierarchy, by root and place, the shallowest that shows all of it. Where one is rooted above us, those
/// rooted at `/` begin at our own namespace's root.
fn whole<'a>(mounts: impl Iterator<Item = (&'a str, &'a str)>) -> Option<PathBuf> {
    let above = |root: &str| root.len() > 1 && root.split('/').skip(1).all(|part| part == "..");
    let whole: Vec<_> = mounts.filter(|(root, _)| *root == "/" || above(root)).collect();
    let seen_from_below = whole.iter().any(|(root, _)| above(root));
    let places = whole.into_iter().filter(|(root, _)| !seen_from_below || above(root)).map(|(_, point)| PathBuf::from(point));
    places.min_by_key(|place| place.components().count())
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end where its premise fails")]
mod tests {
    use super::*;

    #[test]
    fn hybrid_machine() {
        let root = CgroupRoot::from_mountinfo(
            "30 24 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
             31 24 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
        );
        let root = root.expect("has cgroup2");
        assert_eq!(root.path(), Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(root.v1_memory(), Some(Path::new("/sys/fs/cgroup/memory")));
    }

    #[test]
    fn pure_machine_with_a_pod_that_mounts_its_own() {
        let root = CgroupRoot::from_mountinfo(
            "80 24 0:27 /kubepods/x /var/lib/y/cgroup ro - cgroup2 cgroup rw\n\
             31 24 0:27 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
        );
        assert_eq!(root.expect("has cgroup2").path(), Path::new("/sys/fs/cgroup"));
    }

    #[test]
    fn a_pod_that_has_the_nodes_tree_beside_its_own_namespace() {
        let root = CgroupRoot::from_mountinfo(
            "90 80 0:27 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n\
             95 80 0:27 /../../.. /host/sys/fs/cgroup ro - cgroup2 cgroup2 rw\n",
        );
        assert_eq!(root.expect("has cgroup2").path(), Path::new("/host/sys/fs/cgroup"));
    }

    #[test]
    fn a_pod_on_a_hybrid_node_shares_its_namespace() {
        let root = CgroupRoot::from_mountinfo(
            "90 80 0:32 /kubepods/pod1/c /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
             91 80 0:38 /kubepods/pod1/c /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n\
             95 80 0:28 / /host/sys/fs/cgroup ro - tmpfs tmpfs rw\n\
             96 95 0:32 / /host/sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
             97 95 0:38 / /host/sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n",
        );
        let root = root.expect("has cgroup2");
        assert_eq!(root.path(), Path::new("/host/sys/fs/cgroup/unified"));
        assert_eq!(root.v1_memory(), Some(Path::new("/host/sys/fs/cgroup/memory")));
    }

    #[test]
    fn a_path_that_was_cut_is_found_below_what_is_left_of_it() {
        let mount = tempfile::tempdir().expect("a directory");
        let root = CgroupRoot { path: mount.path().to_owned(), v1_memory: None, v1_pids: None };
        let make = |path: &str| {
            fs::create_dir_all(root.directory(path)).expect("a directory below it");
            CgroupId(fs::metadata(root.directory(path)).expect("is there").ino())
        };
        let (wanted, elsewhere) = (make("/pods/pod-1/container"), make("/other/pod-1"));
        assert_eq!(root.whole_path(wanted, "/pods/pod-1/cont").as_deref(), Some("/pods/pod-1/container"));
        assert_eq!(root.whole_path(wanted, "/pods/po\u{fffd}").as_deref(), Some("/pods/pod-1/container"));
        assert_eq!(root.whole_path(elsewhere, "/pods/po"), None, "it begins otherwise");
        assert_eq!(root.whole_path(wanted, "no path"), None);
        for index in 0..LOOKED_AT {
            make(&format!("/many/same-{index}"));
        }
        let last = make("/many/same-again/deeper");
        assert_eq!(root.whole_path(last, "/many/same-"), None, "there are more than are looked at");
    }

    #[test]
    fn v1_only_is_refused() {
        assert!(CgroupRoot::from_mountinfo("30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n").is_none());
    }
}
