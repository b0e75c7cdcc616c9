//! What is printed: verdicts on stdout, everything else on stderr, with our name before it where it is about ourselves.
//!
//! Nothing else writes (`cargo xtask check` knows who may), and nothing gets through here that is not to be seen: neither
//! from a container nor from a collector.

use anyhow::Context;
use std::io::{self, IsTerminal as _, Write};
use unready_diagnosis::outside;
use unready_wire::outlet;

/// A line for the user that is not a verdict.
pub(crate) fn note(text: &str) {
    let _ = io::stderr().lock().write_all(outlet::sentence("unready", text).as_bytes());
}

/// A line for the user as kubectl would say it, without our name.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", outside::escaped(text));
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn stdout(text: &str) -> anyhow::Result<()> {
    match write(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(()),
    }
}

/// Writes to stdout, where a reader that went away ends what goes on for ever.
pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(outside::screen(text, io::stdout().is_terminal()).as_bytes())?;
    stdout.flush()
}

/// What is wrong with the command line, as clap says it: with the words that were typed.
pub(crate) fn usage(error: &clap::Error) {
    let _ = io::stderr().lock().write_all(outside::screen(&error.render().to_string(), false).as_bytes());
}
