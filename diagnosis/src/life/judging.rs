//! When a start is judged: what a judgement waits for, and when it is made again.

use super::{
    config::Config,
    container::{Container, SIGKILL},
};
use crate::{
    input::Output,
    judge::{
        docket::{Docket, Pending},
        start::Start,
    },
    record::ExitStatus,
    story::Story,
    units::BootNanos,
    verdict::Verdict,
};
use std::time::Duration;

/// How long a judgement waits for its answers when nothing at all can be said without them.
const LAST_WORD: Duration = Duration::from_secs(5);
/// What a container does in crowds is looked at again no sooner than this: the work of judging is bounded whatever comes in.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Lets a container act after a change: asks early, moves by the clock, judges, and says more when more is known. `by_record`: the
/// change is one of those that come in crowds.
pub(super) fn advance(container: &mut Container, config: &Config, by_record: bool, now: BootNanos) {
    container.tick(config, now);
    if !container.is_confirmed() {
        return; // it may be no container at all: what happens in it is kept until a runtime shows itself
    }
    if container.is_starting() {
        let (start, docket) = parts(container, config);
        docket.look_early(&start, !by_record, config.questions);
    }
    if by_record && may_wait(container, now) {
        container.story.has_news = true;
        return;
    }
    container.story.has_news = false;
    container.telling.looked = now;
    match container.docket.pending {
        Some(pending) => judge(container, pending, config, now),
        None => say_more(container, config),
    }
}

/// Whether a look at what this record means can wait: the last one was a moment ago, and no judgement is new.
fn may_wait(container: &Container, now: BootNanos) -> bool {
    let is_new = container.docket.pending.is_some_and(|pending| pending.since == now);
    !is_new && now.since(container.telling.looked) < LOOK_AGAIN
}

fn judge(container: &mut Container, pending: Pending, config: &Config, now: BootNanos) {
    if container.may_still_speak(pending.since, now) {
        return;
    }
    let (start, docket) = parts(container, config);
    let suspects = docket.suspects(&start, pending.trigger, now);
    docket.ask_for(&start, &suspects, config.questions, Some(now));
    if container.must_be_silent(pending.trigger) {
        container.docket.pending = None;
        return;
    }
    if container.awaits_its_pod(pending.since, now) || now < container.loss_awaited_until(pending.trigger, pending.since) {
        return;
    }
    let open = suspects.iter().any(|(id, _)| container.docket.asked.is_open(*id));
    if open && now < deadline(&pending, config) {
        return;
    }
    let (start, docket) = parts(container, config);
    let said = docket.speak(&start, &suspects, now);
    let wait = said.is_none() && open && now.since(pending.since) < LAST_WORD;
    docket.pending = wait.then_some(Pending { patient: true, ..pending });
    tell(container, said.unwrap_or_default());
}

fn say_more(container: &mut Container, config: &Config) {
    let is_left_alone = container.state.is_left_alone();
    let (start, docket) = parts(container, config);
    docket.ask_on(&start, config.questions);
    if !is_left_alone {
        let more = docket.say_more(&start);
        tell(container, more);
    }
}

fn tell(container: &mut Container, verdicts: Vec<Verdict>) {
    container.outputs.extend(verdicts.into_iter().map(|verdict| Output::Verdict(Box::new(verdict))));
}

/// Until when a judgement waits for its answers.
pub(super) fn deadline(pending: &Pending, config: &Config) -> BootNanos {
    pending.since.after(if pending.patient { LAST_WORD } else { config.answer_within })
}

/// The start as the judge sees it, and what it has on its docket.
fn parts<'a>(container: &'a mut Container, config: &'a Config) -> (Start<'a>, &'a mut Docket) {
    let (was_stopped, lacks_pod) = (is_others_doing(container), container.lacks_pod());
    let Container { id, workload, story, membership, run, created, main, state, completeness, docket, .. } = container;
    let (story, workload): (&Story, _) = (story, workload);
    let start = Start {
        cgroup: *id,
        workload,
        story,
        manifest: membership.known(),
        probe: run.probe.as_deref(),
        created: *created,
        main: main.process(),
        end: state.end(),
        was_stopped,
        lacks_pod,
        completeness: *completeness,
        clock: config.clock,
        weights: &config.weights,
    };
    (start, docket)
}

/// Ended from outside: a stop, not a failure of its own.
fn is_others_doing(container: &Container) -> bool {
    const SIGINT: u8 = 2;
    const SIGTERM: u8 = 15;
    let Some((_, status)) = container.state.end() else { return false };
    let stopped = match status {
        ExitStatus::Signal(signal) => matches!(signal, SIGINT | SIGKILL | SIGTERM),
        ExitStatus::Code(code) => code == 128 + SIGTERM || code == 128 + SIGINT,
    };
    (stopped && (!container.is_local_run() || container.run.gave_up))
        || (container.story.ready.is_some() && status.is_success() && !container.must_stay())
        || container.may_have_been_stopped()
}
