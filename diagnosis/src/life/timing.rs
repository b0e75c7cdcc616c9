//! What time alone brings to a container: it proves to be none, becomes ready, grows quiet, or fails again and again. That nothing happens
//! is an input like any other: a start that somebody waits for and that is quiet is late, and is looked at for as long as its probes
//! give it.

use super::{
    config::Config,
    container::{Container, Fate},
    judging::{LOOK_AGAIN, deadline},
    state::{Attending, Pace, Rest, State},
};
use crate::{
    case::Manifest,
    judge::{questions::SuspectId, start::Trigger},
    pod::Probe,
    record::Errno,
    story::failure::Failure,
    units::BootNanos,
};
use std::time::Duration;

/// How long the last lines of a local run may take from its pipe to us.
const LAST_LINES: Duration = Duration::from_millis(25);
/// What is retried and could not be explained is judged again no sooner than this: more failures of the kind seldom say more.
const RETRY_AGAIN: Duration = Duration::from_secs(2);
/// How long a call must not have failed to count as no longer retried.
const RETRY_FRESH: Duration = Duration::from_secs(5);

impl Container {
    /// Moves on by the clock: drops what proved to be no container, notices readiness, quiet and retries.
    pub(crate) fn tick(&mut self, config: &Config, now: BootNanos) {
        if self.fate == Fate::Candidate && now.since(self.created) >= config.confirm_within {
            self.fate = Fate::Dropped;
        }
        self.catch_up(config, now);
        let State::Attending(attending) = self.state else { return };
        if self.is_local_run() {
            return;
        }
        if !self.is_probed(now) && self.story.listeners.iter().any(|(_, since)| now.since(*since) >= config.ready_after) {
            self.became_ready(now);
        } else if let Some(index) = self.retried(now) {
            self.telling.waits = true;
            let is_time = self.telling.retried.is_none_or(|at| now.since(at) >= RETRY_AGAIN);
            if self.docket.pending.is_none() && !self.docket.has_spoken_of(SuspectId::Call(index)) && is_time {
                self.telling.retried = Some(now);
                self.docket.consider(Trigger::Retry, now);
            }
        } else {
            self.grow_quiet(attending, config, now);
        }
    }

    fn grow_quiet(&mut self, attending: Attending, config: &Config, now: BootNanos) {
        let quiet = now.since(attending.quiet_since);
        if quiet >= self.quiet_for(config) {
            self.leave_alone(State::Resting(Rest::Quiet(quiet)));
        } else {
            let pace = if quiet >= config.settle_after { Pace::Stalled } else { Pace::Starting };
            self.state = State::Attending(Attending { pace, ..attending });
        }
    }

    /// How long it must be quiet to be left alone: as long as its probes give it, if somebody waits for it to become ready.
    pub(super) fn quiet_for(&self, config: &Config) -> Duration {
        let Some(manifest) = self.manifest().filter(Manifest::is_probed) else { return config.settle_after };
        let probes = [&manifest.container.startup, &manifest.container.readiness, &manifest.container.liveness];
        let budget = probes.into_iter().flatten().map(budget).max().unwrap_or_default();
        budget.clamp(config.quiet_at_least, config.quiet_at_most)
    }

    /// A failure that is tried again and again, and lately.
    fn retried(&self, now: BootNanos) -> Option<usize> {
        self.story.failures.iter().position(|failure| is_retry(failure) && now.since(failure.last) < RETRY_FRESH)
    }

    /// What a local run wrote to stderr before it ended may be on its way still, and it often names the reason.
    pub(crate) fn may_still_speak(&self, since: BootNanos, now: BootNanos) -> bool {
        self.is_local_run() && self.state.end().is_some_and(|(ended, _)| ended == since) && now.since(since) < LAST_LINES
    }

    /// Until when what is retried keeps it from being left alone.
    fn busy_until(&self) -> BootNanos {
        let retried = self.story.failures.iter().filter(|failure| is_retry(failure));
        retried.map(|failure| failure.last.after(RETRY_FRESH)).max().unwrap_or_default()
    }

    /// When the clock alone can change something.
    pub(crate) fn due(&self, config: &Config, now: BootNanos) -> Option<BootNanos> {
        let confirm = (self.fate == Fate::Candidate).then(|| self.created.after(config.confirm_within));
        let answers = self.docket.pending.as_ref().filter(|_| self.is_confirmed()).map(|pending| {
            if self.may_still_speak(pending.since, now) {
                pending.since.after(LAST_LINES)
            } else {
                let told = self.loss_awaited_until(pending.trigger, pending.since);
                deadline(pending, config).max(self.pod_awaited_until(pending.since)).max(told)
            }
        });
        let has_to_look = self.story.has_news && (self.docket.pending.is_some() || self.docket.has_spoken());
        let look = has_to_look.then(|| self.telling.looked.after(LOOK_AGAIN));
        [confirm, answers, look, self.ready_at(config), self.quiet_at(config, now), self.catches_up_at(), self.tells_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When it is ready as far as one can tell without a probe.
    fn ready_at(&self, config: &Config) -> Option<BootNanos> {
        let running = matches!(self.state, State::Attending(_)) && !self.is_local_run();
        let told = self.pod_awaited_until(self.created); // by then it is known whether the kubelet probes it
        let ready = self.story.listeners.iter().map(|(_, since)| since.after(config.ready_after).max(told)).min();
        ready.filter(|_| running && self.manifest().is_none_or(|manifest| !manifest.is_probed()))
    }

    /// When it is late, and then when it is left alone.
    fn quiet_at(&self, config: &Config, now: BootNanos) -> Option<BootNanos> {
        let State::Attending(attending) = self.state else { return None };
        if self.is_local_run() {
            return None;
        }
        let late = attending.quiet_since.after(config.settle_after);
        let alone = attending.quiet_since.after(self.quiet_for(config));
        Some(if late > now { late.min(alone) } else { alone }.max(self.busy_until()))
    }
}

/// The longest that a probe goes on failing before it has consequences.
fn budget(probe: &Probe) -> Duration {
    let attempts = probe.period.max(1).saturating_mul(probe.failures.max(1));
    Duration::from_secs(u64::from(probe.initial_delay.saturating_add(attempts)))
}

/// A failure that is tried again and again. (Polling for a missing file is another cause's business.)
fn is_retry(failure: &Failure) -> bool {
    failure.is_retried() && !failure.by_runtime && !failure.is_noise() && failure.call.errno != Errno::ENOENT
}
