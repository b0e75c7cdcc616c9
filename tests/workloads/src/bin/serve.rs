//! A healthy web server (`PORT`).
#![forbid(unsafe_code)]

use unready_workloads::{http, parsed};

fn main() {
    http::serve(parsed(1, "the port to listen on"))
}
