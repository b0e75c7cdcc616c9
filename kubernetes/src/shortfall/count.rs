//! How many pods (or Jobs) an owner wants, and how many there are, read from its object.
//!
//! Six kinds make pods, a `CronJob` makes Jobs and a Deployment `ReplicaSet`s; each says it in its own fields.

use super::{Key, Kind};
use crate::convert;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        batch::v1::{CronJob, Job},
        core::v1::{self as core, PodTemplateSpec, ReplicationController},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};
use kube::{Api, Client, Resource, ResourceExt as _, api::ListParams};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use unready_diagnosis::pod::{Owner, Pod, PodEvent};

/// Objects of one page of a list.
const PAGE: u32 = 200;

/// An object that wants pods.
#[derive(Clone, Debug)]
pub(super) struct Shortfall {
    pub(super) uid: String,
    pub(super) wanted: u32,
    pub(super) present: u32,
    /// A condition that says why it makes none, as an event.
    pub(super) condition: Option<PodEvent>,
    /// It has such a condition for as long as it makes none, so that events alone prove nothing.
    pub(super) has_conditions: bool,
    /// When it last made what it wants; older events are over.
    pub(super) made: u64,
    /// Metadata as a pod of it would have, to find the top of the chain.
    pub(super) of_a_pod: ObjectMeta,
    /// The top of the chain, and its uid.
    pub(super) top: Owner,
    pub(super) top_uid: String,
    pub(super) template: Option<Box<Pod>>,
}

impl Shortfall {
    pub(super) const fn is_short(&self) -> bool {
        self.present < self.wanted
    }

    /// How the top replaces its pods. What was asked for may have stopped below it, where nobody answered.
    pub(super) fn set_strategy(&mut self, resolved: Option<Owner>) {
        if let Some(resolved) = resolved.filter(|it| (&it.kind, &it.name) == (&self.top.kind, &self.top.name)) {
            self.top.strategy = resolved.strategy;
        }
    }

    fn of<K: Resource<DynamicType = ()>>(
        object: &K,
        kind: Kind,
        (wanted, present): (i32, i32),
        template: Option<&PodTemplateSpec>,
    ) -> Self {
        let metadata = object.meta();
        let itself = OwnerReference {
            api_version: kind.api_version().to_owned(),
            kind: kind.name().to_owned(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        let above = convert::controller(metadata).filter(|_| kind.is_link()).unwrap_or(&itself);
        let top =
            Owner { api_version: above.api_version.clone(), kind: above.kind.clone(), name: above.name.clone(), strategy: String::new() };
        Self {
            uid: itself.uid.clone(),
            wanted: u32::try_from(wanted).unwrap_or(0),
            present: u32::try_from(present).unwrap_or(0),
            condition: None,
            has_conditions: false,
            made: 0,
            top,
            top_uid: above.uid.clone(),
            of_a_pod: ObjectMeta { namespace: metadata.namespace.clone(), owner_references: Some(vec![itself]), ..ObjectMeta::default() },
            template: template.map(|template| Box::new(pod(metadata, template))),
        }
    }
}

fn pod(owner: &ObjectMeta, template: &PodTemplateSpec) -> Pod {
    let metadata = ObjectMeta { namespace: owner.namespace.clone(), ..ObjectMeta::default() };
    convert::pod(&core::Pod { metadata, spec: template.spec.clone(), status: None })
}

fn nanos(time: Option<&Time>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.0.as_nanosecond()).unwrap_or(0))
}

/// A condition in the form of an event.
fn failure(reason: &str, message: Option<&String>, since: Option<&Time>) -> PodEvent {
    PodEvent {
        reason: reason.to_owned(),
        message: message.cloned().unwrap_or_default(),
        is_warning: true,
        first: nanos(since),
        last: nanos(since),
        count: 1,
        ..PodEvent::default()
    }
}

pub(super) fn replica_set(set: &ReplicaSet) -> Shortfall {
    let status = set.status.clone().unwrap_or_default();
    let spec = set.spec.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let failed = conditions.iter().find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True");
    let found = Shortfall::of(set, Kind::ReplicaSet, (spec.replicas.unwrap_or(1), status.replicas), spec.template.as_ref());
    let condition = failed.map(|failed| failure("ReplicaFailure", failed.message.as_ref(), failed.last_transition_time.as_ref()));
    Shortfall { condition, has_conditions: true, ..found }
}

fn replication_controller(controller: &ReplicationController) -> Shortfall {
    let (spec, status) = (controller.spec.clone().unwrap_or_default(), controller.status.clone().unwrap_or_default());
    let conditions = status.conditions.unwrap_or_default();
    let failed = conditions.iter().find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True");
    let counts = (spec.replicas.unwrap_or(1), status.replicas);
    let found = Shortfall::of(controller, Kind::ReplicationController, counts, spec.template.as_ref());
    let condition = failed.map(|failed| failure("ReplicaFailure", failed.message.as_ref(), failed.last_transition_time.as_ref()));
    Shortfall { condition, has_conditions: true, ..found }
}

pub(super) fn stateful_set(set: &StatefulSet) -> Shortfall {
    let wanted = set.spec.as_ref().map_or(0, |spec| spec.replicas.unwrap_or(1));
    let present = set.status.as_ref().map_or(0, |status| status.replicas);
    Shortfall::of(set, Kind::StatefulSet, (wanted, present), set.spec.as_ref().map(|spec| &spec.template))
}

fn daemon_set(set: &DaemonSet) -> Shortfall {
    let counts = set.status.as_ref().map_or((0, 0), |status| (status.desired_number_scheduled, status.current_number_scheduled));
    Shortfall::of(set, Kind::DaemonSet, counts, set.spec.as_ref().map(|spec| &spec.template))
}

fn job(job: &Job) -> Shortfall {
    let (spec, status) = (job.spec.clone().unwrap_or_default(), job.status.clone().unwrap_or_default());
    let has_ended = status.conditions.iter().flatten().any(|condition| {
        matches!(condition.type_.as_str(), "Complete" | "Failed" | "FailureTarget" | "SuccessCriteriaMet") && condition.status == "True"
    });
    let left = spec.completions.map_or(i32::MAX, |completions| completions.saturating_sub(status.succeeded.unwrap_or(0)));
    // Without completions a Job makes no new pods once one has succeeded.
    let is_ending = has_ended || spec.suspend == Some(true) || (spec.completions.is_none() && status.succeeded.unwrap_or(0) > 0);
    let wanted = if is_ending { 0 } else { spec.parallelism.unwrap_or(1).min(left) };
    Shortfall::of(job, Kind::Job, (wanted, status.active.unwrap_or(0)), Some(&spec.template))
}

/// It makes a `ReplicaSet`; when it may not, it says so in its condition `Progressing`.
pub(super) fn deployment(deployment: &Deployment) -> Shortfall {
    let (spec, status) = (deployment.spec.clone().unwrap_or_default(), deployment.status.clone().unwrap_or_default());
    let conditions = status.conditions.unwrap_or_default();
    let failed = conditions
        .iter()
        .find(|condition| condition.type_ == "Progressing" && condition.reason.as_deref() == Some("ReplicaSetCreateError"));
    let counts = (spec.replicas.unwrap_or(1), status.replicas.unwrap_or(0));
    let found = Shortfall::of(deployment, Kind::Deployment, counts, Some(&spec.template));
    let condition = failed.map(|failed| failure("FailedCreate", failed.message.as_ref(), failed.last_transition_time.as_ref()));
    Shortfall { condition, has_conditions: true, ..found }
}

/// It wants a Job at its times; an event that is older than its last Job is over.
fn cron_job(cron: &CronJob) -> Shortfall {
    let status = cron.status.clone().unwrap_or_default();
    let suspended = cron.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true));
    let template = cron.spec.as_ref().and_then(|spec| spec.job_template.spec.as_ref()).map(|spec| &spec.template);
    let active = i32::try_from(status.active.map_or(0, |active| active.len())).unwrap_or(i32::MAX);
    let found = Shortfall::of(cron, Kind::CronJob, (i32::from(!suspended), active), template);
    Shortfall { made: nanos(status.last_schedule_time.as_ref()), ..found }
}

/// Reads one object; `None`: it is not there.
pub(super) async fn read(client: &Client, key: &Key) -> kube::Result<Option<Shortfall>> {
    match key.kind {
        Kind::ReplicaSet => get(client, key, replica_set).await,
        Kind::ReplicationController => get(client, key, replication_controller).await,
        Kind::StatefulSet => get(client, key, stateful_set).await,
        Kind::DaemonSet => get(client, key, daemon_set).await,
        Kind::Job => get(client, key, job).await,
        Kind::Deployment => get(client, key, deployment).await,
        Kind::CronJob => get(client, key, cron_job).await,
    }
}

async fn get<K>(client: &Client, key: &Key, look: fn(&K) -> Shortfall) -> kube::Result<Option<Shortfall>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let api = Api::<K>::namespaced(client.clone(), &key.namespace);
    Ok(api.get_opt(&key.name).await?.filter(|object| object.meta().deletion_timestamp.is_none()).map(|object| look(&object)))
}

/// Those of a kind that want more pods than there are, as far as their own fields tell. A `CronJob` tells by events alone.
pub(super) async fn list(client: &Client, kind: Kind) -> kube::Result<Vec<Key>> {
    match kind {
        Kind::ReplicaSet => short(client, kind, replica_set).await,
        Kind::ReplicationController => short(client, kind, replication_controller).await,
        Kind::StatefulSet => short(client, kind, stateful_set).await,
        Kind::DaemonSet => short(client, kind, daemon_set).await,
        Kind::Job => short(client, kind, job).await,
        Kind::Deployment => short(client, kind, deployment).await,
        Kind::CronJob => Ok(Vec::new()),
    }
}

async fn short<K>(client: &Client, kind: Kind, look: fn(&K) -> Shortfall) -> kube::Result<Vec<Key>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let api = Api::<K>::all(client.clone());
    let (mut found, mut page) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let list = api.list(&page).await?;
        for object in &list.items {
            let seen = look(object);
            if seen.is_short() && (seen.condition.is_some() || !seen.has_conditions) {
                found.push(Key { kind, namespace: object.namespace().unwrap_or_default(), name: object.name_any() });
            }
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn seen<K: DeserializeOwned>(look: fn(&K) -> Shortfall, value: Value) -> Shortfall {
        look(&serde_json::from_value(value).unwrap())
    }

    fn of_job(spec: &Value, status: &Value) -> (u32, u32) {
        let mut spec = spec.clone();
        spec["template"] = json!({});
        let job = seen(job, json!({ "metadata": { "name": "j" }, "spec": spec, "status": status }));
        (job.wanted, job.present)
    }

    #[test]
    fn a_job_wants_what_is_left_to_do() {
        assert_eq!(of_job(&json!({}), &json!({})), (1, 0));
        assert_eq!(of_job(&json!({ "parallelism": 3, "completions": 5 }), &json!({ "succeeded": 3, "active": 1 })), (2, 1));
        assert_eq!(of_job(&json!({ "parallelism": 3 }), &json!({ "succeeded": 1, "active": 1 })), (0, 1), "a queue that is empty");
        assert_eq!(of_job(&json!({ "suspend": true }), &json!({})), (0, 0));
        for condition in ["Complete", "Failed"] {
            let ended = json!({ "conditions": [{ "type": condition, "status": "True" }] });
            assert_eq!(of_job(&json!({ "completions": 1 }), &ended), (0, 0), "{condition}");
        }
    }

    #[test]
    fn a_replica_set_says_why_in_its_condition() {
        let failure = json!([{ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no" }]);
        let set = |conditions: &Value| {
            let status = json!({ "replicas": 1, "conditions": conditions });
            seen(replica_set, json!({ "metadata": { "name": "r" }, "spec": { "replicas": 2, "selector": {} }, "status": status }))
        };
        assert_eq!(set(&failure).condition.unwrap().message, "no");
        let well = set(&json!([]));
        assert!(well.condition.is_none() && well.has_conditions && well.is_short());
    }

    #[test]
    fn a_replication_controller_counts_as_a_replica_set_does() {
        let status = json!({ "replicas": 1, "conditions": [{ "type": "ReplicaFailure", "status": "True", "message": "no" }] });
        let it = seen(replication_controller, json!({ "metadata": { "name": "r" }, "spec": { "replicas": 2 }, "status": status }));
        assert_eq!((it.wanted, it.present, it.condition.map(|condition| condition.message)), (2, 1, Some("no".into())));
    }

    #[test]
    fn a_cron_job_got_over_what_is_older_than_its_last_job() {
        let spec = json!({ "schedule": "* * * * *", "jobTemplate": { "spec": { "template": {} } } });
        let cron = |spec: &Value| {
            let status = json!({ "lastScheduleTime": "2026-11-24T12:00:00Z" });
            seen(cron_job, json!({ "metadata": { "name": "c" }, "spec": spec, "status": status }))
        };
        assert_eq!(cron(&spec).made, 1_795_521_600_000_000_000);
        assert!(cron(&spec).is_short());
        let mut suspended = spec.clone();
        suspended["suspend"] = json!(true);
        assert!(!cron(&suspended).is_short());
    }
}
