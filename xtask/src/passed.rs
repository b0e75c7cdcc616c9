//! What is passed on to a program that has to be built first: its `--help` is answered, and what it does not know is refused, before
//! anything is built. What it takes is in a file that the programs share (`tests/src/options.rs`).

use clap::{Args, Command};

/// Reads what is passed on to the program behind `command`. Ends the process for `--help` and for what is not understood, as clap does.
pub(crate) fn check<Options: Args>(command: &'static str, about: &'static str, rest: &[String]) -> Options {
    let cli = Options::augment_args(Command::new(command).bin_name(command).no_binary_name(true)).about(about);
    let read = cli.try_get_matches_from(rest).and_then(|matches| Options::from_arg_matches(&matches));
    read.unwrap_or_else(|error| error.exit())
}
