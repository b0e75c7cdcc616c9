//! Listens on an address (`ADDRESS:PORT`) or leaves: triggers `AddressUnavailable`, `AddressInUse`, and for a low port
//! without the capability `PermissionDenied`.
#![forbid(unsafe_code)]

use std::net::TcpListener;
use unready_workloads::{argument, fail, idle};

fn main() {
    let address = argument(1, "the address to listen on");
    match TcpListener::bind(&address) {
        Ok(_listener) => {
            println!("listening on {address}");
            idle()
        }
        Err(error) => fail(format_args!("cannot listen on {address}: {error}")),
    }
}
