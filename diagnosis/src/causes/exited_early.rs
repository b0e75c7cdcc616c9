//! `ExitedEarly`: exit code 0 although a server was expected.

use super::rule::{self, Others, Rule};
use crate::{
    case::{
        Case, Setting, Suspect, end,
        finding::{Finding, Matter},
    },
    catalogue::{Cause, exited_early},
    units::{BootNanos, Process},
    verdict::SubjectKind,
};

/// See the module's head.
pub(super) const RULE: Rule =
    Rule { says: &[Cause::ExitedEarly], calls: None, others: Some(Others { questions: rule::nothing_to_ask, explain }) };

fn explain(suspect: Suspect<'_>, case: &Case<'_>) -> Option<Finding> {
    match suspect {
        Suspect::Exit { at, status, process } if status.is_success() && case.must_stay() => Some(exited_early(at, process, case)),
        Suspect::Exit { .. } | Suspect::OutOfMemory { .. } | Suspect::Call(_) | Suspect::NeverStarted { .. } => None,
    }
}

fn exited_early(at: BootNanos, process: Process, case: &Case<'_>) -> Finding {
    let name = end::name_of(process, case);
    let (expected, reason) = expectation(case);
    let summary = format!("{name} ended with exit code 0{}, and {expected}", end::lived(at, process, case));
    let mut found = Finding::new(exited_early::EXIT_ZERO, (SubjectKind::Process, &name), summary);
    found.explanation = vec![reason, "often it went into the background (daemon mode), printed its help, or did a single task".to_owned()];
    found.remedy.text = match case.setting() {
        Setting::Pod => "Run the server in the foreground (nginx: `daemon off;`), check its command and args; a single task belongs into a Job (restartPolicy: Never or OnFailure), without probes.".to_owned(),
        Setting::Container | Setting::Local => "Run the server in the foreground, and check its arguments; without a server, leave the probe out.".to_owned(),
    };
    found.evidence = end::facts(at, case);
    found.proved = true;
    found.matter = Some(Matter::Ended);
    found
}

/// Who expects it to go on: for the summary, and as a reason.
fn expectation(case: &Case<'_>) -> (String, String) {
    if let Some(probe) = case.probe {
        let reason = "it reports success, but a program that is probed must go on running".to_owned();
        return (format!("nothing answers the probe {probe}"), reason);
    }
    let name = case.manifest.map(|spec| spec.container.name.clone()).unwrap_or_default();
    let owner = case.workload.owner.as_ref().map_or_else(|| "the pod".to_owned(), ToString::to_string);
    let reason = format!("it reports success; the kubelet starts it again, for ever, because {owner} has restartPolicy Always");
    (format!("container {name} is to run for ever"), reason)
}
