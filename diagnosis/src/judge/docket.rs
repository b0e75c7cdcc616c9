//! What was asked, what a judgement waits for, and what was said of one start.

use super::{
    explain::explain,
    questions::{Questions, SuspectId},
    start::{Start, Trigger},
    verdicts,
    weigh::{self, Scales},
};
use crate::{
    case::{Case, Known, Suspect, finding::Finding},
    catalogue::Cause,
    causes,
    units::BootNanos,
    verdict::{SubjectKind, Verdict},
};

/// How many suspects are examined: beyond the best few, the evidence is too thin to tell them apart.
const EXAMINED: usize = 4;

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Docket {
    pub(crate) asked: Questions,
    pub(crate) pending: Option<Pending>,
    spoken: Vec<Spoken>,
    /// The newest failure was looked at early.
    looked_early: usize,
}

/// A judgement that waits for answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) trigger: Trigger,
    pub(crate) since: BootNanos,
    /// Nothing can be said without the answers: it waits longer.
    pub(crate) patient: bool,
}

/// A suspect with its weight.
pub(crate) type Weighed = (SuspectId, i32);

/// A verdict that was given, and for what.
#[derive(Debug)]
struct Spoken {
    suspect: SuspectId,
    score: i32,
    rival: bool,
    verdict: Verdict,
}

/// What a suspect was found to mean.
struct Explained {
    id: SuspectId,
    score: i32,
    finding: Finding,
}

impl Docket {
    pub(crate) fn footprint(&self) -> usize {
        self.asked.len() + self.spoken.len()
    }

    /// Something was said.
    pub(crate) const fn has_spoken(&self) -> bool {
        !self.spoken.is_empty()
    }

    /// Something was said of this suspect.
    pub(crate) fn has_spoken_of(&self, id: SuspectId) -> bool {
        self.spoken.iter().any(|spoken| spoken.suspect == id)
    }

    /// A judgement is to be made. What was only retried gives way to what is graver.
    pub(crate) fn consider(&mut self, trigger: Trigger, now: BootNanos) {
        let outranked = matches!(&self.pending, Some(pending) if pending.trigger != Trigger::Retry && trigger == Trigger::Retry);
        if !outranked {
            self.pending = Some(Pending { trigger, since: now, patient: false });
        }
    }

    /// The start got over what was said of it: the verdicts, resolved.
    pub(crate) fn resolve(&mut self, now: BootNanos) -> Vec<Verdict> {
        let open = self.spoken.iter_mut().map(|spoken| &mut spoken.verdict).filter(|verdict| verdict.resolved_at.is_none());
        open.map(|verdict| {
            verdict.resolved_at = Some(now);
            verdict.clone()
        })
        .collect()
    }

    /// Asks early about the newest failure, while its process may still be there. `anew`: an answer has come, which may raise another
    /// question.
    pub(crate) fn look_early(&mut self, start: &Start<'_>, anew: bool, limit: usize) {
        let count = start.story.failures.len();
        let Some(newest) = start.story.failures.last().filter(|_| anew || count != self.looked_early) else { return };
        self.looked_early = count;
        if weigh::deserves_early_look(newest) {
            self.ask(start, SuspectId::Call(count - 1), limit / 2, None); // the other half is for judgements
        }
    }

    /// The suspects that may explain it, best first.
    pub(crate) fn suspects(&self, start: &Start<'_>, trigger: Trigger, now: BootNanos) -> Vec<Weighed> {
        let end = start.end.map_or(now, |(at, _)| at);
        let alive = matches!(trigger, Trigger::GiveUp | Trigger::Retry);
        let threshold = threshold(start, alive);
        let ended_well = trigger == Trigger::Exit && !start.must_stay() && start.end.is_some_and(|(_, status)| status.is_success());
        let calls = if ended_well { 0 } else { start.story.failures.len() }; // whatever failed on the way, it was no reason
        let base = start.case(None, &[]);
        let scales = Scales::new(base, start.weights);
        let ids = (0..calls).map(SuspectId::Call).chain([SuspectId::OutOfMemory]);
        let mut found: Vec<Weighed> = ids
            .filter_map(|id| {
                let suspect = start.suspect(id)?;
                let over = matches!(suspect, Suspect::Call(failure) if alive && weigh::is_over(failure, &base));
                let score = if over { None } else { scales.weigh(suspect, &self.asked.answers(id), end) };
                Some((id, score.filter(|score| *score >= threshold)?))
            })
            .collect();
        found.sort_by_key(|(_, score)| std::cmp::Reverse(*score));
        found.truncate(EXAMINED);
        let last = match trigger {
            Trigger::NeverStarted => Some(SuspectId::NeverStarted),
            Trigger::Exit if !start.was_stopped => Some(SuspectId::Exit),
            Trigger::Exit | Trigger::OutOfMemory | Trigger::Retry | Trigger::GiveUp => None,
        };
        found.extend(last.and_then(|id| Some((id, scales.weigh(start.suspect(id)?, &[], end)?))));
        found
    }

    /// Asks what these suspects need. With `now`, for a judgement: what may have changed is asked anew.
    pub(crate) fn ask_for(&mut self, start: &Start<'_>, suspects: &[Weighed], limit: usize, now: Option<BootNanos>) {
        for (id, _) in suspects {
            let now = now.filter(|_| !self.is_over(start, *id));
            self.ask(start, *id, limit, now);
        }
    }

    /// What a later look would see is not what it met: the container or the process has ended. Nor is asked anew about what was said.
    fn is_over(&self, start: &Start<'_>, id: SuspectId) -> bool {
        let has_ended = |suspect: Suspect<'_>| match suspect {
            Suspect::Call(failure) => {
                let process = failure.call.task.process;
                start.story.processes.iter().any(|view| view.process == process && view.exited.is_some())
            }
            Suspect::OutOfMemory { .. } | Suspect::NeverStarted { .. } | Suspect::Exit { .. } => true,
        };
        start.end.is_some() || self.has_spoken_of(id) || start.suspect(id).is_none_or(has_ended)
    }

    /// An answer that came after the judgement may raise another question.
    pub(crate) fn ask_on(&mut self, start: &Start<'_>, limit: usize) {
        let spoken: Vec<Weighed> = self.spoken.iter().map(|spoken| (spoken.suspect, spoken.score)).collect();
        self.ask_for(start, &spoken, limit, None);
    }

    fn ask(&mut self, start: &Start<'_>, id: SuspectId, limit: usize, now: Option<BootNanos>) {
        for question in self.in_case(start, id, causes::questions).unwrap_or_default() {
            self.asked.want(question, id, limit, now);
        }
    }

    /// Runs `with` on a suspect in its case; `None` when there is no such suspect.
    fn in_case<T>(&self, start: &Start<'_>, id: SuspectId, with: impl FnOnce(Suspect<'_>, &Case<'_>) -> T) -> Option<T> {
        let suspect = start.suspect(id)?;
        let answers: Vec<Known<'_>> = self.asked.answers(id);
        Some(with(suspect, &start.case(Some(suspect), &answers)))
    }

    /// Says what the best suspect means that a rule can explain; `None`: none can be explained yet.
    pub(crate) fn speak(&mut self, start: &Start<'_>, suspects: &[Weighed], now: BootNanos) -> Option<Vec<Verdict>> {
        let scales = Scales::new(start.case(None, &[]), start.weights);
        let end = start.end.map_or(now, |(at, _)| at);
        let explained: Vec<Explained> = suspects.iter().filter_map(|weighed| self.explain(start, *weighed, &scales, end)).collect();
        let proved = |one: &Explained| if one.finding.proved { start.weights.proved } else { 0 };
        let best = explained.iter().max_by_key(|one| one.score + proved(one))?;
        let score = self.standing(start, best).unwrap_or(best.score);
        let is_rival = |other: &Explained| {
            other.id != best.id
                && other.score + start.weights.rival > score
                && other.finding.proved
                && !same_thing(&other.finding, &best.finding)
        };
        let rival = explained.iter().any(is_rival);
        if self.has_spoken_of(best.id) {
            return Some(self.say_more(start));
        }
        let confidence = verdicts::confidence(start.weights, score, best.finding.proved, rival);
        let verdict = verdicts::make(start, &self.asked, best.id, &best.finding, confidence);
        self.spoken.push(Spoken { suspect: best.id, score, rival, verdict: verdict.clone() });
        Some(vec![verdict])
    }

    /// What a suspect means, and how much speaks for it now that more is known.
    fn explain(&self, start: &Start<'_>, (id, known): Weighed, scales: &Scales<'_>, end: BootNanos) -> Option<Explained> {
        let finding = self.in_case(start, id, explain)??;
        let score = start.suspect(id).and_then(|suspect| scales.weigh(suspect, &self.asked.answers(id), end));
        Some(Explained { id, score: score.unwrap_or(known).max(known), finding })
    }

    /// How sure a finding from an exit is. It ranks last whatever its rule found; that done, an exit 0 that should not have been
    /// is proved by itself, while behind a crash there is always a reason that is not known.
    fn standing(&self, start: &Start<'_>, best: &Explained) -> Option<i32> {
        let whole = best.finding.cause() != Cause::Crashed && self.asked.unanswered(best.id) == 0;
        let standing = if whole { start.weights.certain } else { start.weights.likely };
        (best.id == SuspectId::Exit).then_some(standing)
    }

    /// Explains again what was said: what there is more to say of.
    pub(crate) fn say_more(&mut self, start: &Start<'_>) -> Vec<Verdict> {
        let mut more = Vec::new();
        for index in 0..self.spoken.len() {
            let Spoken { suspect, score, rival, .. } = self.spoken[index];
            let Some(Some(finding)) = self.in_case(start, suspect, explain) else { continue };
            let confidence = verdicts::confidence(start.weights, score, finding.proved, rival);
            let mut verdict = verdicts::make(start, &self.asked, suspect, &finding, confidence);
            let before = &self.spoken[index].verdict;
            verdict.resolved_at = before.resolved_at.filter(|at| verdict.last_seen <= *at);
            verdict.id.clone_from(&before.id); // the same finding, said better: it replaces what was said
            if verdicts::is_news(before, &verdict) {
                more.push(verdict.clone());
                self.spoken[index].verdict = verdict;
            }
        }
        more
    }
}

/// A failure of a process that still runs needs more to be blamed.
fn threshold(start: &Start<'_>, alive: bool) -> i32 {
    match (alive && start.probe.is_none(), start.is_unready()) {
        (true, true) => start.weights.threshold_unready,
        (true, false) => start.weights.threshold_alive,
        (false, _) => start.weights.threshold,
    }
}

/// Whether two findings are one: of an address, the port alone counts (a program tries both families).
fn same_thing(one: &Finding, other: &Finding) -> bool {
    let name = |finding: &Finding| {
        let name = &finding.subject.name;
        if finding.subject.kind == SubjectKind::Address { name.rsplit(':').next().unwrap_or_default().to_owned() } else { name.clone() }
    };
    (one.cause(), one.subject.kind, name(one)) == (other.cause(), other.subject.kind, name(other))
}
