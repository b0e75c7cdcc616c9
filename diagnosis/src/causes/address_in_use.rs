//! `AddressInUse`: who has the port, or the file of the unix socket that is there already.

use super::rule::{Calls, Rule};
use crate::{
    case::{
        Case, Setting,
        finding::{Finding, Matter},
        look::{gap, walk_of, walks},
    },
    catalogue::{Cause, address_in_use},
    manifest::whose::{Whose, owner_of_cgroup, twice},
    question::{Answer, Listener, Question},
    record::{Call, Errno, PathArg, Target},
    story::{fact, fact::Fact, failure::Failure},
    verdict::{Evidence, EvidenceKind, SubjectKind},
    words,
};

/// See the module's head.
pub(super) const RULE: Rule = Rule { says: &[Cause::AddressInUse], calls: Some(Calls { takes, questions, explain }), others: None };

fn takes(failure: &Failure) -> bool {
    (failure.call.call, failure.call.errno) == (Call::Bind, Errno::EADDRINUSE)
}

fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    let scope = case.scope(failure.call.task.process);
    match &failure.call.target {
        Target::Inet { port, .. } => vec![Question::FindListener { scope, port: *port }],
        Target::Unix(_) => walks(failure, case),
        Target::Path(_) | Target::Paths { .. } | Target::File { .. } | Target::Nothing => Vec::new(),
    }
}

fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    match &failure.call.target {
        Target::Inet { address, port } => Some(in_use(failure, case, address, *port)),
        Target::Unix(path) => Some(socket_file(failure, case, path)),
        Target::Path(_) | Target::Paths { .. } | Target::File { .. } | Target::Nothing => None,
    }
}

fn in_use(failure: &Failure, case: &Case<'_>, address: &str, port: u16) -> Finding {
    let subject = words::address_port(address, port);
    let mut found = Finding::new(address_in_use::PORT_TAKEN, (SubjectKind::Address, &subject), words::failure(failure));
    let answer =
        case.answers.iter().find_map(|(_, answer)| if let Answer::Listener(listener) = answer { Some(listener.as_ref()) } else { None });
    match answer {
        Some(Some(listener)) => taken(&mut found, failure, case, port, listener),
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
                format!("whose it is, is not known: {}", gap(case).unwrap_or("it has not been looked for")),
            ];
            found.remedy.text = format!("Find who has the port (`ss -ltnp sport = :{port}`), and use another one.");
        }
    }
    found
}

fn taken(found: &mut Finding, failure: &Failure, case: &Case<'_>, port: u16, listener: &Listener) {
    let own = listener.pid.is_some_and(|pid| case.processes.iter().any(|process| process.process.pid == pid));
    let itself = listener.pid == Some(failure.call.task.process.pid);
    let who = who_listens(listener);
    let since =
        listener.since.map(|since| format!(", which started {} before", words::duration(failure.first.since(since)))).unwrap_or_default();
    let whose = listener.cgroup_path.as_deref().and_then(|path| owner_of_cgroup(case, path));
    let of = match (itself, own, listener.cgroup_path.as_deref()) {
        (true, ..) => "the very process that asked for it".to_owned(),
        (_, true, _) => format!("{who} of this container{since}"),
        (_, _, Some(_)) if whose.is_some() => {
            format!("{who} of {}{since}", whose.as_ref().map(Whose::name).unwrap_or_default())
        }
        (_, _, Some(path)) if path.len() > 1 => format!("{who} of cgroup {path}{since}"),
        (_, _, Some(_) | None) => format!("{who}{since}"),
    };
    found.explanation = vec![format!("port {port} at {} belongs to {of}", listener.address)];
    if itself {
        found.explanation.push("it binds the same port twice; [::] includes 0.0.0.0 unless IPV6_V6ONLY is set".to_owned());
    }
    let fact = fact::Socket { address: listener.address.clone(), port, pid: listener.pid.unwrap_or_default() };
    let text = format!("{who} listens on port {port} at {}", listener.address);
    found.evidence = vec![Evidence::new(failure.last, EvidenceKind::Socket, text).with(Fact::Socket(fact))];
    found.remedy.text = match (case.setting(), own) {
        (_, true) => twice(port),
        (Setting::Pod, false) => {
            format!(
                "Give one of them another port: the containers of a pod share the port numbers, and with hostNetwork so does the node. Port {port} of {who} is taken."
            )
        }
        (_, false) => format!("Stop {who}, or give the program another port than {port}."),
    };
    found.matter = (!own).then(|| Matter::TakenPort(port, listener.cgroup_path.clone()));
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

fn socket_file(failure: &Failure, case: &Case<'_>, path: &PathArg) -> Finding {
    let mut found = Finding::new(address_in_use::SOCKET_FILE, (SubjectKind::Path, &path.path), words::failure(failure));
    let walk = walk_of(case, path);
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
            .push(format!("whether it is still there is not known: {}", gap(case).unwrap_or("the path has not been looked at")));
    }
    found.remedy.text = format!(
        "Remove {0} before binding (after a look whether its owner still runs: `ss -lxp`); let the program do so itself at its start: an emptyDir outlives a restart of the container.",
        path.path
    );
    found.proved = there.is_some();
    found
}
