//! Fails as fast as it can, for ever (`same|new PREFIX`): opens one missing file again and again, or ever new ones.
//! Shows that one container's storm does not cost another one its verdict.
#![forbid(unsafe_code)]

use std::fs::File;
use unready_workloads::{argument, fail};

fn main() {
    let kind = argument(1, "same or new");
    let prefix = argument(2, "the beginning of the path");
    match kind.as_str() {
        "same" => loop {
            let _ = File::open(&prefix);
        },
        "new" => {
            for n in 0_u64.. {
                let _ = File::open(format!("{prefix}-{n}"));
            }
        }
        other => fail(format_args!("no storm is called {other:?}")),
    }
}
