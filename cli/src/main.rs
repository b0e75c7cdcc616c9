//! `unready`, or as a plugin of kubectl `kubectl unready`: the command line.
//!
//! - [`args`]: what can be typed.
//! - [`run`]: start a program here and explain its start.
//! - [`get`]: ask the collector.
//! - [`replay`]: the same from a recording.
//! - [`doctor`]: what this machine allows.
//! - [`status`], [`output`]: how all of them end, and what they print.
//!
//! Exit statuses are those of `--help`; an error of our own is one sentence on stderr and status 1.
#![forbid(unsafe_code)]

mod args;
mod doctor;
mod get;
mod output;
mod render;
mod replay;
mod run;
mod status;

use anyhow::Context;
use args::{Cli, Command};
use clap::{CommandFactory, FromArgMatches};
use status::Status;
use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    path::Path,
    process::ExitCode,
};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let is_plugin = words.first().and_then(|name| Path::new(name).file_stem()).is_some_and(|name| name == PLUGIN);
    let command = command(is_plugin);
    let words = if is_plugin { with_default(words, &command) } else { words };
    let cli = Cli::from_arg_matches(&command.clone().get_matches_from(words)).unwrap_or_else(|error| error.exit());
    start_log();
    match execute(cli.command, command) {
        Ok(code) => code,
        Err(error) => {
            output::note(&sentence(&error));
            Status::Failed.into()
        }
    }
}

/// By this name kubectl finds us: the same binary, linked or copied.
const PLUGIN: &str = "kubectl-unready";

/// The definition under the name by which we were called.
fn command(is_plugin: bool) -> clap::Command {
    let command = Cli::command();
    if is_plugin { command.name(PLUGIN).bin_name("kubectl unready") } else { command }
}

/// `kubectl unready` and `kubectl unready pod/x` mean `get`.
fn with_default(mut words: Vec<OsString>, command: &clap::Command) -> Vec<OsString> {
    const OURS: [&str; 5] = ["help", "-h", "--help", "-V", "--version"];
    let is_ours = |word: &OsString| word.to_str().is_some_and(|word| OURS.contains(&word) || command.find_subcommand(word).is_some());
    if !words.get(1).is_some_and(is_ours) {
        words.insert(words.len().min(1), "get".into());
    }
    words
}

fn execute(subcommand: Command, mut definition: clap::Command) -> anyhow::Result<ExitCode> {
    match subcommand {
        Command::Run(args) => {
            if args.command.first().is_some_and(|name| name.is_empty()) {
                definition.error(clap::error::ErrorKind::ValueValidation, "CMD is empty: name the program to run").exit();
            }
            run::run(&args).map(Into::into)
        }
        Command::Get(args) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
            runtime.block_on(get::get(args))
        }
        Command::Replay(args) => replay::replay(&args).map(Into::into),
        Command::Doctor(args) => doctor::doctor(&args).map(Into::into),
        Command::Launch(args) => run::launcher::launch(&args),
        Command::Completions(args) => {
            let name = definition.get_bin_name().unwrap_or("unready").replace(' ', "-");
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut definition, name, &mut script);
            output::stdout(&script).map(|()| ExitCode::SUCCESS)
        }
    }
}

/// An error and its reasons, each said once: some texts hold their reason already.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |said, reason| {
        let reason = reason.to_string();
        if said.contains(&reason) { said } else { format!("{said}: {reason}") }
    })
}

/// Our own log goes to stderr; warnings only, unless `UNREADY_LOG` says otherwise (e.g. `debug`).
fn start_log() {
    let filter = EnvFilter::try_from_env("UNREADY_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_plugin_get_may_be_left_out() {
        let words = |line: &str| {
            let words = with_default(line.split(' ').map(OsString::from).collect(), &command(true));
            words.join(&OsString::from(" ")).into_string()
        };
        for (line, expected) in [
            ("kubectl-unready", "kubectl-unready get"),
            ("kubectl-unready pod/x -o json", "kubectl-unready get pod/x -o json"),
            ("kubectl-unready -A", "kubectl-unready get -A"),
            ("kubectl-unready get x", "kubectl-unready get x"),
            ("kubectl-unready doctor", "kubectl-unready doctor"),
            ("kubectl-unready --help", "kubectl-unready --help"),
        ] {
            assert_eq!(words(line), Ok(expected.into()));
        }
    }

    #[test]
    fn reasons_are_said_once() {
        let error = anyhow::anyhow!("no room").context("cannot write x: no room; choose another").context("the run failed");
        assert_eq!(sentence(&error), "the run failed: cannot write x: no room; choose another");
        assert_eq!(sentence(&anyhow::anyhow!("alone")), "alone");
    }
}
