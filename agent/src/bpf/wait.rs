//! Waiting for one of the rings that the programs write: of records, of messages.

use super::error::LoadError;
use std::os::fd::{AsFd, AsRawFd};
use tokio::io::{Interest, unix::AsyncFd};

/// Registers a ring with the runtime.
pub(super) fn waitable<T: AsFd + AsRawFd>(ring: T) -> Result<AsyncFd<T>, LoadError> {
    // SAFETY: a ring owns its map's descriptor, which is open as long as the ring lives, and never replaces it.
    let registered = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
    registered.map_err(|error| LoadError::Wait(error.into()))
}
