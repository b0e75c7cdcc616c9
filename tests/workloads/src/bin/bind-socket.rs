//! Listens on a unix socket (`PATH`) or leaves: triggers `PermissionDenied` when its directory may not be written.
#![forbid(unsafe_code)]

use std::os::unix::net::UnixListener;
use unready_workloads::{argument, fail, idle};

fn main() {
    let path = argument(1, "the socket to make");
    match UnixListener::bind(&path) {
        Ok(_listener) => idle(),
        Err(error) => fail(format_args!("cannot listen on {path}: {error}")),
    }
}
