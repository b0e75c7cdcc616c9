//! The command line as a whole, as clap sees it: which commands there are. What can be typed after each stands with it.
//!
//! What is wrong with a flag is found before anything is started: status 2.

use crate::{
    complete::CompleteArgs,
    completions::CompletionArgs,
    explain::ExplainArgs,
    get::args::GetArgs,
    local::{LONG_VERSION, Local},
    patch::PatchArgs,
    plugin,
    timeline::TimelineArgs,
};
use clap::{CommandFactory as _, Parser, Subcommand};

/// Why is this pod not ready?
#[derive(Debug, Parser)]
#[command(
    name = "unready",
    version,
    long_version = LONG_VERSION,
    about = "Says why a program or pod is not ready, from what the kernel saw.",
    after_help = "Exit status: 0 healthy, or answered; 3 a cause was found that keeps it from becoming ready; 4 not ready and no cause found, or no patch can help; 1 Unready itself failed; 2 usage.",
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What looks at this machine
    #[command(flatten)]
    Local(Local),
    /// Show which pods are not ready, and why
    Get(Box<GetArgs>),
    /// Print the fix as a patch for kubectl
    Patch(Box<PatchArgs>),
    /// Draw the start of a pod as a waterfall
    Timeline(Box<TimelineArgs>),
    /// Tell about a cause, or list all
    Explain(ExplainArgs),
    /// Print a completion script for a shell
    Completions(CompletionArgs),
    /// What the last word may become, for kubectl
    #[command(name = "__complete", hide = true)]
    Complete(CompleteArgs),
}

/// What can be typed, under the name by which we were called.
pub(crate) fn definition(is_plugin: bool) -> clap::Command {
    let definition = Cli::command();
    if is_plugin { plugin::renamed(definition) } else { definition }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition(false).debug_assert();
        definition(true).debug_assert();
    }
}
