//! Where a call went: the directories that it passed, the parent of what it wanted, and the thing itself.

use super::Attempt;
use crate::{
    question::{Component, FileKind, Walk},
    record::{Call, Errno},
};

/// A walk, read with the eyes of one call.
#[derive(Clone, Debug)]
pub struct Located<'a> {
    /// Directories that were searched on the way, in order.
    pub passed: Vec<&'a Component>,
    /// The directory that holds (or would hold) the last component.
    pub parent: Option<&'a Component>,
    /// The last component, if it is there.
    pub target: Option<&'a Component>,
    /// Everything but the last component is there.
    pub only_last_missing: bool,
    /// Links that were the last component and were followed, each with its directory.
    pub followed: Vec<(&'a Component, Option<&'a Component>)>,
}

/// Reads the walk; an error is a clause that says why it cannot be read.
pub fn locate<'a>(attempt: &Attempt<'a>) -> Result<Located<'a>, String> {
    let walk = attempt.walk;
    let Some(resolved) = walk.resolved.as_deref() else {
        return Err("the directory that the relative path starts from is not known".to_owned());
    };
    if let Some(stop) = &walk.stopped
        && !matches!(stop.errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP)
    {
        return Err(format!("Unready itself could not look at {} ({})", stop.path, stop.errno));
    }
    let target = if walk.stopped.is_none() { walk.components.last() } else { None };
    let (last, followed) = follow(walk, resolved, target);
    let parent = target.map_or_else(|| walk.stopped.as_ref().map(|stop| stop.path.as_str()), |target| Some(target.path.as_str()));
    let missing_last = walk.stopped.as_ref().is_some_and(|stop| stop.errno == Errno::ENOENT && stop.path == last);
    let skip = start_of(attempt, resolved);
    Ok(Located {
        passed: walk.components[skip..].iter().filter(|c| c.kind == FileKind::Directory && !is(c, target)).collect(),
        parent: parent.and_then(|path| directory_of(walk, path)),
        target,
        only_last_missing: missing_last,
        followed,
    })
}

fn is(component: &Component, target: Option<&Component>) -> bool {
    target.is_some_and(|target| std::ptr::eq(component, target))
}

/// Follows the links that the walk lists, in its order: gives the path of the last component after all of them, and the
/// links that stood in its place.
fn follow<'a>(walk: &'a Walk, resolved: &str, target: Option<&Component>) -> (String, Vec<(&'a Component, Option<&'a Component>)>) {
    let mut path = normal(resolved);
    let mut followed = Vec::new();
    for component in walk.components.iter().filter(|c| !is(c, target)) {
        let Some(link) = component.link.as_deref() else { continue };
        let leads_to = join(parent_path(&component.path), link);
        if path == component.path {
            followed.push((component, directory_of(walk, &component.path)));
            path = leads_to;
        } else if let Some(rest) = path.strip_prefix(&component.path).and_then(|rest| rest.strip_prefix('/')) {
            path = join(&leads_to, rest);
        }
    }
    (path, followed)
}

/// Index of the first component that the process had to be allowed to search: a relative path starts at the working
/// directory, and what lies above needs no permission.
fn start_of(attempt: &Attempt<'_>, resolved: &str) -> usize {
    if attempt.given.starts_with('/') {
        return 0;
    }
    let Some(start) = resolved.strip_suffix(attempt.given.trim_start_matches("./")) else { return 0 };
    let start = if start.len() > 1 { start.trim_end_matches('/') } else { start };
    attempt.walk.components.iter().position(|component| component.path == start).unwrap_or(0)
}

fn directory_of<'a>(walk: &'a Walk, path: &str) -> Option<&'a Component> {
    let parent = parent_path(path);
    walk.components.iter().rev().find(|component| component.kind == FileKind::Directory && component.path == parent)
}

/// The directory part of an absolute path; `/` is its own.
pub fn parent_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(end) => &path[..end],
    }
}

/// A path seen from a directory, without `.`, `..` and doubled slashes (lexically: links are replaced before).
pub fn join(directory: &str, path: &str) -> String {
    if path.starts_with('/') { normal(path) } else { normal(&format!("{directory}/{path}")) }
}

fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether a call follows a symbolic link that is the last component of its path.
pub const fn follows(call: Call) -> bool {
    !matches!(
        call,
        Call::Unlink | Call::Rmdir | Call::Rename | Call::Link | Call::Symlink | Call::Mkdir | Call::Mknod | Call::Readlink | Call::Bind
    )
}
