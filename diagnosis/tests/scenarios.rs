//! Every file of `tests/scenarios`: what happened, and what is to be said of it. Each is played three times: with prompt
//! answers, with answers that come after the judgement, and without any.
//!
//! `SCENARIO=text cargo test -p unready-diagnosis --test scenarios -- --nocapture` plays those whose name contains the text
//! and prints their verdicts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the harness looks at what it needs")]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "what the crate may not do, its tests must")]
#![allow(unreachable_pub, dead_code, reason = "the harness is shared with the properties, its format documented at its heads")]

mod support;

use std::collections::BTreeSet;
use support::{
    play::{Answering, Played, in_time, inputs, play},
    scenario::{Expected, Role, Scenario, load_all},
};
use unready_diagnosis::{
    Input,
    catalogue::Cause,
    record::Record,
    verdict::{Confidence, Verdict},
};

fn selected() -> (Vec<Scenario>, bool) {
    let wanted = std::env::var("SCENARIO").ok();
    let all = load_all().into_iter().filter(|scenario| wanted.as_ref().is_none_or(|text| scenario.name().contains(text.as_str())));
    (all.collect(), wanted.is_some())
}

#[test]
fn every_scenario_gets_its_verdicts() {
    let (scenarios, verbose) = selected();
    let mut wrong = Vec::new();
    for scenario in &scenarios {
        for answering in Answering::ALL {
            let played = in_time(&scenario.name(), {
                let scenario = scenario.clone();
                move || play(&scenario, answering)
            });
            if verbose {
                show(scenario, answering, &played);
            }
            let complaints = judge(scenario, answering, &played);
            wrong.extend(complaints.into_iter().map(|complaint| format!("{} ({answering:?}): {complaint}", scenario.name())));
        }
    }
    assert!(wrong.is_empty(), "{} of {} scenarios:\n{}", wrong.len(), scenarios.len(), wrong.join("\n"));
}

#[test]
fn every_cause_has_a_trigger_a_near_miss_and_a_healthy_start() {
    let held: BTreeSet<(Cause, Role)> = load_all().iter().map(|scenario| (scenario.cause, scenario.role)).collect();
    let roles = [Role::Trigger, Role::NearMiss, Role::Healthy];
    let missing: Vec<_> = Cause::ALL.iter().flat_map(|&cause| roles.map(|role| (cause, role))).filter(|key| !held.contains(key)).collect();
    assert!(missing.is_empty(), "no scenario for {missing:?}");
}

#[test]
fn roles_and_folders_agree_with_what_is_expected() {
    for scenario in load_all() {
        let name = scenario.name();
        assert_eq!(name.split('/').next(), Some(scenario.cause.code()), "{name} is in the wrong folder");
        assert!(scenario.about.ends_with('.'), "{name}: `about` is a sentence");
        let says = |cause| scenario.expect.iter().any(|expected| expected.cause == cause);
        match scenario.role {
            Role::Trigger => assert!(says(scenario.cause), "{name}: a trigger brings its cause"),
            Role::NearMiss => assert!(!says(scenario.cause), "{name}: a near-miss is something else"),
            Role::Healthy => assert!(scenario.expect.is_empty(), "{name}: a healthy start is silent"),
        }
    }
}

fn judge(scenario: &Scenario, answering: Answering, played: &Played) -> Vec<String> {
    let mut complaints = match answering {
        Answering::Prompt | Answering::Late => matched(&scenario.expect, &played.verdicts),
        Answering::Gone => allowed(scenario, &played.verdicts),
    };
    let removed = inputs(scenario).iter().any(|(_, input)| matches!(input, Input::Record(Record::CgroupRemoved { .. })));
    if removed && !played.released {
        complaints.push("the container was never released".to_owned());
    }
    complaints
}

/// Every expected verdict is there, and no other.
fn matched(expected: &[Expected], verdicts: &[Verdict]) -> Vec<String> {
    let mut left: Vec<&Verdict> = verdicts.iter().collect();
    let mut complaints = Vec::new();
    for wanted in expected {
        let best = left.iter().enumerate().min_by_key(|(_, verdict)| (verdict.cause != wanted.cause, wanted.misses(verdict).len()));
        match best.map(|(index, verdict)| (index, verdict.cause == wanted.cause, wanted.misses(verdict))) {
            Some((index, true, misses)) => {
                left.remove(index);
                complaints.extend(misses.into_iter().map(|miss| format!("{}: {miss}", wanted.cause)));
            }
            _ => complaints.push(format!("{} was not said", wanted.cause)),
        }
    }
    complaints.extend(left.iter().map(|verdict| format!("said beyond what was expected: {}", line(verdict))));
    complaints
}

/// Without answers the causes stay the same (or those that the file allows), and what was not looked at is not certain.
fn allowed(scenario: &Scenario, verdicts: &[Verdict]) -> Vec<String> {
    let expected: BTreeSet<Cause> = scenario.expect.iter().map(|expected| expected.cause).collect();
    let allowed = scenario.when_gone.as_ref().map_or_else(|| expected.clone(), |causes| causes.iter().copied().collect());
    let said: BTreeSet<Cause> = verdicts.iter().map(|verdict| verdict.cause).collect();
    let mut complaints: Vec<String> = verdicts
        .iter()
        .filter(|verdict| !allowed.contains(&verdict.cause))
        .map(|verdict| format!("not expected: {}", line(verdict)))
        .collect();
    if !allowed.is_empty() && said.is_empty() {
        complaints.push(format!("nothing was said, one of {allowed:?} expected"));
    }
    let unproved = |verdict: &&Verdict| verdict.completeness.unanswered > 0 && verdict.confidence == Confidence::Certain;
    let too_sure = verdicts.iter().filter(|verdict| !scenario.needs_no_look && unproved(verdict));
    complaints.extend(too_sure.map(|verdict| format!("certain without having looked: {}", line(verdict))));
    complaints
}

fn line(verdict: &Verdict) -> String {
    format!(
        "{} ({}) of {} [{}, {}]: {}",
        verdict.cause, verdict.layer, verdict.subject.name, verdict.severity, verdict.confidence, verdict.summary
    )
}

fn show(scenario: &Scenario, answering: Answering, played: &Played) {
    println!("\n=== {} ({answering:?}): {}", scenario.name(), scenario.about);
    for verdict in &played.verdicts {
        println!("{} ×{} gaps {}", line(verdict), verdict.count, verdict.completeness.unanswered);
        verdict.explanation.iter().for_each(|reason| println!("    why  {reason}"));
        println!("    fix  {}", verdict.remedy.text);
        verdict.evidence.iter().for_each(|fact| println!("    seen {:?}: {}", fact.kind, fact.text));
    }
}
