//! Waits for a key file (`PATH PORT`), then serves: healthy when the file comes, however often it was not there before.
#![forbid(unsafe_code)]

use std::{fs, thread, time::Duration};
use unready_workloads::{argument, http, parsed};

fn main() {
    let path = argument(1, "the key file");
    let port = parsed(2, "the port to listen on");
    while fs::read(&path).is_err() {
        thread::sleep(Duration::from_millis(50));
    }
    http::serve(port)
}
