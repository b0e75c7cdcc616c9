//! `OutOfMemory`: the kernel ended a process for lack of memory.

use super::rule::{Others, Rule};
use crate::{
    answer::Memory,
    case::{
        Case, Setting, Suspect, end,
        finding::{Finding, Matter},
        look::gap,
    },
    catalogue::{Cause, out_of_memory},
    knowledge::runtimes,
    question::Question,
    story::{fact, fact::Fact},
    units::{BootNanos, Process},
    verdict::{Evidence, EvidenceKind, SubjectKind},
    words,
};

/// See the module's head.
pub(super) const RULE: Rule = Rule { says: &[Cause::OutOfMemory], calls: None, others: Some(Others { questions, explain }) };

fn questions(suspect: Suspect<'_>, case: &Case<'_>) -> Vec<Question> {
    let bears = match suspect {
        Suspect::OutOfMemory { .. } => true,
        Suspect::Exit { status, .. } => end::is_killed(status),
        Suspect::Call(_) | Suspect::NeverStarted { .. } => false,
    };
    if bears { vec![Question::Memory { cgroup: case.cgroup }] } else { Vec::new() }
}

fn explain(suspect: Suspect<'_>, case: &Case<'_>) -> Option<Finding> {
    match suspect {
        Suspect::OutOfMemory { at, victim } => out_of_memory(at, victim, case),
        Suspect::Exit { at, status, process } => {
            let is_counted = end::memory(case).is_some_and(|memory| memory.oom_kills.unwrap_or(0) > 0);
            if end::is_killed(status) && is_counted { killed_unseen(at, process, case) } else { None }
        }
        Suspect::Call(_) | Suspect::NeverStarted { .. } => None,
    }
}

/// The kernel ended a process for lack of memory.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a rule")]
fn out_of_memory(at: BootNanos, victim: Process, case: &Case<'_>) -> Option<Finding> {
    let memory = end::memory(case);
    let killed = case.processes.iter().find(|view| view.process.pid == victim.pid);
    let name = killed.map_or_else(|| format!("pid {}", victim.pid), words::process);
    let main = case.processes.first().is_none_or(|first| first.process.pid == victim.pid);
    let layer = if main { out_of_memory::MAIN_PROCESS } else { out_of_memory::CHILD_PROCESS };
    let limit = memory.and_then(|memory| memory.limit);
    let summary = match limit {
        Some(limit) => format!("the kernel killed {name}: the container reached its memory limit of {}", words::bytes(limit)),
        None => format!("the kernel killed {name} for lack of memory"),
    };
    let mut found = Finding::new(layer, (SubjectKind::Limit, "memory limit"), summary);
    found.explanation = memory_reasons(memory, case, main);
    found.remedy.text = memory_remedy(memory, case);
    found.evidence = memory.map(|memory| memory_evidence(at, memory)).into_iter().collect();
    found.proved = true; // the kernel itself said so
    found.matter = Some(Matter::Memory(memory));
    Some(found)
}

fn memory_reasons(memory: Option<Memory>, case: &Case<'_>, main: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    match memory {
        Some(Memory { limit: Some(limit), peak, .. }) => {
            let peak = peak.map(|peak| format!("; its peak was {}", words::bytes(peak))).unwrap_or_default();
            reasons.push(format!("the limit of the container's cgroup is {}{peak}", words::bytes(limit)));
        }
        Some(Memory { limit: None, .. }) => {
            reasons.push("the container's own cgroup has no limit: that of the pod or of the node was reached".to_owned());
        }
        None => reasons.push(format!("the limit is not known: {}", gap(case).unwrap_or("it has not been read"))),
    }
    if !main {
        reasons.push(
            "it was not the container's main process: the container may run on without it, and its status need not show OOMKilled"
                .to_owned(),
        );
    }
    reasons
}

fn memory_evidence(at: BootNanos, memory: Memory) -> Evidence {
    let fact = fact::Resource {
        name: "memory".to_owned(),
        unit: "bytes".to_owned(),
        scope: String::new(),
        limit: memory.limit,
        used: memory.peak.or(memory.current),
    };
    Evidence::new(at, EvidenceKind::Resource, memory_fact(memory)).with(Fact::Resource(fact))
}

fn memory_fact(memory: Memory) -> String {
    let show = |amount: Option<u64>| amount.map_or_else(|| "unknown".to_owned(), words::bytes);
    let limit = memory.limit.map_or_else(|| "none".to_owned(), words::bytes);
    let kills = memory.oom_kills.map(|kills| format!(", {} so far", words::plural(kills, "OOM kill"))).unwrap_or_default();
    format!("memory: limit {limit}, peak {}, now {}{kills}", show(memory.peak), show(memory.current))
}

fn memory_remedy(memory: Option<Memory>, case: &Case<'_>) -> String {
    let heap = runtimes::tell_bound(memory.and_then(|memory| memory.limit));
    match (case.setting(), memory) {
        (Setting::Pod, Some(Memory { limit: None, .. })) => {
            format!("Set resources.requests.memory to what the program needs, so that the pod lands on a node that has it. {heap}")
        }
        (Setting::Pod, _) => format!("Raise resources.limits.memory above what the start needs, or let it need less. {heap}"),
        (Setting::Container, _) => format!("Raise the container's memory limit, or let the program need less. {heap}"),
        (Setting::Local, _) => format!("Raise the limit (`--memory`), or let the program need less. {heap}"),
    }
}

/// Killed, and the cgroup counts OOM kills that were not seen as they happened.
fn killed_unseen(at: BootNanos, process: Process, case: &Case<'_>) -> Option<Finding> {
    let mut found = out_of_memory(at, process, case)?;
    found.explanation.push("the kill itself was not seen; the cgroup counts it (memory.events)".to_owned());
    found.proved = false;
    Some(found)
}
