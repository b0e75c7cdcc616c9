//! Writes its state into a file (`PATH`) as a server does when it starts, and leaves when it cannot: triggers
//! `ReadOnlyFilesystem` on a read-only mount or root.
#![forbid(unsafe_code)]

use std::fs;
use unready_workloads::{argument, fail};

fn main() {
    let path = argument(1, "the file to write");
    if let Err(error) = fs::write(&path, "started\n") {
        fail(format_args!("cannot write {path}: {error}"));
    }
    println!("wrote {path}");
}
