//! How starts are told: healthy ones too, with the times of the kernel's records; what holds one up; that a quiet one is looked at for as
//! long as its probes give it, and what is said when that is over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the harness looks at what it needs")]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "what the crate may not do, its tests must")]
#![allow(unreachable_pub, dead_code, reason = "the harness is shared with the properties, its format documented at its heads")]

mod support;

use std::time::Duration;
use support::{play::play_starts, scenario::Scenario, step::START};
use unready_diagnosis::{
    record::ExitStatus,
    story::report::{MILESTONES, Stage, StartReport, Step},
    units::BootNanos,
};

/// The reports of a start, in the order in which they were given.
fn told(steps: &[&str], pod: Option<&str>) -> Vec<StartReport> {
    let mut yaml = "cause: Crashed\nrole: healthy\nabout: x.\nstays: true\n".to_owned();
    yaml += &pod.map(|pod| format!("pod: {pod}\n")).unwrap_or_default();
    let steps: Vec<String> = steps.iter().map(|step| format!("  - '{step}'\n")).collect();
    yaml += &["steps:\n", &steps.concat(), "expect: []\n"].concat();
    play_starts(&Scenario::parse(&yaml), Duration::from_mins(40))
}

fn last(steps: &[&str], pod: Option<&str>) -> StartReport {
    told(steps, pod).pop().expect("a report")
}

fn millis(at: BootNanos) -> u64 {
    at.since(START).as_millis() as u64
}

/// Milestones as milliseconds and a word.
fn line(report: &StartReport) -> Vec<(u64, String)> {
    let word = |step: &Step| match step {
        Step::Created => "created".to_owned(),
        Step::Entered => "entered".to_owned(),
        Step::Executed { path, .. } => format!("exec {path}"),
        Step::Listening { address, port } => format!("listens {address}:{port}"),
        Step::Ready => "ready".to_owned(),
        Step::OutOfMemory { .. } => "oom".to_owned(),
        Step::Ended { status } => format!("{status:?}"),
    };
    report.milestones.iter().map(|milestone| (millis(milestone.at), word(&milestone.step))).collect()
}

fn words(all: &[(u64, &str)]) -> Vec<(u64, String)> {
    all.iter().map(|(at, word)| (*at, (*word).to_owned())).collect()
}

#[test]
fn a_healthy_start_is_told_to_the_millisecond() {
    let report = last(&["0ms enter", "13ms exec /entry.sh", "113ms exec /app/server", "413ms listen 0.0.0.0:8080"], None);
    assert_eq!(report.stage, Stage::Ready);
    let expected =
        [(0, "created"), (0, "entered"), (13, "exec /entry.sh"), (113, "exec /app/server"), (413, "listens 0.0.0.0:8080"), (1413, "ready")];
    assert_eq!(line(&report), words(&expected));
    assert!(report.note.is_empty() && report.waits.is_empty() && report.dropped == 0, "{report:?}");
}

#[test]
fn a_sick_start_is_told_with_its_end() {
    let report = last(&["0ms enter", "13ms exec /app/server", "250ms fails open /data/x O_RDWR = EACCES", "251ms exit 1"], None);
    assert_eq!(report.stage, Stage::Ended);
    assert_eq!(
        report.milestones.last().map(|last| (millis(last.at), last.step.clone())),
        Some((251, Step::Ended { status: ExitStatus::Code(1) }))
    );
}

#[test]
fn reports_of_a_start_have_one_id_and_are_few() {
    let all = told(&["0ms enter", "13ms exec /app/server", "413ms listen 0.0.0.0:8080"], None);
    assert!(all.iter().all(|report| report.id == all[0].id), "one start, one id");
    assert!((2..=5).contains(&all.len()), "{} reports", all.len());
    let other = told(&["0ms enter", "14ms exec /app/server", "20ms exit 0"], None);
    assert_eq!(other.last().map(|report| report.stage), Some(Stage::Ended));
}

#[test]
fn what_is_tried_again_and_again_is_a_wait() {
    let report =
        last(&["0ms enter", "13ms exec /app/server", "100ms fails open /data/lock O_RDWR = EACCES x40 over 10s", "12s tick"], None);
    let wait = report.waits.first().expect("a wait");
    assert_eq!((wait.target.as_str(), millis(wait.from), wait.until.map(millis)), ("/data/lock", 100, Some(10_100)));
    assert!(wait.text.contains("40 times"), "{}", wait.text);
}

const PROBED: &str = "{ containers: [{ name: app, readiness: { action: GET, port: '1', period: 60, timeout: 1, failures: 10 } }] }";

#[test]
fn a_quiet_start_that_is_waited_for_is_late_and_then_given_up_with_a_word() {
    let all = told(&["0ms enter", "13ms exec /app/server"], Some(PROBED));
    let stages: Vec<(u64, Stage)> = all.iter().map(|report| (millis(report.told) / 1000, report.stage)).collect();
    assert!(stages.contains(&(30, Stage::Stalled)), "late after half a minute: {stages:?}");
    assert_eq!(stages.last(), Some(&(600, Stage::Unwatched)), "ten periods of a minute");
    let note = &all.last().unwrap().note;
    assert!(note.contains("nothing was found") && note.contains("not ready"), "{note}");
}

#[test]
fn a_quiet_start_without_a_probe_is_left_alone_soon() {
    let report = last(&["0ms enter", "13ms exec /app/worker"], None);
    assert_eq!((report.stage, millis(report.told) / 1000), (Stage::Unwatched, 30));
    assert!(report.note.contains("no readiness probe"), "{}", report.note);
}

#[test]
fn milestones_are_bounded_and_keep_the_beginning_and_the_end() {
    let mut steps = vec!["0ms enter".to_owned(), "10ms exec /entry.sh".to_owned()];
    steps.extend((0..200).map(|number| format!("{}ms exec /step-{number}", 20 + number)));
    steps.push("900ms exit 3".to_owned());
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let report = last(&steps, None);
    assert_eq!(report.milestones.len(), MILESTONES);
    assert_eq!(report.dropped as usize, 204 - MILESTONES);
    let line = line(&report);
    assert_eq!((line[2].1.as_str(), line.last().unwrap().1.as_str()), ("exec /entry.sh", "Code(3)"));
}
