//! A scenario of which records get lost: what is told of the loss, and what a walk through the hierarchy would find.

use super::{
    play::{Answering, Cast, Played, Player},
    step::START,
};
use std::{collections::BTreeMap, time::Duration};
use unready_diagnosis::{
    Input,
    input::Loss,
    record::{Record, Task},
    snapshot::{Existing, Processes, Running, Snapshot, TICK},
    units::{BootNanos, Process},
};

/// How often the kernel's counters are read.
const READ: Duration = Duration::from_millis(250);
/// How often cgroups are compared without any loss.
const COMPARED: Duration = Duration::from_mins(1);
/// Longer than a container with a readiness probe may be quiet, and two walks.
const AFTERWARDS: Duration = Duration::from_mins(8);

/// What came out, and how much is remembered at the end, when no cgroup exists any more.
pub struct Outcome {
    pub played: Played,
    /// The same when all but the hierarchy has been told.
    pub at_rest: Played,
    pub footprint: usize,
}

/// Plays one scenario without the records that `is_lost` says, by their index. A loss is told at the next reading of the
/// counters, and cgroups are compared so long after it.
pub fn play_lossy(cast: &Cast<'_>, answering: Answering, is_lost: impl Fn(usize) -> bool, compared_after: Duration) -> Outcome {
    let inputs = cast.inputs();
    let (mut kept, mut lost) = (Vec::new(), BTreeMap::<BootNanos, u64>::new());
    let mut record = 0;
    for (at, input) in inputs.clone() {
        // What is written to a pipe of ours and what is read from the counters takes another way.
        let is_of_the_ring = matches!(&input, Input::Record(record) if !matches!(record, Record::Output { .. } | Record::Repeated { .. }));
        record += usize::from(is_of_the_ring);
        let is_told = !(is_of_the_ring && is_lost(record - 1));
        if !is_told {
            *lost.entry(next_reading(at)).or_default() += 1;
        }
        kept.push((at, input, is_told));
    }
    let end = inputs.last().map_or(START, |(at, _)| *at);
    let rest = end.after(AFTERWARDS);
    let walk = |at: BootNanos| (at, Input::Cgroups(truth(cast, &inputs, at)), true);
    for (read, count) in lost {
        let since = Some(BootNanos(read.0 - u64::try_from(READ.as_nanos()).unwrap()));
        kept.push((read, Input::Loss(Loss { lost: count, since, until: Some(read), ..Loss::default() }), true));
        kept.push(walk(read.after(compared_after)));
    }
    let minutes = (1_u32..).map(|minute| START.after(COMPARED * minute)).take_while(|at| *at <= rest);
    kept.extend(minutes.map(walk));
    kept.sort_by_key(|(at, ..)| *at);

    let casts = [*cast];
    let mut player = Player::new(&casts, answering);
    for (at, input, is_told) in kept {
        player.run_until(at);
        player.note(&input);
        if is_told {
            player.feed(input, at);
        }
    }
    player.run_until(rest);
    let at_rest = player.played[&cast.cgroup()].clone();
    let gone = rest.after(COMPARED);
    player.feed(Input::Cgroups(Snapshot { walked: gone, ..Snapshot::default() }), gone);
    player.run_until(gone.after(COMPARED));
    Outcome { played: player.played[&cast.cgroup()].clone(), at_rest, footprint: player.engine.footprint() }
}

fn next_reading(at: BootNanos) -> BootNanos {
    let step = u64::try_from(READ.as_nanos()).unwrap();
    BootNanos((at.0 / step + 1) * step)
}

/// What exists at a moment, by all records: the cgroup, and its processes until they or the first of them ends.
fn truth(cast: &Cast<'_>, inputs: &[(BootNanos, Input)], walked: BootNanos) -> Snapshot {
    let (mut exists, mut main) = (false, None::<Process>);
    let mut running = BTreeMap::<u32, Running>::new();
    for record in inputs.iter().filter(|(at, _)| *at <= walked).filter_map(|(_, input)| match input {
        Input::Record(record) => Some(record),
        _ => None,
    }) {
        match record {
            Record::CgroupCreated { .. } => exists = true,
            Record::CgroupRemoved { .. } => exists = false,
            Record::Exit { task, .. } => {
                running.remove(&task.process.pid);
                if main == Some(task.process) {
                    running.clear();
                }
            }
            Record::Exec { task, .. } => {
                main.get_or_insert(task.process);
                running.insert(task.process.pid, seen(task, true));
            }
            Record::RootChanged { task } | Record::Listening { task, .. } => meet(&mut running, task),
            Record::CallFailed(call) => meet(&mut running, &call.task),
            _ => {}
        }
    }
    let mut all: Vec<Running> = running.into_values().collect();
    all.sort_by_key(|running| running.process.start);
    let there = Existing { id: cast.cgroup(), path: cast.path(), processes: Some(Processes { all, ..Processes::default() }) };
    Snapshot { walked, cut: false, cgroups: exists.then_some(there).into_iter().collect() }
}

fn meet(running: &mut BTreeMap<u32, Running>, task: &Task) {
    running.entry(task.process.pid).or_insert_with(|| seen(task, false));
}

/// As `/proc/PID/stat` has it.
fn seen(task: &Task, executed: bool) -> Running {
    let process = Process { start: task.process.start / TICK * TICK, ..task.process };
    Running { process, parent: task.parent, comm: task.comm.clone(), executed }
}
