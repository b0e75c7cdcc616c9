//! Containers that ended, as far as the API server tells: for nodes without the kernel's evidence, which says more, and for containers
//! that it missed ([`Scene::unseen`]).
//!
//! `OOMKilled`, an exit code, and exit 0 again and again. What the status calls `StartError` never ran ([`super::refused`]); what it calls
//! `ContainerStatusUnknown` or `Unknown` was lost with the node's reboot, and is no failure of the container. A container that the
//! kubelet killed for its probe did not crash by itself: the events tell.

use super::{
    Explanation, PodFinding, Scene,
    build::{Build, container, found},
    message::quote,
    scene::{Ended, concerns, container_of, ended, last_end, running_since, waits},
};
use crate::{
    catalogue::{Cause, crashed, exited_early, out_of_memory},
    manifest::patch,
    pod::{Container, ContainerKind, ContainerStatus, PodEvent, RestartPolicy},
    record::ExitStatus,
    verdict::{Confidence, EvidenceKind, SubjectKind},
    words,
};
use serde_json::json;
use std::time::Duration;

const NEVER_RAN: [&str; 4] = ["StartError", "ContainerCannotRun", "ContainerStatusUnknown", "Unknown"];
/// A container that runs again for so long is not in a loop of crashes.
const SETTLED: Duration = Duration::from_mins(1);

/// How a container may end that the kubelet asks to end, or kills.
const KILLED: [i32; 3] = [0, 137, 143];
/// So long the events are waited for that may tell that the kubelet ended it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Adds how containers ended. Only where the kernel's evidence does not tell.
pub(super) fn explain(scene: &Scene<'_>, explanation: &mut Explanation) {
    // A pod that the kubelet rejected or evicted takes its containers with it.
    if explanation.findings.iter().any(|found| found.finding.cause() == Cause::PodRejected) {
        return;
    }
    for (spec, status) in scene.containers().filter(|(spec, _)| spec.kind != ContainerKind::Ephemeral && speaks_of(scene, spec)) {
        let Some(end) = relevant(scene, status) else { continue };
        if explanation.has_explained(&spec.name) || NEVER_RAN.contains(&end.reason) {
            continue;
        }
        let by_kubelet = spec.post_start.is_some() || (spec.liveness.is_some() || spec.startup.is_some()) && KILLED.contains(&end.code);
        explanation.needs_events |= by_kubelet;
        if by_kubelet && scene.events.is_empty() && !explanation.is_due(scene.age(end.finished), PATIENCE) {
            continue;
        }
        explanation.findings.extend(judge(scene, spec, status, &end));
    }
}

/// The kernel's evidence knows more of the containers that it covers.
fn speaks_of(scene: &Scene<'_>, spec: &Container) -> bool {
    !scene.kernel || scene.unseen.contains(&spec.name)
}

/// The end that matters: the container is over, backs off, or was started again just now.
fn relevant<'a>(scene: &Scene<'_>, status: &'a ContainerStatus) -> Option<Ended<'a>> {
    let recent = running_since(status).is_none_or(|since| scene.age(since) < SETTLED && !status.is_ready);
    recent.then(|| last_end(status)).flatten()
}

fn judge(scene: &Scene<'_>, spec: &Container, status: &ContainerStatus, end: &Ended<'_>) -> Option<PodFinding> {
    let build = if end.reason == "OOMKilled" {
        out_of_memory(scene, spec)
    } else if let Some((kill, sure)) = probe_kill(scene, spec, end) {
        killed_by_probe(scene, spec, kill).sure(sure)
    } else if end.code == 0 && end.signal == 0 {
        let serves =
            scene.pod.restart_policy == RestartPolicy::Always && spec.kind == ContainerKind::App || spec.kind == ContainerKind::Sidecar;
        let again = status.restarts > 0 || waits(status).0 == "CrashLoopBackOff";
        if !serves || !again {
            return None;
        }
        exited_early(scene, spec, status)
    } else {
        crashed(scene, spec, end)
    };
    let said = (!end.message.trim().is_empty()).then(|| quote(end.message, 600));
    let build = match said {
        Some(said) => {
            build.because(format!("its termination message: {}", quote(&said, 200))).fact(EvidenceKind::Output, end.finished, said)
        }
        None => build,
    };
    let fact = format!("{}: ended with code {} ({}), {} restarts", container(scene, &spec.name), end.code, end.reason, status.restarts);
    let build = build
        .of(&spec.name)
        .status(end.finished, &fact)
        .since(end.finished)
        .count(u64::from(status.restarts) + u64::from(ended(&status.state).is_some()));
    let mut found = build.then(scene.now);
    if scene.kernel {
        // Something may have been seen since that bears on it.
        found.confidence = found.confidence.min(Confidence::Likely);
        found.finding.proved = false;
    }
    Some(found)
}

fn out_of_memory(scene: &Scene<'_>, spec: &Container) -> Build {
    let limit = spec.memory_limit.map(words::bytes);
    let at = limit.as_ref().map(|limit| format!(" at its limit of {limit}")).unwrap_or_default();
    let summary = format!("{} was killed for lack of memory{at}", container(scene, &spec.name));
    let build = found(out_of_memory::MAIN_PROCESS, (SubjectKind::Limit, "memory"), summary);
    match spec.memory_limit {
        Some(limit) => build
            .fix("Raise resources.limits.memory above what the start needs, or tell the runtime its bound (GOMEMLIMIT, -XX:MaxRAMPercentage, --max-old-space-size).")
            .change(scene.pod, patch::of_container(spec, json!({ "resources": { "limits": { "memory": quantity(limit.saturating_mul(2)) } } })))
            .also("Twice the limit is a first try; how much it needs, its metrics or a run without limit tell."),
        None => build
            .because("it has no limit of its own: the node was short of memory, or the pod's or the node's limit was reached")
            .fix("Set resources.requests.memory to what it needs, so that it is placed where there is room."),
    }
}

/// A quantity as Kubernetes writes it: `256Mi`.
pub(super) fn quantity(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "Gi"), (1 << 20, "Mi"), (1_u64 << 10, "Ki")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// `Container app failed liveness probe, will be restarted`.
fn probe_kill<'a>(scene: &Scene<'a>, spec: &Container, end: &Ended<'_>) -> Option<(&'a PodEvent, Confidence)> {
    scene.events.iter().rev().find_map(|event| {
        let about = container_of(event).is_none_or(|name| name == spec.name);
        let probe = event.message.contains("failed liveness probe") || event.message.contains("failed startup probe");
        let concerns = (event.reason == "Killing" && about && probe).then(|| concerns(event, end, &KILLED)).flatten()?;
        Some((event, concerns))
    })
}

fn killed_by_probe(scene: &Scene<'_>, spec: &Container, kill: &PodEvent) -> Build {
    let (name, probe) = if kill.message.contains("startup") { ("startup", &spec.startup) } else { ("liveness", &spec.liveness) };
    let action = probe.as_ref().map(|probe| format!(" ({})", probe.action)).unwrap_or_default();
    let summary = format!("the kubelet killed {} because its {name} probe{action} failed", container(scene, &spec.name));
    let build = found(crashed::PROBE, (SubjectKind::Container, &spec.name), summary);
    let answer = scene.last_answer(spec).map(|answer| format!("its last answer: {answer}"));
    let budget = probe.as_ref().map(|probe| {
        format!(
            "it may fail {} times, every {} s, after {} s: a start must not take longer",
            probe.failures, probe.period, probe.initial_delay
        )
    });
    build.because_if(answer).because_if(budget).event(kill).fix(if name == "liveness" {
        "If the program only starts slowly, give it a startupProbe with a larger budget (failureThreshold × periodSeconds); else see why it does not answer."
    } else {
        "Enlarge the startupProbe's budget (failureThreshold × periodSeconds) if the program was making progress; else see why it does not answer."
    })
}

fn exited_early(scene: &Scene<'_>, spec: &Container, status: &ContainerStatus) -> Build {
    let summary = format!(
        "{} ends with exit code 0 again and again ({}); a server was expected, as restartPolicy is Always",
        container(scene, &spec.name),
        words::plural(u64::from(status.restarts), "restart")
    );
    found(exited_early::EXIT_ZERO, (SubjectKind::Container, &spec.name), summary).fix(
        "Run the server in the foreground (`daemon off;`, `--foreground`, `exec` at the end of a start script), and look at `command` and `args`; a task that is meant to end belongs into a Job.",
    )
}

fn crashed(scene: &Scene<'_>, spec: &Container, end: &Ended<'_>) -> Build {
    let how = if end.signal > 0 { u8::try_from(end.signal).map(ExitStatus::Signal) } else { u8::try_from(end.code).map(ExitStatus::Code) };
    let (layer, how) = match how {
        // Runtimes report a signal that ended the main process as 128 and its number.
        Ok(ExitStatus::Code(code @ 129..=159)) => {
            (crashed::SIGNAL, format!("exit code {code}: {}", words::exit_status(ExitStatus::Signal(code - 128))))
        }
        Ok(status @ ExitStatus::Code(_)) => (crashed::EXIT_CODE, words::exit_status(status)),
        Ok(status @ ExitStatus::Signal(_)) => (crashed::SIGNAL, words::exit_status(status)),
        Err(_) => (crashed::EXIT_CODE, format!("exit code {}", end.code)),
    };
    let ran = Duration::from_nanos(end.finished.saturating_sub(end.started));
    let lived = if end.started > 0 && end.finished > end.started { format!(", after {}", words::duration(ran)) } else { String::new() };
    let summary = format!("{} ended with {how}{lived}", container(scene, &spec.name));
    let log = format!("`kubectl -n {} logs {} -c {} --previous`", scene.pod.namespace, scene.pod.name, spec.name);
    found(layer, (SubjectKind::Container, &spec.name), summary)
        .because("there is no evidence from the kernel: what failed before the end is not known")
        .fix(format!("Read what it wrote: {log}."))
}
