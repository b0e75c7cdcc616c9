//! How a start of a container goes, for the collector.
//!
//! The engine keeps its lists bounded; here they are cut to the same bounds once more, because what the wire promises must not rest on
//! that. What is cut is counted.

use crate::{completeness, date, fact::exit_status, narrow, which, workload};
use unready_diagnosis::{
    story::report::{ATTEMPTS, Attempt, MILESTONES, Milestone, StartReport, Step, WAITS, Wait},
    units::ClockAnchor,
};
use unready_proto::v1;

/// What the collector is told of a start on `node`.
pub fn start(report: &StartReport, anchor: ClockAnchor, node: &str) -> v1::StartReport {
    let surplus = [(report.milestones.len(), MILESTONES), (report.attempts.len(), ATTEMPTS), (report.waits.len(), WAITS)];
    let cut: usize = surplus.into_iter().map(|(there, most)| there.saturating_sub(most)).sum();
    v1::StartReport {
        id: report.id.clone(),
        workload: Some(workload(&report.workload, node)),
        start: Some(which(&report.workload)),
        stage: report.stage.word().to_owned(),
        note: report.note.clone(),
        began: date(report.began, anchor),
        told: date(report.told, anchor),
        milestones: report.milestones.iter().take(MILESTONES).map(|one| milestone(one, anchor)).collect(),
        attempts: report.attempts.iter().take(ATTEMPTS).map(|one| attempt(one, anchor)).collect(),
        waits: report.waits.iter().take(WAITS).map(|one| wait(one, anchor)).collect(),
        dropped: report.dropped.saturating_add(u32::try_from(cut).unwrap_or(u32::MAX)),
        completeness: Some(completeness(report.completeness)),
    }
}

fn milestone(milestone: &Milestone, anchor: ClockAnchor) -> v1::Milestone {
    let told = |step: &str| v1::Milestone { at: date(milestone.at, anchor), step: step.to_owned(), ..v1::Milestone::default() };
    match &milestone.step {
        Step::Created => told("Created"),
        Step::Entered => told("Entered"),
        Step::Executed { path, pid } => v1::Milestone { path: path.clone(), pid: *pid, ..told("Executed") },
        Step::Listening { address, port } => v1::Milestone { address: address.clone(), port: u32::from(*port), ..told("Listening") },
        Step::Ready => told("Ready"),
        Step::OutOfMemory { pid } => v1::Milestone { pid: *pid, ..told("OutOfMemory") },
        Step::Ended { status } => v1::Milestone { status: Some(exit_status(*status)), ..told("Ended") },
    }
}

fn attempt(attempt: &Attempt, anchor: ClockAnchor) -> v1::Attempt {
    v1::Attempt {
        first: date(attempt.first, anchor),
        last: date(attempt.last, anchor),
        count: narrow(attempt.count),
        target: attempt.target.clone(),
        passed: attempt.passed,
        outcome: attempt.outcome.clone(),
    }
}

fn wait(wait: &Wait, anchor: ClockAnchor) -> v1::Wait {
    v1::Wait {
        from: date(wait.from, anchor),
        until: wait.until.and_then(|until| date(until, anchor)),
        target: wait.target.clone(),
        text: wait.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_diagnosis::{
        record::ExitStatus,
        story::report::Stage,
        units::{BootNanos, CgroupId},
        verdict::{Completeness, Workload},
    };
    use unready_proto::time::timestamp;

    const ANCHOR: ClockAnchor = ClockAnchor { boot: BootNanos(0), wall: 1_000 };

    fn report(milestones: Vec<Milestone>) -> StartReport {
        StartReport {
            id: "00c0ffee00c0ffee".into(),
            workload: Workload { pod: "orders".into(), container_id: "abc".into(), restarts: 2, ..Workload::default() },
            cgroup: CgroupId(7),
            stage: Stage::Unwatched,
            note: "its probes may take 4 h".into(),
            began: BootNanos(1),
            told: BootNanos(9),
            milestones,
            attempts: vec![Attempt {
                first: BootNanos(4),
                last: BootNanos(6),
                count: 3,
                target: "readiness".into(),
                passed: false,
                outcome: "refused".into(),
            }],
            waits: vec![Wait { from: BootNanos(2), until: None, target: "/run".into(), text: "open = ENOENT".into() }],
            dropped: 5,
            completeness: Completeness { lost: 3, ..Completeness::default() },
        }
    }

    #[test]
    fn every_step_has_its_word_and_its_fields() {
        let at = BootNanos(3);
        let steps = [
            Step::Created,
            Step::Entered,
            Step::Executed { path: "/app".into(), pid: 8 },
            Step::Listening { address: "::".into(), port: 80 },
            Step::Ready,
            Step::OutOfMemory { pid: 8 },
            Step::Ended { status: ExitStatus::Code(1) },
        ];
        let told = start(&report(steps.map(|step| Milestone { at, step }).to_vec()), ANCHOR, "node-1").milestones;
        let of = |step: &str| v1::Milestone { at: Some(timestamp(1_003)), step: step.into(), ..v1::Milestone::default() };
        let status = Some(v1::ExitStatus { code: Some(1), signal: None });
        let expected = [
            of("Created"),
            of("Entered"),
            v1::Milestone { path: "/app".into(), pid: 8, ..of("Executed") },
            v1::Milestone { address: "::".into(), port: 80, ..of("Listening") },
            of("Ready"),
            v1::Milestone { pid: 8, ..of("OutOfMemory") },
            v1::Milestone { status, ..of("Ended") },
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_report_keeps_whose_it_is_and_what_it_says() {
        let told = start(&report(vec![]), ANCHOR, "node-1");
        assert_eq!(
            (told.id.as_str(), told.stage.as_str(), told.note.as_str()),
            ("00c0ffee00c0ffee", "Unwatched", "its probes may take 4 h")
        );
        let whose = told.workload.map(|workload| (workload.pod, workload.node));
        assert_eq!(whose, Some(("orders".into(), "node-1".into())));
        assert_eq!(told.start, Some(v1::Start { container_id: "abc".into(), restart_count: 2 }));
        assert_eq!((told.began, told.told), (Some(timestamp(1_001)), Some(timestamp(1_009))));
        let attempt = told.attempts.first().map(|one| (one.first, one.last, one.count, one.passed));
        assert_eq!(attempt, Some((Some(timestamp(1_004)), Some(timestamp(1_006)), 3, false)));
        assert_eq!(told.waits.first().map(|wait| (wait.from, wait.until)), Some((Some(timestamp(1_002)), None)));
        assert_eq!((told.dropped, told.completeness.map(|completeness| completeness.lost)), (5, Some(3)));
    }

    #[test]
    fn what_is_beyond_the_bounds_is_cut_and_counted() {
        let told = start(&report(vec![Milestone { at: BootNanos(3), step: Step::Ready }; MILESTONES + 2]), ANCHOR, "node-1");
        assert_eq!((told.milestones.len(), told.dropped), (MILESTONES, 7));
    }
}
