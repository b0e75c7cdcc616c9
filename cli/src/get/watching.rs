//! `--watch` in a cluster: what there is, then every change, across restarts of collector and API server.
//!
//! Three sources run as tasks and send into one channel: the pods' watch, the verdicts (the collector's stream; without a
//! collector the agents' Events), and the API server's word on pods that nobody has said anything about. [`known`] keeps
//! them and [`board`] says what is news; both are pure.

use super::{args::GetArgs, show::Show};
use crate::{
    cluster::{
        Cluster, collector, gather, status,
        target::{self, Selection, Target},
    },
    collector::{
        MOST,
        follow::{Change, Explained, Feed},
    },
    join, output,
    time::now,
};
use board::Board;
use futures_util::{StreamExt as _, stream::select_all};
use known::Update;
use std::time::Duration;
use tokio::sync::mpsc;
use unready_diagnosis::pod::Pod;
use unready_kubernetes::{
    events,
    pods::{self, Query},
};
use unready_proto::v1::{Filter, Verdict};
use unready_transport::peer;

mod board;
mod known;

/// Looks for what is due.
const TICK: Duration = Duration::from_millis(500);
/// After this time the first table is printed even if a source has not answered.
const FIRST: Duration = Duration::from_secs(3);
/// How often a collector is looked for where there was none.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Updates that wait for the printer.
const QUEUE: usize = 1024;

/// Watches until it is interrupted; returns with an error only.
pub(super) async fn watch(args: &GetArgs, cluster: &Cluster, targets: &[Target]) -> anyhow::Result<bool> {
    let selection = target::select(cluster, targets, args.selector.as_deref()).await?;
    let (sender, mut news) = mpsc::channel(QUEUE);
    tokio::spawn(watch_pods(cluster.clone(), selection.queries.clone(), sender.clone()));
    tokio::spawn(watch_verdicts(cluster.clone(), args.all, sender.clone()));
    let mut show = Show::new(args.format(false), args.evidence, cluster.namespace.is_none());
    let mut board = Board::new(selection.queries.len(), args.all, show.format().into());
    let begun = tokio::time::Instant::now();
    let mut tick = tokio::time::interval(TICK);
    let mut first = true;
    loop {
        tokio::select! {
            Some(one) = news.recv() => board.take(one),
            _ = tick.tick() => {
                let due = board.due(now());
                for pod in due {
                    tokio::spawn(look(cluster.clone(), pod, sender.clone()));
                }
            }
        }
        // What arrived together is printed together.
        while let Ok(one) = news.try_recv() {
            board.take(one);
        }
        if first && !board.is_complete() && begun.elapsed() < FIRST {
            continue;
        }
        let rows = board.news(now());
        print(args, &selection, cluster, &mut show, rows, std::mem::take(&mut first))?;
    }
}

fn print(args: &GetArgs, selection: &Selection, cluster: &Cluster, show: &mut Show, rows: Vec<Verdict>, first: bool) -> anyhow::Result<()> {
    let of_owner = |verdict: &Verdict| join::owner(verdict).is_none_or(|owner| selection.includes_owner(owner));
    let here = |verdict: &Verdict| {
        let namespace = verdict.workload.as_ref().map(|workload| workload.namespace.as_str());
        cluster.namespace.as_deref().is_none_or(|wanted| namespace == Some(wanted))
    };
    let rows: Vec<Verdict> = rows.into_iter().filter(|verdict| args.wants(verdict) && of_owner(verdict) && here(verdict)).collect();
    if first { show.all(&rows) } else { rows.iter().try_for_each(|row| show.one(row)) }
}

async fn look(cluster: Cluster, pod: Pod, sender: mpsc::Sender<Update>) {
    let asked = now();
    let verdicts = status::explain(&cluster, &pod).await;
    // The receiver goes away when the program ends.
    let _ = sender.send(Update::Status { uid: pod.api_uid, asked, verdicts }).await;
}

async fn watch_pods(cluster: Cluster, queries: Vec<Query>, sender: mpsc::Sender<Update>) {
    let follow = |query| pods::follow(&cluster.client, cluster.namespace(), query);
    let streams = queries.into_iter().enumerate().map(|(number, query)| follow(query).map(move |change| (number, change)));
    let mut all = select_all(streams);
    let mut away = false;
    while let Some((query, change)) = all.next().await {
        let was_away = std::mem::replace(&mut away, matches!(change, pods::Change::Failed(_)));
        if was_away != away && sender.send(Update::Away(away)).await.is_err() {
            return;
        }
        let news = match change {
            pods::Change::Pod(pod) => Update::Pod { query, pod },
            pods::Change::Gone(pod) => Update::Gone(pod),
            pods::Change::Listed(uids) => Update::PodsListed { query, uids },
            pods::Change::Failed(reason) => {
                if !was_away {
                    output::note(&format!("the pods cannot be watched at the moment, trying again: {reason}"));
                }
                continue;
            }
        };
        if sender.send(news).await.is_err() {
            return;
        }
    }
}

/// The collector's verdicts, for as long as there is one; a cluster without is followed by its Events.
async fn watch_verdicts(cluster: Cluster, all: bool, sender: mpsc::Sender<Update>) {
    let feed = match follow(&cluster, all).await {
        Ok(feed) => feed,
        Err(reason) => {
            let verdicts = gather::from_events(&cluster, &reason).await;
            if sender.send(Update::Verdicts(verdicts)).await.is_err() {
                return;
            }
            tokio::select! {
                () = watch_events(&cluster, &sender) => return,
                feed = wait_for_collector(&cluster, all) => feed,
            }
        }
    };
    pass_on(feed, &sender).await;
}

/// A collector that was only starting, or is installed meanwhile.
async fn wait_for_collector(cluster: &Cluster, all: bool) -> Feed {
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        if let Ok(feed) = follow(cluster, all).await {
            output::note("there is a collector now");
            return feed;
        }
    }
}

async fn pass_on(mut feed: Feed, sender: &mpsc::Sender<Update>) {
    loop {
        let news = match feed.next().await {
            Change::Snapshot { verdicts, .. } => Update::Verdicts(verdicts),
            Change::Verdict(verdict) => Update::Verdict(verdict),
        };
        if sender.send(news).await.is_err() {
            return;
        }
    }
}

async fn follow(cluster: &Cluster, all: bool) -> Result<Feed, String> {
    let client = collector::connect(cluster).await.map_err(|error| error.to_string())?;
    let filter = Filter { namespace: cluster.namespace.clone().unwrap_or_default(), include_resolved: all, ..Filter::default() };
    let explain = |status: tonic::Status| Box::pin(async move { said(&status) }) as Explained;
    Feed::begin(client, filter, MOST, explain).await.map_err(|error| error.to_string())
}

/// A status that the collector gave, or what broke the connection.
fn said(status: &tonic::Status) -> String {
    if std::error::Error::source(status).is_some() { peer::innermost(status) } else { status.message().to_owned() }
}

async fn watch_events(cluster: &Cluster, sender: &mpsc::Sender<Update>) {
    let mut told = events::read::follow(&cluster.client, cluster.namespace());
    while let Some(verdict) = told.next().await {
        if sender.send(Update::Verdict(Box::new(verdict))).await.is_err() {
            return;
        }
    }
}
