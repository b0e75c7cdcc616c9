//! `unready`, or as a plugin of kubectl `kubectl unready`: the command line.
//!
//! - [`args`]: what can be typed.
//! - [`run`]: start a program here and explain its start.
//! - [`get`]: which pods are not ready, and why.
//! - [`patch`]: the fix, for kubectl; [`timeline`]: a start as a waterfall; [`explain`]: the catalogue.
//! - [`cluster`]: the cluster behind these; [`plugin`], [`complete`]: what kubectl expects of a plugin.
//! - [`replay`]: the same from a recording.
//! - [`doctor`]: what this machine allows.
//! - [`status`], [`output`]: how all of them end, and what they print.
//!
//! Exit statuses are those of `--help`; an error of our own is one sentence on stderr and status 1.
#![forbid(unsafe_code)]

mod args;
mod cluster;
mod complete;
mod doctor;
mod explain;
mod get;
mod output;
mod patch;
mod plugin;
mod render;
mod replay;
mod run;
mod status;
mod timeline;

use anyhow::Context;
use args::{Cli, Command, Script};
use clap::FromArgMatches;
use plugin::is_plugin;
use status::Status;
use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    process::ExitCode,
};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let is_plugin = is_plugin();
    let command = plugin::command(is_plugin);
    let words = if is_plugin { plugin::with_default(words, &command) } else { words };
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

fn execute(subcommand: Command, mut definition: clap::Command) -> anyhow::Result<ExitCode> {
    match subcommand {
        Command::Run(args) => {
            if args.command.first().is_some_and(|name| name.is_empty()) {
                definition.error(clap::error::ErrorKind::ValueValidation, "CMD is empty: name the program to run").exit();
            }
            run::run(&args).map(Into::into)
        }
        Command::Get(args) => asynchronously(get::get(*args)),
        Command::Patch(args) => asynchronously(patch::patch(*args)),
        Command::Timeline(args) => asynchronously(timeline::timeline(*args)),
        Command::Explain(args) => explain::explain(&args),
        Command::Complete(args) => asynchronously(async move { complete::complete(&args).await.map(|()| ExitCode::SUCCESS) }),
        Command::Replay(args) => replay::replay(&args).map(Into::into),
        Command::Doctor(args) => doctor::doctor(&args).map(Into::into),
        Command::Launch(args) => run::launcher::launch(&args),
        Command::Completions(args) => completions(args.shell, definition),
    }
}

fn asynchronously(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?.block_on(work)
}

fn completions(script: Script, mut definition: clap::Command) -> anyhow::Result<ExitCode> {
    let Some(shell) = script.shell() else {
        return output::stdout(complete::KUBECTL_SCRIPT.as_bytes()).map(|()| ExitCode::SUCCESS);
    };
    let name = definition.get_bin_name().unwrap_or("unready").replace(' ', "-");
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut definition, name, &mut text);
    output::stdout(&text).map(|()| ExitCode::SUCCESS)
}

/// Ends as clap does when the command line makes no sense: status 2.
fn usage(text: &str) -> ! {
    plugin::command(is_plugin()).error(clap::error::ErrorKind::ValueValidation, text).exit()
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
    fn reasons_are_said_once() {
        let error = anyhow::anyhow!("no room").context("cannot write x: no room; choose another").context("the run failed");
        assert_eq!(sentence(&error), "the run failed: cannot write x: no room; choose another");
        assert_eq!(sentence(&anyhow::anyhow!("alone")), "alone");
    }
}
