//! `PermissionDenied` of a bind to an internet address: a port below the first that needs no capability.

use crate::{
    case::{
        Case, Setting,
        finding::{Finding, Matter},
    },
    catalogue::permission_denied,
    permission::{Capability, rights},
    question::{Answer, Question},
    record::{Call, Errno, Target},
    story::failure::Failure,
    verdict::SubjectKind,
    words,
};

/// It binds an internet address.
pub(super) const fn is_bind(failure: &Failure) -> bool {
    matches!((failure.call.call, &failure.call.target), (Call::Bind, Target::Inet { .. }))
}

pub(super) fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    vec![Question::UnprivilegedPort { scope: case.scope(failure.call.task.process) }]
}

/// A port below the first unprivileged one: `inet_bind` of `net/ipv4/af_inet.c`.
pub(super) fn refused(failure: &Failure, case: &Case<'_>, address: &str, port: u16) -> Finding {
    let first = case.answers.iter().find_map(|(_, answer)| if let Answer::UnprivilegedPort(first) = answer { Some(*first) } else { None });
    let lacks = !Capability::NET_BIND_SERVICE.is_in(failure.call.creds.cap_effective);
    let below = port != 0 && port < first.unwrap_or(1024);
    let subject = words::address_port(address, port);
    if !(lacks && below && failure.call.errno == Errno::EACCES) {
        return otherwise_refused(failure, &subject, port, first);
    }
    let detail = Capability::NET_BIND_SERVICE.name();
    let mut found =
        Finding { detail, ..Finding::new(permission_denied::CAPABILITY, (SubjectKind::Address, &subject), words::failure(failure)) };
    let who = words::who_by_real_ids(&failure.call.creds, &[], &[]);
    let limit = match first {
        Some(first) => format!("ports below {first} need it here (net.ipv4.ip_unprivileged_port_start)"),
        None => "ports below 1024 need it unless net.ipv4.ip_unprivileged_port_start says otherwise, which was not read".to_owned(),
    };
    found.explanation = vec![format!("{who} binds port {port} without CAP_NET_BIND_SERVICE"), limit];
    found.remedy.text = low_port_remedy(failure, port, case.setting());
    if first.is_some() || case.manifest.is_some_and(|spec| spec.pod.host_network) {
        found.matter = Some(Matter::LowPort(port));
    }
    found.proved = first.is_some();
    found
}

fn low_port_remedy(failure: &Failure, port: u16, setting: Setting) -> String {
    let higher = u32::from(port) + 8000;
    match setting {
        Setting::Pod if failure.call.creds.uid == 0 => {
            format!(
                "Add the capability: securityContext.capabilities.add: [NET_BIND_SERVICE]; or let the program listen on {higher} and map it by the Service's targetPort."
            )
        }
        Setting::Pod => format!(
            "Let the program listen on {higher} and map it by the Service's targetPort; or allow the port to everybody in the pod: spec.securityContext.sysctls: net.ipv4.ip_unprivileged_port_start=\"{port}\" (not with hostNetwork). \
             securityContext.capabilities.add: [NET_BIND_SERVICE] helps a user other than root only together with `setcap cap_net_bind_service=+ep` on the program's file."
        ),
        Setting::Container => format!(
            "Let the program listen on {higher} and publish it as {port}; or add NET_BIND_SERVICE to its capabilities (for a user other than root to the ambient ones too), or set the sysctl net.ipv4.ip_unprivileged_port_start={port}."
        ),
        Setting::Local => format!(
            "Use a port from 1024 on, such as {higher}; or give the program the capability: `setcap cap_net_bind_service=+ep PROGRAM`, AmbientCapabilities=CAP_NET_BIND_SERVICE in its systemd unit."
        ),
    }
}

fn otherwise_refused(failure: &Failure, subject: &str, port: u16, first: Option<u16>) -> Finding {
    let namespaced = rights::is_namespaced(&failure.call.creds, &[]);
    let capable = Capability::NET_BIND_SERVICE.is_in(failure.call.creds.cap_effective);
    let low = port != 0 && port < first.unwrap_or(1024);
    let (layer, reason) = if namespaced && capable && low {
        (
            permission_denied::USER_NAMESPACE,
            "the process has CAP_NET_BIND_SERVICE in its user namespace, but the network namespace belongs to another one",
        )
    } else {
        (
            permission_denied::UNEXPLAINED,
            "the port needs no capability that the process lacks: a security module, a seccomp filter or a BPF program refused it",
        )
    };
    let mut found = Finding::new(layer, (SubjectKind::Address, subject), words::failure(failure));
    found.explanation = vec![words::who_by_real_ids(&failure.call.creds, &[], &[]) + " was refused", reason.to_owned()];
    let advice = if namespaced && low {
        "Use a port from 1024 on, or a network namespace made in the same user namespace."
    } else {
        "Use another port, and look for the denial in the node's audit log."
    };
    advice.clone_into(&mut found.remedy.text);
    found
}
