//! How a process ended, as rules look at it: what it was, what failed in it, what it said last.

use super::Case;
use crate::{
    answer::{Answer, Memory},
    case::look,
    record::ExitStatus,
    story::{failure::Failure, process::ProcessView},
    units::{BootNanos, Process},
    verdict::{Evidence, EvidenceKind},
    words,
};

const SIGKILL: u8 = 9;
/// Facts of each kind that an end carries.
const FACTS: usize = 5;

/// It was killed, as the kernel does for lack of memory; or a shell says that of its child.
pub const fn is_killed(status: ExitStatus) -> bool {
    matches!(status, ExitStatus::Signal(SIGKILL) | ExitStatus::Code(137))
}

/// The process that ended.
pub fn view<'a>(case: &Case<'a>, process: Process) -> Option<&'a ProcessView> {
    case.processes.iter().find(|view| view.process == process).or(case.process)
}

/// Memory of the container, if that was asked and answered.
pub fn memory(case: &Case<'_>) -> Option<Memory> {
    case.answers.iter().find_map(|(_, answer)| if let Answer::Memory(memory) = answer { Some(*memory) } else { None })
}

/// What it is called in sentences.
pub fn name_of(process: Process, case: &Case<'_>) -> String {
    match view(case, process) {
        Some(view) if !view.path.is_empty() => view.path.clone(),
        Some(view) => words::process(view),
        None => format!("pid {}", process.pid),
    }
}

/// How long it lived, to be put behind a sentence.
pub fn lived(at: BootNanos, process: Process, case: &Case<'_>) -> String {
    view(case, process).map(|view| format!(", {} after it was started", words::duration(at.since(view.executed)))).unwrap_or_default()
}

/// Failures of calls that are worth showing, the last first.
pub fn failing<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Failure> {
    let mut all: Vec<&Failure> = case.failures.iter().filter(|failure| !failure.by_runtime && !failure.is_noise()).collect();
    all.sort_by_key(|failure| std::cmp::Reverse(failure.last));
    all.into_iter()
}

/// Lines that say something.
pub fn said<'a>(case: &Case<'a>) -> Vec<&'a str> {
    case.output.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect()
}

/// The last failing calls and the last lines, as evidence.
pub fn facts(at: BootNanos, case: &Case<'_>) -> Vec<Evidence> {
    let mut facts: Vec<Evidence> = failing(case).take(FACTS).map(|failure| look::call_fact(failure, failure.last)).collect();
    facts.reverse();
    let lines = said(case);
    let last = lines.iter().skip(lines.len().saturating_sub(FACTS));
    facts.extend(last.map(|line| Evidence::new(at, EvidenceKind::Output, (*line).to_owned())));
    facts
}
