//! Does one thing as fast as it can (`KIND SECONDS [DIR]`), to show that no container can blind an agent: `fork`, `exec`, `listen`,
//! `chroot`, `open` (ever new paths), `cgroups` (made and removed below DIR). Prints how often.
#![forbid(unsafe_code)]

use std::{
    env, fs,
    net::TcpListener,
    os::unix::{fs::chroot, process::CommandExt as _},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use unready_workloads::{argument, fail};

/// How often the clock is looked at.
const ROUND: u64 = 16;

fn main() {
    let kind = argument(1, "fork, exec, listen, chroot, open, cgroups or nothing");
    if kind == "nothing" {
        return;
    }
    let seconds = argument(2, "seconds").parse().unwrap_or_else(|_| fail("the second argument is a number of seconds"));
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let directory = env::args().nth(3).unwrap_or_default();
    let mut done = 0_u64;
    while Instant::now() < end {
        for _ in 0..ROUND {
            once(&kind, done, &directory);
            done += 1;
        }
    }
    println!("{kind}: {done} in {seconds} s");
}

fn once(kind: &str, number: u64, directory: &str) {
    match kind {
        // A child that cannot execute anything: it is made, and ends.
        "fork" => drop(Command::new("/none").arg0("none").spawn()),
        "exec" => drop(Command::new("/proc/self/exe").arg("nothing").stdout(Stdio::null()).status()),
        "listen" => drop(TcpListener::bind("127.0.0.1:0")),
        "chroot" => drop(chroot("/")),
        "open" => drop(fs::File::open(format!("/none/{number}"))),
        "cgroups" => {
            let path = format!("{directory}/{number}");
            drop(fs::create_dir(&path));
            drop(fs::remove_dir(&path));
        }
        other => fail(format_args!("no flood is called {other:?}")),
    }
}
