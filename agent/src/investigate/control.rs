//! Files of a cgroup's controllers, of both versions: one number, `max`, or lines of key and value.

use super::proc;
use std::path::Path;

/// The limit that binds: the smallest of the cgroup's own and those above it, and whose it is.
pub(super) fn smallest<'a>(top: &Path, directory: &'a Path, name: &str) -> Option<(u64, &'a Path)> {
    /// v1 has no word for "no limit", but a number of pages near the largest (`PAGE_COUNTER_MAX`).
    const NO_LIMIT: u64 = 1 << 60;
    let inside = directory.ancestors().take_while(|ancestor| *ancestor != top && ancestor.starts_with(top));
    let limits = inside.filter_map(|ancestor| Some((number(&ancestor.join(name))?, ancestor)));
    limits.filter(|(limit, _)| *limit < NO_LIMIT).min_by_key(|(limit, _)| *limit)
}

/// A file with one number. `max` is none.
pub(super) fn number(path: &Path) -> Option<u64> {
    text(path)?.trim().parse().ok()
}

/// A line `key value` of a flat file.
pub(super) fn keyed(path: &Path, key: &str) -> Option<u64> {
    text(path)?.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

fn text(path: &Path) -> Option<String> {
    proc::read_bytes(path, 4096).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Files as a controller has them, for tests.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
pub(super) fn write(directory: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(directory).unwrap();
    for (name, text) in files {
        std::fs::write(directory.join(name), text).unwrap();
    }
}
