//! What happened in a start, a line each, in the order in which it happened. Pure.

use super::exact::exit_words;
use unready_proto::{
    prost_types::Timestamp,
    time::nanos,
    v1::{Attempt, Milestone, StartReport, Wait},
};

/// A line of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Nanoseconds since 1970; `None`: it has no time.
    pub(super) at: Option<u64>,
    /// What happened.
    pub(super) text: String,
}

/// Everything that a report says, for people; `begin`: what times count from.
pub(super) fn moments(report: &StartReport, begin: u64) -> Vec<Moment> {
    let milestones = report.milestones.iter().filter_map(milestone);
    let attempts = report.attempts.iter().map(|one| attempt(one, begin));
    let waits = report.waits.iter().map(|one| wait(one, begin));
    let mut all: Vec<Moment> = milestones.chain(attempts).chain(waits).collect();
    all.sort_by_key(|moment| moment.at);
    all.extend(remarks(report));
    all
}

/// The bar begins where the container was made, and what the runtime does in between is of no interest to most.
fn milestone(milestone: &Milestone) -> Option<Moment> {
    let text = match milestone.step.as_str() {
        "Created" | "Entered" => return None,
        "Executed" => format!("exec {}", milestone.path),
        "Listening" => format!("listening on {}", address(milestone)),
        "Ready" => "ready".to_owned(),
        "OutOfMemory" => format!("out of memory: process {} is killed", milestone.pid),
        "Ended" => format!("ends: {}", exit_words(milestone)),
        other => other.to_owned(),
    };
    Some(Moment { at: milestone.at.as_ref().map(nanos), text })
}

fn address(Milestone { address, port, .. }: &Milestone) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn attempt(attempt: &Attempt, begin: u64) -> Moment {
    let word = if attempt.passed { "succeeds" } else { "fails" };
    let outcome = if attempt.outcome.is_empty() { String::new() } else { format!(": {}", attempt.outcome) };
    let often = if attempt.count > 1 {
        let until = attempt.last.as_ref().map(|last| format!(" until {}", clock(nanos(last), begin))).unwrap_or_default();
        format!(", {} times{until}", attempt.count)
    } else {
        String::new()
    };
    Moment { at: attempt.first.as_ref().map(nanos), text: format!("probe {} {word}{outcome}{often}", attempt.target) }
}

fn wait(wait: &Wait, begin: u64) -> Moment {
    let until =
        wait.until.as_ref().map_or_else(|| ", still".to_owned(), |until: &Timestamp| format!(" until {}", clock(nanos(until), begin)));
    let how = if wait.text.is_empty() { String::new() } else { format!(": {}", wait.text) };
    Moment { at: wait.from.as_ref().map(nanos), text: format!("waits for {}{until}{how}", wait.target) }
}

/// What has no time.
fn remarks(report: &StartReport) -> Vec<Moment> {
    let mut remarks = Vec::new();
    if !report.milestones.iter().any(|milestone| milestone.step == "Executed") {
        remarks.push("its program was not seen to be executed".to_owned());
    }
    if !report.note.is_empty() {
        remarks.push(report.note.clone());
    }
    if report.dropped > 0 {
        remarks.push(format!("{} more that were too many to be kept", report.dropped));
    }
    if report.completeness.as_ref().is_some_and(|completeness| completeness.lost > 0 || completeness.suppressed > 0) {
        remarks.push("some may be missing: the kernel's records were too many".to_owned());
    }
    remarks.into_iter().map(|text| Moment { at: None, text }).collect()
}

/// `2.113 s`, `1m12.113s`, `2h01m12.113s` after the begin.
pub(super) fn clock(at: u64, begin: u64) -> String {
    let millis = at.saturating_sub(begin) / 1_000_000;
    let (seconds, below) = (millis / 1_000, millis % 1_000);
    match seconds {
        0..60 => format!("{seconds}.{below:03} s"),
        60..3_600 => format!("{}m{:02}.{below:03}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m{:02}.{below:03}s", seconds / 3_600, seconds % 3_600 / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_proto::{time::timestamp, v1::Completeness};

    const T: u64 = 1_795_000_000_000_000_000;

    #[expect(clippy::unnecessary_wraps, reason = "as the messages have it")]
    fn at(millis: u64) -> Option<Timestamp> {
        Some(timestamp(T + millis * 1_000_000))
    }

    #[test]
    fn what_happened_is_told_in_its_order() {
        let milestone = |millis, step: &str| Milestone { at: at(millis), step: step.into(), ..Milestone::default() };
        let report = StartReport {
            milestones: vec![
                milestone(2_000, "Created"),
                Milestone { path: "/app".into(), ..milestone(2_113, "Executed") },
                Milestone { address: "::".into(), port: 80, ..milestone(2_310, "Listening") },
                Milestone { pid: 7, ..milestone(9_000, "OutOfMemory") },
                milestone(9_001, "Surprised"),
            ],
            attempts: vec![
                Attempt { first: at(2_200), count: 1, target: "startup".into(), passed: true, ..Attempt::default() },
                Attempt {
                    first: at(2_210),
                    last: at(2_300),
                    count: 4,
                    target: "readiness".into(),
                    outcome: "connection refused".into(),
                    ..Attempt::default()
                },
            ],
            waits: vec![
                Wait { from: at(2_150), until: at(2_250), target: "/run/key".into(), text: "open = ENOENT".into() },
                Wait { from: at(2_400), target: "db:5432".into(), ..Wait::default() },
            ],
            note: "nothing was found".into(),
            dropped: 2,
            completeness: Some(Completeness { lost: 1, ..Completeness::default() }),
            ..StartReport::default()
        };
        let told: Vec<_> =
            moments(&report, T).into_iter().map(|one| (one.at.map(|at| clock(at, T)).unwrap_or_default(), one.text)).collect();
        let expected = [
            ("2.113 s", "exec /app"),
            ("2.150 s", "waits for /run/key until 2.250 s: open = ENOENT"),
            ("2.200 s", "probe startup succeeds"),
            ("2.210 s", "probe readiness fails: connection refused, 4 times until 2.300 s"),
            ("2.310 s", "listening on [::]:80"),
            ("2.400 s", "waits for db:5432, still"),
            ("9.000 s", "out of memory: process 7 is killed"),
            ("9.001 s", "Surprised"),
            ("", "nothing was found"),
            ("", "2 more that were too many to be kept"),
            ("", "some may be missing: the kernel's records were too many"),
        ];
        assert_eq!(told, expected.map(|(time, text)| (time.to_owned(), text.to_owned())));
    }

    #[test]
    fn a_start_whose_program_was_not_executed_says_so() {
        let texts: Vec<_> = moments(&StartReport::default(), T).into_iter().map(|moment| moment.text).collect();
        assert_eq!(texts, ["its program was not seen to be executed"]);
    }

    #[test]
    fn clocks() {
        let of = |millis: u64| clock(T + millis * 1_000_000 + 999, T);
        assert_eq!([of(0), of(7), of(59_999), of(60_000), of(3_725_042)], ["0.000 s", "0.007 s", "59.999 s", "1m00.000s", "1h02m05.042s"]);
        assert_eq!(clock(T - 5, T), "0.000 s", "a node's clock may be behind");
    }
}
