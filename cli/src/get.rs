//! `unready get`: what the collector knows about pods that are not ready.
//!
//! Verdicts go to stdout, everything else to stderr, so that `-o json | jq` works. Exit status: 0 answered (also when there is
//! nothing), 1 no answer, with one sentence that says why.

mod ask;
mod show;

use clap::{Args, ValueEnum};
use std::process::ExitCode;
use unready_agent::deliver::url::CollectorUrl;
use unready_proto::v1::Filter;

/// What to ask for.
#[derive(Clone, Debug, Args)]
pub(crate) struct GetArgs {
    /// Only this pod; `pod/NAME` is understood too
    #[arg(value_name = "POD")]
    pod: Option<String>,
    /// Address of the collector
    #[arg(long, value_name = "URL", env = "UNREADY_COLLECTOR", default_value = "http://127.0.0.1:50051")]
    collector: CollectorUrl,
    /// Only this namespace
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// All namespaces: the default for now
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only this container: its name or full id
    #[arg(long, value_name = "CONTAINER")]
    container: Option<String>,
    /// Only this node
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Only this cause, e.g. `PermissionDenied`
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// Also what has gone away since
    #[arg(long)]
    all: bool,
    /// Verdicts to show at most
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Show what there is, then every change, until interrupted
    #[arg(short, long)]
    watch: bool,
}

/// Forms of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line a verdict
    Table,
    /// A line a verdict, with severity, confidence, node and fix
    Wide,
    /// Each verdict in full, for people
    Text,
    /// One proto3 JSON object a line
    Json,
    /// One YAML document a verdict
    Yaml,
}

impl GetArgs {
    fn filter(&self) -> Filter {
        let pod = self.pod.as_deref().unwrap_or_default();
        Filter {
            namespace: self.namespace.clone().unwrap_or_default(),
            pod: pod.strip_prefix("pod/").or(pod.strip_prefix("pods/")).unwrap_or(pod).to_owned(),
            container: self.container.clone().unwrap_or_default(),
            node: self.node.clone().unwrap_or_default(),
            cause: self.cause.clone().unwrap_or_default(),
            include_resolved: self.all,
        }
    }
}

/// Asks, prints, and watches if told to.
pub(crate) async fn get(args: GetArgs) -> anyhow::Result<ExitCode> {
    let mut show = show::Show::new(args.output);
    let done = if args.watch { ask::watch(&args, &mut show).await } else { ask::list(&args, &mut show).await };
    match done {
        // The reader of a pipe (`| head`) has seen enough.
        Err(error) if error.downcast_ref().map(std::io::Error::kind) == Some(std::io::ErrorKind::BrokenPipe) => Ok(ExitCode::SUCCESS),
        done => done.map(|()| ExitCode::SUCCESS),
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        get: GetArgs,
    }

    fn parse(line: &str) -> Result<GetArgs, clap::Error> {
        Command::try_parse_from(line.split(' ')).map(|command| command.get)
    }

    #[test]
    fn what_is_asked_for() {
        let args = parse("get pod/orders-7d9f -n shop --cause FileMissing --all -o json --collector localhost:7").expect("is valid");
        assert_eq!(args.collector.to_string(), "http://localhost:7");
        let expected = Filter {
            namespace: "shop".into(),
            pod: "orders-7d9f".into(),
            cause: "FileMissing".into(),
            include_resolved: true,
            ..Filter::default()
        };
        assert_eq!(args.filter(), expected);
        assert_eq!(parse("get").expect("is valid").filter(), Filter::default());
        assert_eq!(parse("get -A orders").expect("is valid").filter().pod, "orders");
    }

    #[test]
    fn nonsense_is_usage() {
        for line in ["get -n a -A", "get -o xml", "get --limit 0", "get --limit 99999", "get --collector https://h:1", "get a b"] {
            let error = parse(line).err().unwrap_or_else(|| unreachable!("{line} was accepted"));
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
