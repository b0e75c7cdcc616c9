//! What stands in the place of the commands that watch a machine in a program that was built without them, for people who look at
//! clusters from elsewhere. The help does not offer them. Typed all the same, they say where they are to be had: without that
//! `kubectl unready run` would look for a pod of that name.

use crate::status::Usage;
use clap::{Args, Subcommand};
use std::{ffi::OsString, process::ExitCode};

/// `--version` in full.
pub(crate) const LONG_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\nbuilt without run, replay and doctor");

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Local {
    #[command(hide = true, disable_help_flag = true)]
    Run(Words),
    #[command(hide = true, disable_help_flag = true)]
    Replay(Words),
    #[command(hide = true, disable_help_flag = true)]
    Doctor(Words),
}

/// Whatever was typed.
#[derive(Debug, Args)]
pub(crate) struct Words {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _words: Vec<OsString>,
}

/// Says that it is not there.
pub(crate) fn execute(command: &Local) -> anyhow::Result<ExitCode> {
    let name = match command {
        Local::Run(_) => "run",
        Local::Replay(_) => "replay",
        Local::Doctor(_) => "doctor",
    };
    Err(Usage(format!(
        "this program was built without `{name}`, which looks at the machine that it runs on: use `unready {name}` of a build for Linux \
         with the feature `local`, which builds have by default"
    ))
    .into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(subcommand)]
        local: Local,
    }

    #[test]
    fn whatever_follows_the_answer_says_where_it_is() {
        for line in ["unready run --uid 1000 -- ./server --port 1", "unready run --help", "unready replay x", "unready doctor"] {
            let typed = Typed::try_parse_from(line.split(' ')).unwrap();
            let said = execute(&typed.local).unwrap_err().downcast::<Usage>().unwrap().to_string();
            let name = line.split(' ').nth(1).unwrap();
            assert!(said.contains(&format!("without `{name}`")) && said.contains("for Linux"), "{said}");
        }
    }

    #[test]
    fn the_help_does_not_offer_them() {
        let help = <Typed as clap::CommandFactory>::command().render_help().to_string();
        assert!(!help.contains("replay") && !help.contains("doctor"), "{help}");
        assert!(LONG_VERSION.contains("without run, replay and doctor"));
    }
}
