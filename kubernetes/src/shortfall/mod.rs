//! Owners that are short of pods: heard of, looked at, judged. One place for all who do that, so that a finding about an owner is
//! the same, under the same id, whoever makes it.
//!
//! - `count`: how many pods each kind wants and has, read from its object.
//! - [`feed`]: where such owners are heard of.
//!
//! A finding is known by the top of the chain, whose manifest people write: for a `ReplicaSet` its Deployment, for a Job its
//! `CronJob`. Who that is the object itself says; a request that was not answered never changes an id.

mod count;
pub mod feed;

use crate::{
    convert,
    events::{CONTROLLER, Regarding},
    owner::Owners,
};
use count::Shortfall;
use k8s_openapi::api::{core::v1::ObjectReference, events::v1::Event};
use kube::{Api, Client, api::ListParams};
use std::{fmt, time::Duration};
use unready_diagnosis::{
    of_owner,
    platform::{self, OwnerState},
    pod::{Owner, PodEvent},
    units::ClockAnchor,
    verdict::Verdict,
};

/// Events of one owner that are read.
const EVENTS: u32 = 100;
/// Events that are older than this prove nothing any more: controllers try again after at most 17 minutes (1000 s,
/// `DefaultTypedControllerRateLimiter` of client-go).
const OLD: Duration = Duration::from_mins(20);
/// An event that is this fresh may be ahead of the condition that says the same.
pub const FRESH: Duration = Duration::from_secs(10);

/// Kinds that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Of `apps/v1`.
    ReplicaSet,
    /// Of `v1`.
    ReplicationController,
    /// Of `apps/v1`.
    StatefulSet,
    /// Of `apps/v1`.
    DaemonSet,
    /// Of `batch/v1`.
    Job,
    /// Of `apps/v1`; makes `ReplicaSets`.
    Deployment,
    /// Of `batch/v1`; makes Jobs.
    CronJob,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::ReplicaSet, Self::ReplicationController, Self::StatefulSet, Self::DaemonSet, Self::Job, Self::Deployment, Self::CronJob];

    /// As the API has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::Deployment => "Deployment",
            Self::CronJob => "CronJob",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    const fn api_version(self) -> &'static str {
        match self {
            Self::ReplicationController => "v1",
            Self::ReplicaSet | Self::StatefulSet | Self::DaemonSet | Self::Deployment => "apps/v1",
            Self::Job | Self::CronJob => "batch/v1",
        }
    }

    /// Somebody else may stand above it whose manifest is the one to be changed.
    const fn is_link(self) -> bool {
        matches!(self, Self::ReplicaSet | Self::Job)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

impl Key {
    /// What an event is about; `None`: no kind that makes pods.
    fn of(event: &Event) -> Option<Self> {
        let about = event.regarding.as_ref()?;
        Some(Self { kind: Kind::of(about.kind.as_deref()?)?, namespace: about.namespace.clone()?, name: about.name.clone()? })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

/// What a look at an owner found.
#[derive(Clone, Debug)]
pub struct Look {
    namespace: String,
    seen: Shortfall,
    events: Vec<PodEvent>,
}

/// Looks at one; `None`: it is not there.
pub async fn look(client: &Client, key: &Key, tops: &Owners) -> kube::Result<Option<Look>> {
    let Some(mut seen) = count::read(client, key).await? else { return Ok(None) };
    let mut events = Vec::new();
    if seen.is_short() {
        seen.set_strategy(tops.of(&seen.of_a_pod).await);
        events = self::events(client, key, &seen.uid).await?;
    }
    Ok(Some(Look { namespace: key.namespace.clone(), seen, events }))
}

impl Look {
    /// It wants more pods than there are.
    pub const fn is_short(&self) -> bool {
        self.seen.is_short()
    }

    /// The top of the chain.
    pub const fn owner(&self) -> &Owner {
        &self.seen.top
    }

    /// The object of an Event: the top of the chain.
    pub fn regarding(&self) -> Regarding {
        let top = &self.seen.top;
        Regarding(ObjectReference {
            api_version: Some(top.api_version.clone()),
            kind: Some(top.kind.clone()),
            namespace: Some(self.namespace.clone()),
            name: Some(top.name.clone()),
            uid: Some(self.seen.top_uid.clone()),
            ..ObjectReference::default()
        })
    }

    /// Why it makes none, at this time (nanoseconds since 1970); `clock` turns the dates of what is said into boot times.
    pub fn verdicts(&self, now: u64, clock: ClockAnchor) -> Vec<Verdict> {
        let state = OwnerState {
            uid: self.seen.top_uid.clone(),
            namespace: self.namespace.clone(),
            wanted: self.seen.wanted,
            present: self.seen.present,
            template: self.seen.template.clone(),
            events: weighed(&self.seen, &self.events, now),
            owner: self.seen.top.clone(),
        };
        platform::owner(&state, now).iter().map(|finding| of_owner(&state, finding, clock)).collect()
    }
}

/// The events that still prove something, and the condition. An owner that has conditions is believed by them; an event
/// counts only if it may be ahead of them.
fn weighed(seen: &Shortfall, events: &[PodEvent], now: u64) -> Vec<PodEvent> {
    let age = if seen.has_conditions && seen.condition.is_none() { FRESH } else { OLD };
    let since = now.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
    let counts = |event: &&PodEvent| event.last >= since && event.last > seen.made;
    let mut all: Vec<_> = events.iter().filter(counts).cloned().map(as_failed_create).collect();
    // The event says the same with its count; the condition stays when events are forgotten.
    if let Some(condition) = seen.condition.clone().filter(|_| !all.iter().any(|event| event.reason == "FailedCreate")) {
        all.insert(0, condition);
    }
    all
}

/// A Deployment that may make no `ReplicaSet` fails to create as the others do.
fn as_failed_create(event: PodEvent) -> PodEvent {
    if event.reason == "ReplicaSetCreateError" { PodEvent { reason: "FailedCreate".to_owned(), ..event } } else { event }
}

/// Others' events about an owner, oldest first.
async fn events(client: &Client, key: &Key, uid: &str) -> kube::Result<Vec<PodEvent>> {
    let about = ListParams::default().fields(&format!("regarding.kind={},regarding.name={}", key.kind.name(), key.name)).limit(EVENTS);
    let list = Api::<Event>::namespaced(client.clone(), &key.namespace).list(&about).await?;
    let concerns = |event: &&Event| {
        let about = event.regarding.as_ref().and_then(|regarding| regarding.uid.as_deref());
        about == Some(uid) && event.reporting_controller.as_deref() != Some(CONTROLLER)
    };
    let mut events: Vec<_> = list.items.iter().filter(concerns).map(convert::event).collect();
    events.sort_by_key(|event| event.last);
    Ok(events)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
    use serde_json::{Value, json};

    const NOW: u64 = 1_795_000_000_000_000_000;

    fn event(reason: &str, seconds_ago: u64) -> PodEvent {
        PodEvent { reason: reason.to_owned(), message: reason.to_owned(), last: NOW - seconds_ago * 1_000_000_000, ..PodEvent::default() }
    }

    fn reasons(seen: &Shortfall, events: &[PodEvent]) -> Vec<String> {
        weighed(seen, events, NOW).into_iter().map(|event| event.reason).collect()
    }

    fn set(value: Value) -> Shortfall {
        count::replica_set(&serde_json::from_value::<ReplicaSet>(value).unwrap())
    }

    fn with_condition(condition: Option<PodEvent>) -> Shortfall {
        Shortfall { condition, ..set(json!({ "metadata": {} })) }
    }

    #[test]
    fn an_old_event_proves_nothing_where_conditions_tell() {
        let (set, failing) = (with_condition(None), with_condition(Some(event("ReplicaFailure", 3000))));
        assert_eq!(reasons(&set, &[event("FailedCreate", 60)]), Vec::<String>::new(), "its condition is gone");
        assert_eq!(reasons(&set, &[event("FailedCreate", 2)]), ["FailedCreate"], "its condition may be on the way");
        assert_eq!(reasons(&failing, &[event("FailedCreate", 60)]), ["FailedCreate"]);
        assert_eq!(reasons(&failing, &[]), ["ReplicaFailure"], "events are forgotten after an hour, the condition stays");
    }

    #[test]
    fn without_conditions_recent_events_are_believed() {
        let mut plain = with_condition(None);
        (plain.made, plain.has_conditions) = (NOW - 100_000_000_000, false);
        assert_eq!(reasons(&plain, &[event("FailedCreate", 200), event("ReplicaSetCreateError", 60)]), ["FailedCreate"]);
        plain.made = 0;
        assert_eq!(reasons(&plain, &[event("FailedCreate", 3000)]), Vec::<String>::new());
    }

    fn looked(seen: Shortfall) -> Look {
        let refused = "pods \"x\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1";
        let events = vec![PodEvent { message: refused.into(), count: 1, ..event("FailedCreate", 2) }];
        Look { namespace: "shop".into(), seen, events }
    }

    #[test]
    fn a_finding_has_one_id_wherever_in_the_chain_it_is_found() {
        let owner = json!([{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "orders", "uid": "top", "controller": true }]);
        let metadata = json!({ "name": "orders-1", "uid": "set", "namespace": "shop", "ownerReferences": owner });
        let (of_set, top) = (set(json!({ "metadata": metadata, "spec": { "replicas": 1, "selector": {} } })), "top");
        let deployment =
            json!({ "metadata": { "name": "orders", "uid": top, "namespace": "shop" }, "spec": { "selector": {}, "template": {} } });
        let of_deployment = count::deployment(&serde_json::from_value::<Deployment>(deployment).unwrap());
        let mut with_strategy = of_set.clone();
        with_strategy.set_strategy(Some(Owner { strategy: "Recreate".into(), ..of_set.top.clone() }));
        let mut without_answer = of_set.clone();
        without_answer.set_strategy(Some(Owner { kind: "ReplicaSet".into(), name: "orders-1".into(), ..Owner::default() }));
        assert_eq!((with_strategy.top.strategy.as_str(), without_answer.top.strategy.as_str()), ("Recreate", ""));
        // Whose clock counts makes no difference either: the collector's dates are wall times, the command line has no anchor.
        let clock = ClockAnchor { wall: NOW, boot: unready_diagnosis::units::BootNanos(NOW) };
        let all = [of_set, of_deployment, with_strategy, without_answer].map(looked);
        let ids: Vec<String> = all.iter().flat_map(|look| look.verdicts(NOW, clock)).map(|verdict| verdict.id).collect();
        assert_eq!(ids.len(), 4);
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(all[0].verdicts(NOW, ClockAnchor::default())[0].id, ids[0]);
        assert_eq!(all[0].owner().to_string(), "Deployment/orders");
        for look in &all {
            assert_eq!(look.regarding().0.uid.as_deref(), Some(top));
        }
    }

    #[test]
    fn one_that_nobody_stands_above_is_named_itself() {
        let operator = json!([{ "apiVersion": "x/v1", "kind": "Database", "name": "db", "uid": "cr", "controller": true }]);
        let metadata = json!({ "name": "db", "uid": "own", "namespace": "shop", "ownerReferences": operator });
        let stateful = count::stateful_set(&serde_json::from_value(json!({ "metadata": metadata })).unwrap());
        assert_eq!((stateful.top.kind.as_str(), stateful.top_uid.as_str()), ("StatefulSet", "own"));
        let alone = set(json!({ "metadata": { "name": "orders-1", "uid": "set" } }));
        assert_eq!((alone.top.to_string().as_str(), alone.top_uid.as_str()), ("ReplicaSet/orders-1", "set"));
    }
}
