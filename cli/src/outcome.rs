//! How a start ends, for `run` and `replay`: its outcome and the findings about it make the exit status.

use crate::{output, render, status::Status};
use clap::ValueEnum;
use unready_diagnosis::{
    record::ExitStatus,
    units::{BootNanos, ClockAnchor},
    verdict::{EvidenceKind, Severity, Verdict},
};

/// For people or for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object a line, and nothing else on stdout
    Json,
}

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It became ready.
    Ready,
    /// CMD ended before it was ready.
    Exited(ExitStatus),
    /// The time was up, or the user had enough.
    GaveUp,
}

impl Outcome {
    /// Whether it counts as healthy, as long as nothing was found.
    fn is_healthy(self, has_probe: bool) -> bool {
        match self {
            Self::Ready => true,
            Self::Exited(status) => status.is_success() && !has_probe,
            Self::GaveUp => !has_probe,
        }
    }

    /// The exit status.
    pub(crate) fn status<'a>(self, has_probe: bool, verdicts: impl IntoIterator<Item = &'a Verdict>) -> Status {
        let blocks = |verdict: &Verdict| verdict.severity == Severity::Blocking && verdict.resolved_at.is_none();
        if self == Self::Ready {
            Status::Healthy
        } else if verdicts.into_iter().any(blocks) {
            Status::Blocked
        } else if self.is_healthy(has_probe) {
            Status::Healthy
        } else {
            Status::Unexplained
        }
    }
}

/// Findings in the order in which they first came. A later word on the same finding replaces the earlier, which is kept
/// in case the later does not hold.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Vec<Verdict>>);

impl Findings {
    /// Adds one, or a later word on one.
    pub(crate) fn add(&mut self, verdict: Verdict) {
        /// Words kept of one finding.
        const WORDS: usize = 8;
        let Some(words) = self.0.iter_mut().find(|words| words.iter().any(|known| known.id == verdict.id)) else {
            return self.0.push(vec![verdict]);
        };
        if words.len() == WORDS {
            words.remove(0);
        }
        words.push(verdict);
    }

    /// The heaviest first, then the earliest.
    pub(crate) fn sorted(&self) -> Vec<&Verdict> {
        let mut all: Vec<&Verdict> = self.iter().collect();
        all.sort_by_key(|verdict| (std::cmp::Reverse(verdict.severity), verdict.first_seen));
        all
    }

    /// All.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Verdict> {
        self.0.iter().filter_map(|words| words.last())
    }

    /// Forgets what was said because a process ended since then: the user brought that about.
    pub(crate) fn forget_the_end(&mut self, since: BootNanos) {
        let of_the_end = |verdict: &Verdict| verdict.evidence.iter().any(|fact| fact.kind == EvidenceKind::Exit && fact.at >= since);
        for words in &mut self.0 {
            words.retain(|verdict| !of_the_end(verdict));
        }
    }

    /// Forgets what did not keep it from becoming ready after all: a healthy start is silent.
    pub(crate) fn settle(&mut self, outcome: Outcome) {
        if outcome == Outcome::Ready {
            self.retain(|verdict| verdict.resolved_at.is_none());
        }
    }

    /// Forgets those that are of no concern.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Verdict) -> bool) {
        self.0.retain(|words| words.last().is_some_and(&keep));
    }
}

/// Prints all findings.
pub(crate) fn print(findings: &Findings, anchor: ClockAnchor, node: &str, format: Format, facts: render::Facts) -> anyhow::Result<()> {
    let style = render::Style::stdout();
    let mut text = String::new();
    for verdict in findings.sorted() {
        let verdict = unready_wire::verdict(verdict, anchor, node);
        text.push_str(&match format {
            Format::Json => render::json(&verdict) + "\n",
            Format::Text => render::block(&verdict, facts, style),
        });
    }
    output::stdout(&text)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use unready_diagnosis::{
        catalogue::Cause,
        units::CgroupId,
        verdict::{Completeness, Confidence, Evidence, Remedy, Subject, SubjectKind, Workload},
    };

    pub(crate) fn verdict(id: &str, severity: Severity) -> Verdict {
        Verdict {
            id: id.into(),
            cause: Cause::FileMissing,
            layer: String::new(),
            severity,
            confidence: Confidence::Likely,
            completeness: Completeness::default(),
            subject: Subject { kind: SubjectKind::Path, name: "/x".into() },
            workload: Workload::default(),
            cgroup: CgroupId(1),
            summary: String::new(),
            explanation: vec![],
            remedy: Remedy::default(),
            evidence: vec![],
            first_seen: BootNanos(1),
            last_seen: BootNanos(1),
            count: 1,
            resolved_at: None,
        }
    }

    #[test]
    fn the_documented_statuses() {
        let blocking = [verdict("a", Severity::Blocking)];
        let slowing = [verdict("a", Severity::Slowing)];
        let resolved = [Verdict { resolved_at: Some(BootNanos(9)), ..verdict("a", Severity::Blocking) }];
        let zero = Outcome::Exited(ExitStatus::Code(0));
        let one = Outcome::Exited(ExitStatus::Code(1));
        for (outcome, probe, verdicts, expected) in [
            (Outcome::Ready, true, &[][..], Status::Healthy),
            (Outcome::Ready, false, &blocking, Status::Healthy),
            (zero, false, &[], Status::Healthy),
            (zero, true, &[], Status::Unexplained),
            (zero, true, &blocking, Status::Blocked),
            (one, false, &[], Status::Unexplained),
            (one, false, &slowing, Status::Unexplained),
            (one, false, &blocking, Status::Blocked),
            (Outcome::GaveUp, false, &[], Status::Healthy),
            (Outcome::GaveUp, false, &blocking, Status::Blocked),
            (Outcome::GaveUp, false, &resolved, Status::Healthy),
            (Outcome::GaveUp, true, &[], Status::Unexplained),
            (Outcome::GaveUp, true, &resolved, Status::Unexplained),
        ] {
            assert_eq!(outcome.status(probe, verdicts), expected, "{outcome:?} {probe} {verdicts:?}");
        }
    }

    #[test]
    fn an_end_by_the_user_explains_nothing() {
        let ended = |verdict: Verdict, at: u64| {
            let exit = Evidence::new(BootNanos(at), EvidenceKind::Exit, String::new());
            Verdict { evidence: vec![exit], ..verdict }
        };
        let mut findings = Findings::default();
        findings.add(ended(verdict("by the user", Severity::Blocking), 50));
        findings.add(ended(verdict("before", Severity::Blocking), 40));
        findings.add(verdict("while it lived", Severity::Slowing));
        findings.add(ended(verdict("while it lived", Severity::Blocking), 50));
        findings.forget_the_end(BootNanos(50));
        let left: Vec<_> = findings.sorted().iter().map(|verdict| (verdict.id.clone(), verdict.severity)).collect();
        assert_eq!(left, [("before".into(), Severity::Blocking), ("while it lived".into(), Severity::Slowing)]);
    }

    #[test]
    fn what_resolved_is_silent_once_it_is_ready() {
        let findings = |outcome| {
            let mut findings = Findings::default();
            findings.add(verdict("a", Severity::Blocking));
            findings.add(Verdict { resolved_at: Some(BootNanos(9)), ..verdict("a", Severity::Blocking) });
            findings.add(verdict("b", Severity::Slowing));
            findings.settle(outcome);
            findings.iter().map(|verdict| verdict.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(findings(Outcome::Ready), ["b"]);
        assert_eq!(findings(Outcome::GaveUp), ["a", "b"]);
    }

    #[test]
    fn words_on_one_finding_are_bounded() {
        let mut findings = Findings::default();
        for count in 0..100 {
            findings.add(Verdict { count, ..verdict("a", Severity::Advisory) });
        }
        assert_eq!(findings.0[0].len(), 8);
        assert_eq!(findings.sorted()[0].count, 99);
    }

    #[test]
    fn a_later_word_replaces_the_earlier() {
        let mut findings = Findings::default();
        findings.add(verdict("a", Severity::Advisory));
        findings.add(verdict("b", Severity::Slowing));
        findings.add(verdict("a", Severity::Blocking));
        assert_eq!(findings.sorted().iter().map(|verdict| verdict.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(findings.iter().count(), 2);
    }
}
