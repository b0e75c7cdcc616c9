//! The starts of a container, from its states: the API server keeps the present one, and the last one that ended.

use super::span::{Span, moment};
use unready_diagnosis::pod::{Container, ContainerKind, ContainerState, Pod, PodEvent};

/// A container as it is called: `init migrate`, `app`.
pub(super) fn title(spec: &Container) -> String {
    match spec.kind {
        ContainerKind::Init | ContainerKind::Sidecar => format!("{} {}", spec.kind.word(), spec.name),
        ContainerKind::App | ContainerKind::Ephemeral => spec.name.clone(),
    }
}

/// The starts of a container that are known: the last one that ended, and the present one.
pub(super) fn container(pod: &Pod, events: &[PodEvent], spec: &Container) -> Vec<Span> {
    let Some(status) = pod.status_of(&spec.name) else { return Vec::new() };
    let name = title(spec);
    let numbered = |start: u32| if status.restarts == 0 { name.clone() } else { format!("{name}, start {}", start + 1) };
    let span = |name: String, begin: u64| Span { name, container: spec.name.clone(), begin, ..Span::default() };
    let present = |begin: u64| Span { id: status.id.clone(), ..span(numbered(status.restarts), begin) };
    let runs = matches!(status.state, ContainerState::Running { .. });
    let mut spans = Vec::new();
    // `restartCount` counts a start that is over only once the next has begun.
    let before =
        if runs || matches!(status.state, ContainerState::Terminated { .. }) { status.restarts.saturating_sub(1) } else { status.restarts };
    if let Some(last) = &status.last {
        let id = || status.last_id.clone();
        let over = ended(last);
        spans.extend(over.map(|(begin, end, note, failed)| Span {
            id: id(),
            end: Some(end),
            note,
            failed,
            ..span(numbered(before), begin)
        }));
    }
    match &status.state {
        ContainerState::Running { since } => {
            let ready = moment(pod, "ContainersReady").filter(|_| status.is_ready).map(|at| at.max(*since));
            let end = if spec.kind == ContainerKind::Sidecar && status.is_started { Some(ready.unwrap_or(*since)) } else { ready };
            let note = running(status.is_ready, status.is_started, spec, events);
            spans.push(Span { end, note, runs: true, ..present(*since) });
        }
        ended_state @ ContainerState::Terminated { .. } => {
            let over = ended(ended_state);
            spans.extend(over.map(|(begin, end, note, failed)| Span { end: Some(end), note, failed, ..present(begin) }));
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
