//! Writes a log into a directory (`DIRECTORY [tidy]`) until the file system is full, and leaves: triggers
//! `StorageFull`. With `tidy` it deletes the file first, as databases do, so that the space is free again afterwards.
#![forbid(unsafe_code)]

use std::{
    fs::{self, File},
    io::Write,
};
use unready_workloads::{argument, fail, optional};

fn main() {
    let path = format!("{}/journal", argument(1, "the directory to write into"));
    let mut file = File::create(&path).unwrap_or_else(|error| fail(format_args!("cannot create {path}: {error}")));
    let block = vec![0x2e; 64 << 10];
    loop {
        if let Err(error) = file.write_all(&block) {
            if optional(2).as_deref() == Some("tidy") {
                let _ = fs::remove_file(&path);
            }
            fail(format_args!("cannot write {path}: {error}"));
        }
    }
}
