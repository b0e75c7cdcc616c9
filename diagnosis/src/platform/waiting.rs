//! What a pod waits for when nothing is known to be wrong with it: one sentence, from the pod as a whole down to a container's probe.
//!
//! The kubelet's readiness says only "containers with unready status"; what it waits for is put together from states, events and
//! the spec. Sentences are made anew whenever somebody asks, so that they may say how long something has taken.

use super::{
    Scene, gate, init,
    scene::{container_of, ended, last, last_end, running_since, waits},
};
use crate::{
    pod::{Container, ContainerKind, ContainerStatus, PodEvent, Probe, RestartPolicy},
    words::{self, list},
};

/// The sentence; `None`: the pod is well.
pub(super) fn sentence(scene: &Scene<'_>) -> Option<String> {
    if scene.pod.is_well() {
        return None;
    }
    let steps: [fn(&Scene<'_>) -> Option<String>; 7] = [ending, failed, unscheduled, node_lost, preparing, containers, gates];
    let what = steps.iter().find_map(|step| step(scene));
    Some(what.unwrap_or_else(|| well("its containers are ready, and the kubelet has not said so of the pod yet")))
}

fn well(what: &str) -> String {
    format!("waiting, nothing wrong so far: {what}")
}

fn ago(scene: &Scene<'_>, since: u64) -> String {
    words::duration(scene.age(since))
}

fn ending(scene: &Scene<'_>) -> Option<String> {
    let deadline = scene.pod.deleted?;
    let grace = scene.pod.grace_seconds;
    let began = deadline.saturating_sub(grace.saturating_mul(1_000_000_000));
    Some(if scene.now < deadline {
        format!("it is being ended, since {}; it has {grace} s for that", ago(scene, began))
    } else {
        format!("it is being ended, since {}, longer than its grace period of {grace} s", ago(scene, began))
    })
}

fn failed(scene: &Scene<'_>) -> Option<String> {
    let pod = scene.pod;
    if pod.status.phase != "Failed" {
        return None;
    }
    let ends = scene.containers().filter_map(|(spec, status)| last_end(status).filter(|end| end.code != 0).map(|end| (spec, end)));
    let ends = list(ends.map(|(spec, end)| format!("container {} ended with code {}", spec.name, end.code)), 3);
    let why = if ends.is_empty() { String::new() } else { format!(": {ends}") };
    Some(format!("it has failed and is not started again{why}"))
}

fn unscheduled(scene: &Scene<'_>) -> Option<String> {
    let pod = scene.pod;
    if !pod.node.is_empty() {
        return None;
    }
    if !pod.scheduling_gates.is_empty() {
        let gates = list(&pod.scheduling_gates, 4);
        let (are, them) = if pod.scheduling_gates.len() == 1 { ("scheduling gate", "it") } else { ("scheduling gates", "them") };
        return Some(well(&format!("{are} {gates}: it is not scheduled before whoever set {them} takes {them} away")));
    }
    let refused = pod.condition("PodScheduled").filter(|condition| condition.status == "False" && !condition.message.is_empty());
    Some(match refused {
        Some(condition) => well(&format!("no node takes it yet ({})", super::message::quote(&condition.message, 200))),
        None => well(&format!("it was created {} ago and is not scheduled yet", ago(scene, pod.created))),
    })
}

/// The node's controller says so when the kubelet no longer reports.
fn node_lost(scene: &Scene<'_>) -> Option<String> {
    let ready = scene.pod.condition("Ready")?;
    let lost = ready.status == "Unknown" || ready.reason == "NodeStatusUnknown";
    let since = if ready.since == 0 { String::new() } else { format!(" since {}", ago(scene, ready.since)) };
    lost.then(|| format!("node {} has not reported{since}: what became of the pod is not known", scene.pod.node))
}

fn preparing(scene: &Scene<'_>) -> Option<String> {
    if !scene.is_preparing() {
        return None;
    }
    // Where the kubelet does not tell of the sandbox, the first event of an image tells that it is there.
    pulling(scene).or_else(|| {
        let untouched = !scene.went_on_after(0);
        untouched.then(|| {
            let volumes = if scene.pod.volumes.is_empty() { "" } else { "its volumes and " };
            well(&format!(
                "it was given to node {} {} ago; {volumes}its sandbox are being prepared",
                scene.pod.node,
                ago(scene, scene.taken_up())
            ))
            .replace("; its sandbox are", "; its sandbox is")
        })
    })
}

/// An image that is being pulled: the last word about it is that it began.
fn pulling(scene: &Scene<'_>) -> Option<String> {
    let (spec, begun) = scene.containers().filter(|(_, status)| running_since(status).is_none()).find_map(|(spec, _)| {
        let about = |event: &&PodEvent| container_of(event).is_some_and(|name| name == spec.name);
        let latest = |reasons: &'static [&'static str]| scene.events_with(reasons).filter(about).map(last).max();
        let begun = latest(&["Pulling"])?;
        let over = latest(&["Pulled", "Failed", "BackOff", "Created"]).is_some_and(|over| over >= begun);
        (!over).then_some((spec, begun))
    })?;
    Some(well(&format!("image {} of container {} is being pulled, since {}", spec.image, spec.name, ago(scene, begun))))
}

fn containers(scene: &Scene<'_>) -> Option<String> {
    if let Some(holder) = init::holder(scene) {
        return Some(pulling(scene).unwrap_or_else(|| of_init(scene, &holder)));
    }
    let is_done = |status: &ContainerStatus| {
        scene.pod.restart_policy != RestartPolicy::Always && ended(&status.state).is_some_and(|end| end.code == 0)
    };
    let counts = |spec: &Container| matches!(spec.kind, ContainerKind::App | ContainerKind::Sidecar);
    let behind = |(spec, status): &(&Container, &ContainerStatus)| counts(spec) && !status.is_ready && !is_done(status);
    let waiting: Vec<_> = scene.containers().filter(behind).collect();
    let (spec, status) = *waiting.first()?;
    let others = waiting.iter().skip(1).map(|(spec, _)| spec.name.as_str());
    let others = list(others, 4);
    let what = pulling(scene).unwrap_or_else(|| of_container(scene, spec, status));
    Some(if others.is_empty() { what } else { format!("{what} (also not ready: {others})") })
}

fn of_init(scene: &Scene<'_>, holder: &init::Holder<'_>) -> String {
    let place = init::place(scene, holder);
    match (running_since(holder.status), holder.spec.kind, &holder.spec.startup) {
        (Some(since), ContainerKind::Sidecar, Some(probe)) => well(&format!(
            "{place} runs since {}, its startup probe {} has not succeeded yet{}",
            ago(scene, since),
            probe.action,
            answer(scene, holder.spec)
        )),
        (Some(since), ..) => well(&format!("{place} runs since {}", ago(scene, since))),
        (None, ..) => over_or_waiting(scene, &place, holder.status),
    }
}

fn of_container(scene: &Scene<'_>, spec: &Container, status: &ContainerStatus) -> String {
    let name = super::build::container(scene, &spec.name);
    let Some(since) = running_since(status) else { return over_or_waiting(scene, &name, status) };
    let runs = format!("{name} runs since {}", ago(scene, since));
    let startup = spec.startup.as_ref().filter(|_| !status.is_started).map(|probe| ("startup", probe));
    match startup.or_else(|| spec.readiness.as_ref().map(|probe| ("readiness", probe))) {
        Some((kind, probe)) => well(&format!(
            "{runs}, its {kind} probe {} has not succeeded yet{}{}",
            probe.action,
            delay(scene, probe, since),
            answer(scene, spec)
        )),
        None => well(&format!("{runs}, and the kubelet has not said yet that it is ready")),
    }
}

/// The probe is not due yet.
fn delay(scene: &Scene<'_>, probe: &Probe, since: u64) -> String {
    let due = std::time::Duration::from_secs(u64::from(probe.initial_delay));
    if scene.age(since) < due { format!(" (the first attempt is made after {} s)", probe.initial_delay) } else { String::new() }
}

fn over_or_waiting(scene: &Scene<'_>, name: &str, status: &ContainerStatus) -> String {
    let (reason, message) = waits(status);
    if let Some(end) = ended(&status.state) {
        return format!("{name} ended with code {} ({}) {} ago", end.code, end.reason, ago(scene, end.finished));
    }
    let ended = last_end(status)
        .map(|end| format!("; it ended with code {} ({}) {} ago", end.code, end.reason, ago(scene, end.finished)))
        .unwrap_or_default();
    match reason {
        "CrashLoopBackOff" => {
            let pause =
                super::message::word(message, "back-off ").map(|pause| format!(", at most {pause} after its end")).unwrap_or_default();
            format!("{name} is started again by the kubelet{pause}{ended}")
        }
        "" | "ContainerCreating" | "PodInitializing" => well(&format!("{name} is being created{ended}")),
        reason => format!("{name} waits, {reason}: {}", super::message::quote(message, 300)),
    }
}

fn answer(scene: &Scene<'_>, spec: &Container) -> String {
    scene.last_answer(spec).map(|answer| format!("; the last answer: {answer}")).unwrap_or_default()
}

fn gates(scene: &Scene<'_>) -> Option<String> {
    let since = gate::containers_ready(scene)?;
    let gates: Vec<&str> = gate::open(scene).map(|(gate, _)| gate).collect();
    let first = gates.first()?;
    let who = gate::setter(first).map(|(who, when)| format!("; {who} sets it {when}")).unwrap_or_default();
    Some(well(&format!("all containers are ready since {}, readiness gate {} is not True yet{who}", ago(scene, since), list(&gates, 4))))
}
