//! Whole timelines of a healthy and of a sick pod, of which an agent told; also what the pictures are tested with.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::{
    draw::draw,
    exact::Known,
    json::json,
    span::Timeline,
    spans::{
        tests::{S, crashing},
        timeline,
    },
};
use crate::render::Style;
use unready_diagnosis::{
    outside,
    pod::{ContainerState, ContainerStatus, Pod},
};
use unready_proto::{
    prost_types::Timestamp,
    time::timestamp,
    v1::{Attempt, Completeness, ExitStatus, Milestone, Start, StartReport, Verdict, Wait, Workload},
};

const MS: u64 = S / 1_000;
const T: u64 = 1_795_000_000 * S;
const UID: &str = "uid-orders";

#[expect(clippy::unnecessary_wraps, reason = "as the messages have it")]
fn at(millis: u64) -> Option<Timestamp> {
    Some(timestamp(T + millis * MS + 417))
}

fn milestone(millis: u64, step: &str) -> Milestone {
    Milestone { at: at(millis), step: step.into(), ..Milestone::default() }
}

/// A container's start from its making to its program, with what follows.
fn report(id: &str, container: &str, (made, exec): (u64, u64), rest: Vec<Milestone>) -> StartReport {
    let program = Milestone { path: "/app/server".into(), pid: 41, ..milestone(exec, "Executed") };
    StartReport {
        id: format!("report-{id}"),
        workload: Some(Workload {
            namespace: "shop".into(),
            pod: "orders".into(),
            pod_uid: UID.into(),
            container: container.into(),
            ..Workload::default()
        }),
        start: Some(Start { container_id: id.into(), restart_count: 0 }),
        stage: if rest.iter().any(|step| step.step == "Ended") { "Ended" } else { "Starting" }.into(),
        began: at(made),
        told: at(exec + 1),
        milestones: [milestone(made, "Created"), program].into_iter().chain(rest).collect(),
        ..StartReport::default()
    }
}

fn end(millis: u64, code: u32) -> Milestone {
    Milestone { status: Some(ExitStatus { code: Some(code), signal: None }), ..milestone(millis, "Ended") }
}

fn listening(millis: u64) -> Milestone {
    Milestone { address: "::".into(), port: 8080, ..milestone(millis, "Listening") }
}

fn migration() -> StartReport {
    report("migrate-0", "migrate", (4_210, 4_398), vec![end(9_077, 0)])
}

fn ids(mut pod: Pod) -> Pod {
    pod.uid = UID.into();
    pod.status.containers[0].id = "migrate-0".into();
    pod
}

/// Ready after an init container and some refused probes.
pub(super) fn healthy(starts: Known) -> Timeline {
    let mut pod = ids(crashing().pod);
    for condition in &mut pod.status.conditions {
        if condition.status == "False" {
            "True".clone_into(&mut condition.status);
            condition.since = T + 13 * S;
        }
    }
    pod.status.containers[1] = ContainerStatus {
        name: "app".into(),
        id: "app-0".into(),
        is_ready: true,
        is_started: true,
        state: ContainerState::Running { since: T + 10 * S },
        ..ContainerStatus::default()
    };
    timeline(pod, &[], vec![], starts, T + 90 * S)
}

pub(super) fn healthy_starts() -> Known {
    let refused = Attempt {
        first: at(10_700),
        last: at(12_700),
        count: 3,
        target: "http://10.1.2.3:8080/readyz".into(),
        passed: false,
        outcome: "connection refused".into(),
    };
    let answered = Attempt { first: at(13_702), last: at(13_702), count: 1, passed: true, outcome: "200".into(), ..refused.clone() };
    let wait = Wait {
        from: at(10_560),
        until: at(13_480),
        target: "/run/secrets/token".into(),
        text: "open(\"/run/secrets/token\") = ENOENT, 14 times in 2.9 s".into(),
    };
    let app = StartReport {
        stage: "Ready".into(),
        attempts: vec![refused, answered],
        waits: vec![wait],
        ..report("app-0", "app", (10_004, 10_217), vec![listening(13_501), milestone(13_704, "Ready")])
    };
    Known::told(vec![app, migration()])
}

/// A crash loop, whose first starts the API server has forgotten.
pub(super) fn sick(starts: usize) -> Timeline {
    let crashing = crashing();
    let mut pod = ids(crashing.pod);
    pod.status.containers[1].last_id = "app-2".into();
    pod.status.containers[1].id = "app-2".into();
    let crash = |number: u32, made: u64| {
        let report = report(&format!("app-{number}"), "app", (made, made + 190), vec![end(made + 3_017, 1)]);
        StartReport { start: Some(Start { container_id: format!("app-{number}"), restart_count: number }), stage: "Ended".into(), ..report }
    };
    let reports = [crash(2, 19_950), crash(1, 14_900), crash(0, 10_100), migration()].into_iter().take(starts);
    let missing = Verdict {
        cause: "FileMissing".into(),
        severity: "Blocking".into(),
        summary: "it is so".into(),
        workload: Some(Workload { container: "app".into(), ..Workload::default() }),
        first_seen: at(10_400),
        ..Verdict::default()
    };
    timeline(pod, &[], vec![missing], Known::told(reports.collect()), T + 40 * S)
}

fn plain(timeline: &Timeline) -> String {
    draw(timeline, Style { width: Some(100), color: false })
}

fn row<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(name)).unwrap_or_default()
}

#[test]
fn a_healthy_start_has_milliseconds() {
    let text = draw(&healthy(healthy_starts()), Style { width: Some(130), color: false });
    assert!(text.contains("milliseconds are the kernel's, whole seconds the API server's\n\n"), "{text}");
    let after = |name: &str| -> Vec<&str> {
        let lines = text.lines().skip_while(|line| !line.starts_with(name)).skip(1);
        lines.take_while(|line| line.starts_with(' ')).map(str::trim).collect()
    };
    assert_eq!(after("init migrate"), ["4.398 s  exec /app/server", "9.077 s  ends: exit 0"]);
    let app = [
        "10.217 s  exec /app/server",
        "10.560 s  waits for /run/secrets/token until 13.480 s: open(\"/run/secrets/token\") = ENOENT, 14 times in 2.9 s",
        "10.700 s  probe http://10.1.2.3:8080/readyz fails: connection refused, 3 times until 12.700 s",
        "13.501 s  listening on [::]:8080",
        "13.702 s  probe http://10.1.2.3:8080/readyz succeeds: 200",
        "13.704 s  ready",
    ];
    assert_eq!(after("app"), app);
    assert!(row(&text, "init migrate").contains("4.867s") && row(&text, "app").contains("3.700s"), "{text}");
}

#[test]
fn without_reports_the_picture_is_as_before_and_says_why() {
    let known = plain(&healthy(Known::default()));
    let missing = plain(&healthy(Known::missing("there is no collector to ask")));
    assert!(missing.contains("the API server's times have whole seconds\nno milliseconds: there is no collector to ask\n\n"), "{missing}");
    let picture = |text: &str| text.split_once("\n\n").map(|(_, picture)| picture.to_owned());
    assert_eq!(picture(&known), picture(&missing));
    assert!(row(&missing, "app").contains(" 3s "), "{missing}");
    let none = plain(&healthy(Known::told(vec![])));
    assert!(none.contains("no milliseconds: the collector knows no start of it"), "{none}");
}

#[test]
fn a_crash_loop_shows_the_starts_that_the_api_server_has_forgotten() {
    let timeline = sick(4);
    let text = plain(&timeline);
    let names: Vec<&str> = timeline.spans.iter().map(|span| span.name.as_str()).collect();
    let expected = ["scheduled", "sandbox", "init migrate", "app, start 1", "app, start 2", "app, start 3", "app, waits", "ready"];
    assert_eq!(names, expected);
    let first = timeline.spans.iter().find(|span| span.name == "app, start 1").unwrap();
    assert_eq!((first.note.as_str(), first.failed, first.verdicts.len()), ("exit 1", true, 1), "the verdict falls into it");
    assert!(row(&text, "app, start 3").contains("3.017s  exit 1"), "{text}");
}

#[test]
fn of_many_starts_the_last_are_drawn_and_json_has_all() {
    let mut timeline = sick(4);
    let place = timeline.spans.iter().position(|span| span.name == "app, start 1").unwrap();
    for _ in 0..7 {
        timeline.spans.insert(place, timeline.spans[place].clone());
    }
    let text = plain(&timeline);
    assert!(text.contains("  … 6 earlier starts of app: -o json\n"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("app, start")).count(), 4, "three earlier ones, and the API server's");
    let spans = json(&timeline)["spans"].as_array().unwrap().len();
    assert_eq!(spans, timeline.spans.len());
}

#[test]
fn json_has_the_whole_report() {
    let json = json(&healthy(healthy_starts()));
    let app = json["spans"].as_array().unwrap().iter().find(|span| span["name"] == "app").unwrap();
    assert_eq!((&app["exact"], &app["containerId"]), (&true.into(), &"app-0".into()));
    assert_eq!(app["start"], serde_json::to_value(&healthy_starts().reports[0]).unwrap());
    assert_eq!(app["start"]["milestones"][1]["at"], "2026-11-18T11:06:50.217000417Z");
    let sandbox = json["spans"].as_array().unwrap().iter().find(|span| span["name"] == "sandbox").unwrap();
    assert_eq!((&sandbox["exact"], &sandbox["start"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(json["startsUnknown"], serde_json::Value::Null);
}

#[test]
fn a_report_of_another_pod_of_the_name_is_no_start_of_this_one() {
    let other = |id: &str, uid: &str, container: &str| {
        let mut report = report(id, container, (1, 2), vec![]);
        report.workload.as_mut().unwrap().pod_uid = uid.into();
        report
    };
    let strangers = vec![other("x", "uid-of-before", "app"), other("y", "", "app"), other("", UID, "app"), other("z", UID, "gone")];
    let timeline = healthy(Known::told(strangers));
    assert!(timeline.spans.iter().all(|span| span.report.is_none()));
    // A static pod's cgroup carries another uid than its mirror; the container's id is the same.
    let timeline = healthy(Known::told(vec![other("app-0", "hash-of-a-file", "app")]));
    assert_eq!(timeline.spans.iter().filter(|span| span.report.is_some()).count(), 1);
}

#[test]
fn readiness_is_the_api_servers_word() {
    let lost = || {
        let mut timeline = healthy(Known::default());
        timeline.pod.status.containers[1].is_ready = false;
        timeline.pod
    };
    let drawn = timeline(lost(), &[], vec![], healthy_starts(), T + 90 * S);
    let app = drawn.spans.iter().find(|span| span.name == "app").unwrap();
    assert_eq!((app.end, app.is_exact), (None, false), "it was ready once, and is not now");
    let died = report("app-0", "app", (10_004, 10_217), vec![end(20_001, 3)]);
    let drawn = timeline(lost(), &[], vec![], Known::told(vec![died]), T + 90 * S);
    let app = drawn.spans.iter().find(|span| span.name == "app").unwrap();
    assert_eq!((app.note.as_str(), app.failed, app.is_exact), ("exit 3", true, true), "the API server has not heard of it yet");
}

#[test]
fn a_report_lets_nothing_through_that_a_terminal_obeys() {
    const HOSTILE: &str = "x\u{1b}[2J\r\nFORGED\u{9b}1m\u{202e}\tz";
    let hostile = || HOSTILE.to_owned();
    let mut report = report("app-0", "app", (10_004, 10_217), vec![]);
    report.milestones[1].path = hostile();
    report.milestones.push(Milestone { address: hostile(), ..listening(10_300) });
    report.milestones.push(milestone(10_301, HOSTILE));
    report.note = hostile();
    report.attempts = vec![Attempt { target: hostile(), outcome: hostile(), first: at(10_400), ..Attempt::default() }];
    report.waits = vec![Wait { target: hostile(), text: hostile(), from: at(10_401), ..Wait::default() }];
    report.completeness = Some(Completeness { lost: 1, ..Completeness::default() });
    report.start = Some(Start { container_id: "app-0".into(), restart_count: 0 });
    for width in [60, 100, 200] {
        let text = draw(&healthy(Known::told(vec![report.clone()])), Style { width: Some(width), color: false });
        assert_eq!(outside::screen(&text, false), text);
        assert!(text.contains("\\x1b[2J") && !text.lines().any(|line| line.trim_start().starts_with("FORGED")), "{text}");
    }
    let missing = plain(&healthy(Known::missing(HOSTILE)));
    assert_eq!(outside::screen(&missing, false), missing);
}

#[test]
fn pictures_with_moments_fit_the_terminal() {
    for width in 60..200 {
        for timeline in [healthy(healthy_starts()), sick(4)] {
            let text = draw(&timeline, Style { width: Some(width), color: false });
            let picture = text.split_once("\n\n").map(|(_, picture)| picture).unwrap_or_default();
            let too_long = picture.lines().find(|line| textwrap::core::display_width(line) > width);
            assert_eq!(too_long, None, "{width}");
        }
    }
}

#[test]
fn of_many_moments_the_first_and_the_last_are_drawn() {
    let mut starts = healthy_starts();
    let first = starts.reports[0].waits[0].clone();
    starts.reports[0].waits = (0..30).map(|n| Wait { target: format!("/key-{n}"), ..first.clone() }).collect();
    let text = plain(&healthy(starts));
    assert!(text.contains("\n                … 19 more: -o json\n") && text.contains("13.704 s  ready"), "{text}");
}
