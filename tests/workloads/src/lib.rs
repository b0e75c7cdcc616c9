//! What the workloads share: they end as servers do, with one line on stderr and status 1.
//!
//! Each program is one failure, made the way real programs make it: it does what it was told, and when it cannot, it
//! says so and leaves. None knows of Unready. They are linked statically, so that a root file system needs nothing else.
#![forbid(unsafe_code)]

pub mod http;

use std::{env, fmt::Display, process, str::FromStr, thread, time::Duration};

/// The program's name, as it was called.
fn program() -> String {
    let name = env::args().next().unwrap_or_default();
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Says why on stderr, and ends with status 1.
pub fn fail(why: impl Display) -> ! {
    eprintln!("{}: {why}", program());
    process::exit(1)
}

/// Says on stderr what is wrong but not fatal.
pub fn warn(what: impl Display) {
    eprintln!("{}: {what}", program());
}

/// The `n`th argument; without it the program ends with status 2 and a line that names it.
pub fn argument(n: usize, name: &str) -> String {
    env::args().nth(n).unwrap_or_else(|| {
        eprintln!("usage: {}: argument {n} is {name}", program());
        process::exit(2)
    })
}

/// The `n`th argument as a number or another type with a text form; see [`argument`].
pub fn parsed<T: FromStr>(n: usize, name: &str) -> T {
    let text = argument(n, name);
    text.parse().unwrap_or_else(|_| {
        eprintln!("{}: {name} cannot be {text:?}", program());
        process::exit(2)
    })
}

/// The `n`th argument, when there is one.
pub fn optional(n: usize) -> Option<String> {
    env::args().nth(n)
}

/// Stays alive and does nothing, as a server without requests.
pub fn idle() -> ! {
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}
