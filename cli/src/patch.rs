//! `unready patch`: the fix as a patch of the object that makes the pod, to pipe into kubectl.
//!
//! - `already`: which of them the object has already.
//! - `merge`: several patches of one object become one.
//! - `print`: as YAML with comments, JSON, or commands.
//! - `trusted`: which of them are shown at all.
//!
//! Nothing is changed here: whoever runs kubectl on it decides. Exit status: 0 a patch was printed, 4 no change of a manifest
//! can help, and stderr says what can; 1 no answer.

mod already;
mod merge;
mod print;
mod trusted;

use crate::{
    cause::WAITING,
    cluster::{Cluster, ClusterArgs, gather::gather, target},
    collector, join, output,
    route::Route,
    status::Status,
};
use anyhow::anyhow;
use clap::{Args, ValueEnum};
use merge::Document;
use std::process::ExitCode;
use unready_proto::v1::{Filter, Verdict};
use unready_transport::url::CollectorUrl;

/// `unready patch`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PatchArgs {
    /// Pods or what owns them: NAME, pod/NAME, deployment/NAME
    #[arg(value_name = "NAME", required_unless_present_any = ["all", "selector"])]
    names: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Only pods with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Patches for all pods that are not ready
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Ask this collector and no cluster
    #[arg(long, value_name = "URL", env = "UNREADY_COLLECTOR")]
    collector: Option<CollectorUrl>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Yaml)]
    output: Form,
}

/// Forms of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// YAML with comments, for `kubectl patch --patch-file`
    Yaml,
    /// One JSON value a line
    Json,
    /// The kubectl commands that apply it, for a shell
    Command,
}

/// Verdicts without a patch that are told beside the patches of others.
const SENTENCES: usize = 3;

/// Prints the patches.
pub(crate) async fn patch(args: PatchArgs) -> anyhow::Result<ExitCode> {
    let targets = target::parse(&args.names)?;
    let mut has_collector = true;
    let verdicts = match Route::choose(args.collector.as_ref(), &args.cluster)? {
        Route::Direct(url) => {
            let namespace = args.cluster.namespace.clone().unwrap_or_default();
            let filter = Filter { namespace, ..Filter::default() };
            let answer = collector::ask(&url, filter, collector::MOST, args.cluster.request_timeout).await?;
            let meant = answer.verdicts.iter().filter(|verdict| target::is_meant(verdict, &targets));
            join::current(meant.collect(), false)
        }
        Route::Cluster => {
            let cluster = Cluster::connect(&args.cluster).await?;
            let gathered = gather(&cluster, &targets, args.selector.as_deref(), false).await?;
            has_collector = gathered.has_collector;
            let pods = gathered.pods.into_iter().filter(|answer| !answer.pod.is_well() || !answer.verdicts.is_empty());
            let of_pods = pods.flat_map(|answer| trusted::of_pod(&answer.pod, answer.verdicts));
            already::strip(&cluster, of_pods.chain(trusted::of_owners(gathered.owners)).collect()).await
        }
    };
    print(&verdicts, has_collector, args.output, &flags(&args.cluster))
}

/// The cluster that was asked is the one to be patched.
fn flags(cluster: &ClusterArgs) -> String {
    let kubeconfig = cluster.kubeconfig.as_ref().map(|path| format!(" --kubeconfig {}", print::quoted(&path.to_string_lossy())));
    let context = cluster.context.as_ref().map(|name| format!(" --context {}", print::quoted(name)));
    kubeconfig.into_iter().chain(context).collect()
}

fn print(verdicts: &[Verdict], has_collector: bool, form: Form, flags: &str) -> anyhow::Result<ExitCode> {
    let mut documents = merge::documents(verdicts)?;
    for document in &mut documents {
        flags.clone_into(&mut document.flags);
    }
    let unpatched: Vec<String> = verdicts.iter().filter(|verdict| is_without_patch(verdict)).map(print::otherwise).collect();
    for sentence in unpatched.iter().take(if documents.is_empty() { usize::MAX } else { SENTENCES }) {
        output::note(sentence);
    }
    if let Some(more) = unpatched.len().checked_sub(SENTENCES).filter(|more| *more > 0 && !documents.is_empty()) {
        output::note(&format!("{more} more verdicts have no patch; `kubectl unready -o text` says what to do about them"));
    }
    if documents.is_empty() {
        if !has_collector && verdicts.iter().any(is_without_remedy) {
            return Err(anyhow!(
                "what the agents left in Events holds no patch for this, and the collector, which may have one, could not be asked"
            ));
        }
        if verdicts.is_empty() {
            output::note("nothing is known to be wrong there: there is nothing to patch");
        }
        return Ok(Status::Unexplained.into());
    }
    if !has_collector {
        output::note(
            "the collector could not be asked: this is from Events, which others who may write Events in the namespace can write too; read it before you apply it",
        );
    }
    let text = match form {
        Form::Yaml => yaml(&documents)?,
        Form::Json => documents.iter().map(print::json).collect(),
        Form::Command => documents.iter().map(print::command).collect::<Vec<_>>().join("\n"),
    };
    output::stdout(&text).map(|()| ExitCode::SUCCESS)
}

/// An Event that told its text only: what helps is not known.
fn is_without_remedy(verdict: &Verdict) -> bool {
    verdict.remedy.is_none() && verdict.cause != WAITING
}

fn is_without_patch(verdict: &Verdict) -> bool {
    verdict.remedy.as_ref().is_none_or(|remedy| remedy.patch.is_none())
}

/// One document can be piped as it is; several are for files.
fn yaml(documents: &[Document<'_>]) -> anyhow::Result<String> {
    if let [document] = documents {
        return print::yaml(document, Some(&pipe(document)));
    }
    let all: Vec<String> = documents.iter().map(|document| print::yaml(document, None)).collect::<Result<_, _>>()?;
    Ok(format!("# Several patches: `kubectl unready patch … -o command | sh` applies all of them.\n---\n{}", all.join("---\n")))
}

/// What prints this document alone.
fn pipe(document: &Document<'_>) -> String {
    let workload = document.verdicts.first().and_then(|verdict| verdict.workload.as_ref());
    let name = workload.map_or_else(
        || "NAME".to_owned(),
        |workload| match workload.owner.split_once('/') {
            Some((kind, name)) if workload.pod.is_empty() => format!("{}/{name}", kind.to_lowercase()),
            _ => format!("pod/{}", workload.pod),
        },
    );
    format!("kubectl unready patch {name} -n {}{}", document.patch.namespace, document.flags)
}
