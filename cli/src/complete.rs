//! `unready __complete WORDS…`: what the last word may become, in the form that kubectl asks its plugins for.
//!
//! kubectl looks for an executable `kubectl_complete-unready` and passes it the words after `kubectl unready`, the last one
//! unfinished; a line is a choice, after a tab comes its description, and the last line is a directive of cobra's
//! (`pkg/cmd/plugin/plugin_completion.go` of kubectl). A cluster that cannot be asked gives no choices and no error: a shell
//! that waits for a completion is no place for either.

use crate::{
    cause,
    cluster::{Cluster, ClusterArgs, target::Kind},
    output, plugin,
};
use clap::Args;
use std::{ffi::OsString, process::ExitCode, time::Duration};
use unready_diagnosis::outside::escaped;
use unready_kubernetes::{
    client,
    objects::{self, Sort},
};

/// `ShellCompDirectiveNoFileComp`.
const NO_FILES: &str = ":4";
/// `ShellCompDirectiveDefault`: the shell offers files.
const FILES: &str = ":0";
/// Nobody waits longer for a tab.
const PATIENCE: Duration = Duration::from_secs(3);
/// More choices than this help nobody.
const MOST: u32 = 500;

/// `unready __complete`.
#[derive(Debug, Args)]
pub(crate) struct CompleteArgs {
    /// The words, the last one unfinished
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
}

/// What the last word is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// A flag of this subcommand.
    Flag,
    /// The value of a flag, and what stands before it in the same word.
    Value { flag: String, before: String },
    /// A name, or at first a subcommand.
    Name { first: bool },
}

/// Prints the choices; `command`: what can be typed.
pub(crate) async fn complete(args: &CompleteArgs, command: &clap::Command) -> anyhow::Result<ExitCode> {
    let (last, before) = args.words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let (subcommand, wanted) = wanted(before, last, command);
    let typed = match &wanted {
        Wanted::Value { before, .. } => last[before.len()..].to_owned(),
        Wanted::Flag | Wanted::Name { .. } => last.to_owned(),
    };
    let (choices, directive) = choices(&subcommand, &wanted, &typed, before, command).await;
    let prefix = if let Wanted::Value { before, .. } = &wanted { before.as_str() } else { "" };
    let fitting = choices.iter().filter(|choice| choice.starts_with(&typed));
    let lines: Vec<String> = fitting.map(|choice| choice_line(prefix, choice)).chain([directive.to_owned()]).collect();
    output::stdout(&(lines.join("\n") + "\n")).map(|()| ExitCode::SUCCESS)
}

/// A choice and what a tab divides from it. No name of the cluster may end the line.
fn choice_line(prefix: &str, choice: &str) -> String {
    match choice.split_once('\t') {
        Some((word, about)) => format!("{prefix}{}\t{}", escaped(word), escaped(about)),
        None => format!("{prefix}{}", escaped(choice)),
    }
}

/// Which subcommand, and what of it.
fn wanted(before: &[String], last: &str, command: &clap::Command) -> (String, Wanted) {
    let words: Vec<OsString> = std::iter::once("x".to_owned()).chain(before.iter().cloned()).map(OsString::from).collect();
    let first = plugin::first_positional(&words, command);
    let named = first.map(|at| before[at - 1].as_str()).filter(|word| command.find_subcommand(word).is_some());
    let subcommand = named.unwrap_or("get").to_owned();
    let wanted = match (last.split_once('='), before.last()) {
        (Some((flag, _)), _) if flag.starts_with("--") => Wanted::Value { flag: flag.to_owned(), before: format!("{flag}=") },
        (_, Some(flag)) if flag.starts_with('-') && plugin::takes_value(flag, command) => {
            Wanted::Value { flag: flag.clone(), before: String::new() }
        }
        _ if last.starts_with('-') => Wanted::Flag,
        _ => Wanted::Name { first: first.is_none() },
    };
    (subcommand, wanted)
}

async fn choices(
    subcommand: &str,
    wanted: &Wanted,
    typed: &str,
    before: &[String],
    command: &clap::Command,
) -> (Vec<String>, &'static str) {
    let definition = command.find_subcommand(subcommand);
    match wanted {
        Wanted::Flag => (definition.map(flags).unwrap_or_default(), NO_FILES),
        Wanted::Value { flag, .. } => values(flag, definition, before).await,
        Wanted::Name { first } => {
            let mut all = if *first { subcommands(command) } else { Vec::new() };
            match subcommand {
                "get" | "patch" | "timeline" => all.extend(names(before, typed).await),
                "explain" => all.extend(causes()),
                "replay" => return (all, FILES),
                "completions" => all.extend(definition.map(|it| possible(it, "shell")).unwrap_or_default()),
                _ => {}
            }
            (all, NO_FILES)
        }
    }
}

fn subcommands(command: &clap::Command) -> Vec<String> {
    let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
    shown.map(|one| described(one.get_name(), one.get_about())).collect()
}

fn flags(definition: &clap::Command) -> Vec<String> {
    let shown = definition.get_arguments().filter(|argument| !argument.is_hide_set());
    shown.filter_map(|argument| Some(described(&format!("--{}", argument.get_long()?), argument.get_help()))).collect()
}

fn described(word: &str, about: Option<&clap::builder::StyledStr>) -> String {
    about.map_or_else(|| word.to_owned(), |about| format!("{word}\t{}", about.to_string().lines().next().unwrap_or_default()))
}

fn causes() -> Vec<String> {
    cause::codes().map(str::to_owned).collect()
}

/// The values that the definition of a flag lists.
fn possible(definition: &clap::Command, name: &str) -> Vec<String> {
    let argument = definition.get_arguments().find(|argument| argument.get_id() == name);
    argument.into_iter().flat_map(clap::Arg::get_possible_values).map(|value| described(value.get_name(), value.get_help())).collect()
}

async fn values(flag: &str, definition: Option<&clap::Command>, before: &[String]) -> (Vec<String>, &'static str) {
    let listed = |name| definition.map(|it| possible(it, name)).unwrap_or_default();
    match flag {
        "-o" | "--output" => (listed("output"), NO_FILES),
        "--cause" => (causes(), NO_FILES),
        "--context" => (contexts(before), NO_FILES),
        "-n" | "--namespace" | "--collector-namespace" => (namespaces(before).await, NO_FILES),
        "--kubeconfig" | "--record" => (Vec::new(), FILES),
        _ => (Vec::new(), NO_FILES),
    }
}

/// The flags for the cluster as far as they have been typed.
fn cluster_args(before: &[String]) -> ClusterArgs {
    let value = |names: &[&str]| {
        before.iter().enumerate().find_map(|(at, word)| match word.split_once('=') {
            Some((flag, value)) if names.contains(&flag) => Some(value.to_owned()),
            _ if names.contains(&word.as_str()) => before.get(at + 1).cloned(),
            _ => None,
        })
    };
    ClusterArgs {
        namespace: value(&["-n", "--namespace"]),
        context: value(&["--context"]),
        kubeconfig: value(&["--kubeconfig"]).map(Into::into),
        request_timeout: PATIENCE,
        ..ClusterArgs::default()
    }
}

fn contexts(before: &[String]) -> Vec<String> {
    client::contexts(cluster_args(before).kubeconfig.as_deref())
}

async fn namespaces(before: &[String]) -> Vec<String> {
    let Ok(cluster) = Cluster::connect(&cluster_args(before)).await else { return Vec::new() };
    listed(&cluster, Sort { api_version: "v1", kind: "Namespace" }, None).await
}

/// Pods, or what stands before the slash.
async fn names(before: &[String], typed: &str) -> Vec<String> {
    let Ok(cluster) = Cluster::connect(&cluster_args(before)).await else { return Vec::new() };
    let Some((word, _)) = typed.split_once('/') else { return listed(&cluster, Kind::Pod.sort(), cluster.namespace()).await };
    let Some(kind) = Kind::of(word) else { return Vec::new() };
    let names = listed(&cluster, kind.sort(), cluster.namespace()).await;
    names.into_iter().map(|name| format!("{word}/{name}")).collect()
}

async fn listed(cluster: &Cluster, sort: Sort<'_>, namespace: Option<&str>) -> Vec<String> {
    cluster.ask(objects::names(&cluster.client, sort, namespace, MOST)).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::definition;

    fn of(line: &str) -> (String, Wanted) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (last, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
        wanted(before, last, &definition(true))
    }

    fn value(flag: &str, before: &str) -> Wanted {
        Wanted::Value { flag: flag.into(), before: before.into() }
    }

    #[test]
    fn what_the_last_word_is() {
        for (line, subcommand, expected) in [
            ("", "get", Wanted::Name { first: true }),
            ("pa", "get", Wanted::Name { first: true }),
            ("patch ", "patch", Wanted::Name { first: false }),
            ("-n shop ", "get", Wanted::Name { first: true }),
            ("-n shop patch ord", "patch", Wanted::Name { first: false }),
            ("-n ", "get", value("-n", "")),
            ("timeline pod/x --context ", "timeline", value("--context", "")),
            ("--output=j", "get", value("--output", "--output=")),
            ("explain --", "explain", Wanted::Flag),
            ("pod/x -", "get", Wanted::Flag),
            ("-A ", "get", Wanted::Name { first: true }),
        ] {
            assert_eq!(of(line), (subcommand.to_owned(), expected), "{line:?}");
        }
    }

    #[test]
    fn what_the_definition_knows() {
        let command = definition(true);
        let all = subcommands(&command);
        assert!(all.iter().any(|one| one.starts_with("patch\t")) && !all.iter().any(|one| one.starts_with("__")), "{all:?}");
        let get = command.find_subcommand("get").map(|get| (flags(get), possible(get, "output"))).unwrap_or_default();
        assert!(get.0.iter().any(|flag| flag.starts_with("--namespace\tOnly")), "{:?}", get.0);
        assert!(get.1.iter().any(|form| form.starts_with("wide\t")), "{:?}", get.1);
        assert!(causes().contains(&"PermissionDenied".to_owned()) && causes().contains(&"Waiting".to_owned()));
    }

    #[test]
    fn the_cluster_that_was_typed_is_asked() {
        let words = ["-n", "shop", "--context=prod", "--kubeconfig", "/k"].map(str::to_owned);
        let args = cluster_args(&words);
        assert_eq!((args.namespace.as_deref(), args.context.as_deref()), (Some("shop"), Some("prod")));
        assert_eq!(args.kubeconfig, Some("/k".into()));
    }
}
