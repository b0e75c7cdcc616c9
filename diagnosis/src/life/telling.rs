//! How a start goes, told to the outside: when its stage changes, and while it gets on, at most once a second.

use super::{
    container::Container,
    parts::Origin,
    state::{Rest, State},
};
use crate::{
    input::Output,
    story::{
        failure::Failure,
        report::{StartReport, WAITS, Wait},
    },
    units::BootNanos,
    verdict::id_of,
    words,
};
use std::time::Duration;

/// A start that gets on is told of at most so often.
const AT_MOST: Duration = Duration::from_secs(1);

impl Container {
    /// Tells how the start goes, if that is due.
    pub(super) fn tell_start(&mut self, now: BootNanos) {
        let happened = self.happened();
        let is_news = self.telling.told.is_none_or(|(at, stage, known)| {
            let gets_on = happened != known && now.since(at) >= AT_MOST;
            stage != self.state.stage() || gets_on
        });
        if is_news && self.tells() {
            self.telling.told = Some((now, self.state.stage(), happened));
            let report = Box::new(self.report(now).escaped());
            self.outputs.push(Output::Start(report));
        }
    }

    /// When there is more to tell.
    pub(super) fn tells_at(&self) -> Option<BootNanos> {
        let (at, _, known) = self.telling.told?;
        (known != self.happened() && self.tells()).then(|| at.after(AT_MOST))
    }

    /// Of starts that were not seen there is nothing to tell, nor of a pod's container whose name is not known yet.
    fn tells(&self) -> bool {
        let is_to_be_named = self.membership.in_cluster && !self.membership.pod_uid.is_empty();
        let is_named = !is_to_be_named || !self.workload.container.is_empty();
        let has_begun = !self.state.is_created() && !matches!(self.state, State::Resting(Rest::Idle(_) | Rest::Existing));
        let was_seen = self.membership.origin == Origin::Seen;
        self.is_confirmed() && was_seen && is_named && has_begun && !self.story.milestones.all().is_empty()
    }

    /// Grows with what happened.
    const fn happened(&self) -> u64 {
        self.story.milestones.happened() + self.telling.waits as u64
    }

    fn report(&self, now: BootNanos) -> StartReport {
        let mut waits: Vec<Wait> = self.waits().collect();
        let beyond = waits.len().saturating_sub(WAITS);
        waits.truncate(WAITS);
        let dropped = self.story.milestones.dropped().saturating_add(u32::try_from(beyond).unwrap_or(u32::MAX));
        StartReport {
            id: id_of(&["start", &self.id.to_string(), &self.workload.container_id]),
            workload: self.workload.clone(),
            cgroup: self.id,
            stage: self.state.stage(),
            note: self.note(),
            began: self.created,
            told: now,
            milestones: self.story.milestones.all().to_vec(),
            attempts: self.story.milestones.attempts().to_vec(),
            waits,
            dropped,
            completeness: self.completeness,
        }
    }

    /// Why one stopped looking.
    fn note(&self) -> String {
        let State::Resting(Rest::Quiet(quiet)) = self.state else { return String::new() };
        let quiet = words::duration(quiet);
        if self.is_unready() {
            format!(
                "nothing was found: it was quiet for {quiet}, as long as its probes give it or a start is looked at, and it is not ready"
            )
        } else {
            format!("it has no readiness probe, and was quiet for {quiet}")
        }
    }

    /// What it waited for: calls that were tried again and again, and files that came.
    fn waits(&self) -> impl Iterator<Item = Wait> {
        self.telling.over.iter().cloned().chain(self.waits_on())
    }

    fn waits_on(&self) -> impl Iterator<Item = Wait> {
        let retried = self.story.failures.iter().filter(|failure| failure.is_retried() && !failure.is_noise());
        retried.map(|failure| self.wait(failure))
    }

    fn wait(&self, failure: &Failure) -> Wait {
        let target = words::subject_name(&failure.call.target);
        let came = self.docket.asked.awaited().find(|(path, _)| *path == target).and_then(|(_, at)| at);
        Wait { from: failure.first, until: came.filter(|at| *at >= failure.last), target, text: words::failure(failure) }
    }

    /// What failed is about to be forgotten: it is not waited for any more.
    pub(super) fn keep_waits(&mut self) {
        let room = WAITS.saturating_sub(self.telling.over.len());
        let over = self.story.failures.iter().filter(|failure| failure.is_retried() && !failure.is_noise()).take(room);
        let over: Vec<Wait> = over.map(|failure| Wait { until: Some(failure.last), ..self.wait(failure) }).collect();
        self.telling.over.extend(over);
    }
}
