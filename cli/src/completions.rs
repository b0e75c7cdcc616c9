//! `unready completions`: the script that makes a shell complete what is typed after `unready`.
//!
//! Shells get it from the definition of the command line. kubectl asks its plugins instead, through a small script that runs
//! `unready __complete`.

use crate::output;
use clap::{Args, ValueEnum};
use std::process::ExitCode;

/// For kubectl.
const KUBECTL_SCRIPT: &str = include_str!("../../deploy/krew/kubectl_complete-unready");

/// `unready completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell; `kubectl` for the script that completes `kubectl unready`
    #[arg(value_enum)]
    shell: Script,
}

/// Completion scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Script {
    /// For bash
    Bash,
    /// For elvish
    Elvish,
    /// For fish
    Fish,
    /// For PowerShell
    #[value(name = "powershell")]
    PowerShell,
    /// For zsh
    Zsh,
    /// To be put on the PATH as `kubectl_complete-unready`, executable
    Kubectl,
}

impl Script {
    /// The shell; `None`: kubectl completes by itself, and asks us.
    const fn shell(self) -> Option<clap_complete::Shell> {
        use clap_complete::Shell;
        match self {
            Self::Bash => Some(Shell::Bash),
            Self::Elvish => Some(Shell::Elvish),
            Self::Fish => Some(Shell::Fish),
            Self::PowerShell => Some(Shell::PowerShell),
            Self::Zsh => Some(Shell::Zsh),
            Self::Kubectl => None,
        }
    }
}

/// Prints the script; `definition`: what can be typed.
pub(crate) fn completions(args: &CompletionArgs, mut definition: clap::Command) -> anyhow::Result<ExitCode> {
    let Some(shell) = args.shell.shell() else {
        return output::stdout(KUBECTL_SCRIPT).map(|()| ExitCode::SUCCESS);
    };
    let name = definition.get_bin_name().unwrap_or("unready").replace(' ', "-");
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut definition, name, &mut text);
    output::stdout(&String::from_utf8_lossy(&text)).map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_calls_us() {
        assert!(KUBECTL_SCRIPT.starts_with("#!") && KUBECTL_SCRIPT.contains("__complete \"$@\""));
    }
}
