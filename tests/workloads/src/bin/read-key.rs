//! Reads a key or certificate (`PATH`) and leaves when it cannot: triggers `FileMissing` (also when the file comes too
//! late) and, where the kubelet made a directory of a subPath, `WrongFileType`.
#![forbid(unsafe_code)]

use std::fs;
use unready_workloads::{argument, fail};

fn main() {
    let path = argument(1, "the key file");
    match fs::read(&path) {
        Ok(key) => println!("read {} bytes of {path}", key.len()),
        Err(error) => fail(format_args!("cannot read key {path}: {error}")),
    }
}
