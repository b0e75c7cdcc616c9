//! Looking at a network namespace: through a living process of it, else by a short-lived thread that enters what was held.
//!
//! setns(2) moves one thread only, and that thread ends with its answer: no other work of the agent ever runs there.

use super::{proc, view::View};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    thread,
};

/// Longest table that is read, bytes.
const MAX_TABLE: u64 = 8 << 20;

/// A network namespace that can still be looked at.
#[derive(Debug)]
pub(super) enum Network {
    /// Of a living process.
    Of(u32),
    /// Held, all its processes may be gone.
    Held(Arc<OwnedFd>),
    /// Our own: for commands that were started in our namespaces.
    Own,
}

impl Network {
    /// The namespace of a view.
    pub(super) fn of(view: &View) -> Self {
        let held = || view.held.as_ref().and_then(|held| held.place.network.clone());
        match view.live.or(view.neighbour) {
            Some(pid) => Self::Of(pid),
            None => held().map_or(Self::Own, Self::Held),
        }
    }

    /// A table below `/proc/net`.
    pub(super) fn table(&self, name: &'static str) -> Option<String> {
        match self {
            Self::Of(pid) => proc::read(*pid, &format!("net/{name}"), MAX_TABLE),
            Self::Own => text(&format!("{}/self/net/{name}", proc::PROC)),
            Self::Held(namespace) => inside(namespace, move || text(&format!("{}/thread-self/net/{name}", proc::PROC))),
        }
    }

    /// A setting below `/proc/sys/net`, which shows the namespace of the thread that reads it.
    pub(super) fn setting(&self, name: &'static str) -> Option<String> {
        let read = move || text(&format!("{}/sys/net/{name}", proc::PROC));
        match self {
            Self::Own => read(),
            Self::Of(pid) if proc::namespace(*pid, "net") == proc::own_namespace("net") => read(),
            Self::Of(pid) => inside(&Arc::new(proc::hold_namespace(*pid, "net")?), read),
            Self::Held(namespace) => inside(namespace, read),
        }
    }

    /// Its number; `None` when it was held only, then no living process needs to be told from others by it.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Of(pid) => proc::namespace(*pid, "net"),
            Self::Own => proc::own_namespace("net"),
            Self::Held(namespace) => super::metadata::stat(namespace.as_fd()).ok().map(|stat| stat.stx_ino),
        }
    }
}

fn text(path: &str) -> Option<String> {
    proc::read_bytes(path, MAX_TABLE).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs on a thread of its own inside the namespace. Entering needs `CAP_SYS_ADMIN`; without it the answer is `None`.
fn inside<T: Send + 'static>(namespace: &Arc<OwnedFd>, look: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    let namespace = Arc::clone(namespace);
    let enter_and_look = move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
        look()
    };
    thread::Builder::new().name("netns".to_owned()).spawn(enter_and_look).ok()?.join().ok().flatten()
}
