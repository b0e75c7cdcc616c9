//! What is known and was said of one pod.

use super::{
    clock::{Clocks, Dates, of_events, of_pod},
    config::Config,
};
use crate::{
    catalogue::Cause,
    platform::{self, Explanation, NO_CGROUP, PodFinding, Scene},
    pod::{Claim, ContainerState, ContainerStatus, Pod, PodEvent},
    units::{BootNanos, ClockAnchor},
    verdict::Verdict,
};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

/// Shortest time between two questions for a pod's events; it doubles up to [`SELDOM`].
const OFTEN: Duration = Duration::from_secs(2);
/// Longest such time.
pub(super) const SELDOM: Duration = Duration::from_secs(30);
/// How long a pod must have been ready for what was said of it to be over, and for its containers to be left alone.
const WELL: Duration = Duration::from_secs(30);
/// Verdicts remembered a pod.
const SPOKEN: usize = 32;
/// Ends of containers remembered a pod.
const SEEN: usize = 64;

/// One pod.
#[derive(Debug)]
pub(crate) struct PodState {
    pub(super) pod: Arc<Pod>,
    pub(super) events: Vec<PodEvent>,
    pub(super) claims: Arc<Vec<Claim>>,
    /// The last question for events, and how long to wait before the next.
    asked_events: Option<(BootNanos, Duration)>,
    pub(super) asked_claims: Option<BootNanos>,
    pub(super) spoken: Vec<Said>,
    pub(super) deleted: Option<BootNanos>,
    /// It failed for good, and its owner has made another since.
    pub(super) replaced: bool,
    pub(super) scheduled: Option<BootNanos>,
    /// Since when it has been ready without a break.
    well_since: Option<BootNanos>,
    /// Runtime ids of containers whose end the kernel's evidence has told.
    seen: VecDeque<String>,
    /// When the API server last told of it.
    pub(super) told: BootNanos,
    pub(super) dates: Dates,
}

/// A verdict that was given about a pod or one of its containers.
#[derive(Debug)]
pub(super) struct Said {
    verdict: Verdict,
    /// What earlier starts contribute: first time and count.
    before: Option<(BootNanos, u64)>,
}

impl Said {
    const fn is_platform(&self) -> bool {
        self.verdict.cgroup.0 == NO_CGROUP.0
    }
}

impl PodState {
    pub(super) fn new() -> Self {
        Self {
            pod: Arc::default(),
            events: Vec::new(),
            claims: Arc::default(),
            asked_events: None,
            asked_claims: None,
            spoken: Vec::new(),
            deleted: None,
            replaced: false,
            scheduled: None,
            well_since: None,
            seen: VecDeque::new(),
            told: BootNanos(0),
            dates: Dates::default(),
        }
    }

    /// How many things are remembered of it.
    pub(super) fn footprint(&self) -> usize {
        1 + self.spoken.len() + self.events.len() + self.seen.len() + self.dates.footprint()
    }

    /// The API server tells of it.
    pub(super) fn hear(&mut self, mut pod: Pod, clocks: &Clocks, now: BootNanos) {
        self.dates.read_pod(&mut pod, clocks, now);
        self.pod = Arc::new(pod);
        self.deleted = None;
        self.told = now;
    }

    /// Nothing that is said of it matters any more.
    pub(super) const fn is_over(&self) -> bool {
        self.deleted.is_some() || self.replaced
    }

    pub(super) fn remember(&mut self, said: Said) {
        if let Some(known) = self.spoken.iter_mut().find(|known| known.verdict.id == said.verdict.id) {
            *known = said;
            return;
        }
        if self.spoken.len() == SPOKEN {
            let settled = self.spoken.iter().position(|said| said.verdict.resolved_at.is_some()).unwrap_or(0);
            self.spoken.remove(settled);
        }
        self.spoken.push(said);
    }

    /// Resolves what `over` says is over, and returns it.
    pub(super) fn resolve(&mut self, now: BootNanos, over: impl Fn(&Verdict) -> bool) -> Vec<Verdict> {
        let open = self.spoken.iter_mut().filter(|said| said.verdict.resolved_at.is_none() && over(&said.verdict));
        open.map(|said| {
            said.verdict.resolved_at = Some(now);
            said.verdict.clone()
        })
        .collect()
    }

    /// A start that fails of something else got over what the earlier ones failed of. What the API server alone said of
    /// this container was a poorer report of the same.
    pub(super) fn overtaken_by(&mut self, verdict: &Verdict, now: BootNanos) -> Vec<Verdict> {
        let (id, cgroup, container) = (&verdict.id, verdict.cgroup, &verdict.workload.container);
        if container.is_empty() {
            return Vec::new();
        }
        let last = verdict.last_seen;
        self.resolve(now, |old| old.id != *id && old.cgroup != cgroup && old.workload.container == *container && old.last_seen <= last)
    }

    /// Containers of which the kernel's evidence has told the reason, unless that is an old story by now.
    fn explained(&self, findings: &[PodFinding]) -> BTreeSet<&str> {
        let open = self.spoken.iter().filter(|said| !said.is_platform() && said.verdict.resolved_at.is_none());
        let is_current = |verdict: &&Verdict| !self.is_old_story(verdict, findings);
        open.map(|said| &said.verdict).filter(is_current).map(|verdict| verdict.workload.container.as_str()).collect()
    }

    /// What a container failed of is over when something since keeps it from being started at all.
    pub(super) fn settle_old_stories(&mut self, findings: &[PodFinding], now: BootNanos) -> Vec<Verdict> {
        let open = self.spoken.iter().map(|said| &said.verdict).filter(|verdict| verdict.cgroup != NO_CGROUP);
        let old: Vec<String> = open.filter(|verdict| self.is_old_story(verdict, findings)).map(|verdict| verdict.id.clone()).collect();
        self.resolve(now, |verdict| old.contains(&verdict.id))
    }

    /// Whether the pod, told well after this verdict, waits for what keeps the container from being started at all.
    fn is_old_story(&self, verdict: &Verdict, findings: &[PodFinding]) -> bool {
        const KUBELET_TELLS_WITHIN: Duration = Duration::from_secs(5);
        let prevents = |found: &PodFinding| {
            matches!(found.finding.cause(), Cause::ImagePull | Cause::ConfigMissing)
                && found.container.as_deref() == Some(verdict.workload.container.as_str())
        };
        self.told > verdict.last_seen.after(KUBELET_TELLS_WITHIN) && findings.iter().any(prevents)
    }

    /// The kernel's evidence has told how this start of a container ended.
    pub(super) fn note_end(&mut self, container_id: String) {
        if !self.seen.contains(&container_id) {
            if self.seen.len() == SEEN {
                self.seen.pop_front();
            }
            self.seen.push_back(container_id);
        }
    }

    /// Containers of a pod that has failed for good whose end was missed: it was before the agent came, or beyond its bounds. Of
    /// those that are started again, the next start will tell more.
    fn unseen(&self) -> Vec<String> {
        let has_failed = self.pod.status.phase == "Failed";
        let missed =
            |status: &&ContainerStatus| matches!(status.state, ContainerState::Terminated { .. }) && !self.seen.contains(&status.id);
        let missed = self.pod.status.containers.iter().filter(|_| has_failed).filter(missed);
        missed.map(|status| status.name.clone()).collect()
    }

    pub(super) fn explanation(&self, config: &Config, now: BootNanos) -> Explanation {
        if self.is_over() {
            return Explanation::default();
        }
        let unseen = self.unseen();
        let scene = Scene {
            pod: &self.pod,
            events: &self.events,
            claims: &self.claims,
            now: config.clock.wall_nanos(now),
            kernel: config.kernel,
            unseen: &unseen,
        };
        platform::explain(&scene)
    }

    /// The explanation as verdicts.
    pub(super) fn verdicts_on(&self, explanation: &Explanation, clock: ClockAnchor) -> Vec<Verdict> {
        in_their_place(&explanation.findings, self).iter().map(|found| platform::of_pod(&self.pod, found, clock)).collect()
    }

    /// What is to be said of it now.
    pub(super) fn verdicts(&self, config: &Config, now: BootNanos) -> Vec<Verdict> {
        self.verdicts_on(&self.explanation(config, now), config.clock)
    }

    /// The clock was set: what would have been said by the old one, and was, counts as said by the new one.
    pub(super) fn redate(&mut self, before: &[Verdict], after: Vec<Verdict>) {
        for dated in after {
            let is_said = |said: &&mut Said| {
                let same = before.iter().find(|verdict| verdict.id == dated.id && said.verdict.id == dated.id);
                same.is_some_and(|verdict| !is_news(&said.verdict, &at_its_best(&said.verdict, verdict)))
            };
            if let Some(said) = self.spoken.iter_mut().find(is_said) {
                said.verdict = Verdict { last_seen: said.verdict.last_seen, ..at_its_best(&said.verdict, &dated) };
            }
        }
    }

    /// Joins a container's verdict with what was said of its earlier starts; what no longer holds is resolved with it.
    pub(super) fn join(&mut self, mut verdict: Verdict, now: BootNanos) -> Vec<Verdict> {
        if self.is_over() {
            verdict.resolved_at = verdict.resolved_at.or(Some(now));
        }
        if let Some(said) = self.spoken.iter().find(|said| said.verdict.id == verdict.id) {
            if said.verdict.cgroup != verdict.cgroup && verdict.last_seen < said.verdict.last_seen {
                return Vec::new(); // a late word on an earlier start of what a later one has said again
            }
            let over = said.verdict.resolved_at.filter(|at| verdict.last_seen <= *at);
            verdict.resolved_at = verdict.resolved_at.or(over); // more is known of it, and it is as over as before
        }
        let mut all = if verdict.resolved_at.is_none() { self.overtaken_by(&verdict, now) } else { Vec::new() };
        let before = match self.spoken.iter().find(|said| said.verdict.id == verdict.id) {
            Some(said) if said.verdict.cgroup == verdict.cgroup => said.before,
            Some(said) => Some((said.verdict.first_seen, said.verdict.count)),
            None => None,
        };
        if let Some((first, count)) = before {
            verdict.first_seen = verdict.first_seen.min(first);
            verdict.count = verdict.count.saturating_add(count);
        }
        self.remember(Said { verdict: verdict.clone(), before });
        all.push(verdict);
        all
    }

    /// Since when the pod has been ready for so long that its containers can be left alone; and when to look again.
    pub(super) fn settle_when_well(&mut self, now: BootNanos) -> (bool, Option<BootNanos>) {
        if !self.pod.is_well() {
            self.well_since = None;
            return (false, None);
        }
        let since = *self.well_since.get_or_insert(now);
        let is_settled = self.pod.has_succeeded() || now.since(since) >= WELL;
        let open = self.spoken.iter().map(|said| &said.verdict).filter(|verdict| verdict.resolved_at.is_none());
        let next = open.map(|verdict| verdict.last_seen).chain((!is_settled).then_some(since)).map(|at| at.after(WELL));
        (is_settled, next.min())
    }

    /// What was said of a pod that is well is over when it ended well, or has been ready since for a while: without a readiness
    /// probe, a container that fails again and again is ready for a moment each time.
    pub(super) fn over_when_well(&mut self, now: BootNanos) -> Vec<Verdict> {
        let has_succeeded = self.pod.has_succeeded();
        self.resolve(now, |verdict| has_succeeded || now.since(verdict.last_seen) >= WELL)
    }

    /// Whether to ask for the events now, and when to look again for that purpose.
    pub(super) fn events_due(&mut self, needed: bool, now: BootNanos) -> (bool, Option<BootNanos>) {
        if !needed {
            self.asked_events = None;
            return (false, None);
        }
        match self.asked_events {
            Some((at, wait)) if now.since(at) < wait => (false, Some(at.after(wait))),
            last => {
                let wait = last.map_or(OFTEN, |(_, wait)| (wait * 2).min(SELDOM));
                self.asked_events = Some((now, wait));
                (true, Some(now.after(wait)))
            }
        }
    }

    /// Compares what holds now with what was said: what is new, changed or over.
    pub(super) fn say(&mut self, fresh: Vec<Verdict>, now: BootNanos) -> Vec<Verdict> {
        let ids: BTreeSet<String> = fresh.iter().map(|verdict| verdict.id.clone()).collect();
        let mut all = self.resolve(now, |old| old.cgroup == NO_CGROUP && !ids.contains(&old.id));
        for verdict in fresh {
            let known = self.spoken.iter().find(|said| said.verdict.id == verdict.id);
            let verdict = known.map_or_else(|| verdict.clone(), |said| at_its_best(&said.verdict, &verdict));
            if known.is_some_and(|said| !is_news(&said.verdict, &verdict)) {
                continue;
            }
            self.remember(Said { verdict: verdict.clone(), before: None });
            all.push(verdict);
        }
        all
    }
}

impl PodState {
    /// The clock was set: dates move with it.
    pub(super) fn move_by(&mut self, clocks: &Clocks, step: i64, now: BootNanos) {
        let pod = Arc::make_mut(&mut self.pod); // its containers keep theirs: no rule of theirs looks at its dates
        if !clocks.was_set() {
            self.dates.begin(pod, &mut self.events, clocks.now.wall_nanos(now));
        }
        of_pod(pod, |date, _| *date = date.saturating_add_signed(step));
        of_events(&mut self.events, |date| *date = date.saturating_add_signed(step));
        self.dates.move_by(step);
    }
}

/// What was known better before stays said: an exit code that the status showed for some seconds only.
fn at_its_best(old: &Verdict, new: &Verdict) -> Verdict {
    if old.resolved_at.is_some() || old.confidence <= new.confidence {
        return new.clone();
    }
    Verdict { last_seen: old.last_seen.max(new.last_seen), count: old.count.max(new.count), ..old.clone() }
}

/// Whether a verdict says more than it did. That it still holds is no news.
fn is_news(old: &Verdict, new: &Verdict) -> bool {
    let content = |verdict: &Verdict| Verdict { last_seen: BootNanos(0), ..verdict.clone() };
    content(old) != content(new)
}

/// Findings about containers that the kernel's evidence has explained better are left out; who waits for such a container is
/// told its reason.
fn in_their_place(findings: &[PodFinding], state: &PodState) -> Vec<PodFinding> {
    let explained = state.explained(findings);
    let mut all = Vec::new();
    for found in findings {
        let container = found.container.as_deref();
        if found.finding.cause() != Cause::InitSequence {
            if container.is_none_or(|name| !explained.contains(name)) {
                all.push(found.clone());
            }
            continue;
        }
        let holder = container.unwrap_or(&found.finding.subject.name);
        let reason =
            state.spoken.iter().map(|said| &said.verdict).find(|verdict| {
                verdict.resolved_at.is_none() && verdict.cause != Cause::InitSequence && verdict.workload.container == holder
            });
        let mut found = found.clone();
        if let Some(verdict) = reason {
            found.finding.explanation.push(format!("{}: {}", verdict.cause, verdict.summary));
            found.finding.explanation.extend(verdict.explanation.iter().cloned());
            found.finding.remedy.clone_from(&verdict.remedy);
        }
        all.push(found);
    }
    all
}
