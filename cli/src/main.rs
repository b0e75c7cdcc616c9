//! `unready`, or as a plugin of kubectl `kubectl unready`: the command line.
//!
//! Imports run one way, downwards:
//!
//! - [`args`]: the command line as a whole.
//! - The commands, each with what can be typed after it. [`local`], which need Linux and the agent (a feature, on by default):
//!   `run` starts a program here and explains its start, `replay` says the same from a recording, `doctor` tells what this machine
//!   allows; `outcome` is how a start ends. Everywhere: [`get`]: which pods are not ready, and why; [`patch`]: the fix, for
//!   kubectl; [`timeline`]: a start as a waterfall; [`explain`]: the catalogue; [`complete`] and [`completions`]: what a shell may
//!   offer.
//! - Whom they ask: [`route`] chooses between the [`cluster`] and one [`collector`]; [`join`] finds the pods of verdicts.
//! - What they print: [`output`], [`render`].
//! - The words of all of them: [`cause`], [`time`], [`plugin`] (how we were called), [`status`] (how all of them end).
//!
//! Exit statuses are those of `--help`; an error of our own is one sentence on stderr and status 1.
#![forbid(unsafe_code)]

#[cfg(all(test, feature = "local"))]
mod absent;
mod args;
mod cause;
mod cluster;
mod collector;
mod complete;
mod completions;
#[cfg(feature = "local")]
mod doctor;
mod explain;
mod get;
mod join;
#[cfg(feature = "local")]
mod local;
#[cfg(not(feature = "local"))]
#[path = "absent.rs"]
mod local;
#[cfg(feature = "local")]
mod outcome;
mod output;
mod patch;
mod plugin;
mod render;
#[cfg(feature = "local")]
mod replay;
mod route;
#[cfg(feature = "local")]
mod run;
mod status;
mod time;
mod timeline;

use anyhow::Context;
use args::{Cli, Command};
use clap::{
    FromArgMatches,
    error::{ContextValue, ErrorKind},
};
use plugin::is_plugin;
use status::{Status, Usage};
use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    process::ExitCode,
};
use tracing_subscriber::EnvFilter;
use unready_diagnosis::outside;
use unready_wire::outlet::Log;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let definition = args::definition(is_plugin());
    let words = if is_plugin() { plugin::with_default(words, &definition) } else { words };
    let cli = definition
        .clone()
        .try_get_matches_from(words)
        .and_then(|typed| Cli::from_arg_matches(&typed))
        .unwrap_or_else(|error| refuse(error));
    start_log();
    execute(cli.command, &definition).unwrap_or_else(|error| failed(&error, definition))
}

fn execute(subcommand: Command, definition: &clap::Command) -> anyhow::Result<ExitCode> {
    match subcommand {
        Command::Local(command) => local::execute(&command),
        Command::Get(args) => asynchronously(get::get(*args)),
        Command::Patch(args) => asynchronously(patch::patch(*args)),
        Command::Timeline(args) => asynchronously(timeline::timeline(*args)),
        Command::Explain(args) => explain::explain(&args),
        Command::Complete(args) => asynchronously(complete::complete(&args, definition)),
        Command::Completions(args) => completions::completions(&args, definition.clone()),
    }
}

fn asynchronously(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?.block_on(work)
}

/// Help is ours alone; an error repeats what was typed, which a script may have taken from a cluster.
fn refuse(mut error: clap::Error) -> ! {
    if !error.use_stderr() {
        error.exit();
    }
    let typed: Vec<_> = error.context().filter_map(|(kind, value)| Some((kind, escaped(value)?))).collect();
    for (kind, value) in typed {
        error.insert(kind, value);
    }
    output::usage(&error);
    std::process::exit(error.exit_code());
}

/// What was typed, with what cannot be seen escaped.
#[expect(clippy::wildcard_enum_match_arm, reason = "clap's type may grow; what else it has are words of ours")]
fn escaped(value: &ContextValue) -> Option<ContextValue> {
    let text = |text: &String| outside::escaped(text).into_owned();
    match value {
        ContextValue::String(word) => Some(ContextValue::String(text(word))),
        ContextValue::Strings(words) => Some(ContextValue::Strings(words.iter().map(text).collect())),
        _ => None,
    }
}

/// What makes no sense is told as clap tells it.
fn failed(error: &anyhow::Error, mut definition: clap::Command) -> ExitCode {
    if let Some(Usage(text)) = error.downcast_ref() {
        refuse(definition.error(ErrorKind::ValueValidation, outside::escaped(text)));
    }
    output::note(&sentence(error));
    Status::Failed.into()
}

/// An error and its reasons, each said once: some texts hold their reason already.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |said, reason| {
        let reason = reason.to_string();
        if said.contains(&reason) { said } else { format!("{said}: {reason}") }
    })
}

/// Our own log goes to stderr; warnings only, unless `UNREADY_LOG` says otherwise (e.g. `debug`). What the Kubernetes client
/// fails at we say ourselves, once.
fn start_log() {
    const USUAL: &str = "warn,kube=off,kube_client=off,kube_runtime=off";
    let filter = EnvFilter::try_from_env("UNREADY_LOG").unwrap_or_else(|_| EnvFilter::new(USUAL));
    let ansi = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Log::new(io::stderr(), ansi))
        .with_ansi(ansi)
        .without_time()
        .with_target(false)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_said_once() {
        let error = anyhow::anyhow!("no room").context("cannot write x: no room; choose another").context("the run failed");
        assert_eq!(sentence(&error), "the run failed: cannot write x: no room; choose another");
        assert_eq!(sentence(&anyhow::anyhow!("alone")), "alone");
    }
}
