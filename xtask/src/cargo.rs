//! Cargo at work, with a line of progress.
//!
//! On a terminal Cargo draws its own bar. Elsewhere, in a log or a pipe, it would say nothing about how far it is: it is told to
//! draw all the same, and each quarter of a minute what it draws becomes a line, `build  212 of 390: tokio, syn (90 s)`. Warnings and
//! errors pass through; which crates are compiled does not.

use crate::progress::Progress;
use anyhow::{Context as _, Result};
use std::{
    io::{BufReader, IsTerminal as _, Read},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(15);
/// Names of crates at work that a line has room for.
const NAMES: usize = 4;
/// What Cargo says of each crate or file, and nobody needs in a log.
const CHATTER: &[&str] = &["Compiling ", "Checking ", "Fresh ", "Downloaded ", "Downloading ", "Finished ", "Executable "];

/// Runs it to its end; returns what it wrote to stdout, and whether it succeeded.
pub(crate) fn run(progress: Progress, mut command: Command) -> Result<(String, bool)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let drawn = std::io::stderr().is_terminal();
    if !drawn {
        command.stderr(Stdio::piped()).envs([("CARGO_TERM_PROGRESS_WHEN", "always"), ("CARGO_TERM_PROGRESS_WIDTH", "160")]);
    }
    let mut child = command.spawn().context("cargo cannot be started: install Rust by rustup (https://rustup.rs)")?;
    let (stdout, stderr) = (child.stdout.take().context("a piped stdout is missing")?, child.stderr.take());
    let said = thread::scope(|scope| {
        scope.spawn(|| stderr.map(|stderr| follow(progress, stderr)));
        let mut said = Vec::new();
        BufReader::new(stdout).read_to_end(&mut said).map(|_| said)
    });
    let status = child.wait().context("cargo is lost")?;
    Ok((String::from_utf8_lossy(&said?).into_owned(), status.success()))
}

/// Turns what is drawn into lines. A bar ends with a carriage return, everything else with a newline.
fn follow(progress: Progress, stderr: impl Read) {
    let begin = Instant::now();
    let mut last = begin;
    let mut line = Vec::new();
    // An error of a pipe is its end; Cargo's exit status tells the rest.
    for byte in BufReader::new(stderr).bytes().map_while(Result::ok) {
        if !matches!(byte, b'\r' | b'\n') {
            line.push(byte);
            continue;
        }
        let text = plain(&String::from_utf8_lossy(&line));
        line.clear();
        match State::of(&text) {
            State::At(at) if last.elapsed() >= PAUSE => {
                last = Instant::now();
                progress.say(format_args!("{at} ({} s)", begin.elapsed().as_secs()));
            }
            State::At(_) | State::Chatter => {}
            State::Said => eprintln!("{text}"),
        }
    }
}

/// What a line of Cargo is.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// How far it is.
    At(String),
    /// Nothing that matters.
    Chatter,
    /// For people.
    Said,
}

impl State {
    /// `Building [=====>   ] 212/390: tokio, syn(build.rs)`.
    fn of(line: &str) -> Self {
        let words = line.trim();
        if let Some((_, at)) = words.strip_prefix("Building [").and_then(|rest| rest.split_once("] ")) {
            let (counts, names) = at.split_once(": ").unwrap_or((at, ""));
            let names: Vec<&str> = names.split(", ").take(NAMES).collect();
            return Self::At(format!("{}: {}", counts.replace('/', " of "), names.join(", ")));
        }
        if words.is_empty() || CHATTER.iter().any(|chatter| words.starts_with(chatter)) { Self::Chatter } else { Self::Said }
    }
}

/// Without the sequence that clears the rest of a line.
fn plain(line: &str) -> String {
    line.replace("\x1b[K", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_becomes_a_line() {
        let at = |line: &str| State::of(&plain(line));
        assert_eq!(
            at("    Building [====>    ] 212/390: tokio, syn(build.rs)   \x1b[K"),
            State::At("212 of 390: tokio, syn(build.rs)".to_owned())
        );
        assert_eq!(at("    Building [=> ] 1/9: a, b, c, d, e..."), State::At("1 of 9: a, b, c, d".to_owned()));
        assert_eq!(at("   Compiling tokio v1.54.1"), State::Chatter);
        assert_eq!(at(""), State::Chatter);
        assert_eq!(at("error: could not compile `x`"), State::Said);
        assert_eq!(at("warning: unused variable: `Compiling `"), State::Said);
    }
}
