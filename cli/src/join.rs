//! Verdicts to pods: which pod each is about, which still matter, in which order they are told. Pure.

use std::{cmp::Reverse, collections::HashMap};
use unready_diagnosis::{
    pod::Pod,
    verdict::{Confidence, Severity},
};
use unready_proto::{time::nanos, v1::Verdict};

/// A pod and what is said of it.
#[derive(Clone, Debug)]
pub(crate) struct PodAnswer {
    pub(crate) pod: Pod,
    pub(crate) verdicts: Vec<Verdict>,
}

/// What is of interest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Which {
    /// Also what was resolved, and pods that are well again.
    pub(crate) all: bool,
    /// The pods were named: they are answered for even when they are well.
    pub(crate) named: bool,
}

/// The pods that need an answer, each with what is known of it; `now`: nanoseconds since 1970.
pub(crate) fn join(pods: Vec<Pod>, verdicts: &[Verdict], which: Which, now: u64) -> Vec<PodAnswer> {
    let index = Index::of(verdicts);
    let pods = if which.all || which.named { pods } else { without_replaced(pods) };
    let answers = pods.into_iter().map(|pod| PodAnswer { verdicts: current(index.about(&pod), which.all), pod });
    let has_to_be_told = |answer: &PodAnswer| (which.all || is_ready_for_a_moment(&answer.pod, now)) && !answer.verdicts.is_empty();
    answers.filter(|answer| which.named || !answer.pod.is_well() || has_to_be_told(answer)).collect()
}

/// Without a readiness probe, each start of a crash loop is ready until it fails: what is said of it still holds.
fn is_ready_for_a_moment(pod: &Pod, now: u64) -> bool {
    const SETTLED: u64 = 30_000_000_000;
    pod.condition("Ready").is_some_and(|ready| ready.status == "True" && now.saturating_sub(ready.since) < SETTLED)
}

/// Pods that failed for good and were made again are history.
fn without_replaced(pods: Vec<Pod>) -> Vec<Pod> {
    let mut newest: HashMap<(String, String, String), Pod> = HashMap::new();
    for pod in &pods {
        let Some(owner) = &pod.owner else { continue };
        let key = (pod.namespace.clone(), owner.kind.clone(), owner.name.clone());
        let known = newest.entry(key).or_insert_with(|| pod.clone());
        if (known.created, &known.uid) < (pod.created, &pod.uid) {
            known.clone_from(pod);
        }
    }
    let is_replaced = |pod: &Pod| {
        let key = pod.owner.as_ref().map(|owner| (pod.namespace.clone(), owner.kind.clone(), owner.name.clone()));
        key.and_then(|key| newest.get(&key)).is_some_and(|newer| pod.is_replaced_by(newer))
    };
    pods.into_iter().filter(|pod| !is_replaced(pod)).collect()
}

/// Verdicts by the pod that they are about.
struct Index<'a> {
    by_uid: HashMap<&'a str, Vec<&'a Verdict>>,
    by_name: HashMap<(&'a str, &'a str), Vec<&'a Verdict>>,
}

impl<'a> Index<'a> {
    fn of(verdicts: &'a [Verdict]) -> Self {
        let mut index = Self { by_uid: HashMap::new(), by_name: HashMap::new() };
        for verdict in verdicts {
            let Some(workload) = &verdict.workload else { continue };
            if !workload.pod_uid.is_empty() {
                index.by_uid.entry(&workload.pod_uid).or_default().push(verdict);
            } else if !workload.pod.is_empty() {
                index.by_name.entry((&workload.namespace, &workload.pod)).or_default().push(verdict);
            }
        }
        index
    }

    fn about(&self, pod: &Pod) -> Vec<&'a Verdict> {
        let uids = [pod.uid.as_str(), pod.api_uid.as_str()];
        let uids = if uids[0] == uids[1] { &uids[..1] } else { &uids[..] };
        let by_uid = uids.iter().filter_map(|uid| self.by_uid.get(uid)).flatten();
        let by_name = self.by_name.get(&(pod.namespace.as_str(), pod.name.as_str())).into_iter().flatten();
        by_uid.chain(by_name).copied().collect()
    }
}

/// Whether a verdict is about this pod.
pub(crate) fn is_about(verdict: &Verdict, pod: &Pod) -> bool {
    let Some(workload) = &verdict.workload else { return false };
    if !workload.pod_uid.is_empty() {
        return workload.pod_uid == pod.uid || workload.pod_uid == pod.api_uid;
    }
    !workload.pod.is_empty() && (&workload.namespace, &workload.pod) == (&pod.namespace, &pod.name)
}

/// One verdict a finding, the heaviest first: of a crash loop that was told once a start only the last word counts.
pub(crate) fn current(mut verdicts: Vec<&Verdict>, all: bool) -> Vec<Verdict> {
    verdicts.retain(|verdict| all || verdict.resolved_at.is_none());
    verdicts.sort_by_key(|verdict| Reverse(verdict.last_seen.as_ref().map(nanos)));
    let mut kept: Vec<&Verdict> = Vec::new();
    for verdict in verdicts {
        if !kept.iter().any(|known| is_same(known, verdict)) {
            kept.push(verdict);
        }
    }
    kept.sort_by_key(|verdict| order(verdict));
    kept.into_iter().cloned().collect()
}

/// Whether a finding is among these already.
pub(crate) fn is_known(verdicts: &[Verdict], new: &Verdict) -> bool {
    let owner = |verdict: &Verdict| verdict.workload.as_ref().map(|workload| (workload.namespace.clone(), workload.owner.clone()));
    verdicts.iter().any(|known| known.cause == new.cause && owner(known) == owner(new))
}

/// The same finding, whatever the start.
fn is_same(one: &Verdict, other: &Verdict) -> bool {
    let container = |verdict: &Verdict| verdict.workload.as_ref().map(|workload| workload.container.clone());
    (&one.cause, &one.subject, container(one)) == (&other.cause, &other.subject, container(other))
}

/// What blocks first, then what is surer, then what came earlier; what has a word that we do not know comes last.
fn order(verdict: &Verdict) -> (bool, Reverse<Option<Severity>>, Reverse<Option<Confidence>>, u64) {
    let (severity, confidence) = (Severity::of(&verdict.severity), Confidence::of(&verdict.confidence));
    (verdict.resolved_at.is_some(), Reverse(severity), Reverse(confidence), verdict.first_seen.as_ref().map_or(0, nanos))
}

/// A verdict that says that something cannot become ready.
pub(crate) fn blocks(verdict: &Verdict) -> bool {
    Severity::of(&verdict.severity) == Some(Severity::Blocking) && verdict.resolved_at.is_none()
}

/// A verdict about an owner that has fewer pods than it wants; `None`: it is about a pod.
pub(crate) fn owner(verdict: &Verdict) -> Option<&str> {
    let workload = verdict.workload.as_ref()?;
    (workload.pod.is_empty() && workload.pod_uid.is_empty() && !workload.owner.is_empty()).then_some(workload.owner.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use unready_diagnosis::pod::{Condition, Owner, PodStatus};
    use unready_proto::{time::timestamp, v1::Workload};

    const NOW: u64 = 60_000_000_000;

    fn pod(uid: &str, ready: &str) -> Pod {
        let condition = Condition { kind: "Ready".into(), status: ready.into(), since: 10_000_000_000, ..Condition::default() };
        Pod {
            uid: uid.into(),
            api_uid: uid.into(),
            namespace: "shop".into(),
            name: format!("pod-{uid}"),
            status: PodStatus { phase: "Running".into(), conditions: vec![condition], ..PodStatus::default() },
            ..Pod::default()
        }
    }

    fn verdict(uid: &str, cause: &str, last: u64) -> Verdict {
        Verdict {
            id: format!("{uid}{cause}{last}"),
            cause: cause.into(),
            severity: "Blocking".into(),
            confidence: "Certain".into(),
            subject: "/x".into(),
            workload: Some(Workload { namespace: "shop".into(), pod_uid: uid.into(), container: "app".into(), ..Workload::default() }),
            last_seen: Some(timestamp(last)),
            ..Verdict::default()
        }
    }

    fn said(answers: &[PodAnswer]) -> Vec<(&str, Vec<&str>)> {
        let causes = |answer: &PodAnswer| answer.verdicts.iter().map(|verdict| verdict.cause.clone()).collect::<Vec<_>>();
        answers
            .iter()
            .map(|answer| (answer.pod.uid.as_str(), causes(answer)))
            .map(|(uid, causes)| (uid, causes.into_iter().map(|cause| &*cause.leak()).collect()))
            .collect()
    }

    #[test]
    fn pods_that_are_well_need_no_answer() {
        let succeeded = Pod { status: PodStatus { phase: "Succeeded".into(), ..PodStatus::default() }, ..pod("d", "False") };
        let pods = vec![pod("a", "False"), pod("b", "True"), pod("c", "False"), succeeded];
        let verdicts = [verdict("a", "FileMissing", 1), verdict("b", "Slow", 1), verdict("z", "Gone", 1)];
        assert_eq!(said(&join(pods.clone(), &verdicts, Which::default(), NOW)), [("a", vec!["FileMissing"]), ("c", vec![])]);
        let all = join(pods.clone(), &verdicts, Which { all: true, named: false }, NOW);
        assert_eq!(all.iter().map(|answer| answer.pod.uid.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(join(pods, &verdicts, Which { all: false, named: true }, NOW).len(), 4);
    }

    #[test]
    fn a_crash_loop_is_shown_also_while_it_is_ready_for_a_moment() {
        let shown = |now| join(vec![pod("a", "True")], &[verdict("a", "LoaderMissing", 1)], Which::default(), now).len();
        assert_eq!((shown(11_000_000_000), shown(NOW)), (1, 0));
    }

    #[test]
    fn an_evicted_pod_that_was_made_again_is_history() {
        let owner = Owner { kind: "Deployment".into(), name: "orders".into(), ..Owner::default() };
        let mut evicted = Pod { owner: Some(owner.clone()), created: 1, ..pod("a", "False") };
        evicted.status.phase = "Failed".into();
        let newer = Pod { owner: Some(owner), created: 2, ..pod("b", "True") };
        assert!(join(vec![evicted.clone(), newer.clone()], &[], Which::default(), NOW).is_empty());
        assert_eq!(join(vec![evicted.clone(), newer], &[], Which { named: true, ..Which::default() }, NOW).len(), 2);
        assert_eq!(join(vec![evicted], &[], Which::default(), NOW).len(), 1, "nothing came in its place");
    }

    #[test]
    fn a_crash_loop_is_one_line() {
        let verdicts: Vec<Verdict> = (1..=5).map(|start| verdict("a", "Crashed", start)).collect();
        let answers = join(vec![pod("a", "False")], &verdicts, Which::default(), NOW);
        assert_eq!(answers[0].verdicts.iter().map(|v| v.id.as_str()).collect::<Vec<_>>(), ["aCrashed5"]);
    }

    #[test]
    fn what_is_resolved_is_told_on_demand() {
        let resolved = Verdict { resolved_at: Some(timestamp(2)), ..verdict("a", "FileMissing", 9) };
        let now = verdict("a", "Crashed", 5);
        let pods = || vec![pod("a", "False")];
        assert_eq!(said(&join(pods(), &[resolved.clone(), now.clone()], Which::default(), NOW)), [("a", vec!["Crashed"])]);
        assert_eq!(said(&join(pods(), &[resolved, now], Which { all: true, named: false }, NOW)), [("a", vec!["Crashed", "FileMissing"])]);
    }

    #[test]
    fn the_heaviest_comes_first() {
        let slowing = Verdict { severity: "Slowing".into(), ..verdict("a", "Slow", 9) };
        let likely = Verdict { confidence: "Likely".into(), ..verdict("a", "Maybe", 9) };
        let unknown = Verdict { severity: "OfALaterRelease".into(), ..verdict("a", "Later", 9) };
        let answers = join(vec![pod("a", "False")], &[unknown, slowing, likely, verdict("a", "Sure", 1)], Which::default(), NOW);
        assert_eq!(said(&answers), [("a", vec!["Sure", "Maybe", "Slow", "Later"])]);
    }

    #[test]
    fn static_pods_and_verdicts_without_uid_find_their_pod() {
        let mirror = Pod { uid: "hash".into(), api_uid: "api".into(), ..pod("x", "False") };
        assert!(is_about(&verdict("hash", "A", 1), &mirror));
        assert!(is_about(&verdict("api", "A", 1), &mirror));
        assert!(!is_about(&verdict("other", "A", 1), &mirror));
        let mut named = verdict("", "A", 1);
        named.workload.as_mut().unwrap().pod = "pod-x".into();
        assert!(is_about(&named, &mirror));
    }

    #[test]
    fn an_owner_is_no_pod() {
        let of = |workload| owner(&Verdict { workload: Some(workload), ..Verdict::default() }).map(str::to_owned);
        assert_eq!(of(Workload { owner: "ReplicaSet/x".into(), ..Workload::default() }), Some("ReplicaSet/x".into()));
        assert_eq!(of(Workload { owner: "ReplicaSet/x".into(), pod: "x-1".into(), ..Workload::default() }), None);
    }
}
