//! What time alone brings to a container: it proves to be none, becomes ready, grows quiet, or fails again and again.

use super::{
    Config,
    container::{Container, Phase, Trigger},
};
use crate::{
    causes,
    judge::{questions::SuspectId, weigh},
    record::Errno,
    story::failure::Failure,
    units::BootNanos,
};
use std::time::Duration;

/// How long the last lines of a local run may take from its pipe to us.
const LAST_LINES: Duration = Duration::from_millis(25);
/// How long a call must not have failed to count as no longer retried.
const RETRY_FRESH: Duration = Duration::from_secs(5);

impl Container {
    /// Moves on by the clock: drops what proved to be no container, notices readiness, quiet and retries.
    pub(crate) fn tick(&mut self, config: &Config, now: BootNanos) {
        if !self.confirmed && now.since(self.created) >= config.confirm_within {
            self.dropped = true;
        }
        self.catch_up(config, now);
        if self.phase != Phase::Started || self.is_local_run() {
            return;
        }
        if !self.is_probed(now) && self.listeners.iter().any(|(_, since)| now.since(*since) >= config.ready_after) {
            self.became_ready(now);
        } else if let Some(index) = self.retried(now) {
            let spoken = self.spoken.iter().any(|spoken| spoken.suspect == SuspectId::Call(index));
            if self.pending.is_none() && !spoken {
                self.consider(Trigger::Retry, now);
            }
        } else if now.since(self.quiet_since) >= self.quiet_for(config.settle_after) {
            self.settle();
        }
    }

    /// A failure that is tried again and again, and lately.
    pub(crate) fn retried(&self, now: BootNanos) -> Option<usize> {
        self.failures.iter().position(|failure| is_retry(failure) && now.since(failure.last) < RETRY_FRESH)
    }

    /// What a local run wrote to stderr before it ended may be on its way still, and it often names the reason.
    pub(crate) fn may_still_speak(&self, since: BootNanos, now: BootNanos) -> bool {
        self.is_local_run() && self.end.is_some_and(|(ended, _)| ended == since) && now.since(since) < LAST_LINES
    }

    /// Until when what is retried keeps it from being left alone.
    fn busy_until(&self) -> BootNanos {
        let retried = self.failures.iter().filter(|failure| is_retry(failure));
        retried.map(|failure| failure.last.after(RETRY_FRESH)).max().unwrap_or_default()
    }

    /// When the clock alone can change something.
    pub(crate) fn due(&self, config: &Config, now: BootNanos) -> Option<BootNanos> {
        let confirm = (!self.confirmed).then(|| self.created.after(config.confirm_within));
        let answers = self.pending.as_ref().filter(|_| self.confirmed).map(|pending| {
            if self.may_still_speak(pending.since, now) {
                pending.since.after(LAST_LINES)
            } else {
                let told = self.loss_awaited_until(pending.trigger, pending.since);
                pending.deadline(config).max(self.pod_awaited_until(pending.since)).max(told)
            }
        });
        let running = self.phase == Phase::Started && !self.is_local_run();
        let told = self.pod_awaited_until(self.created); // by then it is known whether the kubelet probes it
        let ready = self.listeners.iter().map(|(_, since)| since.after(config.ready_after).max(told)).min();
        let ready = ready.filter(|_| running && self.spec().is_none_or(|spec| !spec.is_probed()));
        let settle = running.then(|| self.quiet_since.after(self.quiet_for(config.settle_after)).max(self.busy_until()));
        [confirm, answers, ready, settle, self.catches_up_at()].into_iter().flatten().min()
    }
}

/// A failure that is tried again and again. (Polling for a missing file is another cause's business.)
fn is_retry(failure: &Failure) -> bool {
    failure.is_retried() && !failure.by_runtime && !failure.is_noise() && failure.call.errno != Errno::ENOENT
}

/// Asks early about the newest failure, while its process may still be there.
pub(crate) fn look_early(container: &mut Container, config: &Config) {
    let Some(index) = container.failures.len().checked_sub(1) else { return };
    if !weigh::deserves_early_look(&container.failures[index]) {
        return;
    }
    let key = SuspectId::Call(index);
    let wanted = container.in_context(key, config, causes::questions).unwrap_or_default();
    for question in wanted {
        container.asked.want(question, key, config.questions / 2); // the other half is for judgements
    }
}
