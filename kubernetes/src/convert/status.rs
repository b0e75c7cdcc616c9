//! What the kubelet says of a pod, in the order of the spec.

use super::{message, nanos};
use k8s_openapi::{api::core::v1 as api, apimachinery::pkg::apis::meta::v1::Time};
use unready_diagnosis::pod::{Condition, Container, ContainerState, ContainerStatus, PodStatus};

pub(super) fn status(status: &api::PodStatus, containers: &[Container]) -> PodStatus {
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let mut statuses: Vec<_> = lists.into_iter().flatten().flatten().map(one).collect();
    // The kubelet sorts by name; a status without its container (there is none) would stay at the end.
    statuses.sort_by_key(|status| containers.iter().position(|container| container.name == status.name).unwrap_or(usize::MAX));
    PodStatus {
        phase: status.phase.clone().unwrap_or_default(),
        reason: status.reason.clone().unwrap_or_default(),
        message: message(status.message.as_ref()),
        started: status.start_time.as_ref().map(|at| nanos(at.0)),
        conditions: status.conditions.iter().flatten().map(condition).collect(),
        containers: statuses,
    }
}

fn condition(condition: &api::PodCondition) -> Condition {
    Condition {
        kind: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone().unwrap_or_default(),
        message: message(condition.message.as_ref()),
        since: time(condition.last_transition_time.as_ref()),
    }
}

fn one(status: &api::ContainerStatus) -> ContainerStatus {
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    ContainerStatus {
        name: status.name.clone(),
        id: bare(status.container_id.as_deref()),
        last_id: bare(last.and_then(|last| last.container_id.as_deref())),
        image_id: status.image_id.clone(),
        is_ready: status.ready,
        is_started: status.started.unwrap_or_default(),
        restarts: u32::try_from(status.restart_count).unwrap_or(0),
        state: status.state.as_ref().map(state).unwrap_or_default(),
        last: last.map(terminated),
    }
}

fn state(state: &api::ContainerState) -> ContainerState {
    if let Some(running) = &state.running {
        ContainerState::Running { since: time(running.started_at.as_ref()) }
    } else if let Some(ended) = &state.terminated {
        terminated(ended)
    } else {
        let waiting = state.waiting.as_ref();
        let reason = waiting.and_then(|waiting| waiting.reason.clone()).unwrap_or_default();
        ContainerState::Waiting { reason, message: message(waiting.and_then(|waiting| waiting.message.as_ref())) }
    }
}

fn terminated(ended: &api::ContainerStateTerminated) -> ContainerState {
    ContainerState::Terminated {
        code: ended.exit_code,
        signal: ended.signal.unwrap_or_default(),
        reason: ended.reason.clone().unwrap_or_default(),
        message: message(ended.message.as_ref()),
        started: time(ended.started_at.as_ref()),
        finished: time(ended.finished_at.as_ref()),
    }
}

/// The kubelet writes the zero time, a date before 1970, for a container that never ran.
fn time(at: Option<&Time>) -> u64 {
    at.map_or(0, |at| nanos(at.0))
}

/// `containerd://0123…` without its scheme.
fn bare(id: Option<&str>) -> String {
    id.map(|id| id.split_once("://").map_or(id, |(_, id)| id).to_owned()).unwrap_or_default()
}
