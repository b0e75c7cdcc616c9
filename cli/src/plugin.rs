//! As a plugin of kubectl: the same binary under the name `kubectl-unready`, linked or copied.
//!
//! kubectl runs a plugin with the words that follow its name, and passes no flag of its own along. `kubectl unready` is then
//! `get`, flags may stand before the subcommand as kubectl's users expect, and the cluster that kubectl looks at is ours.

use clap::Command;
use std::{ffi::OsString, path::Path, sync::OnceLock};

/// By this name kubectl finds us.
const PLUGIN: &str = "kubectl-unready";
/// Without a subcommand it is `get`.
const USAGE: &str =
    "kubectl unready [NAME]... [OPTIONS]    (`kubectl unready get --help` tells of these)\n       kubectl unready <COMMAND>";
/// Words that are no target, wherever no subcommand is.
const OURS: [&str; 5] = ["help", "-h", "--help", "-V", "--version"];

/// We were called by that name.
pub(crate) fn is_plugin() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| std::env::args_os().next().is_some_and(|name| Path::new(&name).file_stem().is_some_and(|name| name == PLUGIN)))
}

/// A definition under that name.
pub(crate) fn renamed(definition: Command) -> Command {
    definition.name(PLUGIN).bin_name("kubectl unready").about("Says which pods are not ready, why, and what to do.").override_usage(USAGE)
}

/// `kubectl unready` and `kubectl unready pod/x` mean `get`, `kubectl unready -n shop patch x` means `patch`.
pub(crate) fn with_default(mut words: Vec<OsString>, command: &Command) -> Vec<OsString> {
    let is_ours = |word: &OsString| word.to_str().is_some_and(|word| OURS.contains(&word));
    if words.get(1).is_some_and(is_ours) {
        return words;
    }
    let at = first_positional(&words, command).filter(|at| command.find_subcommand(&words[*at]).is_some());
    let subcommand = at.map_or_else(|| "get".into(), |at| words.remove(at));
    words.insert(words.len().min(1), subcommand);
    words
}

/// Where the first word stands that is neither a flag nor a flag's value.
pub(crate) fn first_positional(words: &[OsString], command: &Command) -> Option<usize> {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        let word = word.to_string_lossy();
        if word == "--" || !word.starts_with('-') || word == "-" {
            return (word != "--").then_some(at);
        }
        at += if takes_value(&word, command) { 2 } else { 1 };
    }
    None
}

/// Whether the word after this flag of `get` is its value.
pub(crate) fn takes_value(flag: &str, command: &Command) -> bool {
    let Some(get) = command.find_subcommand("get") else { return false };
    get.get_arguments().any(|argument| {
        let long = argument.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long));
        // `-nshop` has its value with it.
        let short = argument.get_short().is_some_and(|short| flag == format!("-{short}"));
        (long || short) && argument.get_action().takes_values()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::definition;

    #[test]
    fn get_may_be_left_out_and_flags_may_come_first() {
        let words = |line: &str| {
            let words = with_default(line.split(' ').map(OsString::from).collect(), &definition(true));
            words.join(&OsString::from(" ")).into_string()
        };
        for (line, expected) in [
            ("kubectl-unready", "kubectl-unready get"),
            ("kubectl-unready pod/x -o json", "kubectl-unready get pod/x -o json"),
            ("kubectl-unready -A", "kubectl-unready get -A"),
            ("kubectl-unready get x", "kubectl-unready get x"),
            ("kubectl-unready doctor", "kubectl-unready doctor"),
            ("kubectl-unready --help", "kubectl-unready --help"),
            ("kubectl-unready -n shop", "kubectl-unready get -n shop"),
            ("kubectl-unready -n shop patch x", "kubectl-unready patch -n shop x"),
            ("kubectl-unready --context=prod -n patch timeline x", "kubectl-unready timeline --context=prod -n patch x"),
            ("kubectl-unready -n patch", "kubectl-unready get -n patch"),
        ] {
            assert_eq!(words(line), Ok(expected.into()), "{line}");
        }
    }
}
