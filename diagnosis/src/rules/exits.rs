//! What remains when no failing call explains the end: memory, an exit that was not expected, a crash.

use super::{
    Context, Failure, Finding, Spec, Symptom,
    files::{Setting, finding, gap, runtime},
    spec, weight, words,
    words::layer,
};
use crate::{
    cause::Cause,
    question::{Answer, Memory, Question},
    record::ExitStatus,
    units::{BootNanos, Process},
    verdict::{Evidence, EvidenceKind, SubjectKind},
};

const SIGKILL: u8 = 9;
/// Facts of each kind that a crash carries.
const FACTS: usize = 5;

/// What must be known about an end.
pub fn questions(symptom: Symptom<'_>, context: &Context<'_>) -> Vec<Question> {
    match symptom {
        Symptom::OutOfMemory { .. } => vec![Question::Memory { cgroup: context.cgroup }],
        Symptom::Exit { status, process, .. } if !status.is_success() => {
            let memory = is_killed(status).then_some(Question::Memory { cgroup: context.cgroup });
            let uid = view(context, process).map(|view| view.ids.0).filter(|uid| *uid != 0);
            let account = uid.map(|uid| Question::Account { scope: context.scope(process), uid });
            let missing = runtime::complained_of(context).map(|failure| runtime::questions(failure, context)).unwrap_or_default();
            memory.into_iter().chain(account).chain(missing).collect()
        }
        Symptom::Exit { .. } | Symptom::Call(_) | Symptom::NeverStarted { .. } => Vec::new(),
    }
}

const fn is_killed(status: ExitStatus) -> bool {
    matches!(status, ExitStatus::Signal(SIGKILL) | ExitStatus::Code(137))
}

fn view<'a>(context: &Context<'a>, process: Process) -> Option<&'a super::ProcessView> {
    context.processes.iter().find(|view| view.process == process).or(context.process)
}

fn memory(context: &Context<'_>) -> Option<Memory> {
    context.answers.iter().find_map(|(_, answer)| if let Answer::Memory(memory) = answer { Some(*memory) } else { None })
}

/// The kernel ended a process for lack of memory.
pub fn out_of_memory(at: BootNanos, victim: Process, context: &Context<'_>) -> Option<Finding> {
    let memory = memory(context);
    let killed = context.processes.iter().find(|view| view.process.pid == victim.pid);
    let name = killed.map_or_else(|| format!("pid {}", victim.pid), words::process);
    let main = context.processes.first().is_none_or(|first| first.process.pid == victim.pid);
    let layer = if main { layer::MAIN_PROCESS } else { layer::CHILD_PROCESS };
    let limit = memory.and_then(|memory| memory.limit);
    let summary = match limit {
        Some(limit) => format!("the kernel killed {name}: the container reached its memory limit of {}", words::bytes(limit)),
        None => format!("the kernel killed {name} for lack of memory"),
    };
    let mut found = finding(Cause::OutOfMemory, layer, (SubjectKind::Limit, "memory limit"), summary);
    found.explanation = memory_reasons(memory, context, main);
    found.remedy.text = memory_remedy(memory, context);
    spec::limits::out_of_memory(&mut found, context, memory);
    found.evidence = memory.map(|memory| Evidence::new(at, EvidenceKind::Resource, memory_fact(memory))).into_iter().collect();
    found.proved = true; // the kernel itself said so
    Some(found)
}

fn memory_reasons(memory: Option<Memory>, context: &Context<'_>, main: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    match memory {
        Some(Memory { limit: Some(limit), peak, .. }) => {
            let peak = peak.map(|peak| format!("; its peak was {}", words::bytes(peak))).unwrap_or_default();
            reasons.push(format!("the limit of the container's cgroup is {}{peak}", words::bytes(limit)));
        }
        Some(Memory { limit: None, .. }) => {
            reasons.push("the container's own cgroup has no limit: that of the pod or of the node was reached".to_owned());
        }
        None => reasons.push(format!("the limit is not known: {}", gap(context).unwrap_or("it has not been read"))),
    }
    if !main {
        reasons.push(
            "it was not the container's main process: the container may run on without it, and its status need not show OOMKilled"
                .to_owned(),
        );
    }
    reasons
}

fn memory_fact(memory: Memory) -> String {
    let show = |amount: Option<u64>| amount.map_or_else(|| "unknown".to_owned(), words::bytes);
    let limit = memory.limit.map_or_else(|| "none".to_owned(), words::bytes);
    let kills = memory.oom_kills.map(|kills| format!(", {} so far", words::plural(kills, "OOM kill"))).unwrap_or_default();
    format!("memory: limit {limit}, peak {}, now {}{kills}", show(memory.peak), show(memory.current))
}

fn memory_remedy(memory: Option<Memory>, context: &Context<'_>) -> String {
    let ninety = memory.and_then(|memory| memory.limit).map(|limit| limit / 10 * 9);
    let heap = match ninety {
        Some(most) => format!(
            "Tell the runtime its bound: GOMEMLIMIT={}MiB for Go, -XX:MaxRAMPercentage=75 for Java, --max-old-space-size={} for Node.js.",
            most >> 20,
            most >> 20
        ),
        None => "Tell the runtime its bound (GOMEMLIMIT, -XX:MaxRAMPercentage, --max-old-space-size).".to_owned(),
    };
    match (Setting::of(context.workload), memory) {
        (Setting::Pod, Some(Memory { limit: None, .. })) => {
            format!("Set resources.requests.memory to what the program needs, so that the pod lands on a node that has it. {heap}")
        }
        (Setting::Pod, _) => format!("Raise resources.limits.memory above what the start needs, or let it need less. {heap}"),
        (Setting::Container, _) => format!("Raise the container's memory limit, or let the program need less. {heap}"),
        (Setting::Local, _) => format!("Raise the limit (`--memory`), or let the program need less. {heap}"),
    }
}

/// A process ended, and no failing call explains it.
pub fn exit(at: BootNanos, status: ExitStatus, process: Process, context: &Context<'_>) -> Option<Finding> {
    if status.is_success() {
        return context.must_stay().then(|| exited_early(at, process, context));
    }
    if is_killed(status) && memory(context).is_some_and(|memory| memory.oom_kills.unwrap_or(0) > 0) {
        return killed_unseen(at, process, context);
    }
    account_missing(at, status, process, context)
        .or_else(|| runtime::explain(runtime::complained_of(context)?, context))
        .or_else(|| Some(crashed(at, status, process, context)))
}

fn name_of(process: Process, context: &Context<'_>) -> String {
    match view(context, process) {
        Some(view) if !view.path.is_empty() => view.path.clone(),
        Some(view) => words::process(view),
        None => format!("pid {}", process.pid),
    }
}

fn lived(at: BootNanos, process: Process, context: &Context<'_>) -> String {
    view(context, process).map(|view| format!(", {} after it was started", words::duration(at.since(view.executed)))).unwrap_or_default()
}

fn exited_early(at: BootNanos, process: Process, context: &Context<'_>) -> Finding {
    let name = name_of(process, context);
    let (expected, reason) = expectation(context);
    let summary = format!("{name} ended with exit code 0{}, and {expected}", lived(at, process, context));
    let mut found = finding(Cause::ExitedEarly, layer::EXIT_ZERO, (SubjectKind::Process, &name), summary);
    found.explanation = vec![reason, "often it went into the background (daemon mode), printed its help, or did a single task".to_owned()];
    spec::command::ended(&mut found, context);
    found.remedy.text = match Setting::of(context.workload) {
        Setting::Pod => "Run the server in the foreground (nginx: `daemon off;`), check its command and args; a single task belongs into a Job (restartPolicy: Never or OnFailure), without probes.".to_owned(),
        Setting::Container | Setting::Local => "Run the server in the foreground, and check its arguments; without a server, leave the probe out.".to_owned(),
    };
    found.evidence = facts(at, context);
    found.proved = true;
    found
}

/// Who expects it to go on: for the summary, and as a reason.
fn expectation(context: &Context<'_>) -> (String, String) {
    if let Some(probe) = context.probe {
        let reason = "it reports success, but a program that is probed must go on running".to_owned();
        return (format!("nothing answers the probe {probe}"), reason);
    }
    let name = context.spec.map(|spec| spec.container.name.clone()).unwrap_or_default();
    let owner = context.workload.owner.as_ref().map_or_else(|| "the pod".to_owned(), ToString::to_string);
    let reason = format!("it reports success; the kubelet starts it again, for ever, because {owner} has restartPolicy Always");
    (format!("container {name} is to run for ever"), reason)
}

/// Killed, and the cgroup counts OOM kills that were not seen as they happened.
fn killed_unseen(at: BootNanos, process: Process, context: &Context<'_>) -> Option<Finding> {
    let mut found = out_of_memory(at, process, context)?;
    found.explanation.push("the kill itself was not seen; the cgroup counts it (memory.events)".to_owned());
    found.proved = false;
    Some(found)
}

/// A user without an entry in /etc/passwd: no call fails, the file is read to its end.
fn account_missing(at: BootNanos, status: ExitStatus, process: Process, context: &Context<'_>) -> Option<Finding> {
    let (file, uid) = context.answers.iter().find_map(|(question, answer)| match (question, answer) {
        (Question::Account { uid, .. }, Answer::Account { file, entry: false }) => Some((*file, *uid)),
        _ => None,
    })?;
    let complaint = context.output.iter().rev().find(|line| complains_of_account(line, uid))?;
    let name = name_of(process, context);
    let summary = format!("{name} ended with {}: user {uid} has no entry in /etc/passwd", words::exit_status(status));
    let mut found = finding(Cause::RuntimeFileMissing, layer::ACCOUNT, (SubjectKind::Path, "/etc/passwd"), summary);
    let state = if file { format!("/etc/passwd has no line for uid {uid}") } else { "/etc/passwd does not exist".to_owned() };
    found.explanation =
        vec![state, format!("the program asked for the name or home directory of its user, and says: {}", complaint.trim())];
    found.remedy.text = match Setting::of(context.workload) {
        Setting::Pod | Setting::Container => format!(
            "Add a line to /etc/passwd of the image (`app:x:{uid}:{uid}::/home/app:/sbin/nologin`), or run as a user that the image has (securityContext.runAsUser)."
        ),
        Setting::Local => format!("Make the user (`useradd --uid {uid} NAME`), or run the program as one that exists."),
    };
    found.evidence = facts(at, context);
    found.proved = true;
    Some(found)
}

fn complains_of_account(line: &str, uid: u32) -> bool {
    let line = line.to_lowercase();
    let words = [
        "passwd",
        "user id",
        "userid",
        "no such user",
        "unknown user",
        "uid not found",
        "getpw",
        "i have no name",
        "user name",
        "username",
        "whoami",
    ];
    let names_uid = line.contains(&uid.to_string()) && (line.contains("uid") || line.contains("user"));
    names_uid || words.iter().any(|word| line.contains(word))
}

fn crashed(at: BootNanos, status: ExitStatus, process: Process, context: &Context<'_>) -> Finding {
    let name = name_of(process, context);
    let summary = format!("{name} ended with {}{}", words::exit_status(status), lived(at, process, context));
    let layer = if matches!(status, ExitStatus::Code(_)) { layer::EXIT_CODE } else { layer::SIGNAL };
    let mut found = finding(Cause::Crashed, layer, (SubjectKind::Process, &name), summary);
    found.explanation = crash_reasons(status, context);
    found.remedy.text = crash_remedy(status, context);
    found.evidence = facts(at, context);
    if let Some(Answer::Account { file: _, entry: false }) =
        context.answers.iter().map(|(_, answer)| answer).find(|answer| matches!(answer, Answer::Account { .. }))
    {
        found.evidence.push(Evidence::new(at, EvidenceKind::File, "the user has no entry in /etc/passwd".to_owned()));
    }
    found.proved = true;
    found
}

fn crash_reasons(status: ExitStatus, context: &Context<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if context.was_ready {
        reasons.push("it had become ready before".to_owned());
    }
    if let Some(last) = said(context).last() {
        reasons.push(format!("the last that it wrote to stderr: {last}"));
    }
    reasons.push(match status {
        ExitStatus::Signal(4) => {
            "the program uses CPU instructions that this machine does not have: it was built for a newer one (x86-64-v3, AVX)".to_owned()
        }
        ExitStatus::Signal(SIGKILL) => {
            "a process killed it, of its own or another container or the node; the kernel did not do it for lack of memory, as far as was seen".to_owned()
        }
        ExitStatus::Signal(31) => "its seccomp filter is set to kill".to_owned(),
        ExitStatus::Code(_) | ExitStatus::Signal(_) if failing(context).next().is_some() => {
            "none of its failing calls explains it by itself; the last ones are in the evidence".to_owned()
        }
        ExitStatus::Code(_) | ExitStatus::Signal(_) => "no failing call was seen that could explain it".to_owned(),
    });
    reasons
}

fn crash_remedy(status: ExitStatus, context: &Context<'_>) -> String {
    let log = match Setting::of(context.workload) {
        Setting::Pod => format!("Read what it wrote: `{}`.", previous_log(context)),
        Setting::Container => "Read what it wrote: the container's log.".to_owned(),
        Setting::Local if context.output.is_empty() => "It wrote nothing to stderr: look at its stdout, or let it log more.".to_owned(),
        Setting::Local => "Read what it wrote, above.".to_owned(),
    };
    let more = match status {
        ExitStatus::Code(126 | 127) => " A shell script names a command that is not there or not executable.",
        ExitStatus::Code(2) => " Code 2 often means wrong arguments or, in Go, a panic.",
        ExitStatus::Code(137) | ExitStatus::Signal(SIGKILL) => {
            " Look for who killed it: a liveness probe, an operator, the node's memory pressure (`dmesg`)."
        }
        ExitStatus::Signal(4) => " Build for the oldest CPU of the node pool, or keep the pod on newer nodes.",
        ExitStatus::Signal(6 | 7 | 8 | 11) => {
            " It is an error in the program or one of its native libraries: a core file or its own trace tells where."
        }
        ExitStatus::Signal(31) => " Allow the call in the seccomp profile (the audit log has its number).",
        ExitStatus::Code(_) | ExitStatus::Signal(_) => "",
    };
    format!("{log}{more}")
}

/// The command that shows the log of the start that ended, whole as soon as the pod is known.
fn previous_log(context: &Context<'_>) -> String {
    match context.spec {
        Some(Spec { pod, container, .. }) => format!("kubectl -n {} logs {} -c {} --previous", pod.namespace, pod.name, container.name),
        None => "kubectl logs --previous".to_owned(),
    }
}

/// Failures of calls that are worth showing, the last first.
fn failing<'a>(context: &Context<'a>) -> impl Iterator<Item = &'a Failure> {
    let mut all: Vec<&Failure> = context.failures.iter().filter(|failure| !failure.by_runtime && !weight::is_noise(failure)).collect();
    all.sort_by_key(|failure| std::cmp::Reverse(failure.last));
    all.into_iter()
}

/// Lines that say something.
fn said<'a>(context: &Context<'a>) -> Vec<&'a str> {
    context.output.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect()
}

fn facts(at: BootNanos, context: &Context<'_>) -> Vec<Evidence> {
    let mut facts: Vec<Evidence> =
        failing(context).take(FACTS).map(|failure| Evidence::new(failure.last, EvidenceKind::Call, words::failure(failure))).collect();
    facts.reverse();
    let lines = said(context);
    let last = lines.iter().skip(lines.len().saturating_sub(FACTS));
    facts.extend(last.map(|line| Evidence::new(at, EvidenceKind::Output, (*line).to_owned())));
    facts
}

#[cfg(test)]
#[path = "exits_tests.rs"]
mod tests;
