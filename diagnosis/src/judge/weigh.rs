//! Whether a failing call is the reason: the weighing of signs.
//!
//! Programs fail at calls all the time and are well (`/etc/ld.so.preload`, locale files, search paths), and the last
//! failing call before an exit is often innocent. So no sign decides alone; each adds to or takes from a score, and a
//! failure below [`THRESHOLD`] is never a verdict. The signs, in the order of their worth:
//!
//! - the program itself names the path or the error on stderr (local runs);
//! - the kind of error: a missing right rarely is by design, a missing file often is;
//! - the process was *told* the path (an argument), or it lies on a mounted volume;
//! - the process ended right after it, unsuccessfully, and nothing else failed in between;
//! - it is tried again and again.

use crate::{
    case::Case,
    knowledge::{noise, runtime_files},
    question::Answer,
    record::{Call, Errno, ExitStatus, PathArg, Target},
    story::{failure::Failure, process::ProcessView},
    units::BootNanos,
};
use std::time::Duration;

/// Below this a failure explains nothing.
pub const THRESHOLD: i32 = 40;
/// From this on, a failure whose condition was checked again is certain.
pub const CERTAIN: i32 = 65;
/// From this on it is likely; below, possible.
pub const LIKELY: i32 = 55;
/// A candidate within this of the best one makes the best one less than certain.
pub const RIVAL: i32 = 15;

/// The weight of a failure as the reason for what happened by `end`. `None`: it is no candidate at all.
pub fn score(failure: &Failure, case: &Case<'_>, end: BootNanos) -> Option<i32> {
    if failure.by_runtime {
        return (failure.call.call == Call::Exec && !was_superseded(failure, case)).then_some(RUNTIME_EXEC);
    }
    let process = case.process_of(failure);
    if process.is_some_and(|process| failure.last < process.executed) || found_elsewhere(failure, case) {
        return None; // the process went on to execute another program, or found it in the next directory
    }
    let spoken = spoken_of(failure, case);
    let exit = process.and_then(|process| process.exited);
    let decisive =
        is_runtime_file(failure) && matches!(exit, Some((at, status)) if !status.is_success() && at.since(failure.last) <= AT_ONCE);
    let blamed = is_named(failure, case) || is_complained_of(failure, case);
    if failure.is_noise() && !blamed && !decisive {
        return None; // a word that its name shares with the program's last line is no blame
    }
    let counts = case.probe.is_some() || (case.must_stay() && is_main(failure, case));
    if matches!(exit, Some((_, status)) if status.is_success()) && !counts {
        return None; // it ended well in spite of it
    }
    let mut score = by_kind(failure) + spoken;
    if failure.path().is_some_and(|path| is_side_file(&path.path)) {
        score -= SIDE_FILE;
    }
    if was_told(failure, case) {
        score += TOLD;
    }
    if on_volume(case) {
        score += VOLUME;
    }
    if failure.is_retried() {
        score += RETRIED;
    }
    if ends_like_a_loader(failure, exit) {
        score += LOADER_EXIT;
    }
    score += match exit {
        Some((at, _)) => nearness(at.since(failure.last)) + lateness(end.since(at)) + followers(failure, case, at) - went_on(case, at),
        None => 0,
    };
    Some(score)
}

const RUNTIME_EXEC: i32 = 90;
const TOLD: i32 = 25;
const VOLUME: i32 = 15;
const RETRIED: i32 = 15;
const SIDE_FILE: i32 = 15;
const LOADER_EXIT: i32 = 50;
/// An exit this soon after a failure is taken as its answer to it.
const AT_ONCE: Duration = Duration::from_millis(AT_ONCE_MILLIS as u64);
const AT_ONCE_MILLIS: u128 = 25;

fn is_main(failure: &Failure, case: &Case<'_>) -> bool {
    case.processes.first().is_some_and(|main| main.process == failure.call.task.process)
}

/// Whether the world should be asked about it at once, while the process may still be there: rights and limits are rare
/// failures and worth it; missing files are plenty and wait for a judgement.
pub fn deserves_early_look(failure: &Failure) -> bool {
    let executes = failure.call.call == Call::Exec;
    let rare = executes || (failure.call.errno != Errno::ENOENT && !failure.by_runtime);
    rare && !failure.is_noise()
}

fn by_kind(failure: &Failure) -> i32 {
    let look = matches!(failure.call.call, Call::Stat | Call::Readlink | Call::Access);
    match (failure.call.call, failure.call.errno) {
        (Call::Exec, Errno::ENOENT) => 45,
        (Call::Exec, _) => 70,
        (Call::Bind, _) => 60,
        (_, Errno::ENOSPC | Errno::EDQUOT) => 50,
        (_, Errno::EROFS | Errno::EMFILE | Errno::ENFILE) => 45,
        (_, Errno::EACCES | Errno::EPERM) if look => 30,
        (_, Errno::EACCES | Errno::EPERM) => 40,
        (_, Errno::ENOENT) if look => 5,
        (_, Errno::ENOENT) if makes(failure) => 35,
        (_, Errno::ENOENT) => 20,
        _ => 35,
    }
}

/// What it wanted to make has no directory: that is not looking for something optional.
fn makes(failure: &Failure) -> bool {
    const O_CREAT: u64 = 0o100;
    let opens = failure.call.call == Call::Open && failure.call.arg & O_CREAT != 0;
    opens || matches!(failure.call.call, Call::Mkdir | Call::Mknod | Call::Bind | Call::Symlink)
}

/// How soon the process ended after its failure.
const fn nearness(gap: Duration) -> i32 {
    match gap.as_millis() {
        millis if millis <= AT_ONCE_MILLIS => 20,
        millis if millis <= 250 => 12,
        millis if millis <= 2000 => 0,
        millis if millis <= 10_000 => -20,
        _ => -40,
    }
}

/// How long after the process the container ended: a child that died before the program went on is not the reason.
const fn lateness(gap: Duration) -> i32 {
    match gap.as_millis() {
        0..=100 => 0,
        101..=2000 => -25,
        2001..=10_000 => -35,
        _ => -50,
    }
}

/// Something was executed after the process had ended: whoever started it got over its failure.
fn went_on(case: &Case<'_>, exit: BootNanos) -> i32 {
    const WENT_ON: i32 = 60;
    if case.processes.iter().any(|process| process.executed > exit) { WENT_ON } else { 0 }
}

/// Whether the failure cannot be what keeps a living program: its process has ended, and with it what was only tried. (A
/// worker that was refused a right is another matter, while a probe goes unanswered.)
pub fn is_over(failure: &Failure, case: &Case<'_>) -> bool {
    let ended = case.process_of(failure).is_some_and(|process| process.exited.is_some());
    ended && !failure.is_retried() && (case.probe.is_none() || failure.call.errno == Errno::ENOENT)
}

/// Other failures that came between this one and the end speak against it.
fn followers(failure: &Failure, case: &Case<'_>, exit: BootNanos) -> i32 {
    let pid = failure.call.task.process.pid;
    let later = case
        .failures
        .iter()
        .filter(|other| other.call.task.process.pid == pid && other.last > failure.last && other.last <= exit)
        .filter(|other| !other.is_noise() && !found_elsewhere(other, case))
        .count();
    match later {
        0 => 10,
        1 => 0,
        2 => -5,
        _ => -15,
    }
}

/// ld.so ends with 127 when a library is missing.
fn ends_like_a_loader(failure: &Failure, exit: Option<(BootNanos, ExitStatus)>) -> bool {
    matches!(exit, Some((_, ExitStatus::Code(127)))) && failure.path().is_some_and(|path| noise::is_library(&path.path))
}

/// What the program's own words say for or against it.
fn spoken_of(failure: &Failure, case: &Case<'_>) -> i32 {
    if case.output.is_empty() {
        return 0;
    }
    let named = is_named(failure, case);
    let says = |word: &str| case.output.iter().any(|line| has_word(line, word));
    let base_named = failure.path().and_then(|path| path.path.rsplit('/').next()).is_some_and(|base| base.len() >= 4 && says(base));
    let port_named = matches!(&failure.call.target, Target::Inet { port, .. } if says(&port.to_string()));
    let error = failure.call.errno.text().unwrap_or_default().to_lowercase();
    let error_named = !error.is_empty() && case.output.iter().any(|line| line.to_lowercase().contains(&error));
    match (named || port_named, base_named, error_named) {
        (true, _, true) => 70,
        (true, _, false) | (false, true, true) => 50,
        (false, true, false) => 30,
        (false, false, true) => 20,
        (false, false, false) if is_complained_of(failure, case) => 40,
        (false, false, false) if case.output.iter().rev().take(3).any(|line| speaks_of_failure(line)) => -30,
        (false, false, false) => -15,
    }
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
fn speaks_of_failure(line: &str) -> bool {
    let line = line.to_lowercase();
    ["error", "fatal", "panic", "fail", "cannot", "could not", "unable", "invalid", "unknown"].iter().any(|word| line.contains(word))
}

/// Logs and pid files: programs write them if they can, and mostly go on if they cannot.
fn is_side_file(path: &str) -> bool {
    path.starts_with("/var/log/") || [".log", ".pid"].iter().any(|end| path.ends_with(end))
}

/// The process was given this path, or a directory above it, as an argument of its own. What stands in the text of a script
/// (`sh -c`) was not given: a script tries things.
fn was_told(failure: &Failure, case: &Case<'_>) -> bool {
    let (Some(path), Some(process)) = (failure.path(), case.process_of(failure)) else { return false };
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
fn on_volume(case: &Case<'_>) -> bool {
    case.answers.iter().any(|(_, answer)| {
        let Answer::Walk(walk) = answer else { return false };
        let Some(last) = walk.components.last() else { return false };
        !last.mount.point.is_empty()
            && last.mount.point != "/"
            && !["/proc", "/sys", "/dev"].iter().any(|kernel| last.mount.point.starts_with(kernel))
            && case.workload.runtime != crate::attribution::Runtime::UnreadyRun.word()
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
    let Some(base) = failure.path().and_then(|path| path.path.rsplit('/').next()).filter(|base| !base.is_empty()) else { return false };
    let lookup = matches!(failure.call.errno, Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR)
        && matches!(failure.call.call, Call::Exec | Call::Stat | Call::Access);
    let pid = failure.call.task.process.pid;
    let looks_for_itself = |process: &ProcessView| failure.call.call != Call::Exec && process.process.pid == pid;
    let is_found = |process: &&ProcessView| process.executed >= failure.first || looks_for_itself(process);
    lookup && case.processes.iter().filter(is_found).any(|process| process.path.rsplit('/').next() == Some(base))
}

/// Its program speaks on stderr of what the missing path stands for.
fn is_complained_of(failure: &Failure, case: &Case<'_>) -> bool {
    let Some(path) = failure.path().filter(|_| failure.call.errno == Errno::ENOENT) else { return false };
    runtime_files::of(&path.path).is_some_and(|file| case.complains_of(file, &path.path))
}

/// A file that programs look for in many places, and that minimal images lack.
fn is_runtime_file(failure: &Failure) -> bool {
    failure.call.errno == Errno::ENOENT && failure.path().is_some_and(|path| runtime_files::is_searched_for(&path.path))
}
