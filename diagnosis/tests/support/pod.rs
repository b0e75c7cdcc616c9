//! The API server of a scenario: the pod as its steps change it, and the answers to questions about the cluster.

use super::{
    play::CLOCK,
    scenario::{Scenario, untagged},
    step::duration,
};
use serde_json::Value;
use unready_diagnosis::{
    Input,
    cluster::{ClusterAnswer, ClusterQuestion, PodChange},
    pod::{Claim, ContainerState, Pod, PodEvent},
    units::BootNanos,
};

/// Steps that speak of the pod.
const VERBS: [&str; 6] = ["status", "event", "claim", "deleted", "gone", "tick"];

/// One pod over time.
#[derive(Clone, Debug)]
pub struct Story {
    /// What the watch tells, in the order of time.
    pub changes: Vec<(BootNanos, Input)>,
    uid: String,
    namespace: String,
    events: Vec<(BootNanos, PodEvent)>,
    claims: Vec<(BootNanos, Claim)>,
}

/// Whether a step speaks of the pod.
pub fn is_step(line: &str) -> bool {
    line.split_whitespace().nth(1).is_some_and(|verb| VERBS.contains(&verb))
}

/// Uid of the pod of a cast.
pub fn uid(number: u32) -> String {
    format!("8a0c7b64-53f2-4d1e-9a57-0b1c2d3e{:04x}", 0x4f50 + number)
}

/// Runtime id of the container of a cast.
pub fn container_id(number: u32) -> String {
    format!("{:064x}", 0xfeed_0000 + number)
}

impl Story {
    /// What the scenario tells; `None` without a pod.
    pub fn of(scenario: &Scenario, number: u32, start: BootNanos) -> Option<Self> {
        let mut pod = scenario.pod.clone()?;
        (pod.uid, pod.api_uid) = (uid(number), uid(number));
        // Claims are asked about by namespace and name: pods that are cast together have a namespace each.
        let namespace = if number == 0 { "shop".to_owned() } else { format!("shop-{number}") };
        for (name, default) in [(&mut pod.namespace, namespace), (&mut pod.name, "orders-7d9f".to_owned())] {
            if name.is_empty() {
                *name = default;
            }
        }
        if pod.containers.is_empty() {
            pod.containers.push(unready_diagnosis::pod::Container { name: "app".to_owned(), ..Default::default() });
        }
        let (of, namespace) = (pod.uid.clone(), pod.namespace.clone());
        let mut story = Self { changes: Vec::new(), uid: of, namespace, events: Vec::new(), claims: Vec::new() };
        story.apply(scenario, &mut pod, number, start);
        story.events.extend(scenario.events.iter().map(|event| (start, dated(event, start))));
        story.claims.extend(scenario.claims.iter().map(|claim| (start, claim.clone())));
        for line in scenario.steps.iter().filter(|line| is_step(line)) {
            let (time, rest) = line.split_once(' ').expect("a step has a time");
            let (verb, rest) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
            let at = start.after(duration(time));
            match verb {
                "status" => {
                    merge_status(&mut pod, rest);
                    story.apply(scenario, &mut pod, number, at);
                }
                "event" => story.events.push((at, dated(&parsed(rest), at))),
                "claim" => story.claims.push((at, parsed(rest))),
                "deleted" => {
                    pod.deleted = Some(CLOCK.wall_nanos(at));
                    story.apply(scenario, &mut pod, number, at);
                }
                "gone" => story.changes.push((at, Input::Pods(PodChange::Delete { uid: uid(number) }))),
                _ => story.changes.push((at, Input::Timeout)),
            }
        }
        Some(story)
    }

    fn apply(&mut self, scenario: &Scenario, pod: &mut Pod, number: u32, at: BootNanos) {
        let now = CLOCK.wall_nanos(at);
        fill(&mut pod.created, now);
        for condition in &mut pod.status.conditions {
            fill(&mut condition.since, now);
        }
        for status in &mut pod.status.containers {
            let has_run = !matches!(status.state, ContainerState::Waiting { .. }) || status.last.is_some();
            if status.name == scenario.is_container && has_run && status.id.is_empty() && status.last_id.is_empty() {
                status.id = container_id(number);
            }
            for state in std::iter::once(&mut status.state).chain(&mut status.last) {
                match state {
                    ContainerState::Running { since } => fill(since, now),
                    ContainerState::Terminated { started, finished, .. } => {
                        fill(started, now);
                        fill(finished, now);
                    }
                    ContainerState::Waiting { .. } => {}
                }
            }
        }
        self.changes.push((at, Input::Pods(PodChange::Apply(Box::new(pod.clone())))));
    }

    /// Whether a question is about this pod.
    pub fn is_asked(&self, question: &ClusterQuestion) -> bool {
        match question {
            ClusterQuestion::PodEvents { uid, .. } => *uid == self.uid,
            ClusterQuestion::Claim { namespace, .. } => *namespace == self.namespace,
        }
    }

    /// What the API server answers at a moment.
    pub fn answer(&self, question: &ClusterQuestion, now: BootNanos) -> ClusterAnswer {
        match question {
            ClusterQuestion::PodEvents { .. } => {
                ClusterAnswer::PodEvents(self.events.iter().filter(|(at, _)| *at <= now).map(|(_, event)| event.clone()).collect())
            }
            ClusterQuestion::Claim { name, .. } => {
                let known = self.claims.iter().rfind(|(at, claim)| *at <= now && claim.name == *name).map(|(_, claim)| claim.clone());
                ClusterAnswer::Claim(known.unwrap_or_else(|| Claim { name: name.clone(), ..Claim::default() }))
            }
        }
    }
}

fn fill(time: &mut u64, now: u64) {
    if *time == 0 {
        *time = now;
    }
}

fn dated(event: &PodEvent, at: BootNanos) -> PodEvent {
    let mut event = event.clone();
    fill(&mut event.first, CLOCK.wall_nanos(at));
    fill(&mut event.last, CLOCK.wall_nanos(at));
    event.count = event.count.max(1);
    event
}

/// By way of JSON, as the pod itself: the variants of an enum are maps.
fn parsed<T: serde::de::DeserializeOwned>(yaml: &str) -> T {
    let value = serde_norway::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    serde_json::from_value(untagged(value)).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

fn merge_status(pod: &mut Pod, yaml: &str) {
    let (Value::Object(mut status), Value::Object(given)) = (serde_json::to_value(&pod.status).expect("a status"), parsed::<Value>(yaml))
    else {
        panic!("a status is a mapping: {yaml}")
    };
    status.extend(given);
    pod.status = serde_json::from_value(Value::Object(status)).unwrap_or_else(|error| panic!("{yaml}: {error}"));
}
