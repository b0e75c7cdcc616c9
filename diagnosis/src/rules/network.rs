//! Failing binds of internet addresses, and of unix sockets whose file is there already.

use super::{
    Context, Failure, Finding,
    files::{Setting, finding, gap, walk_of, walks},
    spec,
    words::{self, layer},
};
use crate::{
    cause::Cause,
    permission::{Capability, rights},
    question::{Answer, Listener, Question},
    record::{Call, Errno, Target},
    verdict::{Evidence, EvidenceKind, SubjectKind},
};

/// What must be known to explain a failing bind.
pub fn questions(failure: &Failure, context: &Context<'_>) -> Vec<Question> {
    let scope = context.scope(failure.call.task.process);
    match (failure.call.call, &failure.call.target, failure.call.errno) {
        (Call::Bind, Target::Inet { port, .. }, Errno::EADDRINUSE) => vec![Question::FindListener { scope, port: *port }],
        (Call::Bind, Target::Inet { .. }, Errno::EADDRNOTAVAIL) => vec![Question::LocalAddresses { scope }],
        (Call::Bind, Target::Inet { .. }, Errno::EACCES | Errno::EPERM) => vec![Question::UnprivilegedPort { scope }],
        (Call::Bind, Target::Unix(_), Errno::EADDRINUSE) => walks(failure, context),
        _ => Vec::new(),
    }
}

/// What it means; unix sockets that are refused or lack their directory belong to the files.
pub fn explain(failure: &Failure, context: &Context<'_>) -> Option<Finding> {
    if failure.call.call != Call::Bind {
        return None;
    }
    match (&failure.call.target, failure.call.errno) {
        (Target::Inet { address, port }, Errno::EADDRINUSE) => Some(in_use(failure, context, address, *port)),
        (Target::Inet { address, port }, Errno::EADDRNOTAVAIL) => Some(unavailable(failure, context, address, *port)),
        (Target::Inet { address, port }, Errno::EACCES | Errno::EPERM) => Some(refused(failure, context, address, *port)),
        (Target::Unix(path), Errno::EADDRINUSE) => Some(socket_file(failure, context, path)),
        _ => None,
    }
}

fn in_use(failure: &Failure, context: &Context<'_>, address: &str, port: u16) -> Finding {
    let subject = words::address_port(address, port);
    let mut found = finding(Cause::AddressInUse, layer::PORT_TAKEN, (SubjectKind::Address, &subject), words::failure(failure));
    let answer =
        context.answers.iter().find_map(|(_, answer)| if let Answer::Listener(listener) = answer { Some(listener.as_ref()) } else { None });
    match answer {
        Some(Some(listener)) => taken(&mut found, failure, context, port, listener),
        Some(None) => {
            found.explanation = vec![
                format!("nobody listens on port {port} now: whoever had it has left, or has bound it without listening"),
                "a restarted server meets its own old connections unless it sets SO_REUSEADDR".to_owned(),
            ];
            found.remedy.text = format!(
                "Try again; if it comes back, let the server set SO_REUSEADDR, or find who binds the port first (`ss -ltnp sport = :{port}`)."
            );
        }
        None => {
            found.explanation = vec![
                format!("another socket of the network namespace has port {port}"),
                format!("whose it is, is not known: {}", gap(context).unwrap_or("it has not been looked for")),
            ];
            found.remedy.text = format!("Find who has the port (`ss -ltnp sport = :{port}`), and use another one.");
        }
    }
    found
}

fn taken(found: &mut Finding, failure: &Failure, context: &Context<'_>, port: u16, listener: &Listener) {
    let own = listener.pid.is_some_and(|pid| context.processes.iter().any(|process| process.process.pid == pid));
    let itself = listener.pid == Some(failure.call.task.process.pid);
    let who = who_listens(listener);
    let since =
        listener.since.map(|since| format!(", which started {} before", words::duration(failure.first.since(since)))).unwrap_or_default();
    let whose = listener.cgroup_path.as_deref().and_then(|path| spec::rights::owner_of_cgroup(context, path));
    let of = match (itself, own, listener.cgroup_path.as_deref()) {
        (true, ..) => "the very process that asked for it".to_owned(),
        (_, true, _) => format!("{who} of this container{since}"),
        (_, _, Some(_)) if whose.is_some() => {
            format!("{who} of {}{since}", whose.as_ref().map(spec::rights::Whose::name).unwrap_or_default())
        }
        (_, _, Some(path)) if path.len() > 1 => format!("{who} of cgroup {path}{since}"),
        (_, _, Some(_) | None) => format!("{who}{since}"),
    };
    found.explanation = vec![format!("port {port} at {} belongs to {of}", listener.address)];
    if itself {
        found.explanation.push("it binds the same port twice; [::] includes 0.0.0.0 unless IPV6_V6ONLY is set".to_owned());
    }
    found.evidence =
        vec![Evidence::new(failure.last, EvidenceKind::Socket, format!("{who} listens on port {port} at {}", listener.address))];
    found.remedy.text = match (Setting::of(context.workload), own) {
        (_, true) => spec::rights::twice(port),
        (Setting::Pod, false) => {
            format!(
                "Give one of them another port: the containers of a pod share the port numbers, and with hostNetwork so does the node. Port {port} of {who} is taken."
            )
        }
        (_, false) => format!("Stop {who}, or give the program another port than {port}."),
    };
    if !own {
        spec::rights::taken_port(found, context, port, whose.as_ref());
    }
    found.proved = true;
}

fn who_listens(listener: &Listener) -> String {
    match (&listener.pid, &listener.comm) {
        (Some(pid), Some(comm)) => format!("{comm} (pid {pid})"),
        (Some(pid), None) => format!("pid {pid}"),
        (None, Some(comm)) => comm.clone(),
        (None, None) => "a process that could not be found (of another pid namespace)".to_owned(),
    }
}

fn unavailable(failure: &Failure, context: &Context<'_>, address: &str, port: u16) -> Finding {
    let subject = words::address_port(address, port);
    let mut found = finding(Cause::AddressUnavailable, layer::NO_SUCH_ADDRESS, (SubjectKind::Address, &subject), words::failure(failure));
    let addresses =
        context.answers.iter().find_map(|(_, answer)| if let Answer::Addresses(addresses) = answer { Some(addresses) } else { None });
    found.explanation = vec![format!("{address} is an address of no interface in the process's network namespace")];
    match addresses {
        Some(known) if known.iter().any(|known| bare(known) == address) => {
            found.explanation = vec![format!(
                "{address} is there now: it was given to the interface after the attempt, or is still being checked (IPv6 duplicate address detection)"
            )];
        }
        Some(known) => {
            found.explanation.push(format!("it has {}", words::list(known, 8)));
            found.proved = true;
        }
        None => found
            .explanation
            .push(format!("which addresses there are is not known: {}", gap(context).unwrap_or("they have not been looked at"))),
    }
    let all = if address.contains(':') { "::" } else { "0.0.0.0" };
    found.remedy.text = match Setting::of(context.workload) {
        Setting::Pod => format!(
            "Bind {all}, or take the pod's own address from the downward API (status.podIP); a Service's or a node's address belongs to no pod."
        ),
        Setting::Container => format!("Bind {all}, or an address of the container."),
        Setting::Local => format!("Bind {all}, or one of the addresses above."),
    };
    found
}

/// An address without its prefix length.
fn bare(address: &str) -> &str {
    address.split('/').next().unwrap_or(address)
}

/// A port below the first unprivileged one: `inet_bind` of `net/ipv4/af_inet.c`.
fn refused(failure: &Failure, context: &Context<'_>, address: &str, port: u16) -> Finding {
    let first =
        context.answers.iter().find_map(|(_, answer)| if let Answer::UnprivilegedPort(first) = answer { Some(*first) } else { None });
    let lacks = !Capability::NET_BIND_SERVICE.is_in(failure.call.creds.cap_effective);
    let below = port != 0 && port < first.unwrap_or(1024);
    let subject = words::address_port(address, port);
    if !(lacks && below && failure.call.errno == Errno::EACCES) {
        return otherwise_refused(failure, &subject, port, first);
    }
    let layer = format!("{} {}", layer::CAPABILITY, Capability::NET_BIND_SERVICE.name());
    let mut found = finding(Cause::PermissionDenied, &layer, (SubjectKind::Address, &subject), words::failure(failure));
    let who = words::account(&failure.call.creds, &[], &[]);
    let limit = match first {
        Some(first) => format!("ports below {first} need it here (net.ipv4.ip_unprivileged_port_start)"),
        None => "ports below 1024 need it unless net.ipv4.ip_unprivileged_port_start says otherwise, which was not read".to_owned(),
    };
    found.explanation = vec![format!("{who} binds port {port} without CAP_NET_BIND_SERVICE"), limit];
    found.remedy.text = low_port_remedy(failure, port, Setting::of(context.workload));
    if first.is_some() || context.spec.is_some_and(|spec| spec.pod.host_network) {
        spec::rights::low_port(&mut found, failure, context, port);
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
            layer::USER_NAMESPACE,
            "the process has CAP_NET_BIND_SERVICE in its user namespace, but the network namespace belongs to another one",
        )
    } else {
        (
            layer::UNEXPLAINED,
            "the port needs no capability that the process lacks: a security module, a seccomp filter or a BPF program refused it",
        )
    };
    let mut found = finding(Cause::PermissionDenied, layer, (SubjectKind::Address, subject), words::failure(failure));
    found.explanation = vec![words::account(&failure.call.creds, &[], &[]) + " was refused", reason.to_owned()];
    let advice = if namespaced && low {
        "Use a port from 1024 on, or a network namespace made in the same user namespace."
    } else {
        "Use another port, and look for the denial in the node's audit log."
    };
    advice.clone_into(&mut found.remedy.text);
    found
}

fn socket_file(failure: &Failure, context: &Context<'_>, path: &crate::record::PathArg) -> Finding {
    let mut found = finding(Cause::AddressInUse, layer::SOCKET_FILE, (SubjectKind::Path, &path.path), words::failure(failure));
    let walk = walk_of(context, path);
    let there = walk.filter(|walk| walk.stopped.is_none());
    found.explanation = vec![if path.path.starts_with('@') {
        format!("another socket has the abstract name {}", path.path)
    } else {
        format!(
            "{} is there already: bind makes the file of a unix socket and refuses one that exists, also when nobody uses it any more",
            path.path
        )
    }];
    if there.is_none() {
        found
            .explanation
            .push(format!("whether it is still there is not known: {}", gap(context).unwrap_or("the path has not been looked at")));
    }
    found.remedy.text = format!(
        "Remove {0} before binding (after a look whether its owner still runs: `ss -lxp`); let the program do so itself at its start: an emptyDir outlives a restart of the container.",
        path.path
    );
    found.proved = there.is_some();
    found
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
