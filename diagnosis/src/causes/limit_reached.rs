//! `LimitReached`: EAGAIN of clone and fork. Three limits say the same; what each allows, and how much of it is used, tells them apart.
//!
//! Source: `copy_process` of `kernel/fork.c` (`RLIMIT_NPROC`, `max_threads`), `pids_can_fork` of `kernel/cgroup/pids.c`.

use super::rule::{Calls, Rule};
use crate::{
    case::{Case, Setting, finding::Finding, look::gap},
    catalogue::{Cause, Layer, limit_reached},
    permission::Capability,
    question::{Answer, ProcessLimits, Question},
    record::{Call, Errno},
    story::{fact, fact::Fact, failure::Failure},
    verdict::{Evidence, EvidenceKind, SubjectKind},
    words,
};

/// See the module's head.
pub(super) const RULE: Rule = Rule { says: &[Cause::LimitReached], calls: Some(Calls { takes, questions, explain }), others: None };

fn takes(failure: &Failure) -> bool {
    (failure.call.call, failure.call.errno) == (Call::Clone, Errno::EAGAIN)
}

fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    vec![Question::ProcessLimits { scope: case.scope(failure.call.task.process), uid: failure.call.creds.uid }]
}

/// A limit that may have refused.
struct Met {
    layer: Layer,
    subject: &'static str,
    limit: Option<u64>,
    now: Option<u64>,
    proved: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a rule")]
fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    let limits = case.answers.iter().find_map(|(_, answer)| if let Answer::ProcessLimits(limits) = answer { Some(*limits) } else { None });
    let met = limits.and_then(|limits| limit_met(failure, limits));
    let (layer, subject) = met.as_ref().map_or((limit_reached::UNTOLD, "processes"), |met| (met.layer, met.subject));
    let mut found = Finding::new(layer, (SubjectKind::Limit, subject), words::failure(failure));
    found.explanation = vec![match &met {
        Some(met) => reason(met, failure, limits),
        None => "a limit of processes and threads is reached: the cgroup's, the user's, or the node's".to_owned(),
    }];
    if met.is_none() {
        let why = gap(case).unwrap_or("none of them is full now: the program may have ended some since");
        found.explanation.push(format!("which it was is not known: {why}"));
    }
    found.remedy.text = remedy(met.as_ref(), limits, case.setting());
    found.evidence = met.iter().filter_map(|met| fact(failure, met)).collect();
    found.proved = met.is_some_and(|met| met.proved);
    Some(found)
}

/// What is full now says most; then what the cgroups counted. What a pod's cgroup counted may be of another container, or of a start before
/// this one; what the container's own counted (before Linux 6.11 also what a limit above it refused) is of this start.
fn limit_met(failure: &Failure, limits: ProcessLimits) -> Option<Met> {
    let refused = |count: Option<u64>| count.unwrap_or(0) > 0;
    let is_full = limits.pids_now.zip(limits.pids_limit).is_some_and(|(now, limit)| now >= limit);
    let another = by_node(limits).or_else(|| by_user(failure, limits));
    let pids = |holds: bool, proved: bool| holds.then(|| by_pids(limits, proved)).flatten();
    pids(is_full, true)
        .or_else(|| pids(refused(limits.pids_refused), another.is_none()))
        .or(another)
        .or_else(|| pids(refused(limits.pids_refused_above), false))
        .or_else(|| by_elimination(failure, limits))
}

fn by_pids(limits: ProcessLimits, proved: bool) -> Option<Met> {
    let limit = Some(limits.pids_limit?);
    Some(Met { layer: limit_reached::PIDS_LIMIT, subject: "pids.max", limit, now: limits.pids_now, proved })
}

fn by_node(limits: ProcessLimits) -> Option<Met> {
    let (limit, now) = (limits.node_limit?, limits.node_now?);
    (now >= limit).then_some(Met {
        layer: limit_reached::NODE_LIMIT,
        subject: "threads of the node",
        limit: Some(limit),
        now: Some(now),
        proved: true,
    })
}

fn by_user(failure: &Failure, limits: ProcessLimits) -> Option<Met> {
    let limit = limits.user_limit?;
    // Some may have ended since; far below the limit it is another one.
    let is_near = limits.user_now.is_some_and(|now| now >= limit - limit / 10);
    (binds(failure) && is_near).then_some(Met {
        layer: limit_reached::USER_LIMIT,
        subject: "RLIMIT_NPROC",
        limit: Some(limit),
        now: limits.user_now,
        proved: limits.user_now.is_some_and(|now| now >= limit),
    })
}

/// The user's limit binds nobody who may override it, and not root of the initial user namespace.
fn binds(failure: &Failure) -> bool {
    let creds = &failure.call.creds;
    let overrides = [Capability::SYS_RESOURCE, Capability::SYS_ADMIN].iter().any(|capability| capability.is_in(creds.cap_effective));
    creds.uid != 0 && !overrides
}

/// The process took its limit and its threads with it, and neither its cgroup nor the node refused anything: the user's limit is left.
fn by_elimination(failure: &Failure, limits: ProcessLimits) -> Option<Met> {
    let by_no_cgroup = limits.pids_now.is_some()
        && (limits.pids_limit.is_none() || limits.pids_refused == Some(0) && (!limits.pids_above || limits.pids_refused_above == Some(0)));
    let is_left = limits.user_limit.is_none() && by_no_cgroup && limits.node_now.zip(limits.node_limit).is_some();
    (is_left && binds(failure)).then_some(Met {
        layer: limit_reached::USER_LIMIT,
        subject: "RLIMIT_NPROC",
        limit: None,
        now: None,
        proved: false,
    })
}

fn reason(met: &Met, failure: &Failure, limits: Option<ProcessLimits>) -> String {
    let now = met.now.map(|now| format!("; {now} there are")).unwrap_or_default();
    let Some(limit) = met.limit else {
        return format!(
            "uid {} has as many processes and threads as it may (RLIMIT_NPROC): its cgroup refused none, and the node may have more",
            failure.call.creds.uid
        );
    };
    if met.layer == limit_reached::PIDS_LIMIT {
        let whose = if limits.is_some_and(|limits| limits.pids_above) { "the pod's cgroup" } else { "the container's cgroup" };
        return format!("{whose} may hold {limit} processes and threads (pids.max){now}");
    }
    if met.layer == limit_reached::NODE_LIMIT {
        return format!(
            "all programs of the node together may have {limit} threads (the smaller of kernel.threads-max and kernel.pid_max){now}"
        );
    }
    format!(
        "uid {} may have {limit} processes and threads (RLIMIT_NPROC, soft limit): those of all containers count that run as the same uid on the node, unless they have user namespaces of their own{now}",
        failure.call.creds.uid
    )
}

fn remedy(met: Option<&Met>, limits: Option<ProcessLimits>, setting: Setting) -> String {
    let fewer = "Let the program start fewer threads (a smaller pool, GOMAXPROCS for Go; a number that grows without end is a leak).";
    let Some(met) = met else { return format!("{fewer} Look at pids.max and pids.current of its cgroup, and at `ulimit -u`.") };
    let how = match (met.layer, setting) {
        (limit_reached::PIDS_LIMIT, Setting::Pod) if limits.is_some_and(|limits| limits.pids_above) => {
            "The manifest has no field for it: the kubelet gives each pod the same limit (podPidsLimit of its configuration)."
        }
        (limit_reached::PIDS_LIMIT, Setting::Pod) => {
            "The manifest has no field for it: the limit comes from the node's container runtime (pids_limit of its configuration)."
        }
        (limit_reached::PIDS_LIMIT, Setting::Container) => "Raise the container's limit (`--pids-limit`, linux.resources.pids).",
        (limit_reached::PIDS_LIMIT, Setting::Local) => "Raise pids.max of the cgroup (TasksMax of the systemd unit or slice).",
        (limit_reached::USER_LIMIT, Setting::Pod) => {
            "Run the container as a uid that no other pod has (securityContext.runAsUser), so that others' processes do not count; the limit itself comes from the runtime's service on the node (LimitNPROC)."
        }
        (limit_reached::USER_LIMIT, Setting::Container) => {
            "Raise it for the container (`--ulimit nproc=…`, process.rlimits), or give it a uid of its own."
        }
        (limit_reached::USER_LIMIT, Setting::Local) => "Raise it (`ulimit -u`, LimitNPROC in its systemd unit, /etc/security/limits.conf).",
        _ => {
            "Raise kernel.threads-max (and kernel.pid_max) on the node, and find who has so many threads (`ps -eo nlwp,pid,comm --sort -nlwp`)."
        }
    };
    format!("{how} {fewer}")
}

fn fact(failure: &Failure, met: &Met) -> Option<Evidence> {
    let limit = met.limit?;
    let fact = fact::Resource {
        name: "processes".to_owned(),
        unit: "processes and threads".to_owned(),
        scope: met.subject.to_owned(),
        limit: Some(limit),
        used: met.now,
    };
    let used = met.now.map(|now| format!(", {now} in use")).unwrap_or_default();
    Some(Evidence::new(failure.last, EvidenceKind::Resource, format!("{}: {limit}{used}", met.subject)).with(Fact::Resource(fact)))
}
