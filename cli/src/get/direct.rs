//! One collector without a cluster: a single machine, or an address that the user knows.
//!
//! Nothing but its verdicts is known here: there is no list of pods, so that nothing can be said of what waits. A name may
//! be a pod's or, where there are no pods, a container's.

use super::{args::GetArgs, fingerprints::Fingerprints, show::Show};
use crate::{
    cluster::target::{Kind, Target, is_meant},
    collector::{
        self,
        follow::{Change, Explained, Feed},
        note_stall,
    },
    join::{blocks, current},
    output,
};
use unready_proto::v1::{ListResponse, Verdict};
use unready_transport::{peer, url::CollectorUrl};

/// Lists; the answer is whether something blocks.
pub(super) async fn list(args: &GetArgs, url: &CollectorUrl, targets: &[Target]) -> anyhow::Result<bool> {
    let answer = collector::ask(url, args.filter(), args.limit, args.cluster.request_timeout).await?;
    note(&answer, args);
    let verdicts: Vec<Verdict> = answer.verdicts.into_iter().filter(|verdict| is_meant(verdict, targets)).collect();
    let verdicts = if targets.is_empty() { verdicts } else { current(verdicts.iter().collect(), args.all) };
    if verdicts.is_empty() {
        output::say("no verdicts");
        return Ok(false);
    }
    show(args, targets).all(&verdicts)?;
    Ok(verdicts.iter().any(blocks))
}

fn show(args: &GetArgs, targets: &[Target]) -> Show {
    let is_one = matches!(targets, [Target { kind: Kind::Pod, .. }]);
    Show::new(args.format(is_one), args.evidence, args.cluster.namespace.is_none())
}

fn note(answer: &ListResponse, args: &GetArgs) {
    if answer.truncated {
        output::say(&format!(
            "only the {} that were seen last are shown; see more with --limit, or fewer with -n, NAME or --cause",
            args.limit
        ));
    }
    note_stall(&answer.stalled);
}

/// Lists, then follows; ends only with an error.
pub(super) async fn watch(args: &GetArgs, url: &CollectorUrl, targets: &[Target]) -> anyhow::Result<bool> {
    let client = collector::connect(url, args.cluster.request_timeout).await?;
    let explain = {
        let url = url.clone();
        move |status: tonic::Status| {
            let url = url.clone();
            Box::pin(async move { peer::explain_status(&url, &status).await }) as Explained
        }
    };
    let mut feed = Feed::begin(client, args.filter(), args.limit, explain).await?;
    let mut show = show(args, targets);
    let mut known = Fingerprints::new(show.format().into());
    loop {
        match feed.next().await {
            Change::Snapshot { verdicts, truncated } => {
                if truncated {
                    output::say(&format!(
                        "only the {} that were seen last are shown; see more with --limit, or fewer with -n or --cause",
                        args.limit
                    ));
                }
                let new = verdicts.into_iter().filter(|verdict| is_meant(verdict, targets) && known.is_news(verdict, args.all));
                show.all(&new.collect::<Vec<_>>())?;
            }
            Change::Verdict(verdict) if is_meant(&verdict, targets) && known.is_news(&verdict, args.all) => show.one(&verdict)?,
            Change::Verdict(_) => {}
        }
    }
}
