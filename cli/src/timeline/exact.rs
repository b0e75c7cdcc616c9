//! Starts with the kernel's times, joined with what the API server tells of the same containers. Pure.
//!
//! ```text
//!   report ─┬─ of a start that the API server tells of (same container id): its span gets the report's times
//!           ├─ of this pod, and of a start that it has forgotten or not told yet: a span of its own
//!           └─ of another pod of the same name: nothing
//! ```
//!
//! What the API server says of readiness wins: a report can say when a container became ready, not that it is.

use super::{containers::title, span::Span};
use unready_diagnosis::pod::{ContainerKind, Pod};
use unready_proto::{
    prost_types::Timestamp,
    time::nanos,
    v1::{Milestone, StartReport},
};

/// What is known of a pod's starts.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The last told first.
    pub(super) reports: Vec<StartReport>,
    /// Why there are none, a sentence.
    pub(super) missing: Option<String>,
}

impl Known {
    /// They could not be asked for.
    pub(super) fn missing(reason: &str) -> Self {
        Self { reports: Vec::new(), missing: Some(reason.to_owned()) }
    }

    /// What a collector said.
    pub(super) fn told(reports: Vec<StartReport>) -> Self {
        let none = "the collector knows no start of it: an agent must have seen it, and it is kept for some days";
        Self { missing: reports.is_empty().then(|| none.to_owned()), reports }
    }
}

/// Gives spans their times, and makes those that the API server does not tell of.
pub(super) fn join(spans: &mut Vec<Span>, pod: &Pod, reports: Vec<StartReport>) {
    let mut others: Vec<Span> = Vec::new();
    for report in reports {
        let id = container_id(&report).to_owned();
        if id.is_empty() || others.iter().any(|span| span.id == id) {
            continue;
        }
        if let Some(span) = spans.iter_mut().find(|span| span.id == id) {
            if span.report.is_none() {
                refine(span, report);
            }
        } else {
            others.extend(forgotten(pod, report));
        }
    }
    others.sort_by_key(|span| span.begin);
    for span in others {
        let place = spans.iter().position(|known| comes_after(known, &span)).unwrap_or(spans.len());
        spans.insert(place, span);
    }
    end_where_the_next_begins(spans);
}

/// A start whose end nobody saw was over when the container's next one began.
fn end_where_the_next_begins(spans: &mut [Span]) {
    for at in 0..spans.len() {
        let (before, after) = spans.split_at_mut(at + 1);
        let Some(span) = before.last_mut().filter(|span| span.is_earlier && span.end.is_none()) else { continue };
        span.end = after.iter().filter(|next| next.container == span.container && next.begin >= span.begin).map(|next| next.begin).min();
    }
}

/// Whether a known span is to stand below another one: a later start of the container, or what follows all containers.
fn comes_after(known: &Span, span: &Span) -> bool {
    let is_later = known.container == span.container && !known.name.starts_with("pull ") && known.begin >= span.begin;
    is_later || known.name == "ready"
}

fn container_id(report: &StartReport) -> &str {
    report.start.as_ref().map_or("", |start| start.container_id.as_str())
}

/// The report's times in place of whole seconds.
fn refine(span: &mut Span, report: StartReport) {
    if let Some(begin) = begin(&report) {
        span.begin = begin;
    }
    let ended = end(&report);
    // One that runs is drawn up to when it was ready; one that is over, or of which the API server says neither, up to its end.
    let is_up = span.end.is_some() && span.runs;
    let until = if is_up { ended.or(moment(&report, "Ready")) } else { ended };
    span.is_exact = until.is_some();
    span.end = until.or(span.end).map(|end| end.max(span.begin));
    if ended.is_some() && span.runs && span.note != "ready" {
        // The API server has not heard of it.
        (span.note, span.failed) = outcome(&report);
    }
    span.report = Some(Box::new(report));
}

/// A start that the API server does not tell of.
fn forgotten(pod: &Pod, report: StartReport) -> Option<Span> {
    let workload = report.workload.as_ref().filter(|workload| !pod.uid.is_empty() && workload.pod_uid == pod.uid)?;
    let spec = pod.container(&workload.container).filter(|spec| spec.kind != ContainerKind::Ephemeral)?;
    let number = report.start.as_ref().map_or(0, |start| start.restart_count);
    let is_only = number == 0 && pod.status_of(&spec.name).is_none_or(|status| status.restarts == 0);
    let name = if is_only { title(spec) } else { format!("{}, start {}", title(spec), number.saturating_add(1)) };
    let begin = begin(&report)?;
    let end = end(&report).map(|end| end.max(begin));
    let (note, failed) = outcome(&report);
    let (id, container) = (container_id(&report).to_owned(), spec.name.clone());
    let is_exact = end.is_some();
    Some(Span {
        name,
        container,
        id,
        begin,
        end,
        note,
        failed,
        is_exact,
        is_earlier: true,
        report: Some(Box::new(report)),
        ..Span::default()
    })
}

/// When its container was made.
fn begin(report: &StartReport) -> Option<u64> {
    known(report.began.as_ref()).or_else(|| report.milestones.iter().find_map(|milestone| known(milestone.at.as_ref())))
}

/// When it ended, if it has: an end that proved to be none is followed by another stage.
fn end(report: &StartReport) -> Option<u64> {
    ended(report).and_then(|milestone| known(milestone.at.as_ref()))
}

fn ended(report: &StartReport) -> Option<&Milestone> {
    report.milestones.iter().rev().find(|milestone| milestone.step == "Ended").filter(|_| report.stage == "Ended")
}

/// When this step was taken last.
fn moment(report: &StartReport, step: &str) -> Option<u64> {
    report.milestones.iter().rev().filter(|milestone| milestone.step == step).find_map(|milestone| known(milestone.at.as_ref()))
}

fn known(time: Option<&Timestamp>) -> Option<u64> {
    time.map(nanos).filter(|at| *at > 0)
}

/// How it went, as the API server would say it, and whether that is bad.
fn outcome(report: &StartReport) -> (String, bool) {
    let out_of_memory = report.milestones.iter().any(|milestone| milestone.step == "OutOfMemory");
    let Some(ended) = ended(report) else {
        return (report.stage.to_lowercase(), report.stage == "Stalled");
    };
    let how = exit_words(ended);
    let failed = ended.status.as_ref().is_none_or(|status| status.code != Some(0));
    (if out_of_memory { format!("out of memory, {how}") } else { how }, failed)
}

/// `exit 1`, `signal 9`.
pub(super) fn exit_words(milestone: &Milestone) -> String {
    match milestone.status.as_ref().map(|status| (status.code, status.signal)) {
        Some((_, Some(signal))) => format!("signal {signal}"),
        Some((Some(code), None)) => format!("exit {code}"),
        Some((None, None)) | None => "ended".to_owned(),
    }
}
