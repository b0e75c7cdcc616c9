//! What took how long in the start of a pod. Pure.
//!
//! ```text
//!   created ─► scheduled ─► volumes, sandbox ─► images ─► init containers in turn ─► containers ─► ready
//! ```
//!
//! Sources: the conditions `PodScheduled`, `PodReadyToStartContainers`, `Initialized`, `ContainersReady`, `Ready`; the
//! containers' states; events (`Pulling`, `Pulled`, what is said of volumes). A pull's length is in the event's message, finer
//! than the events' times (`pkg/kubelet/images/image_manager.go`). Events are forgotten after an hour: then pulls are missing.

use crate::get::join::facts;
use serde_json::{Value, json};
use unready_diagnosis::pod::{Container, ContainerKind, ContainerState, Pod, PodEvent};
use unready_proto::{
    time::{nanos, timestamp},
    v1::Verdict,
};

/// A part of the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    /// What: `scheduled`, `init migrate`.
    pub(super) name: String,
    /// Container that it is about; empty: the pod.
    pub(super) container: String,
    /// Nanoseconds since 1970.
    pub(super) begin: u64,
    /// `None`: it goes on.
    pub(super) end: Option<u64>,
    /// How it ended, or what it waits for.
    pub(super) note: String,
    /// Something went wrong in it.
    pub(super) failed: bool,
    /// What fell into it.
    pub(super) verdicts: Vec<Verdict>,
}

/// A start.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    /// The pod in a line.
    pub(super) head: String,
    pub(super) pod: Pod,
    pub(super) spans: Vec<Span>,
    /// Verdicts that belong to no span.
    pub(super) others: Vec<Verdict>,
    pub(super) now: u64,
}

/// The timeline of a pod; events oldest first.
pub(super) fn timeline(pod: Pod, events: &[PodEvent], verdicts: Vec<Verdict>, now: u64) -> Timeline {
    let mut spans = vec![scheduled(&pod)];
    if let Some(taken) = moment(&pod, "PodScheduled") {
        let taken = taken.max(pod.created);
        spans.extend(volumes(&pod, events, taken));
        spans.push(sandbox(&pod, events, taken));
        spans.extend(pulls(&pod, events));
        spans.extend(pod.containers.iter().filter(|one| one.kind != ContainerKind::Ephemeral).flat_map(|one| container(&pod, events, one)));
        spans.push(ready(&pod, now));
    }
    let mut timeline = Timeline { head: facts(&pod, now), pod, spans, others: Vec::new(), now };
    for verdict in verdicts {
        timeline.place(verdict);
    }
    timeline
}

/// When a condition became true.
fn moment(pod: &Pod, kind: &str) -> Option<u64> {
    pod.condition(kind).filter(|condition| condition.status == "True").map(|condition| condition.since)
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

/// A pull a container, as far as its image was pulled at all.
fn pulls(pod: &Pod, events: &[PodEvent]) -> Vec<Span> {
    let mut spans = Vec::new();
    for begun in events.iter().filter(|event| event.reason == "Pulling") {
        let done = events.iter().find(|event| event.reason == "Pulled" && event.field == begun.field && event.first >= begun.first);
        let name = begun.field.split_once('{').map_or("", |(_, name)| name.trim_end_matches('}')).to_owned();
        let image = pod.container(&name).map_or_else(|| "image".to_owned(), |container| short_image(&container.image));
        let end = done.map(|done| length(&done.message).map_or(done.first, |length| begun.first + length).max(begun.first));
        let failed = end.is_none() && events.iter().any(|event| event.field == begun.field && event.is_warning);
        let note = if failed { "fails".to_owned() } else { String::new() };
        spans.push(Span { name: format!("pull {image}"), container: name, begin: begun.first, end, note, failed, ..Span::default() });
    }
    spans
}

/// The last part of an image's name, with its tag.
fn short_image(image: &str) -> String {
    let bare = image.split('@').next().unwrap_or(image);
    bare.rsplit('/').next().unwrap_or(bare).to_owned()
}

/// `Successfully pulled image "x" in 1.234s (…)`, as Go writes durations.
fn length(message: &str) -> Option<u64> {
    let word = message.split(" in ").nth(1)?.split_whitespace().next()?;
    let (mut total, mut number) = (0.0, String::new());
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_digit() || c == '.' {
            number.push(c);
            rest = &rest[1..];
            continue;
        }
        let (unit, seconds) = [("ms", 1e-3), ("µs", 1e-6), ("us", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))?;
        total += number.parse::<f64>().ok()? * seconds;
        number.clear();
        rest = &rest[unit.len()..];
    }
    std::time::Duration::try_from_secs_f64(total).ok().and_then(|length| u64::try_from(length.as_nanos()).ok())
}

/// When a state began, if it is one of a process.
fn began(state: &ContainerState) -> Option<u64> {
    match state {
        ContainerState::Running { since } => Some(*since),
        ContainerState::Terminated { started, .. } => Some(*started).filter(|at| *at != 0),
        ContainerState::Waiting { .. } => None,
    }
}

/// The starts of a container that are known: the last one that ended, and the present one.
fn container(pod: &Pod, events: &[PodEvent], spec: &Container) -> Vec<Span> {
    let Some(status) = pod.status_of(&spec.name) else { return Vec::new() };
    let name = match spec.kind {
        ContainerKind::Init | ContainerKind::Sidecar => format!("{} {}", spec.kind.word(), spec.name),
        ContainerKind::App | ContainerKind::Ephemeral => spec.name.clone(),
    };
    let numbered = |start: u32| if status.restarts == 0 { name.clone() } else { format!("{name}, start {}", start + 1) };
    let span = |name: String, begin: u64| Span { name, container: spec.name.clone(), begin, ..Span::default() };
    let runs = matches!(status.state, ContainerState::Running { .. });
    let mut spans = Vec::new();
    // `restartCount` counts a start that is over only once the next has begun.
    let before =
        if runs || matches!(status.state, ContainerState::Terminated { .. }) { status.restarts.saturating_sub(1) } else { status.restarts };
    if let Some(last) = &status.last {
        spans.extend(ended(last).map(|(begin, end, note, failed)| Span { end: Some(end), note, failed, ..span(numbered(before), begin) }));
    }
    match &status.state {
        ContainerState::Running { since } => {
            let ready = moment(pod, "ContainersReady").filter(|_| status.is_ready).map(|at| at.max(*since));
            let end = if spec.kind == ContainerKind::Sidecar && status.is_started { Some(ready.unwrap_or(*since)) } else { ready };
            spans.push(Span {
                end,
                note: running(status.is_ready, status.is_started, spec, events),
                ..span(numbered(status.restarts), *since)
            });
        }
        ended_state @ ContainerState::Terminated { .. } => {
            let over = ended(ended_state);
            spans.extend(over.map(|(begin, end, note, failed)| Span {
                end: Some(end),
                note,
                failed,
                ..span(numbered(status.restarts), begin)
            }));
        }
        ContainerState::Waiting { reason, .. } if !matches!(reason.as_str(), "PodInitializing" | "ContainerCreating" | "") => {
            let begin = spans.last().and_then(|last| last.end).or(moment(pod, "Initialized")).unwrap_or(pod.created);
            spans.push(Span { note: reason.clone(), failed: true, ..span(format!("{name}, waits"), begin) });
        }
        ContainerState::Waiting { .. } => {}
    }
    spans
}

/// From when to when, and how it ended.
fn ended(state: &ContainerState) -> Option<(u64, u64, String, bool)> {
    let ContainerState::Terminated { code, signal, reason, started, finished, .. } = state else { return None };
    let begin = if *started == 0 { *finished } else { *started };
    let how = if *signal != 0 { format!("signal {signal}") } else { format!("exit {code}") };
    let note = if matches!(reason.as_str(), "" | "Error" | "Completed") { how } else { format!("{reason}, {how}") };
    Some((begin, (*finished).max(begin), note, *code != 0))
}

/// What a running container has reached, and what its probes said last.
fn running(is_ready: bool, is_started: bool, spec: &Container, events: &[PodEvent]) -> String {
    if is_ready {
        return "ready".to_owned();
    }
    let field = format!("{{{}}}", spec.name);
    let failing = events.iter().rev().find(|event| event.reason == "Unhealthy" && event.field.ends_with(&field));
    let state = match (is_started, &spec.startup) {
        (false, Some(_)) => "runs, its startup probe has not succeeded",
        _ => "runs, not ready",
    };
    match failing {
        Some(event) => format!("{state}: {} (×{})", first_words(&event.message), event.count),
        None => state.to_owned(),
    }
}

/// `Readiness probe failed`, without the details that the verdicts tell.
fn first_words(message: &str) -> &str {
    message.split(": ").next().unwrap_or(message)
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

impl Timeline {
    /// When everything began.
    pub(super) const fn begin(&self) -> u64 {
        self.pod.created
    }

    /// Shows a verdict at the span into which it falls.
    fn place(&mut self, verdict: Verdict) {
        /// The API server cuts off what is below the second.
        const SECOND: u64 = 1_000_000_000;
        let container = verdict.workload.as_ref().map(|workload| workload.container.clone()).unwrap_or_default();
        let at = verdict.first_seen.as_ref().map_or(self.now, nanos);
        let part = part(&verdict.cause);
        let holds =
            |span: &&mut Span| at.saturating_add(SECOND) >= span.begin && span.end.is_none_or(|end| at <= end.saturating_add(SECOND));
        let fits = |span: &&mut Span| match part {
            Some(part) => span.name.starts_with(part) && (span.container.is_empty() || container.is_empty() || span.container == container),
            None => !container.is_empty() && span.container == container && !span.name.starts_with("pull "),
        };
        // A repeated finding may have begun before the starts that are still known.
        let exact = self.spans.iter().rposition(|span| fits(&&mut span.clone()) && holds(&&mut span.clone()));
        let place = exact.or_else(|| self.spans.iter().rposition(|span| fits(&&mut span.clone())));
        match place {
            Some(place) => self.spans[place].verdicts.push(verdict),
            None => self.others.push(verdict),
        }
    }
}

/// The part of a start that a cause is about by its nature.
fn part(cause: &str) -> Option<&'static str> {
    match cause {
        "Unschedulable" => Some("scheduled"),
        "VolumeSetup" => Some("volumes"),
        "SandboxSetup" => Some("sandbox"),
        "ImagePull" => Some("pull "),
        "ReadinessGate" => Some("ready"),
        _ => None,
    }
}

/// For programs.
pub(super) fn json(timeline: &Timeline) -> Value {
    let date = |at: u64| timestamp(at).to_string();
    let span = |span: &Span| {
        json!({
            "name": span.name,
            "container": span.container,
            "begin": date(span.begin),
            "end": span.end.map(date),
            "seconds": seconds(span.end.unwrap_or(timeline.now).saturating_sub(span.begin)),
            "note": span.note,
            "failed": span.failed,
            "verdicts": span.verdicts,
        })
    };
    json!({
        "namespace": timeline.pod.namespace,
        "pod": timeline.pod.name,
        "podUid": timeline.pod.uid,
        "created": date(timeline.pod.created),
        "ready": moment(&timeline.pod, "Ready").map(date),
        "spans": timeline.spans.iter().map(span).collect::<Vec<_>>(),
        "verdicts": timeline.others,
    })
}

fn seconds(nanos: u64) -> f64 {
    std::time::Duration::from_nanos(nanos).as_secs_f64()
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use unready_diagnosis::pod::{Condition, ContainerStatus, PodStatus};
    use unready_proto::v1::Workload;

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
        timeline(pod, &events, vec![verdict("FileMissing", "app", 10), verdict("ImagePull", "", 3), verdict("Odd", "", 3)], at(40))
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
        let timeline = timeline(pod, &[], vec![verdict("Unschedulable", "", 1)], at(9));
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
        let timeline = timeline(pod, &[], vec![], at(90));
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
        let timeline = timeline(pod, &[failing], vec![verdict("ProbeStatus", "app", 12)], at(40));
        let app = timeline.spans.iter().find(|span| span.name == "app").unwrap();
        assert_eq!((app.note.as_str(), app.end, app.verdicts.len()), ("runs, not ready: Readiness probe failed (×7)", None, 1));
    }

    #[test]
    fn lengths_as_go_writes_them() {
        let of = |text: &str| length(&format!("Successfully pulled image \"x\" in {text} ({text} including waiting)"));
        assert_eq!(of("1.2s"), Some(1_200_000_000));
        assert_eq!(of("1m2.5s"), Some(62_500_000_000));
        assert_eq!(of("350ms"), Some(350_000_000));
        assert_eq!(of("soon"), None);
        assert_eq!(length("Container image \"x\" already present on machine"), None);
    }
}
