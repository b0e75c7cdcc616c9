//! A start as spans, and what is said of it at the span into which it falls. Pure.

use unready_diagnosis::pod::Pod;
use unready_proto::{
    time::nanos,
    v1::{StartReport, Verdict},
};

/// A part of the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    /// What: `scheduled`, `init migrate`.
    pub(super) name: String,
    /// Container that it is about; empty: the pod.
    pub(super) container: String,
    /// Id of the container in this start; empty: it is none, or not known.
    pub(super) id: String,
    /// Nanoseconds since 1970.
    pub(super) begin: u64,
    /// `None`: it goes on.
    pub(super) end: Option<u64>,
    /// How it ended, or what it waits for.
    pub(super) note: String,
    /// Something went wrong in it.
    pub(super) failed: bool,
    /// The API server says that it is a container that runs.
    pub(super) runs: bool,
    /// What fell into it.
    pub(super) verdicts: Vec<Verdict>,
    /// What the kernel told of it.
    pub(super) report: Option<Box<StartReport>>,
    /// Its begin and its end are the kernel's, not whole seconds.
    pub(super) is_exact: bool,
    /// A start that the API server does not tell of.
    pub(super) is_earlier: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Timeline {
    /// The pod in a line.
    pub(super) head: String,
    pub(super) pod: Pod,
    pub(super) spans: Vec<Span>,
    /// Verdicts that belong to no span.
    pub(super) others: Vec<Verdict>,
    pub(super) now: u64,
    /// Why nothing is known to the millisecond, a sentence.
    pub(super) missing: Option<String>,
}

impl Timeline {
    /// When everything began.
    pub(super) const fn begin(&self) -> u64 {
        self.pod.created
    }

    /// Shows a verdict at the span into which it falls.
    pub(super) fn place(&mut self, verdict: Verdict) {
        /// The API server cuts off what is below the second.
        const SECOND: u64 = 1_000_000_000;
        let container = verdict.workload.as_ref().map(|workload| workload.container.clone()).unwrap_or_default();
        let at = verdict.first_seen.as_ref().map_or(self.now, nanos);
        let part = part(&verdict.cause);
        let holds =
            |span: &&mut Span| at.saturating_add(SECOND) >= span.begin && span.end.is_none_or(|end| at <= end.saturating_add(SECOND));
        let fits = |span: &&mut Span| match part {
            Some(part) => span.name.starts_with(part) && (span.container.is_empty() || container.is_empty() || span.container == container),
            None => !container.is_empty() && span.container == container && !span.name.starts_with("pull "),
        };
        // A repeated finding may have begun before the starts that are still known.
        let exact = self.spans.iter().rposition(|span| fits(&&mut span.clone()) && holds(&&mut span.clone()));
        let place = exact.or_else(|| self.spans.iter().rposition(|span| fits(&&mut span.clone())));
        match place {
            Some(place) => self.spans[place].verdicts.push(verdict),
            None => self.others.push(verdict),
        }
    }
}

/// The part of a start that a cause is about by its nature.
fn part(cause: &str) -> Option<&'static str> {
    match cause {
        "Unschedulable" => Some("scheduled"),
        "VolumeSetup" => Some("volumes"),
        "SandboxSetup" => Some("sandbox"),
        "ImagePull" => Some("pull "),
        "ReadinessGate" => Some("ready"),
        _ => None,
    }
}

/// When a condition became true.
pub(super) fn moment(pod: &Pod, kind: &str) -> Option<u64> {
    pod.condition(kind).filter(|condition| condition.status == "True").map(|condition| condition.since)
}
