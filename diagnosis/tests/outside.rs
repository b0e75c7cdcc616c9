//! Nothing that a container, a registry or an API server wrote does anything to a terminal: each scenario is played in hostile
//! words, and of what is said every string is looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the harness looks at what it needs")]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "what the crate may not do, its tests must")]
#![allow(unreachable_pub, dead_code, reason = "the harness is shared with the scenarios, its format documented at its heads")]

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use support::{
    mask::{Depth, HOSTILE, Mask},
    play::{Answering, CLOCK, in_time, play_masked},
    scenario::load_all,
    step::START,
};
use unready_diagnosis::{catalogue::Cause, of_owner, outside, platform, verdict::Verdict};

/// Where hidden characters are, as pointers into a verdict. The body of a patch is applied, not read.
fn hidden(verdict: &Verdict) -> Vec<String> {
    fn look(value: &Value, pointer: &str, into: &mut Vec<String>) {
        match value {
            Value::String(text) if text.contains(outside::is_hidden) => into.push(format!("{pointer} = {text:?}")),
            Value::Array(all) => all.iter().enumerate().for_each(|(n, one)| look(one, &format!("{pointer}/{n}"), into)),
            Value::Object(all) => {
                all.iter().filter(|(key, _)| *key != "patch").for_each(|(key, one)| look(one, &format!("{pointer}/{key}"), into));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    look(&serde_json::to_value(verdict).unwrap(), "", &mut found);
    found
}

/// What is said of all scenarios in hostile words, and how many verdicts quote them.
fn said(depth: Depth) -> (BTreeSet<Cause>, usize, Vec<String>) {
    let mask = Mask::new(depth);
    let (mut causes, mut quoting, mut wrong) = (BTreeSet::new(), 0, Vec::new());
    for scenario in load_all() {
        for answering in [Answering::Prompt, Answering::Gone] {
            let verdicts = match &scenario.owner {
                Some(owner) => {
                    let owner = mask.wear(owner);
                    platform::owner(&owner, CLOCK.wall_nanos(START)).iter().map(|found| of_owner(&owner, found, CLOCK)).collect()
                }
                None => play_masked(&scenario, answering, &mask),
            };
            for verdict in &verdicts {
                causes.insert(verdict.cause);
                quoting += usize::from(serde_json::to_string(verdict).unwrap().contains("u{202e}"));
                wrong.extend(
                    hidden(verdict).into_iter().map(|found| format!("{} {answering:?} {}: {found}", scenario.name(), verdict.cause)),
                );
            }
        }
    }
    (causes, quoting, wrong)
}

#[test]
fn no_verdict_says_what_cannot_be_seen() {
    for depth in [Depth::Named, Depth::All] {
        let (causes, quoting, wrong) = in_time("scenarios in hostile words", move || said(depth));
        assert!(wrong.is_empty(), "{} places:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
        eprintln!("{depth:?}: {quoting} verdicts quote hostile words, causes: {causes:?}");
        assert!(causes.len() >= 20, "the rules must be reached: {causes:?}");
        assert!(quoting >= 100, "hardly anything hostile was quoted: {quoting}");
    }
}

#[test]
fn hostile_words_are_hostile() {
    assert!(HOSTILE.contains(outside::is_hidden) && !HOSTILE.contains('/'));
}
