//! Starts threads that wait until the kernel refuses one (at most `LIMIT`, 4096 by default), and leaves: triggers `LimitReached`.
#![forbid(unsafe_code)]

use std::{thread, time::Duration};
use unready_workloads::{fail, optional};

fn main() {
    let limit = optional(1).and_then(|text| text.parse().ok()).unwrap_or(4096);
    for number in 1..=limit {
        let waits = thread::Builder::new().stack_size(64 << 10).spawn(|| thread::sleep(Duration::from_hours(1)));
        if let Err(error) = waits {
            fail(format_args!("cannot start a {number}th thread: {error}"));
        }
    }
    fail(format_args!("{limit} threads run, and nobody refused one"));
}
