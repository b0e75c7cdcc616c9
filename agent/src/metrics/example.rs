//! Every metric once, with values of no meaning: a metric without values is not written, and could not be documented.

use super::Metrics;
use crate::{
    bpf::{MapFill, Observation, ProgramCost},
    deliver::collector::{Limits, Stats},
    investigate::LookCounts,
    pipeline::QueueFill,
};
use std::time::Duration;
use unready_agent_common::{counters::HookCounters, hooks::Hook};
use unready_diagnosis::{
    cluster::PodChange,
    pod::{Condition, Container, ContainerState, ContainerStatus, Pod, PodStatus},
};
use unready_proto::v1::{StartReport, Verdict, Workload};

impl Metrics {
    /// What [`Metrics::render`] gives of an agent that has everything to tell.
    pub fn describe() -> String {
        let metrics = Self::new("", "");
        let workload = Workload { namespace: "shop".to_owned(), owner: "Deployment/orders".to_owned(), ..Workload::default() };
        metrics.verdict(&Verdict { workload: Some(workload), ..Verdict::default() });
        metrics.start(&StartReport::default());
        metrics.pods(&PodChange::Reset(Vec::new()));
        metrics.pods(&PodChange::Apply(Box::new(ready_pod())));
        metrics.0.scrape.kernel(Box::new(observation));
        metrics.0.scrape.refused_pods(Box::new(|| 0));
        metrics.watch_looks(LookCounts::default);
        metrics.watch_queue("verdicts", Box::new(|| Some(QueueFill { length: 0, capacity: 1, dropped: 0 })));
        metrics.watch_delivery(Stats::default, Limits::default());
        metrics.render()
    }
}

fn observation() -> Observation {
    Observation {
        hooks: vec![(Hook::Exec, HookCounters::default())],
        programs: vec![ProgramCost { program: "process_exec", runs: 1, time: Duration::ZERO, missed: 0 }],
        maps: vec![MapFill { map: "watched", entries: 0, capacity: 1 }],
    }
}

fn ready_pod() -> Pod {
    let state = ContainerState::Running { since: 1 };
    let condition = |kind: &str| Condition { kind: kind.to_owned(), status: "True".to_owned(), since: 1, ..Condition::default() };
    Pod {
        namespace: "shop".to_owned(),
        containers: vec![Container::default()],
        status: PodStatus {
            conditions: ["PodScheduled", "PodReadyToStartContainers", "Initialized", "Ready"].map(condition).to_vec(),
            containers: vec![ContainerStatus { state, ..ContainerStatus::default() }],
            ..PodStatus::default()
        },
        ..Pod::default()
    }
}
