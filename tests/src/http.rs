//! One request to a daemon's health and metrics.

use anyhow::{Context as _, Result};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The whole answer to a `GET`, head and body. An error when nothing comes for so long.
pub fn get(address: SocketAddr, path: &str, patience: Duration) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, patience).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("read the answer to {path}"))?;
    Ok(answer)
}
