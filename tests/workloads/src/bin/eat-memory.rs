//! Allocates and uses memory until it is ended: triggers `OutOfMemory` under a memory limit. Gives up at 512 MiB, so
//! that a missing limit does no harm.
#![forbid(unsafe_code)]

use unready_workloads::fail;

const CHUNK: usize = 1 << 20;
const AT_MOST: usize = 512;

fn main() {
    let mut held: Vec<Vec<u8>> = Vec::new();
    while held.len() < AT_MOST {
        held.push(vec![0x55; CHUNK]);
    }
    fail(format_args!("nobody stopped us at {} MiB", std::hint::black_box(&held).len()));
}
