//! A web server small enough for a workload: answers every request with `200 OK`, one connection after another.

use crate::{fail, warn};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";

/// Listens on this port of all IPv4 addresses and serves until it is ended.
pub fn serve(port: u16) -> ! {
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap_or_else(|error| fail(format_args!("cannot listen on port {port}: {error}")));
    println!("listening on port {port}");
    loop {
        match listener.accept() {
            Ok((connection, _)) => answer(connection),
            Err(error) => warn(format_args!("accept: {error}")),
        }
    }
}

/// Reads what fits one buffer (a probe's request does) and answers; a client that went away is its own business.
fn answer(mut connection: TcpStream) {
    let mut request = [0; 2048];
    if connection.read(&mut request).is_ok_and(|read| read > 0) {
        let _ = connection.write_all(ANSWER);
    }
}
