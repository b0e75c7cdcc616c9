//! `Crashed`: what remains when nothing explains the end: an exit code or a signal.

use super::rule::{self, Others, Rule};
use crate::{
    case::{Case, Manifest, Setting, Suspect, end, finding::Finding},
    catalogue::{Cause, crashed},
    question::Answer,
    record::ExitStatus,
    units::{BootNanos, Process},
    verdict::{Evidence, EvidenceKind, SubjectKind},
    words,
};

const SIGKILL: u8 = 9;

/// See the module's head.
pub(super) const RULE: Rule =
    Rule { says: &[Cause::Crashed], calls: None, others: Some(Others { questions: rule::nothing_to_ask, explain }) };

fn explain(suspect: Suspect<'_>, case: &Case<'_>) -> Option<Finding> {
    match suspect {
        Suspect::Exit { at, status, process } if !status.is_success() => Some(crashed(at, status, process, case)),
        Suspect::Exit { .. } | Suspect::OutOfMemory { .. } | Suspect::Call(_) | Suspect::NeverStarted { .. } => None,
    }
}

fn crashed(at: BootNanos, status: ExitStatus, process: Process, case: &Case<'_>) -> Finding {
    let name = end::name_of(process, case);
    let summary = format!("{name} ended with {}{}", words::exit_status(status), end::lived(at, process, case));
    let layer = if matches!(status, ExitStatus::Code(_)) { crashed::EXIT_CODE } else { crashed::SIGNAL };
    let mut found = Finding::new(layer, (SubjectKind::Process, &name), summary);
    found.explanation = crash_reasons(status, case);
    found.remedy.text = crash_remedy(status, case);
    found.evidence = end::facts(at, case);
    if let Some(Answer::Account { file: _, entry: false }) =
        case.answers.iter().map(|(_, answer)| answer).find(|answer| matches!(answer, Answer::Account { .. }))
    {
        found.evidence.push(Evidence::new(at, EvidenceKind::File, "the user has no entry in /etc/passwd"));
    }
    found.proved = true;
    found
}

fn crash_reasons(status: ExitStatus, case: &Case<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if case.was_ready {
        reasons.push("it had become ready before".to_owned());
    }
    if let Some(last) = end::said(case).last() {
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
        ExitStatus::Code(_) | ExitStatus::Signal(_) if end::failing(case).next().is_some() => {
            "none of its failing calls explains it by itself; the last ones are in the evidence".to_owned()
        }
        ExitStatus::Code(_) | ExitStatus::Signal(_) => "no failing call was seen that could explain it".to_owned(),
    });
    reasons
}

fn crash_remedy(status: ExitStatus, case: &Case<'_>) -> String {
    let log = match case.setting() {
        Setting::Pod => format!("Read what it wrote: `{}`.", previous_log(case)),
        Setting::Container => "Read what it wrote: the container's log.".to_owned(),
        Setting::Local if case.output.is_empty() => "It wrote nothing to stderr: look at its stdout, or let it log more.".to_owned(),
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
fn previous_log(case: &Case<'_>) -> String {
    match case.manifest {
        Some(Manifest { pod, container, .. }) => format!("kubectl -n {} logs {} -c {} --previous", pod.namespace, pod.name, container.name),
        None => "kubectl logs --previous".to_owned(),
    }
}
