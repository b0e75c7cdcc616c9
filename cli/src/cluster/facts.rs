//! A pod as a whole: since when it is not ready, and the line over what is said of it. Pure.

use crate::{join::blocks, render::age};
use unready_diagnosis::pod::{ContainerKind, Pod};
use unready_proto::{time::nanos, v1::Verdict};

/// The API server's times have whole seconds: what is closer together is one moment, in nanoseconds.
const MOMENT: u64 = 2_000_000_000;

/// Since when a pod is not ready: since it lost its readiness, else since it was created.
pub(crate) fn not_ready_since(pod: &Pod) -> u64 {
    pod.condition("Ready").filter(|ready| ready.status != "True").map_or(0, |ready| ready.since).max(pod.created)
}

/// The pod as a whole in a line: `pod shop/orders-7d9f of Deployment/orders on node-1 is not ready for 45s (…)`.
///
/// The API server's moment begins anew with each start of a crash loop that is ready until it fails. That it is no new one say
/// the verdicts, which are counted on from start to start, and the pod's age beside its restarts.
pub(crate) fn facts(pod: &Pod, verdicts: &[Verdict], now: u64) -> String {
    let owner = pod.owner.as_ref().map(|owner| format!(" of {owner}")).unwrap_or_default();
    let node = if pod.node.is_empty() { ", on no node,".to_owned() } else { format!(" on {}", pod.node) };
    let state = if pod.is_ready() {
        "is ready".to_owned()
    } else if pod.has_succeeded() {
        "has ended well".to_owned()
    } else {
        let ago = |at: u64| age(now.saturating_sub(at));
        let failed = first_failed(pod, verdicts).map(|at| format!(", first failed {} ago", ago(at))).unwrap_or_default();
        format!("is not ready for {}{failed}", ago(not_ready_since(pod)))
    };
    format!("pod {}/{}{owner}{node} {state} ({})", pod.namespace, pod.name, counts(pod, now))
}

/// When what blocks it was seen first, if that was before it lost its readiness for the last time.
fn first_failed(pod: &Pod, verdicts: &[Verdict]) -> Option<u64> {
    let blocking = verdicts.iter().filter(|verdict| blocks(verdict)).filter_map(|verdict| verdict.first_seen.as_ref());
    blocking.map(nanos).min().filter(|first| *first > 0 && first.saturating_add(MOMENT) < not_ready_since(pod))
}

fn counts(pod: &Pod, now: u64) -> String {
    let expected = pod.containers.iter().filter(|container| matches!(container.kind, ContainerKind::App | ContainerKind::Sidecar));
    let (mut all, mut ready) = (0, 0);
    for container in expected {
        all += 1;
        ready += u32::from(pod.status_of(&container.name).is_some_and(|status| status.is_ready));
    }
    let restarts: u32 = pod.status.containers.iter().map(|status| status.restarts).sum();
    let mut words = vec![pod.status.phase.clone(), format!("{ready} of {all} container{} ready", if all == 1 { "" } else { "s" })];
    if restarts > 0 {
        let was_ready = pod.created > 0 && pod.created.saturating_add(MOMENT) < not_ready_since(pod);
        let within = if was_ready { format!(" in {}", age(now.saturating_sub(pod.created))) } else { String::new() };
        words.push(format!("{restarts} restart{}{within}", if restarts == 1 { "" } else { "s" }));
    }
    words.retain(|word| !word.is_empty());
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_diagnosis::pod::{Condition, Container, ContainerStatus, Owner, PodStatus};
    use unready_proto::time::timestamp;

    fn pod(uid: &str, ready: &str) -> Pod {
        let condition = Condition { kind: "Ready".into(), status: ready.into(), since: 10_000_000_000, ..Condition::default() };
        Pod {
            namespace: "shop".into(),
            name: format!("pod-{uid}"),
            created: 5_000_000_000,
            status: PodStatus { phase: "Running".into(), conditions: vec![condition], ..PodStatus::default() },
            ..Pod::default()
        }
    }

    #[test]
    fn a_pod_without_conditions_is_not_ready_since_it_was_created() {
        assert_eq!(not_ready_since(&pod("a", "False")), 10_000_000_000);
        assert_eq!(not_ready_since(&Pod { status: PodStatus::default(), ..pod("a", "False") }), 5_000_000_000);
    }

    #[test]
    fn the_facts_of_a_pod() {
        let container = |name: &str| Container { name: name.into(), ..Container::default() };
        let status =
            |name: &str, is_ready, restarts| ContainerStatus { name: name.into(), is_ready, restarts, ..ContainerStatus::default() };
        let mut it = pod("a", "False");
        it.node = "node-1".into();
        it.owner = Some(Owner { kind: "Deployment".into(), name: "orders".into(), ..Owner::default() });
        it.containers = vec![container("app"), container("log")];
        it.status.containers = vec![status("app", false, 3), status("log", true, 0)];
        assert_eq!(
            facts(&it, &[], 55_000_000_000),
            "pod shop/pod-a of Deployment/orders on node-1 is not ready for 45s (Running, 1 of 2 containers ready, 3 restarts in 50s)"
        );
        it.created = 9_000_000_000;
        assert!(facts(&it, &[], 55_000_000_000).ends_with("is not ready for 45s (Running, 1 of 2 containers ready, 3 restarts)"));
        assert!(facts(&pod("b", "True"), &[], 0).starts_with("pod shop/pod-b, on no node, is ready"));
    }

    #[test]
    fn a_crash_loop_that_was_ready_for_a_moment_does_not_look_new() {
        let seen = |at: u64| Verdict { severity: "Blocking".into(), first_seen: Some(timestamp(at)), ..Verdict::default() };
        let said = |verdicts: &[Verdict]| facts(&pod("a", "False"), verdicts, 16_000_000_000);
        assert!(said(&[seen(7_500_000_000), seen(6_500_000_000)]).contains("is not ready for 6s, first failed 9s ago ("));
        assert!(said(&[seen(9_500_000_000)]).contains("is not ready for 6s ("), "one moment, told in whole seconds and in nanoseconds");
        let advice = Verdict { severity: "Advisory".into(), ..seen(6_500_000_000) };
        let over = Verdict { resolved_at: Some(timestamp(8_000_000_000)), ..seen(6_500_000_000) };
        assert!(said(&[advice, over]).contains("is not ready for 6s ("), "neither keeps it from being ready");
    }
}
