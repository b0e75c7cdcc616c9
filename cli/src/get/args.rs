//! What can be asked of `unready get`.

use crate::{cause, cluster::ClusterArgs};
use clap::{Args, ValueEnum};
use unready_proto::v1::{Filter, Verdict};
use unready_transport::url::CollectorUrl;

/// What to ask for.
#[derive(Clone, Debug, Args)]
pub(crate) struct GetArgs {
    /// Pods or what owns them: NAME, pod/NAME, deployment/NAME; by default all that are not ready
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Only pods with these labels, as kubectl has it: app=orders,tier!=web
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub(crate) selector: Option<String>,
    /// Ask this collector and no cluster; where no kubeconfig is, `unready get` asks `http://127.0.0.1:50051`
    #[arg(long, value_name = "URL", env = "UNREADY_COLLECTOR")]
    pub(crate) collector: Option<CollectorUrl>,
    /// Only this container: its name or full id
    #[arg(long, value_name = "CONTAINER")]
    pub(crate) container: Option<String>,
    /// Only this node
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Only this cause, e.g. `PermissionDenied`; `unready explain` lists them
    #[arg(long, value_name = "CAUSE", value_parser = cause::parse)]
    pub(crate) cause: Option<String>,
    /// Also what has gone away since
    #[arg(long)]
    pub(crate) all: bool,
    /// Verdicts to show at most, of a collector without a cluster
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Form of the output; by default text for one pod, else table
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<Format>,
    /// With text: the facts behind each verdict, too
    #[arg(long)]
    pub(crate) evidence: bool,
    /// Show what there is, then every change, until interrupted
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Exit with 3 when a verdict says that a pod cannot become ready
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// Forms of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line a verdict
    Table,
    /// A line a verdict, with layer, severity, confidence, node, owner and fix
    Wide,
    /// Each verdict in full, for people
    Text,
    /// One proto3 JSON object a line
    Json,
    /// One YAML document a verdict
    Yaml,
    /// The pods' names: pod/NAME
    Name,
}

impl GetArgs {
    /// What is asked of a collector; pods are told apart here.
    pub(crate) fn filter(&self) -> Filter {
        Filter {
            namespace: self.cluster.namespace.clone().filter(|_| !self.cluster.all_namespaces).unwrap_or_default(),
            container: self.container.clone().unwrap_or_default(),
            node: self.node.clone().unwrap_or_default(),
            cause: self.cause.clone().unwrap_or_default(),
            include_resolved: self.all,
            ..Filter::default()
        }
    }

    /// What is left of a verdict's fields to compare when it comes from elsewhere than a collector that has filtered it.
    pub(crate) fn wants(&self, verdict: &Verdict) -> bool {
        let filter = self.filter();
        let workload = verdict.workload.clone().unwrap_or_default();
        let id = verdict.start.as_ref().map_or("", |start| start.container_id.as_str());
        (filter.cause.is_empty() || filter.cause == verdict.cause)
            && (filter.node.is_empty() || filter.node == workload.node)
            && (filter.container.is_empty() || filter.container == workload.container || filter.container == id)
    }

    /// The form that was asked for, or the one that suits.
    pub(crate) fn format(&self, one_pod: bool) -> Format {
        self.output.unwrap_or(if one_pod && !self.watch { Format::Text } else { Format::Table })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
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
        let args = parse("get pod/orders-7d9f -n shop --cause FileMissing --all -o json --collector localhost:7").unwrap();
        assert_eq!(args.collector.as_ref().unwrap(), &"localhost:7".parse().unwrap());
        let expected = Filter { namespace: "shop".into(), cause: "FileMissing".into(), include_resolved: true, ..Filter::default() };
        assert_eq!(args.filter(), expected);
        assert_eq!(parse("get").unwrap().filter(), Filter::default());
        assert_eq!(parse("get -n shop -A").unwrap().filter().namespace, "", "as kubectl, -A goes before -n");
        assert_eq!(parse("get --cause filemissing").unwrap().cause.unwrap(), "FileMissing");
    }

    #[test]
    fn one_pod_is_told_in_full() {
        assert_eq!(parse("get x").unwrap().format(true), Format::Text);
        assert_eq!(parse("get").unwrap().format(false), Format::Table);
        assert_eq!(parse("get x -w").unwrap().format(true), Format::Table);
        assert_eq!(parse("get x -o json").unwrap().format(true), Format::Json);
    }

    #[test]
    fn nonsense_is_usage() {
        for line in ["get -o xml", "get --limit 0", "get --limit 99999", "get --collector ftp://h:1", "get --cause PermisionDenied"] {
            let error = parse(line).err().unwrap_or_else(|| unreachable!("{line} was accepted"));
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        let text = parse("get --cause PermisionDenied").err().unwrap().to_string();
        assert!(text.contains("PermissionDenied"), "{text}");
    }
}
