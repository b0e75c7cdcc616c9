//! What was said of a workload, laid beside what is expected.

use super::{
    checks::{Checks, unless},
    events::Event,
    kube::Kube,
    release,
    workload::{Expected, Workload, matches},
};
use crate::{binaries::Binaries, verdicts::JsonVerdict};
use anyhow::{Result, ensure};
use std::collections::BTreeSet;

/// Everything that was said, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// `kubectl unready -A -o json`.
    pub shown: Vec<JsonVerdict>,
    /// What the collector has, resolved verdicts too.
    pub collected: Vec<JsonVerdict>,
    /// Our Events.
    pub events: Vec<Event>,
}

impl Snapshot {
    /// Asks all three.
    pub fn take(kube: &Kube, binaries: &Binaries) -> Result<Self> {
        let events = kube.list(&["events.events.k8s.io", "-A"])?;
        Ok(Self {
            shown: shown(kube, "-A")?,
            collected: release::collected(kube, binaries)?,
            events: events.iter().filter_map(Event::of).collect(),
        })
    }
}

/// What `kubectl unready` shows of a namespace (`-n NAME` in one word), or of all (`-A`).
pub fn shown(kube: &Kube, scope: &str) -> Result<Vec<JsonVerdict>> {
    let output = kube.unready(&[scope, "-o", "json"])?;
    ensure!(output.status.success(), "`kubectl unready` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    JsonVerdict::lines(&String::from_utf8_lossy(&output.stdout))
}

impl Workload {
    /// Whether a verdict is about it: about its pods, or about itself.
    pub fn is_of(&self, verdict: &JsonVerdict) -> bool {
        let whose = &verdict.workload;
        let is_its_pod = whose.pod == self.name || whose.pod.starts_with(&format!("{}-", self.name));
        whose.namespace == self.namespace && if whose.owner.is_empty() { is_its_pod } else { whose.owner == self.owner() }
    }

    /// Whether an Event is about one of its pods or about itself.
    fn has_event(&self, event: &Event) -> bool {
        let name = event.regarding.split_once('/').map_or("", |(_, name)| name);
        event.namespace == self.namespace && (name == self.name || name.starts_with(&format!("{}-", self.name)))
    }
}

impl Expected {
    /// Whether it is this verdict that is expected.
    pub fn is(&self, verdict: &JsonVerdict) -> bool {
        verdict.cause == self.cause && matches(&self.container, &verdict.workload.container)
    }

    /// Causes that may be said.
    fn causes(&self) -> Vec<&str> {
        std::iter::once(self.cause.as_str()).chain(self.beside.as_deref()).collect()
    }
}

/// Compares what is said of a workload with what is expected of it.
pub fn compare(checks: &mut Checks, workload: &Workload, snapshot: &Snapshot) {
    match &workload.expected {
        None => silent(checks, workload, snapshot),
        Some(expected) => explained(checks, workload, expected, snapshot),
    }
}

/// Nothing was ever said of it.
fn silent(checks: &mut Checks, workload: &Workload, snapshot: &Snapshot) {
    let collected: Vec<&JsonVerdict> = snapshot.collected.iter().filter(|verdict| workload.is_of(verdict)).collect();
    checks.check(&workload.name, "the collector has nothing against it", all(&collected));
    let shown: Vec<&JsonVerdict> = snapshot.shown.iter().filter(|verdict| workload.is_of(verdict)).collect();
    checks.check(&workload.name, "kubectl unready does not show it", all(&shown));
    let events: Vec<String> = snapshot.events.iter().filter(|event| workload.has_event(event)).map(|event| event.note.clone()).collect();
    checks.check(&workload.name, "no Event about it", events.join("; "));
}

fn explained(checks: &mut Checks, workload: &Workload, expected: &Expected, snapshot: &Snapshot) {
    let name = &workload.name;
    let shown: Vec<&JsonVerdict> = snapshot.shown.iter().filter(|verdict| workload.is_of(verdict)).collect();
    let Some(verdict) = shown.iter().find(|verdict| expected.is(verdict)) else {
        checks.check(name, &expected.cause, format!("not said; said was: {}", otherwise(&all(&shown), "nothing")));
        return;
    };
    checks.check(name, &format!("{} of container {:?}", expected.cause, expected.container), "");
    checks.check(
        name,
        "its subject",
        unless(matches(&expected.subject, &verdict.subject), || format!("{:?} is not {:?}", verdict.subject, expected.subject)),
    );
    checks.check(
        name,
        "its owner",
        unless(verdict.workload.owner == workload.owner(), || format!("{:?} is not {:?}", verdict.workload.owner, workload.owner())),
    );
    checks.check(name, "it says that the pod cannot become ready", unless(verdict.severity == "Blocking", || verdict.severity.clone()));
    let others: Vec<&JsonVerdict> = shown.iter().copied().filter(|verdict| !expected.causes().contains(&verdict.cause.as_str())).collect();
    checks.check(name, "no other cause beside it", all(&others));
    if let Some(beside) = &expected.beside {
        checks.check(
            name,
            &format!("and {beside}"),
            unless(shown.iter().any(|verdict| verdict.cause == *beside), || "not said".to_owned()),
        );
    }
    once(checks, workload, snapshot);
    let in_collector = snapshot.collected.iter().find(|one| one.id == verdict.id);
    checks.check(
        name,
        "the collector has it",
        unless(in_collector.is_some_and(JsonVerdict::is_current), || format!("{} is not there, or resolved", verdict.id)),
    );
    event(checks, workload, verdict, snapshot);
    proposed(checks, workload, expected, verdict);
}

/// No finding has two ids, and none two Events.
fn once(checks: &mut Checks, workload: &Workload, snapshot: &Snapshot) {
    let current: Vec<&JsonVerdict> = snapshot.collected.iter().filter(|verdict| workload.is_of(verdict) && verdict.is_current()).collect();
    let findings: BTreeSet<_> = current.iter().map(|verdict| verdict.finding()).collect();
    checks.check(&workload.name, "each finding is said once", unless(findings.len() == current.len(), || all(&current)));
}

/// On the pod, or on the owner that has none.
fn event(checks: &mut Checks, workload: &Workload, verdict: &JsonVerdict, snapshot: &Snapshot) {
    let about = if verdict.workload.pod.is_empty() { workload.owner() } else { format!("Pod/{}", verdict.workload.pod) };
    let on_it = snapshot.events.iter().filter(|event| event.namespace == workload.namespace && event.regarding == about);
    // What an earlier start was said to fail of, and no longer does, stays as an Event of type Normal.
    let of_cause: Vec<&Event> = on_it.filter(|event| event.reason == verdict.cause && event.kind == "Warning").collect();
    // An Event may be one start behind: a process id in the sentence is then another one.
    let words = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let problem = match of_cause.as_slice() {
        [one] if !words(&one.note).starts_with(&words(&verdict.summary)) => {
            format!("{:?} does not begin as {:?}", one.note, verdict.summary)
        }
        [one] if one.verdict.as_ref().is_none_or(|carried| essence(carried) != essence(verdict)) => {
            format!("it carries {:?}, and not {:?}", one.verdict.as_ref().map(essence), essence(verdict))
        }
        [_] => String::new(),
        [] => format!("none on {about}"),
        several => format!("{} on {about}", several.len()),
    };
    checks.check(&workload.name, &format!("one Event of type Warning, {}, on {about}", verdict.cause), problem);
}

/// What an Event may not be behind in.
fn essence(verdict: &JsonVerdict) -> (&str, &str, &str, bool) {
    (&verdict.id, &verdict.cause, &verdict.severity, verdict.remedy.patch.is_some())
}

fn proposed(checks: &mut Checks, workload: &Workload, expected: &Expected, verdict: &JsonVerdict) {
    let body = verdict
        .remedy
        .patch
        .as_ref()
        .and_then(|patch| patch.get("body"))
        .map(|body| body.as_str().map_or_else(|| body.to_string(), str::to_owned));
    let problem = match (&expected.patch, &body) {
        (Some(word), None) => format!("none is proposed ({word:?} was expected): {}", verdict.remedy.text),
        (Some(word), Some(body)) if !body.contains(word) => format!("{word:?} is not in {body}"),
        (None, Some(body)) => format!("one is proposed: {body}"),
        (Some(_), Some(_)) | (None, None) => String::new(),
    };
    let what = if expected.patch.is_some() { "a patch is proposed" } else { "no patch is proposed" };
    checks.check(&workload.name, what, problem);
    checks.check(&workload.name, "it says what to do", unless(!verdict.remedy.text.is_empty(), || "no word of it".to_owned()));
    if let Some(word) = &expected.also {
        let says = verdict.remedy.also.iter().any(|also| also.contains(word));
        checks.check(
            &workload.name,
            &format!("it says that more is to be done ({word})"),
            unless(says, || format!("{:?}", verdict.remedy.also)),
        );
    }
}

/// Verdicts in a line, for a failure.
pub fn all(verdicts: &[&JsonVerdict]) -> String {
    let one = |verdict: &&JsonVerdict| {
        format!("{} {:?} of {:?}: {}", verdict.cause, verdict.subject, verdict.workload.container, verdict.summary)
    };
    verdicts.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn otherwise<'a>(text: &'a str, fallback: &'a str) -> &'a str {
    if text.is_empty() { fallback } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts;

    fn orders() -> Workload {
        Workload {
            name: "orders".into(),
            namespace: "shop".into(),
            kind: "Deployment".into(),
            about: String::new(),
            objects: Vec::new(),
            expected: Some(Expected {
                cause: "FileMissing".into(),
                container: "app".into(),
                subject: "/etc/*".into(),
                ..Expected::default()
            }),
        }
    }

    fn missing(cause: &str) -> JsonVerdict {
        let workload = verdicts::Workload {
            namespace: "shop".into(),
            pod: "orders-7".into(),
            container: "app".into(),
            owner: "Deployment/orders".into(),
            ..verdicts::Workload::default()
        };
        JsonVerdict {
            id: cause.into(),
            cause: cause.into(),
            severity: "Blocking".into(),
            subject: "/etc/key".into(),
            summary: "open failed".into(),
            remedy: verdicts::Remedy { text: "Add it.".into(), ..verdicts::Remedy::default() },
            workload,
            ..JsonVerdict::default()
        }
    }

    fn told(verdict: JsonVerdict) -> Snapshot {
        let event = Event {
            namespace: "shop".into(),
            regarding: "Pod/orders-7".into(),
            reason: verdict.cause.clone(),
            kind: "Warning".into(),
            note: "open failed".into(),
            verdict: Some(verdict.clone()),
            ..Event::default()
        };
        Snapshot { shown: vec![verdict.clone()], collected: vec![verdict], events: vec![event] }
    }

    fn compared(workload: &Workload, snapshot: &Snapshot) -> bool {
        let mut checks = Checks::new(false);
        compare(&mut checks, workload, snapshot);
        checks.all_passed()
    }

    #[test]
    fn what_is_expected_passes_and_nothing_else() {
        let good = told(missing("FileMissing"));
        assert!(compared(&orders(), &good));
        assert!(!compared(&orders(), &Snapshot::default()), "silence");
        assert!(!compared(&orders(), &told(missing("Crashed"))), "another cause");
        assert!(!compared(&orders(), &Snapshot { events: Vec::new(), ..good.clone() }), "no Event");
        let prose = good.events.iter().map(|event| Event { verdict: None, ..event.clone() }).collect();
        assert!(!compared(&orders(), &Snapshot { events: prose, ..good.clone() }), "an Event that carries no verdict");
        assert!(!compared(&orders(), &Snapshot { collected: Vec::new(), ..good.clone() }), "not in the collector");
        let twice =
            Snapshot { collected: vec![missing("FileMissing"), JsonVerdict { id: "2".into(), ..missing("FileMissing") }], ..good.clone() };
        assert!(!compared(&orders(), &twice), "two ids");
        let patched =
            Workload { expected: orders().expected.map(|expected| Expected { patch: Some("items".into()), ..expected }), ..orders() };
        assert!(!compared(&patched, &good), "no patch");
    }

    #[test]
    fn of_a_healthy_one_nothing_may_be_said() {
        let healthy = Workload { expected: None, ..orders() };
        assert!(compared(&healthy, &Snapshot::default()));
        assert!(!compared(&healthy, &told(missing("FileMissing"))));
        let elsewhere = JsonVerdict {
            workload: verdicts::Workload { namespace: "other".into(), ..missing("FileMissing").workload },
            ..missing("FileMissing")
        };
        assert!(compared(&healthy, &Snapshot { shown: vec![elsewhere], ..Snapshot::default() }));
    }
}
