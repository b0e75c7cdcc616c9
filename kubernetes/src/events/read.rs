//! Events back to verdicts, for who has no collector to ask.
//!
//! The verdict is read from the annotation, and from nowhere else: no prose is taken apart. It counts only when it is about the
//! object that the Event is about, in its namespace, and has the id that the Event is named after, so that an Event in one
//! namespace cannot speak of another.
//!
//! An Event of our name without such an annotation (an older agent made it, or somebody else) says its text and nothing more:
//! the whole note is the summary, severity, confidence and fix are empty, and a sentence tells why.

use super::{CONTROLLER, annotation};
use crate::{convert, pauses::Pauses};
use futures_util::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::{core::v1::ObjectReference, events::v1::Event};
use kube::{
    Api, Client,
    api::ListParams,
    runtime::{WatchStreamExt as _, watcher},
};
use unready_proto::{
    time::timestamp,
    v1::{Patch, Start, Verdict, Workload},
};

/// What is said of an Event that holds no verdict.
const TEXT_ONLY: &str = "this Event holds its text only: an older agent made it, or somebody who is not Unready";

/// What a patch may change: a pod, or what makes pods.
const PATCHED_KINDS: [&str; 8] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob", "Pod"];

/// Which Events are ours.
fn selector() -> String {
    format!("reportingController={CONTROLLER}")
}

/// A part of all Events of ours in a namespace, or in all; and where the next part begins.
pub async fn page(client: &Client, namespace: Option<&str>, after: Option<String>) -> kube::Result<(Vec<Verdict>, Option<String>)> {
    const PAGE: u32 = 500;
    let api: Api<Event> = crate::scoped(client, namespace);
    let params = ListParams { continue_token: after, ..ListParams::default().fields(&selector()).limit(PAGE) };
    let list = api.list(&params).await?;
    let next = list.metadata.continue_.filter(|token| !token.is_empty());
    Ok((list.items.iter().filter_map(verdict).collect(), next))
}

/// The same, and then every change, for as long as anybody listens. While the server is away nothing comes.
pub fn follow(client: &Client, namespace: Option<&str>) -> BoxStream<'static, Verdict> {
    let config = watcher::Config::default().fields(&selector());
    let events = watcher(crate::scoped::<Event>(client, namespace), config).backoff(Pauses::default());
    let verdict = |event: Result<watcher::Event<Event>, watcher::Error>| match event {
        Ok(watcher::Event::Apply(event) | watcher::Event::InitApply(event)) => verdict(&event),
        Ok(watcher::Event::Init | watcher::Event::InitDone | watcher::Event::Delete(_)) | Err(_) => None,
    };
    events.filter_map(move |event| std::future::ready(verdict(event))).boxed()
}

/// The verdict of an Event; `None`: it regards nothing.
fn verdict(event: &Event) -> Option<Verdict> {
    let about = event.regarding.as_ref().filter(|about| about.name.as_ref().is_some_and(|name| !name.is_empty()))?;
    Some(of_annotation(event, about).unwrap_or_else(|| of_text(event, about)))
}

fn of_annotation(event: &Event, about: &ObjectReference) -> Option<Verdict> {
    let (mut verdict, left_out) = annotation::read(event.metadata.annotations.as_ref()?)?;
    if verdict.id.is_empty() || verdict.id != id(event) || !is_about(&verdict, about) {
        return None;
    }
    if !left_out.is_empty() {
        let parts: Vec<String> = left_out.iter().map(ToString::to_string).collect();
        verdict.explanation.push(format!("its Event had no room for {}; the collector has them", parts.join(", ")));
    }
    Some(verdict)
}

/// The verdict is named last.
fn id(event: &Event) -> &str {
    event.metadata.name.as_deref().and_then(|name| name.rsplit('.').next()).unwrap_or_default()
}

/// Whether verdict and patch are about this object. The patch may also be of what makes it, as the verdict names that.
fn is_about(verdict: &Verdict, about: &ObjectReference) -> bool {
    let said = workload(about);
    let Some(workload) = &verdict.workload else { return false };
    let patch = verdict.remedy.as_ref().and_then(|remedy| remedy.patch.as_ref());
    let is_it = if said.pod.is_empty() { workload.owner == said.owner } else { workload.pod_uid == said.pod_uid };
    let is_there = !said.namespace.is_empty() && workload.namespace == said.namespace;
    is_there && workload.pod == said.pod && is_it && patch.is_none_or(|patch| is_theirs(patch, workload))
}

/// Whether a patch is of the pod or of its owner, in their namespace.
fn is_theirs(patch: &Patch, workload: &Workload) -> bool {
    let is_pod = patch.kind == "Pod" && patch.name == workload.pod && patch.namespace == workload.namespace;
    is_pod || is_of_owner(patch, workload)
}

/// Whether a patch is of a workload's owner, in its namespace.
pub fn is_of_owner(patch: &Patch, workload: &Workload) -> bool {
    PATCHED_KINDS.contains(&patch.kind.as_str())
        && patch.namespace == workload.namespace
        && format!("{}/{}", patch.kind, patch.name) == workload.owner
}

fn of_text(event: &Event, about: &ObjectReference) -> Verdict {
    let told = convert::event(event);
    let container = told.field.split_once('{').map_or("", |(_, name)| name.trim_end_matches('}')).to_owned();
    Verdict {
        id: id(event).to_owned(),
        cause: told.reason,
        workload: Some(Workload { container, node: event.reporting_instance.clone().unwrap_or_default(), ..workload(about) }),
        start: Some(Start::default()),
        summary: told.message,
        explanation: vec![TEXT_ONLY.to_owned()],
        first_seen: (told.first != 0).then(|| timestamp(told.first)),
        last_seen: (told.last != 0).then(|| timestamp(told.last)),
        count: told.count,
        resolved_at: (!told.is_warning).then(|| timestamp(told.last)),
        ..Verdict::default()
    }
}

fn workload(about: &ObjectReference) -> Workload {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let (namespace, name) = (part(&about.namespace), part(&about.name));
    if about.kind.as_deref() == Some("Pod") {
        Workload { namespace, pod: name, pod_uid: part(&about.uid), ..Workload::default() }
    } else {
        Workload { namespace, owner: format!("{}/{name}", part(&about.kind)), ..Workload::default() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{super::object, *};
    use serde_json::{Value, json};
    use unready_proto::v1::{Evidence, Remedy};

    fn said() -> Verdict {
        let patch =
            Patch { namespace: "shop".into(), kind: "Deployment".into(), name: "orders".into(), body: "{}".into(), ..Patch::default() };
        let workload = Workload {
            namespace: "shop".into(),
            pod: "orders-7d9f".into(),
            pod_uid: "u-1".into(),
            container: "app".into(),
            owner: "Deployment/orders".into(),
            node: "node-1".into(),
            ..Workload::default()
        };
        Verdict {
            id: "00c0ffee00c0ffee".into(),
            cause: "PermissionDenied".into(),
            severity: "Blocking".into(),
            confidence: "Certain".into(),
            summary: "open(\"/data/orders.db\") = EACCES. Fix: none of this is read".into(),
            explanation: vec!["uid 1000 needs w.".into(), "It is 0:0 0755".into()],
            remedy: Some(Remedy { text: "Set fsGroup: 1000.".into(), patch: Some(patch), ..Remedy::default() }),
            workload: Some(workload),
            first_seen: Some(timestamp(1_795_000_000_123_456_789)),
            last_seen: Some(timestamp(1_795_000_003_000_000_000)),
            count: 14,
            ..Verdict::default()
        }
    }

    /// As it is created, and after the change of a later state.
    fn through(first: &Verdict, later: Option<&Verdict>) -> Verdict {
        let item = |verdict: &Verdict| object::item(verdict, object::pod_of(verdict).unwrap(), "node-1").unwrap();
        let mut event = serde_json::to_value(item(first).event()).unwrap();
        if let Some(later) = later {
            let change = item(later).change();
            event["note"] = change["message"].clone();
            event["type"] = change["type"].clone();
            let annotations = event["metadata"]["annotations"].as_object_mut().unwrap();
            annotations.extend(change["metadata"]["annotations"].as_object().unwrap().clone());
            annotations.retain(|_, value| !value.is_null());
        }
        verdict(&serde_json::from_value(event).unwrap()).unwrap()
    }

    #[test]
    fn an_event_is_the_verdict_again() {
        assert_eq!(through(&said(), None), said(), "patch and severity included, and no prose is read");
        let resolved = Verdict { resolved_at: Some(timestamp(1_795_000_009_000_000_000)), count: 15, ..said() };
        assert_eq!(through(&said(), Some(&resolved)), resolved);
    }

    #[test]
    fn what_had_no_room_is_said() {
        let long = Verdict { evidence: vec![Evidence { text: "x".repeat(900), ..Evidence::default() }; 50], ..said() };
        let read = through(&long, None);
        assert_eq!(read.explanation.last().unwrap(), "its Event had no room for facts; the collector has them");
        assert_eq!(read.remedy, said().remedy);
        assert_eq!(through(&long, Some(&said())), said(), "later there is room");
    }

    fn plain(kind: &str, type_: &str, annotations: &Value) -> Verdict {
        let event = json!({
            "metadata": { "name": "orders-7d9f.00c0ffee00c0ffee", "namespace": "shop", "annotations": annotations },
            "eventTime": "2026-11-24T10:00:00.123456Z",
            "series": { "count": 14, "lastObservedTime": "2026-11-24T10:00:03.000000Z" },
            "reason": "PermissionDenied", "type": type_, "note": "open = EACCES. Why. Fix: Set fsGroup: 1000.",
            "reportingController": "unready.dev/agent", "reportingInstance": "node-1",
            "regarding": { "kind": kind, "namespace": "shop", "name": "orders-7d9f", "uid": "u-1", "fieldPath": "spec.containers{app}" },
        });
        verdict(&serde_json::from_value(event).unwrap()).unwrap()
    }

    #[test]
    fn an_event_without_a_verdict_says_its_text_and_no_more() {
        let told = plain("Pod", "Warning", &json!({}));
        assert_eq!((told.id.as_str(), told.cause.as_str(), told.count), ("00c0ffee00c0ffee", "PermissionDenied", 14));
        assert_eq!(told.summary, "open = EACCES. Why. Fix: Set fsGroup: 1000.");
        assert_eq!((told.severity.as_str(), told.confidence.as_str(), &told.remedy), ("", "", &None));
        assert_eq!(told.explanation, [TEXT_ONLY]);
        let workload = told.workload.unwrap();
        assert_eq!((workload.pod.as_str(), workload.pod_uid.as_str(), workload.container.as_str()), ("orders-7d9f", "u-1", "app"));
        assert!(told.resolved_at.is_none() && plain("Pod", "Normal", &json!({})).resolved_at.is_some());
        let owner = plain("ReplicaSet", "Warning", &json!({})).workload.unwrap();
        assert_eq!((owner.owner.as_str(), owner.pod.as_str()), ("ReplicaSet/orders-7d9f", ""));
    }

    #[test]
    fn an_event_speaks_of_its_own_object_alone() {
        let with = |change: fn(&mut Verdict)| {
            let mut verdict = said();
            change(&mut verdict);
            plain("Pod", "Warning", &json!({ annotation::VERDICT: unready_proto::json::line(&verdict) })).severity
        };
        assert_eq!(with(|_| {}), "Blocking");
        assert_eq!(with(|it| it.id = "1".into()), "");
        assert_eq!(with(|it| it.workload.as_mut().unwrap().namespace = "kube-system".into()), "");
        assert_eq!(with(|it| it.workload.as_mut().unwrap().pod = "billing".into()), "");
        assert_eq!(with(|it| it.workload.as_mut().unwrap().pod_uid = "u-2".into()), "");
        assert_eq!(with(|it| it.workload = None), "");
        let patch = |change: fn(&mut Patch)| {
            let mut verdict = said();
            change(verdict.remedy.as_mut().unwrap().patch.as_mut().unwrap());
            plain("Pod", "Warning", &json!({ annotation::VERDICT: unready_proto::json::line(&verdict) })).severity
        };
        assert_eq!(patch(|it| (it.kind, it.name) = ("Pod".into(), "orders-7d9f".into())), "Blocking");
        assert_eq!(patch(|it| it.name = "payments".into()), "", "another Deployment");
        assert_eq!(patch(|it| (it.kind, it.name) = ("Pod".into(), "billing".into())), "", "another pod");
        let of_role = |it: &mut Verdict| {
            it.workload.as_mut().unwrap().owner = "Role/admins".into();
            let patch = it.remedy.as_mut().unwrap().patch.as_mut().unwrap();
            (patch.kind, patch.name) = ("Role".into(), "admins".into());
        };
        assert_eq!(with(of_role), "", "nothing that makes pods");
        assert_eq!(with(|it| it.remedy.as_mut().unwrap().patch.as_mut().unwrap().namespace = "kube-system".into()), "");
    }
}
