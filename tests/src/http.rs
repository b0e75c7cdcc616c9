//! Requests to a daemon's health, metrics and API, over loopback.

use anyhow::{Context, Result, bail, ensure};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

/// A port that was free a moment ago: for a daemon that is to be told one.
pub fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("loopback has no free port")?;
    listener.local_addr().context("a listener has no address")
}

/// The body of an answer with status 200 (or 4xx of Prometheus' API, which explains itself in JSON).
pub fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream =
        TcpStream::connect_timeout(&address, Duration::from_secs(5)).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    // HTTP/1.0: the answer ends with the connection, and is not chunked.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: */*\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("{address}{path} gave no text"))?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("{address}{path} gave no answer: {answer:?}") };
    let is_json = head.to_ascii_lowercase().contains("application/json");
    ensure!(head.contains(" 200 ") || is_json, "{address}{path}: {head}\n{body}");
    Ok(body.to_owned())
}
