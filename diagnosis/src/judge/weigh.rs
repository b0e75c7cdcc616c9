//! How much speaks for a suspect: every one is weighed here, by the same numbers ([`Weights`]).
//!
//! Programs fail at calls all the time and are well (`/etc/ld.so.preload`, locale files, search paths), and the last
//! failing call before an exit is often innocent. So no sign decides alone; each adds to or takes from a score, and a
//! failure below [`Weights::threshold`] is never a verdict. The signs, in the order of their worth:
//!
//! - the program itself names the path or the error on stderr (local runs);
//! - the kind of error: a missing right rarely is by design, a missing file often is;
//! - the process was *told* the path (an argument), or it lies on a mounted volume;
//! - the process ended right after it, unsuccessfully, and nothing else failed in between;
//! - it is tried again and again.

use super::weights::Weights;
use crate::{
    attribution::Runtime,
    case::{Case, Known, Suspect},
    knowledge::{noise, runtime_files},
    question::Answer,
    record::{Call, Errno, ExitStatus, Target},
    story::{failure::Failure, process::ProcessView},
    units::BootNanos,
};
use std::{collections::BTreeMap, time::Duration};

/// Whether the world should be asked about it at once, while the process may still be there: rights and limits are rare
/// failures and worth it; missing files are plenty and wait for a judgement.
pub(crate) fn deserves_early_look(failure: &Failure) -> bool {
    let executes = failure.call.call == Call::Exec;
    let rare = executes || (failure.call.errno != Errno::ENOENT && !failure.by_runtime);
    rare && !failure.is_noise()
}

/// Whether the failure cannot be what keeps a living program: its process has ended, and with it what was only tried. (A
/// worker that was refused a right is another matter, while a probe goes unanswered.)
pub(crate) fn is_over(failure: &Failure, case: &Case<'_>) -> bool {
    let ended = case.process_of(failure).is_some_and(|process| process.exited.is_some());
    ended && !failure.is_retried() && (case.probe.is_none() || failure.call.errno == Errno::ENOENT)
}

/// The scales for the suspects of one start: what all weighings of a judgement share is worked out once.
#[derive(Debug)]
pub(crate) struct Scales<'a> {
    case: Case<'a>,
    weights: &'a Weights,
    /// Of each process, when its failures that count last happened, in order.
    failed_at: BTreeMap<u32, Vec<BootNanos>>,
    /// What the program wrote, in lower case.
    output: Vec<String>,
}

impl<'a> Scales<'a> {
    /// For the suspects of this start; what was answered about one of them comes with it.
    pub(crate) fn new(case: Case<'a>, weights: &'a Weights) -> Self {
        let mut failed_at: BTreeMap<u32, Vec<BootNanos>> = BTreeMap::new();
        for failure in case.failures.iter().filter(|failure| !failure.is_noise() && !found_elsewhere(failure, &case)) {
            failed_at.entry(failure.call.task.process.pid).or_default().push(failure.last);
        }
        for times in failed_at.values_mut() {
            times.sort_unstable();
        }
        let output = case.output.iter().map(|line| line.to_lowercase()).collect();
        Self { case, weights, failed_at, output }
    }

    /// The weight of a suspect as the reason for what happened by `end`. `None`: it is none.
    pub(crate) fn weigh(&self, suspect: Suspect<'_>, known: &[Known<'_>], end: BootNanos) -> Option<i32> {
        match suspect {
            Suspect::Call(failure) => self.weigh_call(failure, known, end),
            Suspect::OutOfMemory { .. } => Some(self.weights.out_of_memory),
            Suspect::NeverStarted { .. } => Some(self.weights.certain),
            Suspect::Exit { .. } => Some(0), // it is the reason when nothing else is
        }
    }

    fn weigh_call(&self, failure: &Failure, known: &[Known<'_>], end: BootNanos) -> Option<i32> {
        let (case, weights) = (&self.case, self.weights);
        if failure.by_runtime {
            return (failure.call.call == Call::Exec && !was_superseded(failure, case)).then_some(weights.exec_refused);
        }
        let process = case.process_of(failure);
        let exit = process.and_then(|process| process.exited);
        if self.is_innocent(failure, process) {
            return None;
        }
        let circumstances = [
            (failure.path().is_some_and(|path| is_side_file(&path.path)), -weights.side_file),
            (was_told(failure, process), weights.told),
            (on_volume(case, known), weights.volume),
            (failure.is_retried(), weights.retried),
            (ends_like_a_loader(failure, exit), weights.loader_exit),
        ];
        let circumstances: i32 = circumstances.into_iter().filter(|(holds, _)| *holds).map(|(_, points)| points).sum();
        let by_end = exit.map_or(0, |(at, _)| self.by_end(failure, at, end));
        Some(self.by_kind(failure) + self.by_words(failure) + circumstances + by_end)
    }

    /// What it did afterwards shows that it is no reason, or it is what healthy programs do.
    fn is_innocent(&self, failure: &Failure, process: Option<&ProcessView>) -> bool {
        let case = &self.case;
        if process.is_some_and(|process| failure.last < process.executed) || found_elsewhere(failure, case) {
            return true; // the process went on to execute another program, or found it in the next directory
        }
        let exit = process.and_then(|process| process.exited);
        let at_once = |at: BootNanos| at.since(failure.last).as_millis() <= millis(self.weights.at_once_millis);
        let decisive = is_runtime_file(failure) && matches!(exit, Some((at, status)) if !status.is_success() && at_once(at));
        let blamed = is_named(failure, case) || is_complained_of(failure, case);
        if failure.is_noise() && !blamed && !decisive {
            return true; // a word that its name shares with the program's last line is no blame
        }
        let counts = case.probe.is_some() || (case.must_stay() && is_main(failure, case));
        matches!(exit, Some((_, status)) if status.is_success()) && !counts // it ended well in spite of it
    }

    fn by_kind(&self, failure: &Failure) -> i32 {
        let weights = self.weights;
        let look = matches!(failure.call.call, Call::Stat | Call::Readlink | Call::Access);
        match (failure.call.call, failure.call.errno) {
            (Call::Exec, Errno::ENOENT) => weights.exec_missing,
            (Call::Exec, _) => weights.exec_refused,
            (Call::Bind, _) => weights.bind,
            (_, Errno::ENOSPC | Errno::EDQUOT) => weights.no_room,
            (_, Errno::EROFS | Errno::EMFILE | Errno::ENFILE | Errno::EAGAIN) => weights.limit,
            (_, Errno::EACCES | Errno::EPERM) if look => weights.denied_look,
            (_, Errno::EACCES | Errno::EPERM) => weights.denied,
            (_, Errno::ENOENT) if look => weights.missing_look,
            (_, Errno::ENOENT) if makes(failure) => weights.missing_to_make,
            (_, Errno::ENOENT) => weights.missing,
            _ => weights.other,
        }
    }

    /// How the end of its process, at `exit`, and that of the container speak for it.
    fn by_end(&self, failure: &Failure, exit: BootNanos, end: BootNanos) -> i32 {
        let went_on = if self.case.processes.iter().any(|process| process.executed > exit) { self.weights.went_on } else { 0 };
        self.nearness(exit.since(failure.last)) + self.lateness(end.since(exit)) + self.followers(failure, exit) - went_on
    }

    /// How soon the process ended after its failure.
    fn nearness(&self, gap: Duration) -> i32 {
        let weights = self.weights;
        match gap.as_millis() {
            gap if gap <= millis(weights.at_once_millis) => weights.near_at_once,
            gap if gap <= 250 => weights.near_soon,
            gap if gap <= 2000 => 0,
            _ => -weights.far,
        }
    }

    /// How long after the process the container ended: a child that died before the program went on is not the reason.
    const fn lateness(&self, gap: Duration) -> i32 {
        if gap.as_millis() <= 100 { 0 } else { -self.weights.outlived }
    }

    /// Other failures that came between this one and the end speak against it.
    fn followers(&self, failure: &Failure, exit: BootNanos) -> i32 {
        let times = self.failed_at.get(&failure.call.task.process.pid).map_or(&[][..], Vec::as_slice);
        let by = |at: BootNanos| times.partition_point(|time| *time <= at);
        match by(exit).saturating_sub(by(failure.last)) {
            0 => self.weights.last_failure,
            1 => 0,
            _ => -self.weights.followed,
        }
    }

    /// What the program's own words say for or against it.
    fn by_words(&self, failure: &Failure) -> i32 {
        let (case, weights) = (&self.case, self.weights);
        if case.output.is_empty() {
            return 0;
        }
        let says = |word: &str| case.output.iter().any(|line| has_word(line, word));
        let base = failure.base();
        let base_named = base.len() >= 4 && says(base);
        let named = is_named(failure, case) || matches!(&failure.call.target, Target::Inet { port, .. } if says(&port.to_string()));
        let error = failure.call.errno.text().unwrap_or_default().to_lowercase();
        let error_named = !error.is_empty() && self.output.iter().any(|line| line.contains(&error));
        match (named, base_named, error_named) {
            (true, _, true) => weights.named_with_error,
            (true, _, false) | (false, true, true) => weights.named,
            (false, true, false) => weights.base_named,
            (false, false, true) => weights.error_named,
            (false, false, false) if is_complained_of(failure, case) => weights.complained,
            (false, false, false) if self.output.iter().rev().take(3).any(|line| gives_a_reason(line)) => -weights.other_reason,
            (false, false, false) => -weights.other_words,
        }
    }
}

fn millis(number: i32) -> u128 {
    u128::try_from(number).unwrap_or_default()
}

fn is_main(failure: &Failure, case: &Case<'_>) -> bool {
    case.processes.first().is_some_and(|main| main.process == failure.call.task.process)
}

/// What it wanted to make has no directory.
fn makes(failure: &Failure) -> bool {
    const O_CREAT: u64 = 0o100;
    let opens = failure.call.call == Call::Open && failure.call.arg & O_CREAT != 0;
    opens || matches!(failure.call.call, Call::Mkdir | Call::Mknod | Call::Bind | Call::Symlink)
}

/// ld.so ends with 127 when a library is missing.
fn ends_like_a_loader(failure: &Failure, exit: Option<(BootNanos, ExitStatus)>) -> bool {
    matches!(exit, Some((_, ExitStatus::Code(127)))) && failure.path().is_some_and(|path| noise::is_library(&path.path))
}

/// The program names the whole path on stderr.
fn is_named(failure: &Failure, case: &Case<'_>) -> bool {
    failure.path().is_some_and(|path| path.path.len() >= 4 && case.output.iter().any(|line| line.contains(&path.path)))
}

/// Whether a line has this file name or number as a word of its own: `python3` is none of `/usr/lib/python3.11`.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    line.split(|c: char| !is_part(c)).any(|part| part == word || part.trim_end_matches(['.', '-']) == word)
}

/// A line that gives a reason, and so another one than a failure that it does not name.
fn gives_a_reason(line: &str) -> bool {
    ["error", "fatal", "panic", "fail", "cannot", "could not", "unable", "invalid", "unknown"].iter().any(|word| line.contains(word))
}

/// Logs and pid files.
fn is_side_file(path: &str) -> bool {
    path.starts_with("/var/log/") || [".log", ".pid"].iter().any(|end| path.ends_with(end))
}

/// The process was given this path, or a directory above it, as an argument of its own. What stands in the text of a script
/// (`sh -c`) was not given: a script tries things.
fn was_told(failure: &Failure, process: Option<&ProcessView>) -> bool {
    let (Some(path), Some(process)) = (failure.path(), process) else { return false };
    let path = path.path.trim_end_matches('/');
    let names = |argument: &str| {
        let value = argument.split_once('=').map_or(argument, |(_, value)| value).trim_end_matches('/');
        let is_above = value.len() >= 4 && value.starts_with('/') && path.strip_prefix(value).is_some_and(|rest| rest.starts_with('/'));
        argument.trim_end_matches('/').ends_with(path) || is_above
    };
    let is_text = |argument: &str| argument.contains(char::is_whitespace);
    path.len() >= 4 && process.args.iter().skip(1).any(|argument| !is_text(argument) && names(argument))
}

/// The path lies on a mount of its own that is no kernel file system: a volume.
fn on_volume(case: &Case<'_>, known: &[Known<'_>]) -> bool {
    let is_local = case.workload.runtime == Runtime::UnreadyRun.word();
    !is_local
        && known.iter().any(|(_, answer)| {
            let Answer::Walk(walk) = answer else { return false };
            let Some(point) = walk.components.last().map(|last| last.mount.point.as_str()) else { return false };
            !matches!(point, "" | "/") && !["/proc", "/sys", "/dev"].iter().any(|kernel| point.starts_with(kernel))
        })
}

/// A program of the same name was executed after all: a walk along PATH.
fn was_superseded(failure: &Failure, case: &Case<'_>) -> bool {
    failure.call.call == Call::Exec
        && case.processes.iter().any(|process| process.process.pid == failure.call.task.process.pid && process.executed >= failure.last)
}

/// A file of the same name was looked for in several directories, and not found only in some: with failures alone one
/// cannot see the success, but the search that ends with an executed program of that name is one.
fn found_elsewhere(failure: &Failure, case: &Case<'_>) -> bool {
    let base = failure.base();
    if base.is_empty() || !failure.is_lookup() {
        return false;
    }
    let pid = failure.call.task.process.pid;
    let looks_for_itself = |process: &ProcessView| failure.call.call != Call::Exec && process.process.pid == pid;
    let is_found = |process: &&ProcessView| process.executed >= failure.first || looks_for_itself(process);
    case.processes.iter().filter(is_found).any(|process| process.path.rsplit('/').next() == Some(base))
}

/// A file that programs look for in many places, and that minimal images lack.
fn is_runtime_file(failure: &Failure) -> bool {
    failure.call.errno == Errno::ENOENT && failure.path().is_some_and(|path| runtime_files::is_searched_for(&path.path))
}

/// Its program speaks on stderr of what the missing path stands for.
fn is_complained_of(failure: &Failure, case: &Case<'_>) -> bool {
    let Some(path) = failure.path().filter(|_| failure.call.errno == Errno::ENOENT) else { return false };
    runtime_files::of(&path.path).is_some_and(|file| case.complains_of(file, &path.path))
}
