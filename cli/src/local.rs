//! The commands that watch a machine, or read what was recorded on one. They need Linux and the agent: the feature `local`.
//!
//! Without it `absent.rs` stands in this module's place.

use crate::{
    doctor::{self, DoctorArgs},
    replay::{self, ReplayArgs},
    run::{
        self,
        args::{LaunchArgs, RunArgs},
    },
    status::Usage,
};
use clap::Subcommand;
use std::process::ExitCode;

/// `--version` in full: `run` is an agent of its own.
pub(crate) use unready_agent::bpf::LONG_VERSION;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Local {
    /// Start a program here and explain its start
    Run(Box<RunArgs>),
    /// Say again what a recorded start says, on any machine
    Replay(ReplayArgs),
    /// Show what this machine allows, and what is lost without it
    Doctor(DoctorArgs),
    /// The launcher of `unready run`
    #[command(name = "__launch", hide = true)]
    Launch(LaunchArgs),
}

/// Does one.
pub(crate) fn execute(command: &Local) -> anyhow::Result<ExitCode> {
    match command {
        Local::Run(args) => {
            if args.command.first().is_some_and(|name| name.is_empty()) {
                return Err(Usage("CMD is empty: name the program to run".to_owned()).into());
            }
            run::run(args).map(Into::into)
        }
        Local::Replay(args) => replay::replay(args).map(Into::into),
        Local::Doctor(args) => doctor::doctor(args).map(Into::into),
        Local::Launch(args) => run::launcher::launch(args),
    }
}
