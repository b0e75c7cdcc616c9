//! What the agents told in Events: the account for clusters without a collector.
//!
//! An Event holds a sentence, the reasons and the fix as one text of a kilobyte; patch, severity, confidence and facts are not
//! in it. What is not known stays empty.

use super::{Cluster, Trouble};
use unready_kubernetes::{
    convert,
    events::CONTROLLER,
    k8s_openapi::api::{core::v1::ObjectReference, events::v1::Event},
    kube::{Api, api::ListParams},
};
use unready_proto::{
    time::timestamp,
    v1::{Remedy, Start, Verdict, Workload},
};

/// As many as are read at a time.
const PAGE: u32 = 500;

/// Which Events are verdicts.
pub(crate) fn selector() -> String {
    format!("reportingController={CONTROLLER}")
}

/// All verdicts that the Events of the namespaces tell.
pub(crate) async fn list(cluster: &Cluster) -> Result<Vec<Verdict>, Trouble> {
    let api: Api<Event> = cluster.scoped();
    let mut params = ListParams::default().fields(&selector()).limit(PAGE);
    let mut verdicts = Vec::new();
    loop {
        let page = cluster.ask(api.list(&params)).await?;
        verdicts.extend(page.items.iter().filter_map(verdict));
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(verdicts);
        }
    }
}

/// A verdict of an Event; `None`: it regards nothing.
pub(crate) fn verdict(event: &Event) -> Option<Verdict> {
    let told = convert::event(event);
    let regarding = event.regarding.as_ref()?;
    let (summary, explanation, fix) = parts(&told.message);
    Some(Verdict {
        id: event.metadata.name.as_deref().and_then(|name| name.rsplit('.').next()).unwrap_or_default().to_owned(),
        cause: told.reason,
        workload: Some(workload(regarding, &told.field, event.reporting_instance.as_deref().unwrap_or_default())),
        start: Some(Start::default()),
        summary,
        explanation,
        remedy: fix.map(|text| Remedy { text, ..Remedy::default() }),
        first_seen: (told.first != 0).then(|| timestamp(told.first)),
        last_seen: (told.last != 0).then(|| timestamp(told.last)),
        count: told.count,
        resolved_at: (!told.is_warning).then(|| timestamp(told.last)),
        ..Verdict::default()
    })
}

/// Summary, reasons and fix of a note.
fn parts(note: &str) -> (String, Vec<String>, Option<String>) {
    const FIX: &str = " Fix: ";
    let note = note.strip_prefix("Resolved: ").unwrap_or(note);
    let (said, fix) = note.rsplit_once(FIX).map_or((note, None), |(said, fix)| (said, Some(fix.to_owned())));
    let (summary, reasons) = said.split_once(". ").unwrap_or((said.strip_suffix('.').unwrap_or(said), ""));
    (summary.to_owned(), Some(reasons.to_owned()).filter(|reasons| !reasons.is_empty()).into_iter().collect(), fix)
}

fn workload(regarding: &ObjectReference, field: &str, node: &str) -> Workload {
    let (kind, name) = (regarding.kind.clone().unwrap_or_default(), regarding.name.clone().unwrap_or_default());
    let namespace = regarding.namespace.clone().unwrap_or_default();
    if kind != "Pod" {
        return Workload { namespace, owner: format!("{kind}/{name}"), ..Workload::default() };
    }
    let container = field.split_once('{').map_or("", |(_, name)| name.trim_end_matches('}')).to_owned();
    Workload {
        namespace,
        pod: name,
        pod_uid: regarding.uid.clone().unwrap_or_default(),
        container,
        node: node.to_owned(),
        ..Workload::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn event(kind: &str, type_: &str, note: &str) -> Verdict {
        let event = json!({
            "metadata": { "name": "orders-7d9f.00c0ffee00c0ffee", "namespace": "shop" },
            "eventTime": "2026-11-24T10:00:00.123456Z",
            "series": { "count": 14, "lastObservedTime": "2026-11-24T10:00:03.000000Z" },
            "reason": "PermissionDenied", "type": type_, "note": note,
            "reportingController": "unready.dev/agent", "reportingInstance": "node-1",
            "regarding": { "kind": kind, "namespace": "shop", "name": "orders-7d9f", "uid": "u-1", "fieldPath": "spec.containers{app}" },
        });
        verdict(&serde_json::from_value(event).unwrap()).unwrap()
    }

    #[test]
    fn an_event_is_a_verdict_again() {
        let told = event(
            "Pod",
            "Warning",
            "open(\"/data/orders.db\") = EACCES, 14 times in 3.2 s. uid 1000 needs w. It is 0:0 0755. Fix: Set fsGroup: 1000.",
        );
        assert_eq!((told.id.as_str(), told.cause.as_str(), told.count), ("00c0ffee00c0ffee", "PermissionDenied", 14));
        assert_eq!(told.summary, "open(\"/data/orders.db\") = EACCES, 14 times in 3.2 s");
        assert_eq!(told.explanation, ["uid 1000 needs w. It is 0:0 0755."]);
        assert_eq!(told.remedy.unwrap().text, "Set fsGroup: 1000.");
        let workload = told.workload.unwrap();
        assert_eq!((workload.pod.as_str(), workload.pod_uid.as_str(), workload.container.as_str()), ("orders-7d9f", "u-1", "app"));
        assert_eq!(workload.node, "node-1");
        assert_eq!(told.resolved_at, None);
    }

    #[test]
    fn a_short_note_is_a_summary() {
        let told = event("Pod", "Warning", "it exited with code 1.");
        assert_eq!((told.summary.as_str(), told.explanation.len(), told.remedy), ("it exited with code 1", 0, None));
    }

    #[test]
    fn what_went_away_is_resolved() {
        let told = event("Pod", "Normal", "Resolved: open = EACCES.");
        assert_eq!(told.summary, "open = EACCES");
        assert!(told.resolved_at.is_some());
    }

    #[test]
    fn an_owner_that_has_no_pod() {
        let workload = event("ReplicaSet", "Warning", "no.").workload.unwrap();
        assert_eq!((workload.owner.as_str(), workload.pod.as_str(), workload.container.as_str()), ("ReplicaSet/orders-7d9f", "", ""));
    }
}
