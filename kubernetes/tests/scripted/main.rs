//! Watch and publisher against an API server that does what a real one does once in a year: it expires versions, falls
//! silent, forbids, forgets and goes away.
#![allow(clippy::unwrap_used, reason = "tests")]

mod publish;
mod server;
mod watch;
