//! Listens on a port (`PORT`) of all addresses or leaves: triggers `PermissionDenied` for a low port without
//! `CAP_NET_BIND_SERVICE`, and `AddressInUse`.
#![forbid(unsafe_code)]

use std::net::TcpListener;
use unready_workloads::{fail, idle, parsed};

fn main() {
    let port: u16 = parsed(1, "the port to listen on");
    match TcpListener::bind(("0.0.0.0", port)) {
        Ok(_listener) => {
            println!("listening on port {port}");
            idle()
        }
        Err(error) => fail(format_args!("cannot listen on port {port}: {error}")),
    }
}
