//! Every number of the judge is there because a scenario needs it: moved far enough, it makes one say something else.
//!
//! `cargo xtask weights` prints the table: for each number the smallest moves, down and up, that flip a scenario, and which.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the harness looks at what it needs")]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "what the crate may not do, its tests must")]
#![allow(unreachable_pub, dead_code, reason = "the harness is shared with the properties, its format documented at its heads")]

mod support;

use std::sync::LazyLock;
use support::{
    play::{Answering, play, play_weighed},
    scenario::{Scenario, load_all},
};
use unready_diagnosis::{catalogue::Cause, judge::weights::Weights, verdict::Confidence};

/// How far a number is moved, the smallest first.
const MOVES: [i32; 6] = [5, 10, 20, 40, 80, 160];

/// What is said of a start, as far as a number can change it.
type Said = Vec<(Cause, String, Confidence)>;

/// Scenarios that the judge has a part in, with what is said by the numbers as they are.
static JUDGED: LazyLock<Vec<(Scenario, Said)>> = LazyLock::new(|| {
    let all = load_all().into_iter().filter(|scenario| scenario.owner.is_none());
    all.map(|scenario| {
        let said = said(play(&scenario, Answering::Prompt).verdicts);
        (scenario, said)
    })
    .collect()
});

fn said(verdicts: Vec<unready_diagnosis::verdict::Verdict>) -> Said {
    verdicts.into_iter().map(|verdict| (verdict.cause, verdict.subject.name, verdict.confidence)).collect()
}

/// The scenarios that say something else when a number is moved; all of them, or the first.
fn flipped(name: &str, by: i32, all: bool) -> Vec<String> {
    let mut weights = Weights::default();
    *weights.number(name).expect("a number of that name") += by;
    let differs = |(scenario, before): &&(Scenario, Said)| said(play_weighed(scenario, weights).verdicts) != *before;
    let found = JUDGED.iter().filter(differs).map(|(scenario, _)| scenario.name());
    if all { found.collect() } else { found.take(1).collect() }
}

/// The smallest move in a direction that flips something.
fn smallest(name: &str, sign: i32, all: bool) -> Option<(i32, Vec<String>)> {
    MOVES.iter().map(|by| by * sign).map(|by| (by, flipped(name, by, all))).find(|(_, flipped)| !flipped.is_empty())
}

#[test]
fn every_number_decides_a_scenario() {
    let prints = std::env::var_os("UNREADY_WEIGHTS").is_some();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let rows = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, std::num::NonZero::get) {
            scope.spawn(|| {
                while let Some(name) = Weights::NAMES.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let down = smallest(name, -1, prints);
                    let up = if prints || down.is_none() { smallest(name, 1, prints) } else { None };
                    rows.lock().unwrap().push((*name, down, up));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|(name, ..)| Weights::NAMES.iter().position(|known| known == name));
    if prints {
        for (name, down, up) in &rows {
            println!("{name} = {}\n{}{}", number(name), row(down.as_ref()), row(up.as_ref()));
        }
    }
    let idle: Vec<&str> = rows.iter().filter(|(_, down, up)| down.is_none() && up.is_none()).map(|(name, ..)| *name).collect();
    assert!(idle.is_empty(), "no scenario needs {idle:?}: take the number out, or write the scenario that it is there for");
}

fn number(name: &str) -> i32 {
    *Weights::default().number(name).expect("a number of that name")
}

fn row(flips: Option<&(i32, Vec<String>)>) -> String {
    flips.map_or_else(String::new, |(by, scenarios)| format!("  {by:+}: {} ({})\n", scenarios.join(", "), scenarios.len()))
}
