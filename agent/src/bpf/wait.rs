//! Waiting for a descriptor: for one of the rings that the programs write (of records, of messages), for a timer.

use super::error::LoadError;
use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Registers a ring with the runtime.
pub(super) fn waitable<T: AsFd + AsRawFd>(ring: T) -> Result<AsyncFd<T>, LoadError> {
    // SAFETY: a ring owns its map's descriptor, which is open as long as the ring lives, and never replaces it.
    let registered = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
    registered.map_err(|error| LoadError::Wait(error.into()))
}

/// The same of a descriptor that stands for itself.
pub(crate) fn waitable_descriptor(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: it owns what it registers, and is never replaced.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.map_err(io::Error::from)
}
