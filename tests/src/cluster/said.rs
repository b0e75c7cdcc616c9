//! What was said: verdicts as `-o json` prints them, and Events as the API server has them, read as a stranger would.

use super::kube::field;
use anyhow::{Context, Result};
use humantime::parse_rfc3339;
use serde::Deserialize;
use serde_json::Value;
use std::time::SystemTime;

/// Who says our Events: agents and the collector.
pub const REPORTER: &str = "unready.dev/agent";

/// The fields of a verdict that matter here; see `unready.v1.Verdict`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Said {
    /// The same finding again has the same id.
    pub id: String,
    /// Code of the catalogue; `Waiting` where nothing is wrong so far.
    pub cause: String,
    /// Blocking, Slowing, Advisory.
    pub severity: String,
    /// Certain, Likely, Possible.
    pub confidence: String,
    /// The thing.
    pub subject: String,
    /// Whose start.
    pub workload: Whose,
    /// One sentence.
    pub summary: String,
    /// What to do.
    pub remedy: Remedy,
    /// When it was first observed.
    pub first_seen: String,
    /// How often.
    pub count: u32,
    /// Set when the condition went away.
    pub resolved_at: Option<String>,
}

/// Whose start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Whose {
    /// Its namespace.
    pub namespace: String,
    /// Its name; empty: the owner has no pod.
    pub pod: String,
    /// Its uid.
    pub pod_uid: String,
    /// The container; empty: the pod as a whole.
    pub container: String,
    /// `Deployment/orders`.
    pub owner: String,
    /// Where it runs.
    pub node: String,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Remedy {
    /// In words.
    pub text: String,
    /// A change of a manifest.
    pub patch: Option<Value>,
    /// What else.
    pub also: Vec<String>,
}

impl Said {
    /// A finding, and not the sentence about what a pod waits for.
    pub fn is_finding(&self) -> bool {
        self.cause != "Waiting"
    }

    /// What makes two verdicts the same finding.
    pub fn finding(&self) -> (&str, &str, &str, &str) {
        (&self.workload.pod_uid, &self.workload.container, &self.cause, &self.subject)
    }

    /// Still so.
    pub const fn is_current(&self) -> bool {
        self.resolved_at.is_none()
    }
}

/// One verdict a line.
pub fn verdicts(text: &str) -> Result<Vec<Said>> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).with_context(|| format!("not a verdict: {line}")))
        .collect()
}

/// An Event of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its own name: one a verdict.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// What it is about: `Pod/orders-7d9f`.
    pub regarding: String,
    /// The cause.
    pub reason: String,
    /// Warning, or Normal when it was resolved.
    pub kind: String,
    /// The sentence.
    pub note: String,
    /// When the finding was first observed.
    pub time: Option<SystemTime>,
    /// The verdict that it carries.
    pub verdict: Option<Said>,
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

    #[test]
    fn verdicts_are_lines() {
        let text = "{\"id\":\"1\",\"cause\":\"FileMissing\",\"workload\":{\"podUid\":\"u\"}}\n\n{\"id\":\"2\",\"cause\":\"Waiting\"}\n";
        let all = verdicts(text).unwrap();
        assert_eq!(all.iter().filter(|one| one.is_finding()).map(|one| one.workload.pod_uid.as_str()).collect::<Vec<_>>(), ["u"]);
        assert!(verdicts("no").is_err());
    }
}
