//! What took how long in the start of a pod. Pure.
//!
//! ```text
//!   created ─► scheduled ─► volumes, sandbox ─► images ─► init containers in turn ─► containers ─► ready
//! ```
//!
//! Sources: the conditions `PodScheduled`, `PodReadyToStartContainers`, `Initialized`, `ContainersReady`, `Ready`; the
//! [containers'](container) states; events ([pulls], what is said of volumes); reports of starts ([exact]), where there are any.

use super::{
    containers::container,
    exact::{self, Known},
    pulls::pulls,
    span::{Span, Timeline, moment},
};
use crate::cluster::facts::facts;
use unready_diagnosis::pod::{ContainerKind, ContainerState, Pod, PodEvent};
use unready_proto::v1::Verdict;

/// The timeline of a pod; events oldest first.
pub(super) fn timeline(pod: Pod, events: &[PodEvent], verdicts: Vec<Verdict>, starts: Known, now: u64) -> Timeline {
    let mut spans = vec![scheduled(&pod)];
    if let Some(taken) = moment(&pod, "PodScheduled") {
        let taken = taken.max(pod.created);
        spans.extend(volumes(&pod, events, taken));
        spans.push(sandbox(&pod, events, taken));
        spans.extend(pulls(&pod, events));
        spans.extend(pod.containers.iter().filter(|one| one.kind != ContainerKind::Ephemeral).flat_map(|one| container(&pod, events, one)));
        spans.push(ready(&pod, now));
    }
    exact::join(&mut spans, &pod, starts.reports);
    let missing = starts.missing.filter(|_| spans.iter().all(|span| span.report.is_none()));
    let mut timeline = Timeline { head: facts(&pod, &verdicts, now), pod, spans, others: Vec::new(), now, missing };
    for verdict in verdicts {
        timeline.place(verdict);
    }
    timeline
}

fn scheduled(pod: &Pod) -> Span {
    let end = moment(pod, "PodScheduled").map(|at| at.max(pod.created));
    let waits = pod.condition("PodScheduled").map(|condition| condition.reason.clone()).unwrap_or_default();
    let note = if pod.node.is_empty() { waits } else { format!("on {}", pod.node) };
    Span { name: "scheduled".into(), begin: pod.created, end, note, failed: pod.node.is_empty(), ..Span::default() }
}

/// Only when something is said of volumes: otherwise they are part of the sandbox's time.
fn volumes(pod: &Pod, events: &[PodEvent], begin: u64) -> Option<Span> {
    let of_volumes = |event: &&PodEvent| event.reason.contains("Volume") || event.reason.contains("Mount");
    let last = events.iter().filter(of_volumes).max_by_key(|event| event.last)?;
    let end = moment(pod, "PodReadyToStartContainers").map(|ready| last.last.clamp(begin, ready.max(begin)));
    Some(Span { name: "volumes".into(), begin, end, note: last.reason.clone(), failed: last.is_warning, ..Span::default() })
}

fn sandbox(pod: &Pod, events: &[PodEvent], begin: u64) -> Span {
    let first_start = pod.status.containers.iter().filter_map(|status| began(&status.state)).min();
    let end = moment(pod, "PodReadyToStartContainers").or(first_start).map(|at| at.max(begin));
    let trouble = events.iter().rev().find(|event| event.reason.contains("Sandbox") && event.is_warning);
    let note = trouble.filter(|_| end.is_none()).map(|event| event.reason.clone()).unwrap_or_default();
    Span { name: "sandbox".into(), begin, end, failed: !note.is_empty(), note, ..Span::default() }
}

/// When a state began, if it is one of a process.
fn began(state: &ContainerState) -> Option<u64> {
    match state {
        ContainerState::Running { since } => Some(*since),
        ContainerState::Terminated { started, .. } => Some(*started).filter(|at| *at != 0),
        ContainerState::Waiting { .. } => None,
    }
}

/// From the containers' readiness to the pod's: gates and conditions of others.
fn ready(pod: &Pod, now: u64) -> Span {
    let containers = moment(pod, "ContainersReady");
    let end = moment(pod, "Ready");
    let note = match (containers, end) {
        (_, Some(_)) => String::new(),
        (Some(_), None) => "waits for its readiness gates".to_owned(),
        (None, None) => "not yet".to_owned(),
    };
    let begin = containers.or(end).unwrap_or(now);
    Span { name: "ready".into(), begin, end: end.map(|at| at.max(begin)), note, ..Span::default() }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::timeline::json::json;
    use unready_diagnosis::pod::{Condition, Container, ContainerStatus, PodStatus};
    use unready_proto::{time::timestamp, v1::Workload};

    pub(in super::super) const S: u64 = 1_000_000_000;
    const T: u64 = 1_795_000_000 * S;

    fn at(seconds: u64) -> u64 {
        T + seconds * S
    }

    fn condition(kind: &str, status: &str, seconds: u64) -> Condition {
        Condition { kind: kind.into(), status: status.into(), since: at(seconds), ..Condition::default() }
    }

    fn event(reason: &str, container: &str, seconds: u64, message: &str) -> PodEvent {
        let time = at(seconds);
        let field = if container.is_empty() { String::new() } else { format!("spec.containers{{{container}}}") };
        PodEvent { reason: reason.into(), message: message.into(), field, first: time, last: time, count: 1, ..PodEvent::default() }
    }

    fn over(code: i32, started: u64, finished: u64) -> ContainerState {
        ContainerState::Terminated {
            code,
            signal: 0,
            reason: "Error".into(),
            message: String::new(),
            started: at(started),
            finished: at(finished),
        }
    }

    fn verdict(cause: &str, container: &str, seconds: u64) -> Verdict {
        Verdict {
            id: cause.into(),
            cause: cause.into(),
            severity: "Blocking".into(),
            summary: "it is so".into(),
            workload: Some(Workload { container: container.into(), ..Workload::default() }),
            first_seen: Some(timestamp(at(seconds))),
            ..Verdict::default()
        }
    }

    /// Scheduled at once, sandbox in 2 s, a pull of 1.2 s, an init container of 5 s, and an app that crashes again and again.
    pub(in super::super) fn crashing() -> Timeline {
        let container = |name: &str, kind| Container { name: name.into(), kind, image: format!("r/{name}:1"), ..Container::default() };
        let pod = Pod {
            namespace: "shop".into(),
            name: "orders".into(),
            node: "n1".into(),
            created: at(0),
            containers: vec![container("migrate", ContainerKind::Init), container("app", ContainerKind::App)],
            status: PodStatus {
                phase: "Running".into(),
                conditions: vec![
                    condition("PodScheduled", "True", 0),
                    condition("PodReadyToStartContainers", "True", 2),
                    condition("Initialized", "True", 9),
                    condition("ContainersReady", "False", 0),
                    condition("Ready", "False", 0),
                ],
                containers: vec![
                    ContainerStatus { name: "migrate".into(), state: over(0, 4, 9), ..ContainerStatus::default() },
                    ContainerStatus {
                        name: "app".into(),
                        restarts: 2,
                        state: ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: String::new() },
                        last: Some(over(1, 20, 23)),
                        ..ContainerStatus::default()
                    },
                ],
                ..PodStatus::default()
            },
            ..Pod::default()
        };
        let events = [
            event("Scheduled", "", 0, ""),
            event("Pulling", "migrate", 2, ""),
            event("Pulled", "migrate", 4, "Successfully pulled image \"r/migrate:1\" in 1.2s (1.2s including waiting)."),
        ];
        timeline(
            pod,
            &events,
            vec![verdict("FileMissing", "app", 10), verdict("ImagePull", "", 3), verdict("Odd", "", 3)],
            Known::default(),
            at(40),
        )
    }

    fn rows(timeline: &Timeline) -> Vec<(String, u64, Option<u64>, String)> {
        let since = |at: u64| (at - T) / (S / 10);
        timeline.spans.iter().map(|span| (span.name.clone(), since(span.begin), span.end.map(since), span.note.clone())).collect()
    }

    fn row(name: &str, begin: u64, end: Option<u64>, note: &str) -> (String, u64, Option<u64>, String) {
        (name.into(), begin, end, note.into())
    }

    #[test]
    fn a_crash_loop() {
        let timeline = crashing();
        assert_eq!(
            rows(&timeline),
            [
                row("scheduled", 0, Some(0), "on n1"),
                row("sandbox", 0, Some(20), ""),
                row("pull migrate:1", 20, Some(32), ""),
                row("init migrate", 40, Some(90), "exit 0"),
                row("app, start 3", 200, Some(230), "exit 1"),
                row("app, waits", 230, None, "CrashLoopBackOff"),
                row("ready", 400, None, "not yet"),
            ]
        );
        let told = |name: &str| -> Vec<String> {
            let span = timeline.spans.iter().find(|span| span.name == name).unwrap();
            span.verdicts.iter().map(|verdict| verdict.cause.clone()).collect()
        };
        assert_eq!(told("pull migrate:1"), ["ImagePull"]);
        assert_eq!(told("app, waits"), ["FileMissing"], "its first start is forgotten");
        assert_eq!(timeline.others.iter().map(|verdict| verdict.cause.as_str()).collect::<Vec<_>>(), ["Odd"]);
    }

    #[test]
    fn a_pod_that_no_node_takes() {
        let waiting = Condition { reason: "Unschedulable".into(), ..condition("PodScheduled", "False", 0) };
        let status = PodStatus { conditions: vec![waiting], ..PodStatus::default() };
        let pod = Pod { created: at(0), status, ..Pod::default() };
        let timeline = timeline(pod, &[], vec![verdict("Unschedulable", "", 1)], Known::default(), at(9));
        assert_eq!(rows(&timeline), [row("scheduled", 0, None, "Unschedulable")]);
        assert_eq!(timeline.spans[0].verdicts.len(), 1);
    }

    #[test]
    fn a_pod_that_became_ready() {
        let mut pod = crashing().pod;
        pod.status.conditions = vec![
            condition("PodScheduled", "True", 1),
            condition("PodReadyToStartContainers", "True", 2),
            condition("ContainersReady", "True", 30),
            condition("Ready", "True", 33),
        ];
        pod.status.containers[1] = ContainerStatus {
            name: "app".into(),
            is_ready: true,
            state: ContainerState::Running { since: at(10) },
            ..ContainerStatus::default()
        };
        let timeline = timeline(pod, &[], vec![], Known::default(), at(90));
        let last = &rows(&timeline)[3..];
        assert_eq!(last, [row("app", 100, Some(300), "ready"), row("ready", 300, Some(330), "")]);
        assert_eq!(json(&timeline)["spans"][3]["seconds"], 20.0);
    }

    #[test]
    fn what_holds_a_running_container() {
        let mut pod = crashing().pod;
        pod.status.containers[1] =
            ContainerStatus { name: "app".into(), state: ContainerState::Running { since: at(10) }, ..ContainerStatus::default() };
        let failing =
            PodEvent { count: 7, ..event("Unhealthy", "app", 20, "Readiness probe failed: HTTP probe failed with statuscode: 503") };
        let timeline = timeline(pod, &[failing], vec![verdict("ProbeStatus", "app", 12)], Known::default(), at(40));
        let app = timeline.spans.iter().find(|span| span.name == "app").unwrap();
        assert_eq!((app.note.as_str(), app.end, app.verdicts.len()), ("runs, not ready: Readiness probe failed (×7)", None, 1));
    }
}
