//! Fails its very first open (`PATH`) and leaves, with the moment of the call on stdout as `failed at NANOSECONDS`
//! since boot: triggers `FileMissing`. Shows that no start is too early to be seen, and how long a verdict takes.
#![forbid(unsafe_code)]

use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use unready_workloads::{argument, fail};

fn main() {
    let path = argument(1, "a file that is not there");
    let result = File::open(&path);
    let now = clock_gettime(ClockId::Boottime);
    println!("failed at {}", now.tv_sec * 1_000_000_000 + now.tv_nsec);
    match result {
        Ok(_) => println!("{path} is there"),
        Err(error) => fail(format_args!("cannot open {path}: {error}")),
    }
}
