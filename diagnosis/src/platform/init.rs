//! `InitSequence`: which init container of how many holds the pod, and since when.
//!
//! Init containers run one after the other, sidecars among them are waited for until they have started (their startup probe has
//! succeeded; KEP-753). An init container that runs is no news for a minute; one that fails is. Why it fails is said of the
//! container itself; the engine adds that verdict to the explanation here.

use super::{
    Explanation, PodFinding, Scene,
    build::{container, found, moment},
    scene::{ended, last_end, running_since, waits},
};
use crate::{
    catalogue::{Layer, init_sequence},
    pod::{Container, ContainerKind, ContainerStatus},
    verdict::{Severity, SubjectKind},
    words,
};
use std::time::Duration;

/// So long an init container may run without being spoken of.
const PATIENCE: Duration = Duration::from_mins(1);

/// The init container or sidecar that the pod waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder<'a> {
    pub(super) spec: &'a Container,
    pub(super) status: &'a ContainerStatus,
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) of: usize,
}

/// Finds it: the first that is not done.
pub(super) fn holder<'a>(scene: &Scene<'a>) -> Option<Holder<'a>> {
    let all: Vec<_> = scene.containers().filter(|(spec, _)| matches!(spec.kind, ContainerKind::Init | ContainerKind::Sidecar)).collect();
    let index = all.iter().position(|(spec, status)| !is_done(spec, status) && !is_passed(scene, spec))?;
    let (spec, status) = *all.get(index)?;
    Some(Holder { spec, status, number: index + 1, of: all.len() })
}

fn is_done(spec: &Container, status: &ContainerStatus) -> bool {
    match spec.kind {
        ContainerKind::Sidecar => status.is_started,
        ContainerKind::Init | ContainerKind::App | ContainerKind::Ephemeral => ended(&status.state).is_some_and(|end| end.code == 0),
    }
}

/// The pod has gone on after a sidecar: once it has started, its later ends hold nobody (KEP-753).
fn is_passed(scene: &Scene<'_>, sidecar: &Container) -> bool {
    let initialized = || scene.pod.condition("Initialized").is_some_and(|condition| condition.status == "True");
    let mut later = scene.containers().skip_while(|(spec, _)| spec.name != sidecar.name).skip(1);
    sidecar.kind == ContainerKind::Sidecar && (initialized() || later.any(|(spec, status)| has_started(spec, status)))
}

fn has_started(spec: &Container, status: &ContainerStatus) -> bool {
    spec.kind != ContainerKind::Ephemeral && (running_since(status).is_some() || last_end(status).is_some())
}

/// Adds the init container that holds the pod.
pub(super) fn explain(scene: &Scene<'_>, explanation: &mut Explanation) {
    // Once it is initialized, an init container that a restarted sandbox runs again is all that matters: the same rule.
    let Some(holder) = holder(scene) else { return };
    let own = explanation.findings.iter().find(|found| found.container.as_deref() == Some(&holder.spec.name));
    let own = own.map(|found| (found.finding.remedy.text.clone(), found.since));
    let failure = last_end(holder.status).filter(|end| end.code != 0).map(|end| end.finished);
    match (own, failure, running_since(holder.status)) {
        (Some((remedy, since)), ..) => explanation.findings.push(failing(scene, &holder, Some(remedy), since)),
        (None, Some(since), _) => explanation.findings.push(failing(scene, &holder, None, since)),
        (None, None, Some(since)) => {
            if explanation.is_due(scene.age(since), PATIENCE) {
                explanation.findings.push(long(scene, &holder, since));
            }
        }
        (None, None, None) => {}
    }
}

/// The words for its place: `init container migrate (2 of 3)`.
pub(super) fn place(scene: &Scene<'_>, holder: &Holder<'_>) -> String {
    format!("{} ({} of {})", container(scene, &holder.spec.name), holder.number, holder.of)
}

fn layer_of(holder: &Holder<'_>) -> Layer {
    if holder.spec.kind == ContainerKind::Sidecar { init_sequence::SIDECAR } else { init_sequence::INIT_CONTAINER }
}

/// Advisory where its own cause is said already; the remedy is that one's.
fn failing(scene: &Scene<'_>, holder: &Holder<'_>, own: Option<String>, since: u64) -> PodFinding {
    let name = &holder.spec.name;
    let times = match holder.status.restarts {
        0 => String::new(),
        restarts => format!(", {}", words::plural(u64::from(restarts), "restart")),
    };
    let has_run = last_end(holder.status).is_some();
    let what = if has_run { "fails" } else { "does not start" };
    let summary = format!("{} {what}{times}; the containers after it wait", place(scene, holder));
    let severity = if own.is_some() { Severity::Advisory } else { Severity::Blocking };
    let log = || format!("See why {name} fails: `kubectl -n {} logs {} -c {name} --previous`.", scene.pod.namespace, scene.pod.name);
    found(layer_of(holder), (SubjectKind::Container, name), summary)
        .because(behind(scene, holder))
        .fix(own.unwrap_or_else(log))
        .severity(severity)
        .count(u64::from(holder.status.restarts) + 1)
        .status(since, &state(scene, holder))
        .now(scene)
}

fn long(scene: &Scene<'_>, holder: &Holder<'_>, since: u64) -> PodFinding {
    let name = &holder.spec.name;
    let (ns, pod) = (&scene.pod.namespace, &scene.pod.name);
    let until = match (&holder.spec.startup, holder.spec.kind) {
        (Some(probe), ContainerKind::Sidecar) => format!("its startup probe ({}) has not succeeded", probe.action),
        _ => "it has not ended".to_owned(),
    };
    let summary = format!("{} runs since {}, and {until}; the containers after it wait", place(scene, holder), moment(since));
    let build = found(layer_of(holder), (SubjectKind::Container, name), summary).because(behind(scene, holder));
    let answer = scene.last_answer(holder.spec).map(|answer| format!("the probe's last answer: {answer}"));
    build
        .because_if(answer)
        .fix(format!("See what it waits for: `kubectl -n {ns} logs {pod} -c {name}`. An init container must end by itself; what is to go on running is a sidecar (restartPolicy: Always)."))
        .severity(Severity::Slowing)
        .status(since, &state(scene, holder))
        .now(scene)
}

/// What waits behind it.
fn behind(scene: &Scene<'_>, holder: &Holder<'_>) -> String {
    let after = scene.pod.containers.iter().skip_while(|spec| spec.name != holder.spec.name).skip(1);
    let names = after.filter(|spec| spec.kind != ContainerKind::Ephemeral).map(|spec| spec.name.as_str());
    format!("still to come: {}", words::list(names, 5))
}

fn state(scene: &Scene<'_>, holder: &Holder<'_>) -> String {
    let (reason, message) = waits(holder.status);
    let name = container(scene, &holder.spec.name);
    match (reason, last_end(holder.status), running_since(holder.status)) {
        (_, _, Some(since)) => format!("{name} runs since {}", moment(since)),
        ("", Some(end), _) => format!("{name} ended with code {} ({})", end.code, end.reason),
        (reason, ..) => format!("{name} waits, {reason}: {message}"),
    }
}
