//! `unready get`, and `kubectl unready` without another word: which pods are not ready, and why.
//!
//! - [`listing`]: a cluster's pods with what the collector, the agents' Events and the API server say of them.
//! - [`watching`]: the same, kept current.
//! - [`direct`]: one collector without a cluster, `--collector URL`: a single machine.
//! - [`follow`]: a collector's changes, across its restarts.
//! - [`join`]: verdicts to pods, pure.
//! - [`show`]: what is printed, and how.
//!
//! Verdicts go to stdout, everything else to stderr, so that `-o json | jq` works. Exit status: 0 answered (also when there is
//! nothing), 1 no answer, with one sentence that says why; with `--exit-code` 3 when a verdict says that a pod cannot become ready.

pub(crate) mod direct;
mod follow;
pub(crate) mod join;
pub(crate) mod listing;
mod show;
mod watching;

use crate::{
    cluster::{self, Cluster, ClusterArgs, target},
    explain,
    plugin::is_plugin,
    status::Status,
};
use clap::{Args, ValueEnum};
use std::process::ExitCode;
pub(crate) use unready_agent::deliver::peer::innermost;
use unready_agent::deliver::url::CollectorUrl;
use unready_proto::v1::{Filter, Verdict};

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
    #[arg(long, value_name = "CAUSE", value_parser = explain::cause_or_waiting)]
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

/// Where the collector of this machine is asked.
const LOCAL: &str = "http://127.0.0.1:50051";

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// One collector.
    Direct(CollectorUrl),
    /// A cluster.
    Cluster,
}

impl Route {
    /// What is named goes before what is there; as a plugin of kubectl we look at the cluster that kubectl looks at.
    pub(crate) fn choose(collector: Option<&CollectorUrl>, cluster: &ClusterArgs) -> anyhow::Result<Self> {
        match collector {
            Some(url) => Ok(Self::Direct(url.clone())),
            None if is_plugin() || cluster.names_a_cluster() || cluster::is_configured() => Ok(Self::Cluster),
            None => Ok(Self::Direct(LOCAL.parse()?)),
        }
    }
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

/// Asks, prints, and watches if told to.
pub(crate) async fn get(args: GetArgs) -> anyhow::Result<ExitCode> {
    let targets = target::parse(&args.names).unwrap_or_else(|error| crate::usage(&error));
    let blocked = match Route::choose(args.collector.as_ref(), &args.cluster)? {
        Route::Direct(url) if args.watch => direct::watch(&args, &url, &targets).await,
        Route::Direct(url) => direct::list(&args, &url, &targets).await,
        Route::Cluster => match Cluster::connect(&args.cluster).await {
            Ok(cluster) if args.watch => watching::watch(&args, &cluster, &targets).await,
            Ok(cluster) => listing::list(&args, &cluster, &targets).await,
            Err(error) => Err(error),
        },
    };
    match blocked {
        // The reader of a pipe (`| head`) has seen enough.
        Err(error) if error.downcast_ref().map(std::io::Error::kind) == Some(std::io::ErrorKind::BrokenPipe) => Ok(ExitCode::SUCCESS),
        Ok(true) if args.exit_code => Ok(Status::Blocked.into()),
        blocked => blocked.map(|_| ExitCode::SUCCESS),
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
        assert_eq!(Route::choose(args.collector.as_ref(), &args.cluster).unwrap(), Route::Direct("localhost:7".parse().unwrap()));
        let expected = Filter { namespace: "shop".into(), cause: "FileMissing".into(), include_resolved: true, ..Filter::default() };
        assert_eq!(args.filter(), expected);
        assert_eq!(parse("get").unwrap().filter(), Filter::default());
        assert_eq!(parse("get -n shop -A").unwrap().filter().namespace, "", "as kubectl, -A goes before -n");
        assert_eq!(parse("get --cause filemissing").unwrap().cause.unwrap(), "FileMissing");
    }

    #[test]
    fn a_cluster_that_is_named_is_asked() {
        let args = parse("get --context prod").unwrap();
        assert_eq!(Route::choose(None, &args.cluster).unwrap(), Route::Cluster);
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
