//! What an Event says: the verdict's sentence, why, and what to do, in the kilobyte that an Event has for people; and the
//! verdict itself for programs ([`super::annotation`]).

use super::annotation::{Annotation, without_quotes};
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1 as events},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use serde_json::{Value, json};
use unready_diagnosis::outside;
use unready_proto::{prost_types, v1::Verdict};

/// Who reports: `reportingController` of all our Events, also of the collector's.
pub const CONTROLLER: &str = "unready.dev/agent";
/// What was going on: `action`. A verdict is about a start.
pub const ACTION: &str = "Starting";
/// Longest note, bytes (`NoteLengthLimit` of `pkg/apis/core/validation`).
pub const NOTE_MAX: usize = 1024;

/// Longest name of an object (RFC 1123 subdomain), bytes.
const NAME_MAX: usize = 253;
/// Longest `reportingInstance`, bytes.
const INSTANCE_MAX: usize = 128;
/// What summary and remedy may take of the note at most; the rest is for the reasons.
const PART_MAX: usize = 400;

/// The object that an Event is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Regarding(pub(crate) ObjectReference);

/// An Event to be, and which verdict it says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    /// Of the verdict.
    pub(super) id: String,
    /// The object whose rate is limited.
    pub(super) object: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) words: Words,
    pub(super) count: u32,
    last: Timestamp,
    first: Timestamp,
    reason: String,
    regarding: ObjectReference,
    instance: String,
    annotation: Annotation,
}

/// What of an Event is worth a patch at once when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    note: String,
    is_warning: bool,
    /// Of what the note has no room for, and that matters: facts and times alone are told with the count.
    rest: u64,
}

impl Words {
    const fn kind(&self) -> &'static str {
        if self.is_warning { "Warning" } else { "Normal" }
    }
}

/// The pod that a verdict is about. Its uid is the one of its cgroup: for a static pod the hash of its manifest, under which
/// the kubelet files its own events too, and where `kubectl describe` looks for them.
pub(super) fn pod_of(verdict: &Verdict) -> Option<Regarding> {
    let workload = verdict.workload.as_ref().filter(|workload| !workload.namespace.is_empty() && !workload.pod.is_empty())?;
    let list = match workload.container_kind.as_str() {
        "init" | "sidecar" => "initContainers",
        "ephemeral" => "ephemeralContainers",
        _ => "containers",
    };
    Some(Regarding(ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(workload.namespace.clone()),
        name: Some(workload.pod.clone()),
        uid: Some(workload.pod_uid.clone()).filter(|uid| !uid.is_empty()),
        field_path: (!workload.container.is_empty()).then(|| format!("spec.{list}{{{}}}", workload.container)),
        resource_version: None,
    }))
}

/// The Event of a verdict about an object; `None`: the object is not named, or the verdict has no id.
pub(super) fn item(verdict: &Verdict, Regarding(regarding): Regarding, instance: &str) -> Option<Item> {
    let (namespace, object) = (regarding.namespace.clone()?, regarding.name.clone()?);
    if verdict.id.is_empty() || namespace.is_empty() || object.is_empty() {
        return None;
    }
    let verdict = &without_quotes(verdict);
    let first = date(verdict.first_seen.as_ref()).unwrap_or_else(Timestamp::now);
    Some(Item {
        id: verdict.id.clone(),
        name: name(&object, &verdict.id),
        object: regarding.uid.clone().unwrap_or(object),
        namespace,
        words: Words { note: note(verdict), is_warning: verdict.resolved_at.is_none(), rest: rest(verdict) },
        annotation: Annotation::of(verdict),
        count: verdict.count,
        last: date(verdict.last_seen.as_ref()).unwrap_or(first).max(first),
        first,
        reason: outside::escaped(&verdict.cause).into_owned(),
        regarding,
        instance: cut(&outside::escaped(instance), INSTANCE_MAX).to_owned(),
    })
}

impl Item {
    /// To be created.
    pub(super) fn event(&self) -> events::Event {
        events::Event {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                annotations: Some(self.annotation.map()),
                ..ObjectMeta::default()
            },
            action: Some(ACTION.to_owned()),
            event_time: Some(MicroTime(self.first)),
            note: Some(self.words.note.clone()),
            reason: Some(self.reason.clone()),
            regarding: Some(self.regarding.clone()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            // A series has at least two occurrences (`validateV1EventSeries`).
            series: self.is_series().then(|| events::EventSeries { count: self.series_count(), last_observed_time: MicroTime(self.last) }),
            type_: Some(self.words.kind().to_owned()),
            ..events::Event::default()
        }
    }

    /// A merge patch of the same object as `v1` has it.
    pub(super) fn change(&self) -> Value {
        let mut change = json!({
            "message": self.words.note,
            "type": self.words.kind(),
            "metadata": { "annotations": self.annotation.change() },
        });
        if self.is_series() {
            change["series"] = json!({ "count": self.series_count(), "lastObservedTime": MicroTime(self.last) });
        }
        change
    }

    const fn is_series(&self) -> bool {
        self.count > 1
    }

    fn series_count(&self) -> i32 {
        i32::try_from(self.count).unwrap_or(i32::MAX)
    }
}

/// Named after object and verdict, so that the same verdict is the same Event, also after a restart.
fn name(object: &str, id: &str) -> String {
    let room = NAME_MAX.saturating_sub(id.len() + 1);
    // A part of a subdomain may not end in a dash.
    format!("{}.{id}", cut(object, room).trim_end_matches(['-', '.'])).to_ascii_lowercase()
}

fn rest(verdict: &Verdict) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    let Verdict { layer, severity, confidence, subject, explanation, remedy, .. } = verdict;
    let patch = remedy.as_ref().and_then(|remedy| remedy.patch.as_ref()).map(|patch| (&patch.kind, &patch.name, &patch.body));
    (layer, severity, confidence, subject, explanation, patch, remedy.as_ref().map(|remedy| &remedy.also)).hash(&mut hasher);
    hasher.finish()
}

/// Summary and remedy come first: they are never cut in favour of the reasons.
fn note(verdict: &Verdict) -> String {
    let resolved = if verdict.resolved_at.is_some() { "Resolved: " } else { "" };
    let summary = format!("{resolved}{}", sentence(&verdict.summary, PART_MAX));
    if verdict.resolved_at.is_some() {
        return summary;
    }
    let remedy = verdict.remedy.as_ref().map(|remedy| sentence(&remedy.text, PART_MAX)).filter(|text| !text.is_empty());
    let fix = remedy.map(|text| format!(" Fix: {text}")).unwrap_or_default();
    let room = NOTE_MAX.saturating_sub(summary.len() + fix.len() + 1);
    let reasons = verdict.explanation.iter().map(|reason| sentence(reason, NOTE_MAX)).collect::<Vec<_>>().join(" ");
    let why = sentence(&reasons, room);
    if why.is_empty() { format!("{summary}{fix}") } else { format!("{summary} {why}{fix}") }
}

/// A text as one line of whole sentences that fit; if not even the first one does, its beginning.
fn sentence(text: &str, room: usize) -> String {
    let mut line = outside::escaped(&text.split_whitespace().collect::<Vec<_>>().join(" ")).into_owned();
    if line.is_empty() {
        return line;
    }
    if !line.ends_with(['.', '!', '?', ':', ')']) {
        line.push('.');
    }
    if line.len() <= room {
        return line;
    }
    let fitting = cut(&line, room);
    match fitting.rfind(". ") {
        Some(end) => fitting[..=end].to_owned(),
        None if room < 40 => String::new(), // a few words are no reason
        None => format!("{}…", cut(fitting, room.saturating_sub('…'.len_utf8()))),
    }
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn date(at: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    let at = at?;
    Timestamp::new(at.seconds, at.nanos).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use unready_proto::v1::{Remedy, Workload};

    fn verdict() -> Verdict {
        Verdict {
            id: "00c0ffee00c0ffee".into(),
            cause: "PermissionDenied".into(),
            summary: "open(\"/data/orders.db\") = EACCES, 14 times".into(),
            explanation: vec!["uid 1000 needs w on /data.".into(), "/data is volume \"data\"".into()],
            remedy: Some(Remedy { text: "set spec.securityContext.fsGroup: 1000".into(), ..Remedy::default() }),
            workload: Some(Workload {
                namespace: "shop".into(),
                pod: "orders-7d9f".into(),
                pod_uid: "u-1".into(),
                container: "app".into(),
                container_kind: "app".into(),
                ..Workload::default()
            }),
            first_seen: Some(prost_types::Timestamp { seconds: 1_795_000_000, nanos: 123_456_789 }),
            last_seen: Some(prost_types::Timestamp { seconds: 1_795_000_003, nanos: 0 }),
            count: 14,
            ..Verdict::default()
        }
    }

    fn item_of(verdict: &Verdict) -> Item {
        item(verdict, pod_of(verdict).unwrap(), "node-1").unwrap()
    }

    #[test]
    fn an_event_says_what_why_and_what_to_do() {
        let event = item_of(&verdict()).event();
        let expected = "open(\"/data/orders.db\") = EACCES, 14 times. uid 1000 needs w on /data. /data is volume \"data\". \
                        Fix: set spec.securityContext.fsGroup: 1000.";
        assert_eq!(event.note.as_deref(), Some(expected));
        assert_eq!(event.metadata.name.as_deref(), Some("orders-7d9f.00c0ffee00c0ffee"));
        assert_eq!((event.type_.as_deref(), event.reason.as_deref()), (Some("Warning"), Some("PermissionDenied")));
        assert_eq!(event.series.map(|series| series.count), Some(14));
        let regarding = event.regarding.unwrap();
        assert_eq!(regarding.field_path.as_deref(), Some("spec.containers{app}"));
        assert_eq!(regarding.uid.as_deref(), Some("u-1"));
    }

    #[test]
    fn what_the_note_has_no_room_for_is_news_too_and_facts_alone_are_not() {
        let sure = Verdict { confidence: "Certain".into(), ..verdict() };
        assert_ne!(item_of(&sure).words, item_of(&verdict()).words);
        let evidence = vec![unready_proto::v1::Evidence { text: "open, 15 times".into(), ..Default::default() }];
        assert_eq!(item_of(&Verdict { evidence, count: 15, ..verdict() }).words, item_of(&verdict()).words);
    }

    #[test]
    fn a_single_occurrence_is_no_series() {
        let once = Verdict { count: 1, ..verdict() };
        assert_eq!(item_of(&once).event().series, None);
        assert!(item_of(&once).change().get("series").is_none());
    }

    #[test]
    fn a_resolved_one_is_normal() {
        let resolved = Verdict { resolved_at: verdict().last_seen, ..verdict() };
        let change = item_of(&resolved).change();
        assert_eq!(change["type"], "Normal");
        assert_eq!(change["message"], "Resolved: open(\"/data/orders.db\") = EACCES, 14 times.");
    }

    #[test]
    fn the_kind_of_container_is_its_field() {
        let of = |kind: &str, container: &str| {
            let workload = Workload { container_kind: kind.into(), container: container.into(), ..verdict().workload.unwrap() };
            pod_of(&Verdict { workload: Some(workload), ..verdict() }).unwrap().0.field_path
        };
        assert_eq!(of("sidecar", "x").as_deref(), Some("spec.initContainers{x}"));
        assert_eq!(of("ephemeral", "x").as_deref(), Some("spec.ephemeralContainers{x}"));
        assert_eq!(of("", ""), None);
        assert!(pod_of(&Verdict::default()).is_none());
    }

    #[test]
    fn long_ones_are_cut_at_a_sentence_and_keep_their_fix() {
        let reasons = (0..100).map(|n| format!("reason {n} is rather a long one, with an ä in it")).collect();
        let long = Verdict { explanation: reasons, ..verdict() };
        let note = item_of(&long).words.note;
        assert!(note.len() <= NOTE_MAX && note.len() > NOTE_MAX - 60, "{}", note.len());
        assert!(note.contains("ä in it. Fix: set spec"), "{note}");
        let endless = Verdict { summary: "ä".repeat(2000), explanation: vec!["ö".repeat(2000)], ..verdict() };
        let note = item_of(&endless).words.note;
        assert!(note.len() <= NOTE_MAX, "{}", note.len());
        assert!(note.contains("…") && note.contains("Fix: set"), "{note}");
    }

    #[test]
    fn names_fit() {
        let long = name(&"a-".repeat(130), "00c0ffee00c0ffee");
        assert!(long.len() <= NAME_MAX && long.ends_with("a.00c0ffee00c0ffee"), "{long}");
    }
}
