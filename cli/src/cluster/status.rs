//! What the API server alone tells of a pod that nobody has said anything about: its status, its events, its claims.
//!
//! The judgement is `unready_diagnosis::platform`; here its questions are asked. Every pod that is not ready gets an answer:
//! where nothing is known to be wrong, the sentence says what it waits for.

use super::{Cluster, facts::not_ready_since};
use crate::{cause::WAITING, time::now};
use futures_util::{StreamExt as _, stream};
use unready_diagnosis::{
    cluster::{ClusterAnswer, ClusterQuestion},
    of_pod,
    platform::{self, Scene},
    pod::{Claim, Pod, PodEvent},
    units::ClockAnchor,
};
use unready_kubernetes::ask;
use unready_proto::{
    time::timestamp,
    v1::{Start, Verdict, Workload},
};

/// Pods that are asked about at the same time.
const AT_ONCE: usize = 16;

/// The same for each of several pods.
pub(crate) async fn explain_all(cluster: &Cluster, pods: Vec<&Pod>) -> Vec<Vec<Verdict>> {
    stream::iter(pods).map(|pod| explain(cluster, pod)).buffered(AT_ONCE).collect().await
}

/// What is wrong with a pod, or what it waits for.
pub(crate) async fn explain(cluster: &Cluster, pod: &Pod) -> Vec<Verdict> {
    let (mut events, mut claims) = (Vec::new(), Vec::new());
    let found = platform::explain(&scene(pod, &events, &claims, now()));
    // What a pod waits for is told from its events, too.
    if found.needs_events || found.findings.is_empty() {
        events = self::events(cluster, pod).await;
    }
    let found = platform::explain(&scene(pod, &events, &claims, now()));
    for name in &found.needs_claims {
        claims.extend(claim(cluster, pod, name).await);
    }
    said(&scene(pod, &events, &claims, now()))
}

/// The events about a pod, oldest first; none when they may not be read.
pub(crate) async fn events(cluster: &Cluster, pod: &Pod) -> Vec<PodEvent> {
    let question = ClusterQuestion::PodEvents { namespace: pod.namespace.clone(), pod: pod.name.clone(), uid: pod.api_uid.clone() };
    match ask::answer(&cluster.client, question).await {
        ClusterAnswer::PodEvents(events) => events,
        ClusterAnswer::Unknown { reason } => {
            tracing::debug!(pod = pod.name, reason, "the events of the pod cannot be read");
            Vec::new()
        }
        ClusterAnswer::Claim(_) => Vec::new(),
    }
}

async fn claim(cluster: &Cluster, pod: &Pod, name: &str) -> Option<Claim> {
    let question = ClusterQuestion::Claim { namespace: pod.namespace.clone(), name: name.to_owned() };
    match ask::answer(&cluster.client, question).await {
        ClusterAnswer::Claim(claim) => Some(claim),
        ClusterAnswer::PodEvents(_) | ClusterAnswer::Unknown { .. } => None,
    }
}

fn scene<'a>(pod: &'a Pod, events: &'a [PodEvent], claims: &'a [Claim], now: u64) -> Scene<'a> {
    Scene { pod, events, claims, now, kernel: false, unseen: &[] }
}

/// Findings as verdicts, or the one that says that nothing is wrong so far.
fn said(scene: &Scene<'_>) -> Vec<Verdict> {
    let findings = platform::explain(scene).findings;
    if findings.is_empty() {
        return platform::waiting(scene).map(|sentence| waiting(scene.pod, sentence)).into_iter().collect();
    }
    // A finding's times are dates already: an anchor of zero leaves them as they are.
    let anchor = ClockAnchor::default();
    findings.iter().map(|finding| unready_wire::verdict(&of_pod(scene.pod, finding, anchor), anchor, &scene.pod.node)).collect()
}

/// No cause of the catalogue: what a pod waits for.
pub(crate) fn waiting(pod: &Pod, sentence: String) -> Verdict {
    let since = not_ready_since(pod);
    Verdict {
        id: format!("waiting-{}", pod.api_uid),
        cause: WAITING.to_owned(),
        severity: "Advisory".to_owned(),
        workload: Some(workload(pod)),
        start: Some(Start::default()),
        subject: pod.name.clone(),
        subject_kind: "Pod".to_owned(),
        summary: sentence,
        first_seen: (since != 0).then(|| timestamp(since)),
        last_seen: Some(timestamp(now())),
        count: 1,
        ..Verdict::default()
    }
}

fn workload(pod: &Pod) -> Workload {
    Workload {
        namespace: pod.namespace.clone(),
        pod: pod.name.clone(),
        pod_uid: pod.uid.clone(),
        owner: pod.owner.as_ref().map(ToString::to_string).unwrap_or_default(),
        node: pod.node.clone(),
        ..Workload::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use unready_diagnosis::pod::{Condition, PodStatus};

    fn pod() -> Pod {
        let ready = Condition { kind: "Ready".into(), status: "False".into(), since: 7_000_000_000, ..Condition::default() };
        Pod {
            uid: "u1".into(),
            namespace: "shop".into(),
            name: "orders".into(),
            node: "n1".into(),
            created: 5_000_000_000,
            status: PodStatus { phase: "Pending".into(), conditions: vec![ready], ..PodStatus::default() },
            ..Pod::default()
        }
    }

    #[test]
    fn every_pod_that_is_not_ready_has_an_answer() {
        let answers = said(&scene(&pod(), &[], &[], 8_000_000_000));
        assert!(!answers.is_empty() && answers.iter().all(|answer| !answer.summary.is_empty() && !answer.cause.is_empty()));
    }

    #[test]
    fn waiting_is_told_with_its_beginning() {
        let verdict = waiting(&pod(), "waits".into());
        assert_eq!(verdict.first_seen, Some(timestamp(7_000_000_000)));
        assert_eq!(verdict.workload.unwrap().pod_uid, "u1");
    }
}
