//! Does one thing as fast as it can (`KIND SECONDS [DIR]`), to show that no container can blind an agent: `fork`, `exec`, `listen`,
//! `chroot`, `open` (ever new paths), `cgroups` (made and removed below DIR), `names` (the same from within a cgroup below DIR that
//! is named as a pod's), `reexec` (itself, by the main process). Prints how often.
#![forbid(unsafe_code)]

use std::{
    env, fs,
    net::TcpListener,
    os::unix::{fs::chroot, process::CommandExt as _},
    process::{self, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use unready_workloads::{argument, fail};

/// How often the clock is looked at.
const ROUND: u64 = 16;
/// How many cgroups of `names` exist at once.
const LIVING: u64 = 3000;
/// A pod's cgroup, by its name.
const POD: &str = "pod11111111-1111-1111-1111-111111111111";

fn main() {
    let kind = argument(1, "fork, exec, listen, chroot, open, cgroups, names, reexec or nothing");
    if kind == "nothing" {
        return;
    }
    let seconds = argument(2, "seconds").parse().unwrap_or_else(|_| fail("the second argument is a number of seconds"));
    if kind == "reexec" {
        reexec(seconds);
    }
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let directory = env::args().nth(3).unwrap_or_default();
    if kind == "names" {
        disguise(&directory);
    }
    let mut done = 0_u64;
    while Instant::now() < end {
        for _ in 0..ROUND {
            once(&kind, done, &directory);
            done += 1;
        }
    }
    if kind == "names" {
        undisguise(&directory, done);
    }
    println!("{kind}: {done} in {seconds} s");
}

/// Executes itself until the time is up, which it hands on with the count.
fn reexec(seconds: f64) -> ! {
    const UNTIL: &str = "FLOOD_UNTIL";
    const COUNT: &str = "FLOOD_COUNT";
    let read = |name| env::var(name).ok().and_then(|text| text.parse::<f64>().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let (until, count) = (read(UNTIL).unwrap_or(now + seconds), read(COUNT).unwrap_or_default());
    if now < until {
        let next = Command::new("/proc/self/exe")
            .args(env::args().skip(1))
            .env(UNTIL, until.to_string())
            .env(COUNT, (count + 1.0).to_string())
            .exec();
        fail(format_args!("cannot execute itself: {next}"));
    }
    println!("reexec: {count} in {seconds} s");
    process::exit(0);
}

/// Moves into a cgroup that looks like a pod's.
fn disguise(directory: &str) {
    let pod = format!("{directory}/{POD}");
    let moved = fs::create_dir(&pod).and_then(|()| fs::write(format!("{pod}/cgroup.procs"), "0"));
    moved.unwrap_or_else(|error| fail(format_args!("cannot move into {pod}: {error}")));
}

fn undisguise(directory: &str, done: u64) {
    let _ = fs::write(format!("{directory}/cgroup.procs"), "0");
    for number in done.saturating_sub(LIVING)..done {
        let _ = fs::remove_dir(format!("{directory}/{POD}/{number}"));
    }
    let _ = fs::remove_dir(format!("{directory}/{POD}"));
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
        "names" => {
            drop(fs::create_dir(format!("{directory}/{POD}/{number}")));
            if let Some(oldest) = number.checked_sub(LIVING) {
                drop(fs::remove_dir(format!("{directory}/{POD}/{oldest}")));
            }
        }
        other => fail(format_args!("no flood is called {other:?}")),
    }
}
