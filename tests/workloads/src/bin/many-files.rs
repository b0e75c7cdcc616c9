//! Opens a file (`PATH [LIMIT]`) more often than its limit of open files, 64 by default, allows, and leaves: triggers
//! `TooManyFiles`.
#![forbid(unsafe_code)]

use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::File;
use unready_workloads::{argument, fail, optional};

fn main() {
    let path = argument(1, "the file to open");
    let limit = optional(2).and_then(|text| text.parse().ok()).unwrap_or(64);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum: Some(limit) }) {
        fail(format_args!("cannot limit open files: {error}"));
    }
    let mut held = Vec::new();
    loop {
        match File::open(&path) {
            Ok(file) => held.push(file),
            Err(error) => fail(format_args!("cannot open {path} a {}th time: {error}", held.len() + 1)),
        }
    }
}
