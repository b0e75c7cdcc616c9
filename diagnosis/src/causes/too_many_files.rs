//! `TooManyFiles`: EMFILE, ENFILE.

use super::rule::{self, Calls, Rule};
use crate::{
    case::{Case, Setting, finding::Finding, look::gap},
    catalogue::{Cause, too_many_files},
    question::{Answer, Limits, Question},
    record::Errno,
    story::{fact, fact::Fact, failure::Failure},
    verdict::{Evidence, EvidenceKind, SubjectKind},
    words,
};

/// See the module's head.
pub(super) const RULE: Rule = Rule { says: &[Cause::TooManyFiles], calls: Some(Calls { takes, questions, explain }), others: None };

fn takes(failure: &Failure) -> bool {
    matches!(failure.call.errno, Errno::EMFILE | Errno::ENFILE) && rule::is_on_file(failure)
}

fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    vec![Question::Limits { scope: case.scope(failure.call.task.process) }]
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a rule")]
fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    let limits = case.answers.iter().find_map(|(_, answer)| if let Answer::Limits(limits) = answer { Some(*limits) } else { None });
    let system = failure.call.errno == Errno::ENFILE;
    let (layer, subject) =
        if system { (too_many_files::SYSTEM_LIMIT, "fs.file-max") } else { (too_many_files::PROCESS_LIMIT, "RLIMIT_NOFILE") };
    let mut found = Finding::new(layer, (SubjectKind::Limit, subject), words::failure(failure));
    found.explanation = vec![if system { system_reason(limits) } else { process_reason(limits) }];
    if limits.is_none() {
        found.explanation.push(format!("the limit is not known: {}", gap(case).unwrap_or("it has not been looked at")));
    }
    found.remedy.text = if system {
        "Raise fs.file-max on the node, and find the process that holds so many files (`lsof`).".to_owned()
    } else {
        raise_limit(limits, case)
    };
    found.evidence = limits.map(|limits| open_files(failure, limits)).into_iter().collect();
    // The limit itself proves EMFILE: the call fails for nothing else. It must be known, and not higher than what is open.
    found.proved = !system && limits.is_some_and(|limits| limits.open_files_soft.is_some());
    Some(found)
}

fn process_reason(limits: Option<Limits>) -> String {
    let Some(Limits { open_files_soft: Some(soft), open_files_hard, open_files, .. }) = limits else {
        return "the process has as many files open as its limit allows".to_owned();
    };
    let hard = open_files_hard.map(|hard| format!(", hard {hard}")).unwrap_or_default();
    let open = open_files.map(|open| format!("; {open} are open")).unwrap_or_default();
    format!("the process may have {soft} files open (soft limit{hard}){open}")
}

fn system_reason(limits: Option<Limits>) -> String {
    match limits.and_then(|limits| limits.system_files) {
        Some(max) => format!("all processes of the node together have reached fs.file-max = {max}"),
        None => "all processes of the node together have reached fs.file-max".to_owned(),
    }
}

fn open_files(failure: &Failure, limits: Limits) -> Evidence {
    let fact = fact::Resource {
        name: "open files".to_owned(),
        unit: "files".to_owned(),
        scope: "RLIMIT_NOFILE".to_owned(),
        limit: limits.open_files_soft,
        used: limits.open_files,
    };
    Evidence::new(failure.last, EvidenceKind::Resource, limit_fact(limits)).with(Fact::Resource(fact))
}

fn limit_fact(limits: Limits) -> String {
    let show = |limit: Option<u64>| limit.map_or_else(|| "unknown".to_owned(), |limit| limit.to_string());
    format!(
        "open files: soft limit {}, hard limit {}, open {}; fs.file-max {}",
        show(limits.open_files_soft),
        show(limits.open_files_hard),
        show(limits.open_files),
        show(limits.system_files)
    )
}

fn raise_limit(limits: Option<Limits>, case: &Case<'_>) -> String {
    let hard = limits.and_then(|limits| limits.open_files_hard);
    let room = matches!((limits.and_then(|limits| limits.open_files_soft), hard), (Some(soft), Some(hard)) if hard > soft);
    let own = match hard {
        Some(hard) if room => {
            format!("Let the program raise its soft limit (the hard one is {hard}): `ulimit -n {hard}` before it starts. ")
        }
        _ => String::new(),
    };
    let further = match case.setting() {
        Setting::Pod => "Kubernetes has no field for it: the limit comes from the container runtime's service on the node (LimitNOFILE).",
        Setting::Container => "Set it for the container: `--ulimit nofile=…`, process.rlimits.",
        Setting::Local => "Raise the hard limit as root (`ulimit -n`, LimitNOFILE in its systemd unit, /etc/security/limits.conf).",
    };
    format!("{own}{further} If the number of open files grows without end, the program leaks them.")
}
