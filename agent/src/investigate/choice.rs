//! Which view of a container there still is, best first: the process itself while it lives, another process of its cgroup,
//! what was held of its root. When there is none of these, what the runtime was told is left ([`View::of_bundle`]).

use super::{
    held::Held,
    hold::Store,
    proc,
    view::{View, pids},
};
use std::{path::Path, sync::Arc};
use unready_diagnosis::{question::Scope, units::CgroupId};

/// The best view that there still is. `directory` is that of the cgroup.
pub(super) fn best(store: &Store, scope: Scope, directory: Option<&Path>) -> Result<View, String> {
    let mut view = first(store, scope, directory)?;
    view.cgroup = directory.map(Path::to_owned);
    if store.is_local(scope.cgroup) {
        view.cwd = view.cwd.or_else(our_directory);
    }
    Ok(view)
}

/// A command of `unready run` starts in our own working directory.
fn our_directory() -> Option<String> {
    std::env::current_dir().ok().and_then(|directory| directory.into_os_string().into_string().ok())
}

fn first(store: &Store, scope: Scope, directory: Option<&Path>) -> Result<View, String> {
    let held = store.held(scope.cgroup);
    if let Some(view) = View::of_process(scope.process, held.as_ref()) {
        return Ok(view);
    }
    if let Some(view) = directory.and_then(|directory| of_sibling(store, scope.cgroup, directory, held.as_ref())) {
        return Ok(view);
    }
    match held {
        Some(held) => Ok(View::of_held(held)),
        None if store.is_local(scope.cgroup) => View::own().ok_or_else(|| "our own root could not be opened".to_owned()),
        None => Err("the process ended, its container has no other, and its root was not held".to_owned()),
    }
}

/// Another process of the cgroup, of the same mount namespace as what was held: a runtime's helper that has just
/// joined the cgroup still sees the node's files.
fn of_sibling(store: &Store, cgroup: CgroupId, directory: &Path, held: Option<&Arc<Held>>) -> Option<View> {
    let expected = held.map(|held| held.place.mount_namespace);
    let no_helpers = store.is_container(cgroup);
    let is_inside = |namespace: u64| expected.map_or(!(no_helpers && store.is_node(namespace)), |expected| namespace == expected);
    pids(directory)
        .into_iter()
        .filter(|pid| proc::namespace(*pid, "mnt").is_some_and(is_inside))
        .find_map(|pid| View::of_sibling(pid, held))
}
