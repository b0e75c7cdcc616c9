//! All that is known of the pods that were asked for, and of owners that may make none.
//!
//! Three sources are put together, the better one first: the collector's verdicts (without a collector the Events that the
//! agents left); for a pod of which nobody has said anything, what its status and events tell; and if nothing is known to be
//! wrong, what it waits for.

use super::{
    Cluster, Trouble, collector, owners, pods, status,
    target::{self, Selection, Target},
};
use crate::{
    collector::{MOST, note_stall},
    join::{self, PodAnswer, Which},
    output,
    time::now,
};
use anyhow::anyhow;
use std::fmt::Display;
use unready_diagnosis::pod::Pod;
use unready_kubernetes::events;
use unready_proto::v1::{Filter, ListRequest, Verdict};

/// What was found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathered {
    /// Pods that need an answer, and their answers.
    pub(crate) pods: Vec<PodAnswer>,
    /// Verdicts on owners that have fewer pods than they want.
    pub(crate) owners: Vec<Verdict>,
    /// Pods that were looked at.
    pub(crate) looked_at: usize,
    /// One pod was named, and nothing else.
    pub(crate) is_one: bool,
    /// The collector was asked; otherwise the verdicts are what Events tell, and whoever may write Events could have written them.
    pub(crate) has_collector: bool,
}

/// Everything that is known of what was named.
pub(crate) async fn gather(cluster: &Cluster, targets: &[Target], labels: Option<&str>, all: bool) -> anyhow::Result<Gathered> {
    let selection = target::select(cluster, targets, labels).await?;
    let (pods, (verdicts, has_collector)) = tokio::join!(pods::list(cluster, &selection), verdicts(cluster, all));
    let pods = pods.map_err(|trouble| trouble.to_error())?;
    missing(&selection, &pods)?;
    let looked_at = pods.len();
    let is_one = selection.names.len() == 1 && selection.owners.is_empty();
    let mut answers = join::join(pods, &verdicts, Which { all, named: !selection.names.is_empty() }, now());
    complete(cluster, &mut answers).await;
    let said = verdicts.iter().filter(|verdict| join::owner(verdict).is_some_and(|owner| selection.includes_owner(owner)));
    let said = said.filter(|verdict| is_in(cluster, verdict)).collect();
    let mut of_owners = join::current(said, all);
    if !has_collector {
        let new = owners::explain_all(cluster, &selection).await;
        of_owners.extend(new.into_iter().filter(|new| !join::is_known(&of_owners, new)).collect::<Vec<_>>());
    }
    Ok(Gathered { pods: answers, owners: of_owners, looked_at, is_one, has_collector })
}

fn is_in(cluster: &Cluster, verdict: &Verdict) -> bool {
    let namespace = verdict.workload.as_ref().map(|workload| workload.namespace.as_str());
    cluster.namespace.as_deref().is_none_or(|wanted| namespace == Some(wanted))
}

/// kubectl's words for what does not exist.
fn missing(selection: &Selection, pods: &[Pod]) -> anyhow::Result<()> {
    match selection.names.iter().find(|name| !pods.iter().any(|pod| pod.name == **name)) {
        Some(name) => Err(anyhow!("error from the server (NotFound): pods {name:?} not found")),
        None => Ok(()),
    }
}

/// The API server's word on those of which nobody has said anything.
async fn complete(cluster: &Cluster, answers: &mut [PodAnswer]) {
    let is_open = |answer: &&PodAnswer| !answer.pod.is_well() && !answer.verdicts.iter().any(|verdict| verdict.resolved_at.is_none());
    let open: Vec<&Pod> = answers.iter().filter(is_open).map(|answer| &answer.pod).collect();
    let mut explained = status::explain_all(cluster, open).await.into_iter();
    for answer in answers.iter_mut().filter(|answer| is_open(&&**answer)) {
        answer.verdicts.splice(0..0, explained.next().unwrap_or_default());
    }
}

/// The verdicts of the collector, or else of the agents' Events; and whether there is a collector.
async fn verdicts(cluster: &Cluster, all: bool) -> (Vec<Verdict>, bool) {
    match from_collector(cluster, all).await {
        Ok(verdicts) => (verdicts, true),
        Err(reason) => (from_events(cluster, &reason).await, false),
    }
}

async fn from_collector(cluster: &Cluster, all: bool) -> Result<Vec<Verdict>, String> {
    let mut client = collector::connect(cluster).await.map_err(|error| error.to_string())?;
    let filter = Filter { namespace: cluster.namespace.clone().unwrap_or_default(), include_resolved: all, ..Filter::default() };
    let mut request = tonic::Request::new(ListRequest { filter: Some(filter), limit: MOST });
    request.set_timeout(cluster.patience);
    let answer = client.list(request).await.map_err(|status| format!("the collector does not answer: {}", status.message()))?.into_inner();
    note_stall(&answer.stalled);
    if answer.truncated {
        output::note(&format!("only the {MOST} verdicts that were seen last are considered"));
    }
    Ok(answer.verdicts)
}

/// What the agents said in Events, and what is missing without a collector.
pub(crate) async fn from_events(cluster: &Cluster, reason: &str) -> Vec<Verdict> {
    let (events, agent) = tokio::join!(told(cluster), collector::has_agent(cluster));
    output::note(&without_collector(reason, agent, &events));
    events.unwrap_or_default()
}

async fn told(cluster: &Cluster) -> Result<Vec<Verdict>, Trouble> {
    let (mut verdicts, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = cluster.ask(events::read::page(&cluster.client, cluster.namespace(), after)).await?;
        verdicts.extend(page);
        if next.is_none() {
            return Ok(verdicts);
        }
        if verdicts.len() >= MOST as usize {
            output::note(&format!("only {} of the agents' Events are considered: choose fewer with -n", verdicts.len()));
            return Ok(verdicts);
        }
        after = next;
    }
}

/// One line that is true of what follows it.
fn without_collector<E: Display>(reason: &str, agent: Option<bool>, events: &Result<Vec<Verdict>, E>) -> String {
    const WITHOUT: &str = "this is what the API server knows, without what the kernel saw";
    match (events, agent) {
        (Err(trouble), _) => format!("{reason}, and the Events that the agents left cannot be read ({trouble}): {WITHOUT}"),
        (Ok(events), _) if !events.is_empty() => {
            format!("{reason}: this is what the agents told in Events, which the API server forgets after an hour")
        }
        (Ok(_), Some(false)) => format!("{reason}, and no agent: {WITHOUT} (install Unready with its Helm chart)"),
        (Ok(_), _) => format!("{reason}, and no agent has left an Event here: {WITHOUT}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use unready_kubernetes::pods::Query;

    #[test]
    fn what_is_missing_is_said() {
        let told = |agent, events: Result<Vec<Verdict>, &str>| {
            let line = without_collector("no collector was found", agent, &events);
            assert_ne!(line.contains("told in Events"), line.contains("without what the kernel saw"), "{line}");
            line
        };
        assert!(told(Some(false), Ok(vec![])).contains("install Unready"));
        assert!(told(Some(false), Ok(vec![Verdict::default()])).contains("told in Events"), "an agent was there until lately");
        assert!(told(None, Ok(vec![Verdict::default()])).contains("told in Events"));
        for agent in [None, Some(true)] {
            let line = told(agent, Ok(vec![]));
            assert!(line.contains("no agent has left an Event") && !line.contains("install"), "{line}");
        }
        assert!(told(None, Err("events is forbidden")).contains("cannot be read (events is forbidden): this is what the API server knows"));
    }

    #[test]
    fn a_pod_that_does_not_exist_is_an_error() {
        let query = Query { labels: None, fields: None };
        let selection =
            Selection { queries: vec![query], owners: vec![], names: vec!["orders".into(), "billing".into()], everything: false };
        let pod = Pod { name: "orders".into(), ..Pod::default() };
        let error = missing(&selection, &[pod]).unwrap_err().to_string();
        assert_eq!(error, "error from the server (NotFound): pods \"billing\" not found");
    }
}
