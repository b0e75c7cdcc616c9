//! A web server (`PORT LOG`) that would like to write a log, may not, says so, and goes on serving: healthy.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use unready_workloads::{argument, http, parsed, warn};

fn main() {
    let port = parsed(1, "the port to listen on");
    let log = argument(2, "the log file");
    if let Err(error) = OpenOptions::new().append(true).create(true).open(&log) {
        warn(format_args!("no log file {log} ({error}); logging to stderr"));
    }
    http::serve(port)
}
