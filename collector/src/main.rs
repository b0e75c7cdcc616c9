//! `unready-collector`: listens, keeps verdicts in one file, watches what has no node, ends on SIGTERM or SIGINT.
//!
//! Exit status: 0 told to end, 1 it cannot work (one sentence on stderr), 2 usage.
#![forbid(unsafe_code)]

mod args;
mod run;

use args::Args;
use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};
use unready_wire::outlet::{self, Log};

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(sentence) = args.check() {
        Args::command().error(ErrorKind::ArgumentConflict, sentence).exit();
    }
    let ansi = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(args.log.clone())
        .with_writer(move || Log::new(io::stderr(), ansi))
        .with_ansi(ansi)
        .with_target(false)
        .init();
    match run::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = io::stderr().write_all(outlet::sentence("unready-collector", format!("{error:#}")).as_bytes());
            ExitCode::FAILURE
        }
    }
}
