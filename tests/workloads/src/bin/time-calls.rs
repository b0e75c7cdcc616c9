//! Measures what a call costs (`open|getppid COUNT ROUNDS`): prints the nanoseconds a call of each round, one line a
//! round. `open` fails with ENOENT, always for the same path.
#![forbid(unsafe_code)]

use std::{fs::File, hint::black_box, os::unix::process::parent_id, time::Instant};
use unready_workloads::{argument, fail, parsed};

fn main() {
    let call = argument(1, "open or getppid");
    let count: u32 = parsed(2, "calls a round");
    let rounds: u32 = parsed(3, "rounds");
    for _ in 0..rounds {
        let begin = Instant::now();
        match call.as_str() {
            "open" => (0..count).for_each(|_| drop(black_box(File::open("/nonexistent/unready-bench")))),
            "getppid" => (0..count).for_each(|_| {
                black_box(parent_id());
            }),
            other => fail(format_args!("cannot measure {other:?}")),
        }
        println!("{:.1}", begin.elapsed().as_secs_f64() * 1e9 / f64::from(count.max(1)));
    }
}
