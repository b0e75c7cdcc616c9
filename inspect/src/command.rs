//! Which file a command names: the search along `PATH`, as execvp(3) does it.
//!
//! How long `PATH` is the container chooses; only its first directories are looked through, and what was not found there is
//! then not said to be missing.

use crate::{
    resolve::{Found, find},
    rootfs::Rootfs,
};
use unready_diagnosis::question::FileKind;

/// Directories of `PATH` that are looked through.
pub const MAX_SEARCHED: usize = 32;
/// What a shell or runtime takes when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `PATH`, as far as it is looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPath {
    /// Its directories; `None`: the environment has none.
    pub directories: Option<String>,
    /// It is longer.
    is_cut: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Hit<N> {
    /// The path, as the search puts it together.
    pub path: String,
    /// What it leads to.
    pub found: Found<N>,
    is_executable: bool,
}

impl SearchPath {
    /// Of an environment's `PATH`.
    pub fn of(whole: Option<&str>) -> Self {
        let directories = whole.map(|whole| whole.match_indices(':').nth(MAX_SEARCHED - 1).map_or(whole, |(end, _)| &whole[..end]));
        Self { is_cut: directories != whole, directories: directories.map(str::to_owned) }
    }

    /// Paths that a command may have, best first. A relative one starts at `cwd`.
    pub fn candidates(&self, command: &str, cwd: &str) -> Vec<String> {
        let absolute = |path: &str| if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", cwd.trim_end_matches('/')) };
        if command.is_empty() {
            return Vec::new();
        }
        if command.contains('/') {
            return vec![absolute(command)];
        }
        let path = self.directories.as_deref().unwrap_or(DEFAULT_PATH);
        path.split(':').map(|directory| absolute(&format!("{}/{command}", directory.trim_end_matches('/')))).collect()
    }

    /// The command's file: the first that may be executed, else the first that exists. An `Err` says why that is not known.
    pub fn find<R: Rootfs>(&self, rootfs: &R, command: &str, cwd: &str) -> Result<Option<Hit<R::Node>>, String> {
        let mut existing = None;
        for hit in self.candidates(command, cwd).into_iter().filter_map(|path| Hit::at(rootfs, path)) {
            if hit.is_executable {
                return Ok(Some(hit));
            }
            existing.get_or_insert(hit);
        }
        if self.is_cut && !command.is_empty() && !command.contains('/') {
            return Err(format!("the command is not in the first {MAX_SEARCHED} directories of PATH, and the others were not looked at"));
        }
        Ok(existing)
    }
}

impl<N> Hit<N> {
    fn at<R: Rootfs<Node = N>>(rootfs: &R, path: String) -> Option<Self> {
        let found = find(rootfs, &path).ok()?;
        let stat = rootfs.stat(&found.node);
        Some(Self { path, found, is_executable: stat.kind == FileKind::File && stat.mode & 0o111 != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_cut() {
        for (given, searched, is_cut) in [(1, 1, false), (MAX_SEARCHED, MAX_SEARCHED, false), (100_000, MAX_SEARCHED, true)] {
            let path = SearchPath::of(Some(&vec!["/x"; given].join(":")));
            assert_eq!((path.candidates("app", "/").len(), path.is_cut), (searched, is_cut), "{given}");
        }
    }

    #[test]
    fn commands_with_a_slash_are_not_searched() {
        let path = SearchPath::of(None);
        assert_eq!(path.candidates("./app", "/srv"), ["/srv/./app"]);
        assert_eq!(path.candidates("/app", "/srv"), ["/app"]);
        assert_eq!(path.candidates("app", "/srv").len(), 6);
        assert_eq!(path.candidates("", "/srv"), Vec::<String>::new());
        assert_eq!(SearchPath::of(Some("/opt/bin:bin")).candidates("app", "/srv"), ["/opt/bin/app", "/srv/bin/app"]);
    }
}
