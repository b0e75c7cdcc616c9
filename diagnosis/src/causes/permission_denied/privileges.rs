//! `PermissionDenied` of calls without a path: changing user or group, raw sockets.

use crate::{
    case::{
        Case, Setting,
        finding::{Finding, Matter},
    },
    catalogue::{Layer, permission_denied},
    permission::{Capability, rights},
    question::{Answer, Question, Walk},
    record::{Call, Errno},
    story::failure::Failure,
    verdict::SubjectKind,
    words,
};

/// Calls that a capability decides alone.
pub(super) const fn are_asked(call: Call) -> bool {
    matches!(call, Call::Setuid | Call::Setgid | Call::Setgroups | Call::Socket)
}

/// A walk over `/` tells the process's user namespace, filter and label.
pub(super) fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    vec![Question::WalkPath { scope: case.scope(failure.call.task.process), path: "/".to_owned(), dirfd: None, start: None, follow: true }]
}

pub(super) fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    let capability = capability_of(failure)?;
    let walk = case.answers.iter().find_map(|(_, answer)| if let Answer::Walk(walk) = answer { Some(walk) } else { None });
    let summary = words::failure(failure);
    let lacks = !capability.is_in(failure.call.creds.cap_effective);
    let (layer, reasons) = if lacks { lacking(capability) } else { in_spite_of(failure, capability, walk) };
    let detail = if lacks { capability.name() } else { "" };
    let mut found = Finding { detail, ..Finding::new(layer, (SubjectKind::Capability, capability.name()), summary) };
    let (uid_map, gid_map) = walk.map(|walk| (walk.uid_map.as_slice(), walk.gid_map.as_slice())).unwrap_or_default();
    let who = words::who_by_real_ids(&failure.call.creds, uid_map, gid_map);
    found.explanation = vec![format!("{who} wants to {}, which needs {capability}", intent(failure))];
    found.explanation.extend(reasons);
    found.remedy.text = remedy(failure, capability, lacks, case.setting());
    found.matter = Some(if lacks { Matter::Lacking(capability) } else { Matter::Confined });
    // The capabilities are those of the very moment of the failure: nothing has to be looked at again.
    found.proved = lacks;
    Some(found)
}

fn capability_of(failure: &Failure) -> Option<Capability> {
    const AF_PACKET: u64 = 17;
    let call = failure.call.call;
    if call == Call::Setuid {
        return Some(Capability::SETUID);
    }
    if matches!(call, Call::Setgid | Call::Setgroups) {
        return Some(Capability::SETGID);
    }
    // inet_create and packet_create ask for CAP_NET_RAW and say EPERM; EACCES of a socket comes from elsewhere.
    (failure.call.arg == AF_PACKET || failure.call.errno == Errno::EPERM).then_some(Capability::NET_RAW)
}

fn lacking(capability: Capability) -> (Layer, Vec<String>) {
    let dropped = if capability.is_default() { "; root has it in a container unless it is dropped" } else { "" };
    (permission_denied::CAPABILITY, vec![format!("the process does not have it{dropped}")])
}

/// The capability is there, and yet it was refused.
fn in_spite_of(failure: &Failure, capability: Capability, walk: Option<&Walk>) -> (Layer, Vec<String>) {
    let namespaced = rights::is_namespaced(&failure.call.creds, walk.map(|walk| walk.uid_map.as_slice()).unwrap_or_default());
    if namespaced && failure.call.call == Call::Setgroups {
        let text = "the process has it, but its user namespace forbids setgroups (`deny` in /proc/PID/setgroups)";
        return (permission_denied::USER_NAMESPACE, vec![text.to_owned()]);
    }
    let has = format!("the process has {capability}; something else refused it");
    match walk {
        Some(walk) if walk.seccomp == Some(true) => (permission_denied::SECCOMP, vec![has, "a seccomp filter is on".to_owned()]),
        Some(Walk { lsm: Some(label), .. }) => {
            (permission_denied::LSM, vec![has, format!("a security module confines the process: {label}")])
        }
        Some(_) | None => (permission_denied::UNEXPLAINED, vec![has]),
    }
}

fn intent(failure: &Failure) -> String {
    let id = failure.call.arg as u32;
    let keeps = id == u32::MAX;
    let call = failure.call.call;
    if call == Call::Setuid {
        return if keeps { "change its user".to_owned() } else { format!("become user {id}") };
    }
    if call == Call::Setgid {
        return if keeps { "change its group".to_owned() } else { format!("change to group {id}") };
    }
    if call == Call::Setgroups { "change its supplementary groups" } else { "open a raw socket" }.to_owned()
}

fn remedy(failure: &Failure, capability: Capability, lacks: bool, setting: Setting) -> String {
    if !lacks {
        return "Look at the container's seccomp profile and security module, and whether its user namespace maps the id.".to_owned();
    }
    let (name, switches) = (capability.name(), failure.call.call != Call::Socket);
    let (add, run_as) = match setting {
        Setting::Pod => (format!("securityContext.capabilities.add: [{}]", pair(name)), "securityContext.runAsUser and runAsGroup"),
        Setting::Container => (format!("add {} to the container's capabilities", pair(name)), "the user of the container"),
        Setting::Local => (format!("leave {} to the program (no `--drop`)", pair(name)), "`--uid` and `--gid`"),
    };
    if switches {
        format!("Start the program as the user that it wants to become ({run_as}) and tell it not to switch; or {add}.")
    } else {
        format!("Do without the raw socket, or {add}.")
    }
}

/// Who changes the user changes the groups with it.
fn pair(name: &str) -> &str {
    if matches!(name, "SETUID" | "SETGID") { "SETUID, SETGID" } else { name }
}
