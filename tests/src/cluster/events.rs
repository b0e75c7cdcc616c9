//! Our Events, as the API server has them, read as a stranger would.

use super::kube::field;
use crate::verdicts::JsonVerdict;
use humantime::parse_rfc3339;
use serde_json::Value;
use std::time::SystemTime;

/// Who says our Events: agents and the collector.
pub const REPORTER: &str = "unready.dev/agent";

/// An Event of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its own name: one for each verdict.
    pub name: String,
    pub namespace: String,
    /// What it is about: `Pod/orders-7d9f`.
    pub regarding: String,
    pub reason: String,
    /// Warning, or Normal when it was resolved.
    pub kind: String,
    pub note: String,
    /// When the finding was first observed.
    pub time: Option<SystemTime>,
    /// The verdict that it carries.
    pub verdict: Option<JsonVerdict>,
}

impl Event {
    /// Only ours.
    pub fn of(object: &Value) -> Option<Self> {
        (field(object, "/reportingController") == REPORTER).then(|| Self {
            name: field(object, "/metadata/name").to_owned(),
            namespace: field(object, "/metadata/namespace").to_owned(),
            regarding: format!("{}/{}", field(object, "/regarding/kind"), field(object, "/regarding/name")),
            reason: field(object, "/reason").to_owned(),
            kind: field(object, "/type").to_owned(),
            note: field(object, "/note").to_owned(),
            time: parse_rfc3339(field(object, "/eventTime")).ok(),
            verdict: serde_json::from_str(field(object, "/metadata/annotations/unready.dev~1verdict")).ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use serde_json::json;

    #[test]
    fn only_our_events_count() {
        let mut event = json!({
            "metadata": { "name": "a.1", "namespace": "shop" }, "reportingController": "kubelet", "reason": "FileMissing", "type": "Warning",
            "regarding": { "kind": "Pod", "name": "a" }, "eventTime": "2026-11-24T10:00:00.250000Z", "note": "open failed",
        });
        assert_eq!(Event::of(&event), None);
        event["reportingController"] = REPORTER.into();
        let ours = Event::of(&event).unwrap();
        assert_eq!((ours.regarding.as_str(), ours.reason.as_str(), ours.kind.as_str()), ("Pod/a", "FileMissing", "Warning"));
        assert!(ours.time.is_some() && ours.verdict.is_none());
        event["metadata"]["annotations"] = json!({ "unready.dev/verdict": "{\"id\":\"1\",\"severity\":\"Blocking\"}" });
        assert_eq!(Event::of(&event).unwrap().verdict.map(|verdict| (verdict.id, verdict.severity)), Some(("1".into(), "Blocking".into())));
    }
}
