//! `unready timeline`: the start of a pod as a waterfall.
//!
//! - [`span`]: a start as spans, and the verdicts that fall into them.
//! - [`spans`]: what took how long, from conditions, [`containers`]' states and events ([`pulls`]); pure.
//! - [`starts`]: what the collector keeps of the same containers' starts; [`exact`]: how the two are joined; pure.
//! - [`draw`]: as bars on a terminal, with the [`moments`] of each start; [`json`]: for programs.
//!
//! The API server's times have whole seconds, and of earlier starts of a container it keeps the last one. What an agent saw has the
//! kernel's times, earlier starts too. Where nobody saw anything the picture says so rather than guess.

mod containers;
mod draw;
mod exact;
#[cfg(test)]
mod exact_tests;
mod json;
mod moments;
mod pulls;
mod span;
mod spans;
mod starts;

use crate::{
    cluster::{
        Cluster, ClusterArgs,
        gather::gather,
        pods, status,
        target::{self, Kind, Target},
    },
    output,
    render::Style,
    status::Usage,
    time::now,
};
use anyhow::anyhow;
use clap::{Args, ValueEnum};
use span::Timeline;
use std::process::ExitCode;
use unready_diagnosis::{outside, pod::Pod};

/// `unready timeline`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TimelineArgs {
    /// Pods or what owns them: NAME, pod/NAME, deployment/NAME
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

/// Forms of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Bars
    Text,
    /// One JSON object a pod and line
    Json,
}

/// Draws the start of each pod.
pub(crate) async fn timeline(args: TimelineArgs) -> anyhow::Result<ExitCode> {
    let targets = target::parse(&args.names)?;
    if targets.is_empty() {
        return Err(Usage("name a pod: pod/NAME".to_owned()).into());
    }
    let cluster = Cluster::connect(&args.cluster).await?;
    let mut text = String::new();
    for timeline in timelines(&cluster, &targets).await? {
        if !text.is_empty() && args.output == Form::Text {
            text.push('\n');
        }
        text += &match args.output {
            Form::Text => draw::draw(&timeline, Style::full()),
            Form::Json => outside::json(json::json(&timeline).to_string()) + "\n",
        };
    }
    output::stdout(&text).map(|()| ExitCode::SUCCESS)
}

/// The pods, also those that are well, with their events and verdicts.
async fn timelines(cluster: &Cluster, targets: &[Target]) -> anyhow::Result<Vec<Timeline>> {
    let targets = with_pods(cluster, targets).await?;
    let gathered = gather(cluster, &targets, None, true).await?;
    let pods: Vec<&Pod> = gathered.pods.iter().map(|answer| &answer.pod).collect();
    let starts = starts::of_pods(cluster, &pods, gathered.has_collector).await;
    let mut all = Vec::new();
    for (answer, starts) in gathered.pods.into_iter().zip(starts) {
        let events = status::events(cluster, &answer.pod).await;
        all.push(spans::timeline(answer.pod, &events, answer.verdicts, starts, now()));
    }
    Ok(all)
}

/// Owners are replaced by their pods' names, so that pods that are ready are shown too.
async fn with_pods(cluster: &Cluster, targets: &[Target]) -> anyhow::Result<Vec<Target>> {
    if targets.iter().all(|target| target.kind == Kind::Pod) {
        return Ok(targets.to_vec());
    }
    let selection = target::select(cluster, targets, None).await?;
    let pods = pods::list(cluster, &selection).await.map_err(|trouble| trouble.to_error())?;
    if pods.is_empty() {
        return Err(anyhow!("{} has no pods", selection.owners.join(", ")));
    }
    Ok(pods.into_iter().map(|pod| Target { kind: Kind::Pod, name: pod.name }).collect())
}
