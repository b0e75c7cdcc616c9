//! The judgement: weigh the symptoms, ask what the best ones need, say what the winner means.

use super::{
    Config,
    container::{Container, Pending, Phase, Spoken, Trigger},
    timing::look_early,
    verdicts,
};
use crate::{
    case::{Case, Suspect, finding::Finding},
    catalogue::Cause,
    causes,
    input::Output,
    judge::{self, questions::SuspectId, weigh},
    record::ExitStatus,
    units::BootNanos,
    verdict::{SubjectKind, Verdict},
};

/// How many candidates are examined: beyond the best few, the evidence is too thin to tell them apart.
const EXAMINED: usize = 4;
/// A failure of a process that still runs needs more to be blamed than one that ended its process.
const ALIVE_THRESHOLD: i32 = 60;
/// The same while a readiness probe waits for it in vain.
const UNREADY_THRESHOLD: i32 = 50;
/// How long a judgement waits for its answers when nothing at all can be said without them.
pub(crate) const LAST_WORD: std::time::Duration = std::time::Duration::from_secs(5);

/// Lets a container act after a change: asks early, moves by the clock, judges, and says more when more is known.
pub(crate) fn advance(container: &mut Container, config: &Config, now: BootNanos) {
    container.tick(config, now);
    if !container.confirmed {
        return; // it may be no container at all: what happens in it is kept until a runtime shows itself
    }
    if container.is_starting() {
        look_early(container, config);
    }
    if let Some(pending) = container.pending.clone() {
        if container.may_still_speak(pending.since, now) {
            return;
        }
        let candidates = candidates(container, pending.trigger, config, now);
        ask_for(container, &candidates, config);
        if container.must_be_silent(pending.trigger) {
            container.pending = None;
            return;
        }
        if container.awaits_its_pod(pending.since, now) || now < container.loss_awaited_until(pending.trigger, pending.since) {
            return;
        }
        let open = candidates.iter().any(|(key, _)| container.asked.is_open(*key));
        if !open || now >= pending.deadline(config) {
            let said = speak(container, &candidates, config);
            let wait = !said && open && now.since(pending.since) < LAST_WORD;
            container.pending = wait.then_some(Pending { patient: true, ..pending });
        }
    } else {
        ask_on(container, config);
        say_more(container, config);
    }
}

/// An answer that came after the judgement may raise another question.
fn ask_on(container: &mut Container, config: &Config) {
    let spoken: Vec<(SuspectId, i32)> = container.spoken.iter().map(|spoken| (spoken.suspect, spoken.score)).collect();
    ask_for(container, &spoken, config);
}

/// The symptoms that may explain it, best first.
fn candidates(container: &Container, trigger: Trigger, config: &Config, now: BootNanos) -> Vec<(SuspectId, i32)> {
    let end = container.end.map_or(now, |(at, _)| at);
    let alive = matches!(trigger, Trigger::GiveUp | Trigger::Retry);
    let stays = container.probe.is_some() || container.must_stay();
    let threshold = match (alive && container.probe.is_none(), container.is_unready()) {
        (true, true) => UNREADY_THRESHOLD,
        (true, false) => ALIVE_THRESHOLD,
        (false, _) => weigh::THRESHOLD,
    };
    let ended_well = trigger == Trigger::Exit && !stays && container.end.is_some_and(|(_, status)| status.is_success());
    let calls = if ended_well { 0 } else { container.failures.len() }; // whatever failed on the way, it was no reason
    let mut found: Vec<(SuspectId, i32)> = (0..calls)
        .map(SuspectId::Call)
        .filter_map(|key| {
            let weighed = container.in_context(key, config, |suspect, case| {
                let over = matches!(suspect, Suspect::Call(failure) if alive && weigh::is_over(failure, case));
                if over { None } else { weigh(suspect, case, end) }
            });
            weighed.flatten().filter(|score| *score >= threshold).map(|score| (key, score))
        })
        .collect();
    if container.victim.is_some() {
        found.push((SuspectId::OutOfMemory, 120));
    }
    found.sort_by_key(|(_, score)| std::cmp::Reverse(*score));
    found.truncate(EXAMINED);
    match trigger {
        Trigger::NeverStarted => found.push((SuspectId::NeverStarted, weigh::CERTAIN)),
        Trigger::Exit if !is_others_doing(container) => found.push((SuspectId::Exit, 0)),
        Trigger::Exit | Trigger::OutOfMemory | Trigger::Retry | Trigger::GiveUp => {}
    }
    found
}

/// Ended from outside: a stop, not a failure of its own.
fn is_others_doing(container: &Container) -> bool {
    const SIGINT: u8 = 2;
    const SIGKILL: u8 = 9;
    const SIGTERM: u8 = 15;
    let Some((_, status)) = container.end else { return false };
    let stopped = match status {
        ExitStatus::Signal(signal) => matches!(signal, SIGINT | SIGKILL | SIGTERM),
        ExitStatus::Code(code) => code == 128 + SIGTERM || code == 128 + SIGINT,
    };
    (stopped && (!container.is_local_run() || container.gave_up))
        || (container.was_ready && status.is_success() && !container.must_stay())
        || container.may_have_been_stopped()
}

fn weigh(suspect: Suspect<'_>, case: &Case<'_>, end: BootNanos) -> Option<i32> {
    match suspect {
        Suspect::Call(failure) => weigh::score(failure, case, end),
        Suspect::OutOfMemory { .. } | Suspect::NeverStarted { .. } | Suspect::Exit { .. } => None,
    }
}

fn ask_for(container: &mut Container, candidates: &[(SuspectId, i32)], config: &Config) {
    for (key, _) in candidates {
        let wanted = container.in_context(*key, config, causes::questions).unwrap_or_default();
        for question in wanted {
            container.asked.want(question, *key, config.questions);
        }
    }
}

/// Says what the best candidate means that a rule can explain; false: none can be explained yet.
fn speak(container: &mut Container, candidates: &[(SuspectId, i32)], config: &Config) -> bool {
    let now_known: Vec<(SuspectId, i32, Finding)> = candidates
        .iter()
        .filter_map(|(key, _)| {
            let (score, finding) = container.in_context(*key, config, |suspect, case| {
                let end = container.end.map_or(BootNanos(u64::MAX), |(at, _)| at);
                let score = weigh(suspect, case, end);
                judge::explain(suspect, case).map(|finding| (score, finding))
            })??;
            let known = candidates.iter().find(|(candidate, _)| candidate == key).map_or(0, |(_, score)| *score);
            Some((*key, score.unwrap_or(known).max(known), finding))
        })
        .collect();
    let best = now_known.iter().max_by_key(|(_, score, finding)| score + if finding.proved { 5 } else { 0 });
    let Some((key, score, finding)) = best else { return false };
    let score = &standing(container, *key, finding).unwrap_or(*score);
    let rival = now_known
        .iter()
        .any(|(other, rival, found)| other != key && rival + weigh::RIVAL > *score && found.proved && !same_thing(found, finding));
    if container.spoken.iter().any(|spoken| spoken.suspect == *key) {
        say_more(container, config);
        return true;
    }
    let verdict = verdicts::make(container, *key, finding, verdicts::confidence(*score, finding.proved, rival));
    container.outputs.push(Output::Verdict(Box::new(verdict.clone())));
    container.spoken.push(Spoken { suspect: *key, score: *score, rival, verdict });
    true
}

/// How sure a finding from an exit is. It ranks last whatever its rule found; that done, an exit 0 that should not have been
/// is proved by itself, while behind a crash there is always a reason that is not known.
fn standing(container: &Container, key: SuspectId, finding: &Finding) -> Option<i32> {
    let whole = finding.cause() != Cause::Crashed && container.asked.unanswered(key) == 0;
    (key == SuspectId::Exit).then_some(if whole { weigh::CERTAIN } else { weigh::LIKELY })
}

/// Whether two findings are one: of an address, the port alone counts (a program tries both families).
fn same_thing(one: &Finding, other: &Finding) -> bool {
    let name = |finding: &Finding| match finding.subject.kind {
        SubjectKind::Address => finding.subject.name.rsplit(':').next().unwrap_or_default().to_owned(),
        SubjectKind::Path
        | SubjectKind::Library
        | SubjectKind::Capability
        | SubjectKind::Command
        | SubjectKind::Process
        | SubjectKind::Limit
        | SubjectKind::Pod
        | SubjectKind::Container
        | SubjectKind::Image
        | SubjectKind::Volume
        | SubjectKind::Object
        | SubjectKind::Hook
        | SubjectKind::Condition => finding.subject.name.clone(),
    };
    (one.cause(), one.subject.kind, name(one)) == (other.cause(), other.subject.kind, name(other))
}

/// Explains again what was said, and repeats it when there is more to say.
fn say_more(container: &mut Container, config: &Config) {
    for index in 0..container.spoken.len() {
        let Spoken { suspect, score, rival, .. } = container.spoken[index];
        if container.phase == Phase::Settled {
            return;
        }
        let Some(Some(finding)) = container.in_context(suspect, config, judge::explain) else { continue };
        let mut verdict = verdicts::make(container, suspect, &finding, verdicts::confidence(score, finding.proved, rival));
        let before = &container.spoken[index].verdict;
        verdict.resolved_at = before.resolved_at;
        verdict.id.clone_from(&before.id); // the same finding, said better: it replaces what was said
        // What could not be found out is no news by itself, but that something was not seen is.
        let (then, now) = (before.completeness, verdict.completeness);
        let lacks_more = (then.lost == 0 && now.lost > 0) || then.blind != now.blind;
        if lacks_more || (Verdict { completeness: before.completeness, ..verdict.clone() }) != *before {
            container.outputs.push(Output::Verdict(Box::new(verdict.clone())));
            container.spoken[index].verdict = verdict;
        }
    }
}

impl Container {
    /// Runs `with` on a suspect in its case; `None` when there is no such suspect.
    pub(crate) fn in_context<T>(&self, key: SuspectId, config: &Config, with: impl FnOnce(Suspect<'_>, &Case<'_>) -> T) -> Option<T> {
        let suspect = self.suspect(key)?;
        let answers = self.asked.answers(key);
        let pid = match suspect {
            Suspect::Call(failure) => Some(failure.call.task.process),
            Suspect::OutOfMemory { victim, .. } => Some(victim),
            Suspect::Exit { process, .. } => Some(process),
            Suspect::NeverStarted { .. } => None,
        };
        let case = Case {
            cgroup: self.id,
            workload: &self.workload,
            process: self.processes.iter().find(|process| Some(process.process) == pid),
            processes: &self.processes,
            failures: &self.failures,
            output: &self.output,
            answers: &answers,
            probe: self.probe.as_deref(),
            was_ready: self.was_ready,
            clock: config.clock,
            manifest: self.spec(),
        };
        Some(with(suspect, &case))
    }

    fn suspect(&self, key: SuspectId) -> Option<Suspect<'_>> {
        match key {
            SuspectId::Call(index) => self.failures.get(index).map(Suspect::Call),
            SuspectId::OutOfMemory => self.victim.map(|(at, victim)| Suspect::OutOfMemory { at, victim }),
            SuspectId::NeverStarted => Some(Suspect::NeverStarted { at: self.end.map_or(self.created, |(at, _)| at) }),
            SuspectId::Exit => {
                let ((at, status), process) = (self.end?, self.main?);
                Some(Suspect::Exit { at, status, process })
            }
        }
    }
}
