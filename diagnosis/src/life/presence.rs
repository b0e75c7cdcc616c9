//! What is known of a container's start although records get lost: who its main process is and how sure that is, and what
//! the hierarchy and the API server say where the kernel's records do not.
//!
//! The process that entered the container's root is the one that becomes the program: runtimes execute it from there. An exec
//! probe joins a container that runs, and enters nothing. Where the entry was not seen, the first that executes something is
//! taken for the main process, and its end is believed only if no record was lost meanwhile: no verdict is better than a
//! wrong one.

use super::{
    config::Config,
    container::Container,
    parts::Origin,
    state::{End, Made, Main, Rest, State},
};
use crate::{
    judge::start::Trigger,
    pod::ContainerState,
    record::{ExitStatus, Task},
    snapshot::{Processes, is_runtime_helper},
    units::{BootNanos, Process},
};
use std::time::Duration;

/// Within this time the pipeline tells of lost records, while level 1 is attached: it reads the kernel's counters four times
/// a second.
const LOSS_TOLD_WITHIN: Duration = Duration::from_millis(400);
/// How long a container may be made without anything of its own being executed. One that is started later (`runc create`,
/// a slow hook) is looked at again from its first exec.
const CREATED_WITHIN: Duration = Duration::from_mins(2);
/// How long a cgroup may be without a process.
const EMPTY_WITHIN: Duration = Duration::from_secs(10);
/// How much later than the kernel's own records the API server's word on a container comes at least.
const TOLD_AFTER: Duration = Duration::from_secs(2);
/// Records of several processors may be out of order by this.
const DISORDER: Duration = Duration::from_millis(5);
/// Level 1 is attached, and the counters are read, within this of a container's first record.
const ATTACHED_WITHIN: Duration = Duration::from_millis(20);
/// A time between two readings of the counters in which nothing started.
const AT_REST: Duration = Duration::from_secs(1);

impl Container {
    pub(super) fn touch(&mut self, now: BootNanos) {
        self.presence.touched = self.presence.touched.max(now);
    }

    /// Notes the end of its start; after every change.
    pub(super) fn note_phase(&mut self, now: BootNanos) {
        if self.is_starting() {
            self.presence.over = None;
        } else {
            self.presence.over.get_or_insert(now);
        }
    }

    /// The first program of its own is executed. Where another than the one that entered does it, that one's exec was lost.
    pub(super) fn began(&mut self, by: Process, now: BootNanos) {
        self.main = match self.state.entered() {
            Some(entered) => Main::Known(entered.process),
            None if self.is_launcher(by) => Main::Known(by),
            None => Main::Presumed(by),
        };
        self.state = State::attending(now);
    }

    /// Of a local run, the process that is put into the cgroup is the one that executes the command; all others are its children.
    fn is_launcher(&self, process: Process) -> bool {
        self.is_local_run() && self.runtime.first() == Some(&process.pid)
    }

    /// Who gave up before the command ran was one of the runtime's.
    pub(super) fn is_of_runtime(&self, task: &Task) -> bool {
        is_runtime_helper(&task.comm) || self.is_launcher(task.process)
    }

    /// A process of the container did something that no helper of the runtime does: the exec before it was lost.
    pub(super) fn notice_program(&mut self, task: &Task) {
        let shows = self.state.entered().is_some_and(|entered| entered.as_helper) && !is_runtime_helper(&task.comm);
        if self.state.is_created() && shows {
            self.began_unseen();
        }
    }

    /// Its program runs, and its exec was not seen.
    pub(super) fn began_unseen(&mut self) {
        self.main = Main::known(self.state.entered().map(|entered| entered.process));
        self.state = State::attending(self.created);
        self.lacks_records();
    }

    fn lacks_records(&mut self) {
        // In a kernel of its own there are none to be lost.
        if !self.completeness.blind.own_kernel {
            self.completeness.lost = self.completeness.lost.max(1);
        }
    }

    /// Something is executed in a container that was left alone because nothing happened in it.
    pub(super) fn wake(&mut self) {
        if let State::Resting(Rest::Idle(made)) = self.state {
            self.state = State::Created(made);
        }
    }

    fn rest_idle(&mut self) {
        let made = Made { entered: self.state.entered() };
        self.leave_alone(State::Resting(Rest::Idle(made)));
    }

    /// Who was taken for the main process has ended, and another one goes on: it was not the main process.
    pub(super) fn notice_survivor(&mut self, task: &Task, now: BootNanos) {
        let State::Ended(End::Main(ended, _)) = self.state else { return };
        let survives = self.main.process() != Some(task.process) && now.since(ended) > DISORDER;
        if !self.main.is_sure() && survives {
            self.goes_on(None, now);
        }
    }

    /// It has not ended after all.
    fn goes_on(&mut self, main: Option<Process>, now: BootNanos) {
        self.state = if self.story.ready.is_some() { State::Ready } else { State::attending(now) };
        self.main = Main::known(main);
        self.story.milestones.take_back_end();
        let is_of_end = |trigger: Trigger| matches!(trigger, Trigger::Exit | Trigger::NeverStarted);
        self.docket.pending = self.docket.pending.take().filter(|pending| !is_of_end(pending.trigger));
        self.lacks_records();
    }

    /// What a judgement is about may be an accident of lost records.
    fn is_doubtful(&self, trigger: Trigger) -> bool {
        match trigger {
            Trigger::Exit => !self.main.is_sure(),
            Trigger::NeverStarted => !matches!(self.state, State::Ended(End::Refused { is_sure: true, .. })),
            Trigger::Retry => !self.is_unready(),
            Trigger::OutOfMemory | Trigger::GiveUp => false,
        }
    }

    /// Records were lost, so that what is judged may not be so.
    pub(super) fn must_be_silent(&self, trigger: Trigger) -> bool {
        self.completeness.lost > 0 && self.is_doubtful(trigger)
    }

    /// Until when to wait for word of lost records.
    pub(super) fn loss_awaited_until(&self, trigger: Trigger, since: BootNanos) -> BootNanos {
        if self.is_doubtful(trigger) { since.after(LOSS_TOLD_WITHIN) } else { since }
    }

    /// Whether records that were lost between `since` and `until` may be ones of its start. What was lost at rest, before the
    /// first reading of the counters that its start brings, are not.
    pub(super) fn may_lack(&self, since: Option<BootNanos>, until: BootNanos) -> bool {
        let under_way = self.is_starting() || self.docket.pending.is_some();
        let Some(since) = since else { return under_way };
        let at_rest = self.created.since(since) >= AT_REST && until.since(self.created) < ATTACHED_WITHIN;
        let ended_before = self.presence.over.is_some_and(|over| over < since);
        self.created < until && !at_rest && (under_way || !ended_before)
    }

    /// It is met after its start, of which no record came. One that began long ago is taken for ready, as those are that were
    /// there before us.
    pub(super) fn meet_late(&mut self, found: Option<&Processes>, config: &Config) {
        let walked = self.created;
        self.lacks_records();
        let Some(found) = found.filter(|found| !found.cut) else { return };
        let program = found.program().map(|running| running.process);
        let began = program.map(|program| BootNanos(program.start));
        if began.is_some_and(|began| walked.since(began) >= config.settle_after) {
            return;
        }
        self.story.ready = None;
        self.membership.origin = Origin::Seen;
        match began {
            Some(began) => {
                self.created = began;
                self.state = State::attending(began);
                self.learn_main(program);
            }
            None if found.all.is_empty() => self.state = State::Resting(Rest::Idle(Made::default())),
            None => self.state = State::Created(Made::default()),
        }
    }

    /// Compares it with what runs in it.
    pub(super) fn compare(&mut self, found: &Processes, walked: BootNanos, now: BootNanos) {
        if self.created > walked || self.is_local_run() || self.membership.origin != Origin::Seen {
            return; // of those that were there before us, the main process never was known
        }
        let program = found.program().map(|running| running.process);
        let is_running = program.is_some();
        let program = program.filter(|_| !found.cut);
        match self.state {
            State::Created(_) if is_running => {
                self.began_unseen();
                self.learn_main(program);
            }
            State::Created(_) => self.compare_empty(found, walked),
            State::Resting(Rest::Idle(_)) => {
                if program.is_some() {
                    self.state = State::Resting(Rest::Quiet(walked.since(self.created)));
                    self.lacks_records();
                    self.learn_main(program);
                }
            }
            State::Attending(_) | State::Ready | State::Resting(_) => self.compare_main(found, program, walked, now),
            State::Ended(End::Main(at, _)) if at < walked && !self.main.is_sure() && program.is_some() => self.goes_on(program, now),
            State::Ended(_) => {}
        }
    }

    fn compare_empty(&mut self, found: &Processes, walked: BootNanos) {
        let is_empty = !found.cut && found.all.is_empty();
        let last = self.created.max(self.presence.touched);
        if is_empty && last < walked && walked.since(last) >= EMPTY_WITHIN && self.docket.pending.is_none() {
            self.rest_idle();
        }
    }

    fn compare_main(&mut self, found: &Processes, program: Option<Process>, walked: BootNanos, now: BootNanos) {
        let main = self.main.process();
        let began_before = main.is_none_or(|main| main.start < walked.0);
        if found.cut || !began_before {
            return;
        }
        let (has_main, is_gone) = (main.is_some_and(|main| found.has(main)), main.is_none_or(|main| found.lacks(main)));
        // What was learned of a walk may have been a helper that was about to go.
        let was_sure = self.main.is_sure();
        let is_doubtful = !was_sure || (is_gone && self.main_is_of_a_walk());
        if is_doubtful && program.is_some() && (has_main || is_gone) {
            self.learn_main(program);
            if was_sure {
                // It may be what the main process has left behind.
                self.main = self.main.process().map_or(Main::Unknown, Main::Presumed);
            }
        } else if is_gone && (main.is_some() || found.all.is_empty()) {
            self.ended_unseen(now);
        }
    }

    /// Takes the oldest program for the main process, unless the one that entered is it.
    fn learn_main(&mut self, program: Option<Process>) {
        let Some(program) = program else { return };
        let known = self.main.process().filter(|main| main.pid == program.pid);
        self.main = Main::Known(known.unwrap_or(program)); // its start is that of its tick; an exit brings the exact one
    }

    /// Its main process is gone, and its exit was not seen: that alone is no failure.
    fn ended_unseen(&mut self, now: BootNanos) {
        self.state = State::Ended(End::Unseen);
        self.docket.pending = None;
        self.lacks_records();
        self.note_phase(now);
    }

    /// Whether this process is the main one. One that a snapshot told of is known to a tick.
    pub(super) fn is_main(&self, process: Process) -> bool {
        let same = |main: Process| main.pid == process.pid && main.start.abs_diff(process.start) <= crate::snapshot::TICK;
        self.main.process().is_some_and(|main| main == process || (self.main_is_of_a_walk() && same(main)))
    }

    /// Whether a snapshot told of the main process, to a tick, and nothing has told more exactly.
    fn main_is_of_a_walk(&self) -> bool {
        self.main.process().is_some_and(|main| main.start % crate::snapshot::TICK == 0)
    }

    /// The hierarchy has no such cgroup any more, and its removal was not seen.
    pub(super) fn removed_unseen(&mut self, now: BootNanos) {
        self.lacks_records();
        self.removed(now);
    }

    /// What the API server says of this very start.
    pub(super) fn hear_state(&mut self, state: &ContainerState, now: BootNanos) {
        let is_news = match state {
            ContainerState::Running { .. } => self.state.is_created(),
            ContainerState::Terminated { .. } => !self.state.is_ended() || self.state == State::Ended(End::Unseen) || !self.main.is_sure(),
            ContainerState::Waiting { .. } => false,
        };
        if is_news {
            let at = self.presence.told.as_ref().filter(|(_, told)| told == state).map_or(now, |(at, _)| *at);
            self.presence.told = Some((at, state.clone()));
        }
    }

    /// Moves on by what the API server said, if the records have not brought it by now; and leaves alone what never began.
    pub(super) fn catch_up(&mut self, config: &Config, now: BootNanos) {
        if let Some((_, state)) = self.presence.told.take_if(|(at, _)| now.since(*at) >= TOLD_AFTER) {
            match state {
                ContainerState::Running { .. } if self.state.is_created() => self.began_unseen(),
                ContainerState::Terminated { code, signal, finished, .. } => {
                    self.ended_by_api_server(status_of(code, signal), config.clock.boot_nanos(finished), now);
                }
                ContainerState::Running { .. } | ContainerState::Waiting { .. } => {}
            }
        }
        if self.rests_from().is_some_and(|at| now >= at) {
            self.rest_idle();
        }
    }

    /// When it is left alone because nothing of its own was executed.
    fn rests_from(&self) -> Option<BootNanos> {
        let waits = self.state.is_created() && self.is_confirmed() && !self.is_local_run() && self.docket.pending.is_none();
        waits.then(|| self.created.max(self.presence.touched).after(CREATED_WITHIN))
    }

    /// When [`Container::catch_up`] has something to do.
    pub(super) fn catches_up_at(&self) -> Option<BootNanos> {
        let told = self.presence.told.as_ref().map(|(at, _)| at.after(TOLD_AFTER));
        told.into_iter().chain(self.rests_from()).min()
    }

    /// It has ended as the API server says: the kernel's record of it was lost, or was doubtful.
    fn ended_by_api_server(&mut self, status: ExitStatus, finished: BootNanos, now: BootNanos) {
        if let Some((_, own)) = self.state.end() {
            self.believe_end(own, status, now);
            return;
        }
        self.lacks_records();
        self.docket.pending = None;
        let Some(main) = self.main.process().filter(|_| self.main.is_sure()) else {
            self.state = State::Ended(End::Unseen);
            return;
        };
        let last = self.story.failures.iter().map(|failure| failure.last).max().unwrap_or_default();
        let at = finished.max(last).max(self.created).min(now);
        self.story.note_exit(main, at, status);
        self.ended(End::Main(at, status), Trigger::Exit, now);
    }

    /// An end that was seen, and of a process of which it was not sure that it is the main one, is what the API server says too.
    fn believe_end(&mut self, own: ExitStatus, status: ExitStatus, now: BootNanos) {
        let agrees = own == status || matches!(own, ExitStatus::Signal(signal) if status == ExitStatus::Code(signal.saturating_add(128)));
        let Main::Presumed(main) = self.main else { return };
        if agrees && self.docket.pending.is_none() && !self.docket.has_spoken() {
            self.main = Main::Known(main);
            self.docket.consider(Trigger::Exit, now);
        }
    }
}

/// The status that wait(2) would have given, of what the runtime made of it.
fn status_of(code: i32, signal: i32) -> ExitStatus {
    match u8::try_from(signal) {
        Ok(signal) if signal > 0 => ExitStatus::Signal(signal),
        _ => ExitStatus::Code(u8::try_from(code).unwrap_or(u8::MAX)),
    }
}
