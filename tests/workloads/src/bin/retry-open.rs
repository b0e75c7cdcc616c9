//! Tries to open a file again and again (`PATH [MILLISECONDS]`), and never gives up: triggers the same causes as
//! `open-or-exit` for a program that lives on.
#![forbid(unsafe_code)]

use std::{fs::File, thread, time::Duration};
use unready_workloads::{argument, idle, optional, warn};

fn main() {
    let path = argument(1, "the file to open");
    let pause = Duration::from_millis(optional(2).and_then(|text| text.parse().ok()).unwrap_or(100));
    let mut said = false;
    while let Err(error) = File::open(&path) {
        if !said {
            warn(format_args!("cannot open {path}: {error}; trying again every {} ms", pause.as_millis()));
            said = true;
        }
        thread::sleep(pause);
    }
    println!("opened {path}");
    idle()
}
