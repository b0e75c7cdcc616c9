//! `HookFailed`: a postStart hook that fails makes the kubelet kill the container, a preStop hook uses the grace period up.
//!
//! Kubernetes 1.37 `pkg/kubelet/kuberuntime/kuberuntime_container.go` and `pkg/kubelet/lifecycle/handlers.go`: the state waits with
//! `PostStartHookError` and what the hook said, for some seconds; the event `FailedPostStartHook` stays, without details. Then the container is
//! in back-off and looks as if it had crashed by itself.

use super::{
    Explanation, PodFinding, Scene,
    build::{Build, container, found},
    message::{core, quote, word},
    scene::{concerns, container_of, last, last_end, running_since, waits},
};
use crate::{
    catalogue::{Layer, hook_failed},
    pod::{Container, ContainerStatus, PodEvent},
    verdict::{Confidence, Severity, SubjectKind},
};
use std::time::Duration;

/// How a container ends that the kubelet kills: by SIGKILL or SIGTERM.
const KILLED: [i32; 2] = [137, 143];

/// Adds postStart hooks that failed.
pub(super) fn explain(scene: &Scene<'_>, explanation: &mut Explanation) {
    for (spec, status) in scene.containers() {
        let (reason, message) = waits(status);
        let says = (reason == "PostStartHookError").then_some(message);
        let suspected = spec.post_start.is_some() && running_since(status).is_none() && last_end(status).is_some();
        if says.is_none() && !suspected {
            continue;
        }
        explanation.needs_events = true;
        let event = failed(scene, &spec.name, "FailedPostStartHook").and_then(|event| Some((event, of_last_start(event, status)?)));
        let sure = says.map(|_| Confidence::Certain).or(event.map(|(_, sure)| sure));
        if let Some(sure) = sure {
            explanation.findings.push(post_start(scene, spec, says, event.map(|(event, _)| event), sure));
        }
    }
}

fn failed<'a>(scene: &Scene<'a>, container: &str, reason: &str) -> Option<&'a PodEvent> {
    let about = |event: &&PodEvent| event.reason == reason && container_of(event).is_none_or(|name| name == container);
    scene.events.iter().filter(about).max_by_key(|event| last(event))
}

/// Whether the container ended for this failure of its hook.
fn of_last_start(event: &PodEvent, status: &ContainerStatus) -> Option<Confidence> {
    last_end(status).map_or(Some(Confidence::Certain), |end| concerns(event, &end, &KILLED))
}

fn post_start(scene: &Scene<'_>, spec: &Container, says: Option<&str>, event: Option<&PodEvent>, sure: Confidence) -> PodFinding {
    let hook = spec.post_start.as_deref().unwrap_or("of the container");
    let said = says
        .filter(|text| !text.is_empty())
        .or_else(|| event.map(|event| event.message.as_str()).filter(|text| text.contains(" - error: ")));
    let (layer, how) = said.map_or((hook_failed::POST_START, "failed".to_owned()), how);
    let summary = format!("the postStart hook ({hook}) of container {} {how}, and the kubelet killed the container for it", spec.name);
    let build = found(layer, (SubjectKind::Hook, "postStart"), summary)
        .of(&spec.name)
        .because("the program itself had been started; how it ended then says nothing of it")
        .sure(sure);
    let build = said.map(output).unwrap_or_default().into_iter().fold(build, Build::because);
    let build = match layer {
        hook_failed::HOOK_COMMAND => build.fix("Use a command that the image has, by its path: a hook is not given to a shell."),
        hook_failed::HTTP => build.fix("A postStart hook runs at once, beside the program: it must wait until the program listens, or try again. An init container or the program itself may be the better place."),
        _ => build.fix("Run the hook's command by hand in the container (take the hook out meanwhile) and see what it says. It runs beside the program, before that is ready: it may have to wait for it."),
    };
    let build = build.event_if(event);
    let fact = says.map(|text| format!("{}: waiting, PostStartHookError: {}", container(scene, &spec.name), quote(text, 500)));
    let build = match fact {
        Some(fact) => build.status(scene.taken_up(), &fact),
        None => build,
    };
    build.now(scene)
}

/// How a hook failed, from `… failed - error: …`.
fn how(text: &str) -> (Layer, String) {
    let code = word(text, "exited with ").filter(|code| code.parse::<u32>().is_ok());
    match text {
        _ if text.contains("not found in $PATH") || text.contains("no such file or directory") => {
            (hook_failed::HOOK_COMMAND, "names a command that the image does not have".to_owned())
        }
        _ if code.is_some() => (hook_failed::EXIT_CODE, format!("ended with exit code {}", code.unwrap_or_default())),
        _ if text.contains("HTTP lifecycle hook") => (hook_failed::HTTP, format!("was not answered: {}", core(error_of(text)))),
        _ => (hook_failed::POST_START, format!("failed: {}", core(error_of(text)))),
    }
}

fn error_of(text: &str) -> &str {
    let text = text.split_once(" - error: ").map_or(text, |(_, rest)| rest);
    text.split_once(", message: ").map_or(text, |(error, _)| error)
}

/// What the hook's command wrote.
fn output(text: &str) -> Option<String> {
    let wrote = text.rsplit_once(", message: ").map(|(_, rest)| rest.trim_matches('"').trim())?;
    (!wrote.is_empty()).then(|| format!("it wrote: {}", quote(&wrote.replace("\\n", " "), 300)))
}

/// Adds what a pod that is being ended waits for.
pub(super) fn ending(scene: &Scene<'_>, explanation: &mut Explanation) {
    let Some(deadline) = scene.pod.deleted else { return };
    for (spec, status) in scene.containers().filter(|(spec, _)| spec.pre_stop.is_some()) {
        explanation.needs_events = true;
        if let Some(event) = failed(scene, &spec.name, "FailedPreStopHook") {
            explanation.findings.push(pre_stop_failed(scene, spec, event));
        } else if running_since(status).is_some() && is_over(scene, deadline, explanation) {
            explanation.findings.push(grace_used_up(scene, spec, deadline));
        }
    }
}

/// Whether the grace period has passed; if not, look again when it has.
fn is_over(scene: &Scene<'_>, deadline: u64, explanation: &mut Explanation) -> bool {
    let left = Duration::from_nanos(deadline.saturating_sub(scene.now));
    explanation.is_due(Duration::ZERO, left)
}

fn pre_stop_failed(scene: &Scene<'_>, spec: &Container, event: &PodEvent) -> PodFinding {
    let hook = spec.pre_stop.as_deref().unwrap_or_default();
    let summary = format!("the preStop hook ({hook}) of container {} failed; the container is ended all the same", spec.name);
    found(hook_failed::PRE_STOP, (SubjectKind::Hook, "preStop"), summary)
        .of(&spec.name)
        .fix("See whether the hook's command is in the image and ends with 0. What it was to do (drain, deregister) was not done.")
        .severity(Severity::Advisory)
        .event(event)
        .then(scene.now)
}

/// `sleep 60` in a hook's words.
fn sleeps(hook: &str) -> Option<u64> {
    let (_, rest) = hook.split_once("sleep ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn grace_used_up(scene: &Scene<'_>, spec: &Container, deadline: u64) -> PodFinding {
    let pod = scene.pod;
    let hook = spec.pre_stop.as_deref().unwrap_or_default();
    let sleep = sleeps(hook).filter(|seconds| *seconds >= pod.grace_seconds);
    let summary = format!(
        "container {} still runs after its grace period of {} s, of which its preStop hook ({hook}) takes a part",
        spec.name, pod.grace_seconds
    );
    let build = found(hook_failed::GRACE_PERIOD, (SubjectKind::Hook, "preStop"), summary).of(&spec.name);
    let build = match sleep {
        Some(seconds) => build.because(format!("the hook sleeps for {seconds} s; SIGTERM is sent only after it")).sure(Confidence::Certain),
        None => build
            .because("SIGTERM is sent only when the hook has ended; whether it is the hook or the program that takes so long cannot be told from here")
            .sure(Confidence::Possible),
    };
    build
        .fix("Make the hook shorter, or terminationGracePeriodSeconds longer than hook and program need together.")
        .severity(Severity::Advisory)
        .status(deadline, "the deletionTimestamp has passed, and the container runs")
        .now(scene)
}
