//! A cluster's pods that are not ready, each with an answer.
//!
//! Owners that may make no pod are listed like pods.

use super::{
    args::{Format, GetArgs},
    show::Show,
};
use crate::{
    cluster::{
        Cluster,
        facts::facts,
        gather::{Gathered, gather},
        target::Target,
    },
    join::blocks,
    output,
    time::now,
};
use unready_proto::v1::Verdict;

/// Lists; the answer is whether something blocks.
pub(super) async fn list(args: &GetArgs, cluster: &Cluster, targets: &[Target]) -> anyhow::Result<bool> {
    let mut gathered = gather(cluster, targets, args.selector.as_deref(), args.all).await?;
    for answer in &mut gathered.pods {
        answer.verdicts.retain(|verdict| args.wants(verdict));
    }
    gathered.owners.retain(|verdict| args.wants(verdict));
    print(args, cluster, &gathered)?;
    let all = gathered.pods.iter().flat_map(|answer| &answer.verdicts).chain(&gathered.owners);
    Ok(all.into_iter().any(blocks))
}

fn print(args: &GetArgs, cluster: &Cluster, gathered: &Gathered) -> anyhow::Result<()> {
    let mut show = Show::new(args.format(gathered.is_one), args.evidence, cluster.namespace.is_none());
    if show.format() == Format::Text {
        for answer in &gathered.pods {
            show.line(&facts(&answer.pod, &answer.verdicts, now()))?;
            show.all(&answer.verdicts)?;
        }
        return show.all(&gathered.owners);
    }
    let verdicts: Vec<Verdict> = gathered.pods.iter().flat_map(|answer| &answer.verdicts).chain(&gathered.owners).cloned().collect();
    if verdicts.is_empty() {
        output::say(&nothing(cluster, gathered));
    }
    show.all(&verdicts)
}

/// As kubectl says that there is nothing.
fn nothing(cluster: &Cluster, gathered: &Gathered) -> String {
    let place = cluster.namespace.as_ref().map(|namespace| format!(" in {namespace} namespace")).unwrap_or_default();
    let not_ready = gathered.pods.iter().filter(|answer| !answer.pod.is_well()).count();
    match (gathered.looked_at, not_ready) {
        (0, _) if place.is_empty() => "No resources found".to_owned(),
        (0, _) => format!("No resources found{place}."),
        (_, 1..) => format!("Nothing like that is said of the {not_ready} pod(s) that are not ready{place}."),
        (1, 0) => format!("The only pod{place} is ready."),
        (all, 0) => format!("All {all} pods{place} are ready."),
    }
}
