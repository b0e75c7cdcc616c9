//! The first and only program of a test VM: do all eBPF programs load, attach and fire on this kernel?
//!
//! ```text
//!   init, alone in its machine:   mount ─► load ─► attach ─► one process an event ─► report ─► power off
//!   vm-init --here, on a host:             load ─► attach ─► one process an event ─► report
//!   vm-init act WHAT CGROUP:      enter the cgroup, do the one thing
//!   vm-init program PATH:         what a container of the machine executes
//! ```
//!
//! The report is made of lines, for a serial console: `RESULT name ok|absent|FAILED [remark]`, `NOTE text`, and as the last word
//! `INIT-EXIT n`, n being 0 if nothing failed.
#![forbid(unsafe_code)]

mod act;
mod checks;
mod machine;
mod stepped;
mod watcher;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["act", what, cgroup] => act::run(what, cgroup),
        ["program", path] => act::program(path),
        _ if std::process::id() == 1 => as_init(),
        ["--here"] => status(report()),
        _ => {
            eprintln!(
                "usage: vm-init --here, as root: try all eBPF programs on the running kernel (as process 1 it mounts what it needs, and powers off)"
            );
            ExitCode::from(2)
        }
    }
}

/// Everything, as process 1: it must not end before the power does, for the kernel panics then.
fn as_init() -> ExitCode {
    if let Err(error) = machine::mount_all() {
        println!("RESULT mounts FAILED {error:#}");
        println!("INIT-EXIT 1");
    } else {
        status(report());
    }
    machine::power_off()
}

/// Runs all checks and prints the report; the number of failures.
fn report() -> usize {
    let results = match checks::run() {
        Ok(results) => results,
        Err(error) => vec![checks::Outcome::failed("load", &format!("{error:#}"))],
    };
    for result in &results {
        println!("RESULT {result}");
    }
    results.iter().filter(|result| result.is_failure()).count()
}

fn status(failures: usize) -> ExitCode {
    let status = u8::from(failures > 0);
    println!("INIT-EXIT {status}");
    ExitCode::from(status)
}
