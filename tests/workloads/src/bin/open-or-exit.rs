//! Opens a file as it is told (`PATH [read|write|read-write|create|append]`) and leaves when it may not: triggers
//! `PermissionDenied`, `ReadOnlyFilesystem` or `FileMissing`, by the file system that it is given.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use unready_workloads::{argument, fail, optional};

fn main() {
    let path = argument(1, "the file to open");
    let mode = optional(2).unwrap_or_else(|| "read".to_owned());
    let mut options = OpenOptions::new();
    match mode.as_str() {
        "read" => options.read(true),
        "write" => options.write(true),
        "read-write" => options.read(true).write(true),
        "create" => options.read(true).write(true).create(true),
        "append" => options.append(true).create(true),
        other => fail(format_args!("no way to open is called {other:?}")),
    };
    match options.open(&path) {
        Ok(_) => println!("opened {path}"),
        Err(error) => fail(format_args!("cannot open {path}: {error}")),
    }
}
