//! One collector without a cluster: a single machine, or an address that the user knows.
//!
//! Nothing but its verdicts is known here: there is no list of pods, so that nothing can be said of what waits. A name may
//! be a pod's or, where there are no pods, a container's.

use super::{
    GetArgs,
    follow::{Change, Feed, Fingerprints},
    join::{blocks, current},
    show::Show,
};
use crate::cluster::target::{Kind, Target};
use anyhow::anyhow;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use unready_agent::deliver::{peer, url::CollectorUrl};
use unready_proto::v1::{Filter, ListRequest, ListResponse, Verdict, verdicts_client::VerdictsClient};

/// A collector that vanished during a watch is noticed after this time and some seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// For up to 10 000 verdicts; gRPC's own default of 4 MiB is for some 1 500.
pub(super) const ANSWER_BYTES: usize = 64 << 20;

/// Lists; the answer is whether something blocks.
pub(super) async fn list(args: &GetArgs, url: &CollectorUrl, targets: &[Target]) -> anyhow::Result<bool> {
    let answer = ask(url, args.filter(), args.limit, args.cluster.request_timeout).await?;
    note(&answer, args);
    let verdicts: Vec<Verdict> = answer.verdicts.into_iter().filter(|verdict| is_meant(verdict, targets)).collect();
    let verdicts = if targets.is_empty() { verdicts } else { current(verdicts.iter().collect(), args.all) };
    if verdicts.is_empty() {
        eprintln!("no verdicts");
        return Ok(false);
    }
    show(args, targets).all(&verdicts)?;
    Ok(verdicts.iter().any(blocks))
}

fn show(args: &GetArgs, targets: &[Target]) -> Show {
    let is_one = matches!(targets, [Target { kind: Kind::Pod, .. }]);
    Show::new(args.format(is_one), args.evidence, args.cluster.namespace.is_none())
}

/// What a collector knows.
pub(crate) async fn ask(url: &CollectorUrl, filter: Filter, limit: u32, patience: Duration) -> anyhow::Result<ListResponse> {
    let mut request = tonic::Request::new(ListRequest { filter: Some(filter), limit });
    request.set_timeout(patience);
    match client(url, patience).await?.list(request).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => Err(anyhow!(peer::explain_status(url, &status).await)),
    }
}

fn note(answer: &ListResponse, args: &GetArgs) {
    if answer.truncated {
        eprintln!("only the {} that were seen last are shown; see more with --limit, or fewer with -n, NAME or --cause", args.limit);
    }
    super::follow::note_stall(&answer.stalled);
}

/// Whether a verdict is about what was named.
pub(crate) fn is_meant(verdict: &Verdict, targets: &[Target]) -> bool {
    let Some(workload) = &verdict.workload else { return targets.is_empty() };
    let is_it = |target: &Target| {
        if target.kind == Kind::Pod {
            workload.pod == target.name || (workload.pod.is_empty() && workload.container == target.name)
        } else {
            workload.owner == target.owner()
        }
    };
    targets.is_empty() || targets.iter().any(is_it)
}

/// Lists, then follows; ends only with an error.
pub(super) async fn watch(args: &GetArgs, url: &CollectorUrl, targets: &[Target]) -> anyhow::Result<bool> {
    let client = client(url, args.cluster.request_timeout).await?;
    let explain = {
        let url = url.clone();
        move |status: tonic::Status| {
            let url = url.clone();
            Box::pin(async move { peer::explain_status(&url, &status).await }) as super::follow::Explained
        }
    };
    let mut feed = Feed::begin(client, args.filter(), args.limit, explain).await?;
    let mut show = show(args, targets);
    let mut known = Fingerprints::new(show.format().into());
    loop {
        match feed.next().await {
            Change::Snapshot { verdicts, truncated } => {
                if truncated {
                    eprintln!("only the {} that were seen last are shown; see more with --limit, or fewer with -n or --cause", args.limit);
                }
                let new = verdicts.into_iter().filter(|verdict| is_meant(verdict, targets) && known.is_news(verdict, args.all));
                show.all(&new.collect::<Vec<_>>())?;
            }
            Change::Verdict(verdict) if is_meant(&verdict, targets) && known.is_news(&verdict, args.all) => show.one(&verdict)?,
            Change::Verdict(_) => {}
        }
    }
}

async fn client(url: &CollectorUrl, patience: Duration) -> anyhow::Result<VerdictsClient<Channel>> {
    if url.is_tls() {
        return Err(anyhow!(
            "queries are not asked over TLS: the port of {url} is the agents'. In a cluster leave --collector out, on the collector's machine name its query port (http://127.0.0.1:50052)"
        ));
    }
    let endpoint =
        Endpoint::from_shared(url.to_string())?.connect_timeout(patience).http2_keep_alive_interval(KEEP_ALIVE).keep_alive_while_idle(true);
    match endpoint.connect().await {
        Ok(channel) => Ok(VerdictsClient::new(channel).max_decoding_message_size(ANSWER_BYTES)),
        Err(error) => Err(anyhow!(peer::explain(url, &peer::innermost(&error)).await)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::cluster::target;
    use unready_proto::v1::Workload;

    #[test]
    fn a_name_is_a_pods_or_a_containers() {
        let meant = |workload: Workload, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            is_meant(&Verdict { workload: Some(workload), ..Verdict::default() }, &target::parse(&words).unwrap())
        };
        let pod = || Workload { pod: "orders".into(), container: "app".into(), owner: "Deployment/orders".into(), ..Workload::default() };
        let local = || Workload { container: "web".into(), ..Workload::default() };
        assert!(meant(pod(), &[]) && meant(pod(), &["pod/orders"]) && meant(pod(), &["x", "orders"]));
        assert!(meant(pod(), &["deployment/orders"]) && !meant(pod(), &["deployment/other"]));
        assert!(!meant(pod(), &["app"]), "a container of a pod has a pod to be named by");
        assert!(meant(local(), &["web"]) && !meant(local(), &["app"]));
    }
}
