//! The way from agent to collector with TLS, over real sockets on loopback: what goes through, what is said of what does not,
//! and how often an agent shows who it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod handshake;
mod renewal;
mod support;
