//! Properties of the engine over orders, clocks and floods: what must hold whatever comes in.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the harness looks at what it needs")]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "what the crate may not do, its tests must")]
#![allow(unreachable_pub, dead_code, reason = "the harness is shared with the scenarios")]

mod support;

use proptest::{prelude::*, sample::Index};
use std::{sync::LazyLock, time::Duration};
use support::{
    arbitrary::{self, Move},
    lossy::play_lossy,
    play::{Answering, Cast, in_time, play_together},
    scenario::{Role, Scenario, load_all},
    step::START,
};
use unready_agent_common::watch::Level;
use unready_diagnosis::{
    Config, Engine, Input, Output,
    record::Record,
    units::{BootNanos, CgroupId},
    verdict::{Severity, Verdict},
};

static SCENARIOS: LazyLock<Vec<Scenario>> = LazyLock::new(load_all);

/// Limits so small that a flood reaches them.
fn small() -> Config {
    Config {
        clock: support::play::CLOCK,
        ready_after: Duration::from_secs(1),
        settle_after: Duration::from_secs(30),
        confirm_within: Duration::from_secs(5),
        answer_within: Duration::from_millis(150),
        containers: 8,
        failures: 6,
        questions: 10,
        pods: 4,
        kernel: true,
        ..Config::default()
    }
}

/// What a container may hold beside what [`Config`] bounds: lines of stderr, helpers of the runtime, itself.
const BESIDE: usize = 64;

/// Processes that the engine keeps a container.
const PROCESSES: usize = 128;

fn most(config: &Config) -> usize {
    let container = config.failures * 2 + PROCESSES + config.questions * 2 + BESIDE;
    (config.containers + 1) * (container + 4) + 64
}

/// Lets an engine live through some moves; returns all that it said, and its largest footprint.
fn live(config: &Config, moves: &[Move]) -> (Vec<Output>, usize) {
    let mut engine = Engine::new(*config);
    let mut now = START;
    let mut outputs = Vec::new();
    let mut open = Vec::new();
    let mut largest = 0;
    for step in moves {
        let input = match step {
            Move::Input(input) => input.clone(),
            Move::Answer(_, _) if open.is_empty() => continue,
            Move::Answer(which, answer) => {
                let id = open.swap_remove(which.index(open.len()));
                Input::Answer { id, answer: answer.clone() }
            }
            Move::Wait(nanos) => {
                now = BootNanos(now.0.saturating_add_signed(*nanos));
                continue;
            }
            Move::Due => match engine.poll_timeout() {
                Some(due) => {
                    now = now.max(due);
                    Input::Timeout
                }
                None => continue,
            },
        };
        engine.handle(input, now);
        while let Some(output) = engine.poll_output() {
            if let Output::Ask(id, _) = &output {
                open.push(*id);
            }
            outputs.push(output);
        }
        largest = largest.max(engine.footprint());
    }
    (outputs, largest)
}

fn moves(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<Move>> {
    prop::collection::vec(arbitrary::a_move(), count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Arbitrary inputs, answers that do not fit, clocks that go backwards: never a panic, never without end.
    #[test]
    fn anything_may_come(moves in moves(0..400)) {
        in_time("arbitrary inputs", move || live(&Config::default(), &moves));
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(moves in moves(0..300)) {
        let (first, second) = in_time("a replay", move || (live(&small(), &moves).0, live(&small(), &moves).0));
        prop_assert_eq!(first, second);
    }

    #[test]
    fn a_question_id_is_never_used_twice(moves in moves(0..300)) {
        let (outputs, _) = in_time("arbitrary inputs", move || live(&Config::default(), &moves));
        let ids: Vec<_> = outputs.iter().filter_map(|output| match output { Output::Ask(id, _) => Some(*id), _ => None }).collect();
        prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn memory_is_bounded(moves in moves(0..1500)) {
        let (_, largest) = in_time("a flood", move || live(&small(), &moves));
        prop_assert!(largest <= most(&small()), "{largest} items, at most {} expected", most(&small()));
    }
}

/// New cgroups, processes, failures and questions without end, nothing ever removed or answered.
#[test]
fn a_flood_of_new_things_is_bounded() {
    let largest = in_time("a flood", || {
        let mut engine = Engine::new(small());
        let mut largest = 0;
        for round in 0..20_000_u64 {
            let at = START.after(Duration::from_micros(round));
            for input in arbitrary::flood(round) {
                engine.handle(input, at);
                while engine.poll_output().is_some() {}
            }
            largest = largest.max(engine.footprint());
        }
        largest
    });
    assert!(largest <= most(&small()), "{largest} items, at most {} expected", most(&small()));
}

/// A verdict without what the order of records may decide.
fn gist(verdicts: &[Verdict]) -> Vec<String> {
    let mut all: Vec<String> = verdicts
        .iter()
        .map(|v| format!("{} {} {} {} {} ×{}", v.cause, v.layer, v.subject.name, v.severity, v.confidence, v.count))
        .collect();
    all.sort();
    all
}

fn merged(casts: &[Cast<'_>]) -> Vec<(BootNanos, Input)> {
    let mut all: Vec<_> = casts.iter().flat_map(Cast::inputs).collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

/// Whether two neighbouring inputs come from different processes, so that two CPUs may deliver them in either order.
fn may_swap(a: &(BootNanos, Input), b: &(BootNanos, Input)) -> bool {
    match (actor(&a.1), actor(&b.1)) {
        (Some(one), Some(other)) => one != other && b.0.since(a.0) < Duration::from_micros(300),
        _ => false,
    }
}

fn actor(input: &Input) -> Option<(CgroupId, u32)> {
    let Input::Record(record) = input else { return None };
    match record {
        Record::CallFailed(failed) => Some((failed.task.cgroup, failed.task.process.pid)),
        Record::Exec { task, .. } | Record::Listening { task, .. } | Record::RootChanged { task } => Some((task.cgroup, task.process.pid)),
        // The end of the main process is the end of its children in the container, never the reverse.
        Record::Exit { task, .. } if task.parent != 1 => Some((task.cgroup, task.process.pid)),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Containers that start at the same time have nothing to do with each other: each gets the verdicts that it gets alone.
    #[test]
    fn containers_do_not_influence_each_other(
        chosen in prop::collection::vec((any::<Index>(), 0_u64..2_000_000), 2..6),
        answering in prop::sample::select(Answering::ALL.to_vec()),
    ) {
        let (together, apart) = in_time("several containers", move || {
            // A node is in a cluster, or it is not: that is known of all its containers alike.
            let in_cluster = chosen[0].0.get(&SCENARIOS).pod.is_some();
            let company: Vec<&Scenario> = SCENARIOS.iter().filter(|scenario| scenario.pod.is_some() == in_cluster).collect();
            let casts: Vec<Cast<'_>> = chosen
                .iter()
                .zip(0..)
                .map(|((which, micros), number)| Cast { scenario: company[which.index(company.len())], number, offset: Duration::from_micros(*micros) })
                .collect();
            let together = play_together(&casts, answering, merged(&casts));
            let apart: Vec<_> = casts.iter().flat_map(|cast| play_together(&[*cast], answering, cast.inputs())).collect();
            (together, apart)
        });
        for (cgroup, alone) in apart {
            prop_assert_eq!(&together[&cgroup].verdicts, &alone.verdicts, "{:?}", cgroup);
        }
    }

    /// Records of different processes within 300 µs come in either order, each with its own time.
    #[test]
    fn the_order_of_neighbouring_records_does_not_matter(which in any::<Index>(), swaps in prop::collection::vec(any::<bool>(), 64)) {
        let (name, ordered, swapped) = in_time("swapped records", move || {
            let scenario = which.get(&SCENARIOS);
            let cast = Cast { scenario, number: 0, offset: Duration::ZERO };
            let mut inputs = cast.inputs();
            let ordered = play_together(&[cast], Answering::Prompt, inputs.clone());
            for (index, swap) in (1..inputs.len()).zip(swaps) {
                if swap && may_swap(&inputs[index - 1], &inputs[index]) {
                    inputs.swap(index - 1, index);
                }
            }
            let swapped = play_together(&[cast], Answering::Prompt, inputs);
            (scenario.name(), gist(&ordered[&cast.cgroup()].verdicts), gist(&swapped[&cast.cgroup()].verdicts))
        });
        prop_assert_eq!(ordered, swapped, "{}", name);
    }

    /// A container that does well says nothing, whatever fails beside it on the node.
    #[test]
    fn a_healthy_start_stays_silent_in_bad_company(healthy in any::<Index>(), others in prop::collection::vec(any::<Index>(), 1..4)) {
        let said = in_time("bad company", move || {
            let good: Vec<&Scenario> = SCENARIOS.iter().filter(|scenario| scenario.role == Role::Healthy).collect();
            let mut casts = vec![Cast { scenario: good[healthy.index(good.len())], number: 0, offset: Duration::ZERO }];
            casts.extend(others.iter().zip(1..).map(|(which, number)| Cast { scenario: which.get(&SCENARIOS), number, offset: Duration::ZERO }));
            play_together(&casts, Answering::Prompt, merged(&casts))[&casts[0].cgroup()].verdicts.clone()
        });
        prop_assert!(said.is_empty(), "{said:?}");
    }
}

/// Which records of a scenario are lost: here and there, and many in a row.
fn losses() -> impl Strategy<Value = Vec<bool>> {
    let here_and_there = (0.0..1.0_f64).prop_flat_map(|share| prop::collection::vec(prop::bool::weighted(share), 48));
    let in_a_row =
        (0_usize..48, 1_usize..48).prop_map(|(from, count)| (0..48).map(|index| (from..from + count).contains(&index)).collect());
    prop_oneof![here_and_there, in_a_row]
}

/// What remains of a pod when its containers are gone.
const OF_A_POD: usize = 110;

/// What must hold of a scenario that lost records.
fn healed(scenario: &Scenario, answering: Answering, lost: &[bool], compared_after: Duration) -> Result<(), String> {
    let name = scenario.name();
    let cast = Cast { scenario, number: 0, offset: Duration::ZERO };
    let is_lost = |index: usize| lost.get(index).copied().unwrap_or_default();
    let outcome = play_lossy(&cast, answering, is_lost, compared_after);
    let starting = Some(Level::Starting);
    if outcome.at_rest.level == starting && scenario.run.is_none() {
        return Err(format!("{name}: it is still looked at closely"));
    }
    if outcome.played.level == starting {
        return Err(format!("{name}: what is gone is still looked at closely"));
    }
    if outcome.footprint > OF_A_POD {
        return Err(format!("{name}: {} items are kept of what is gone", outcome.footprint));
    }
    let blocks = |verdict: &&Verdict| scenario.role == Role::Healthy && verdict.severity == Severity::Blocking;
    match outcome.played.verdicts.iter().find(blocks) {
        Some(said) => Err(format!("{name}: {said:#?}")),
        None => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever records of a start are lost: what is known is compared with what exists, so that nothing is remembered for
    /// ever, no cgroup is looked at closely for ever, and a healthy start is not called a failure.
    #[test]
    fn lost_records_heal(
        which in any::<Index>(),
        answering in prop::sample::select(Answering::ALL.to_vec()),
        lost in losses(),
        compared_after in prop::sample::select(vec![5_u64, 100, 1000, 5000]),
    ) {
        let healed = in_time("lost records", move || {
            let kept: Vec<&Scenario> = SCENARIOS.iter().filter(|scenario| scenario.owner.is_none()).collect();
            healed(kept[which.index(kept.len())], answering, &lost, Duration::from_millis(compared_after))
        });
        prop_assert_eq!(healed, Ok(()));
    }
}

/// Every run of records of every healthy start, from one record to all.
#[test]
fn healthy_starts_stay_silent_whatever_is_lost_in_a_row() {
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.role == Role::Healthy && scenario.owner.is_none()) {
        let cast = Cast { scenario, number: 0, offset: Duration::ZERO };
        let count = cast.inputs().len().min(32);
        for (from, to) in (0..count).flat_map(|from| (from + 1..=count).map(move |to| (from, to))) {
            let lost: Vec<bool> = (0..count).map(|index| (from..to).contains(&index)).collect();
            let result = healed(scenario, Answering::Prompt, &lost, Duration::from_millis(100));
            assert_eq!(result, Ok(()), "without {from}..{to}");
        }
    }
}
