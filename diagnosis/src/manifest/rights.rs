//! Refusals without a path, and the manifest: capabilities, low ports, what confines a process beyond them.
//!
//! A capability is proposed alone, and only where it would count: for a user other than root it takes effect only if the
//! program's file has it too, because Kubernetes sets no ambient capabilities (KEP-2763 is not implemented).

use super::whose::{Whose, owner_of_cgroup, twice};
use super::{
    advice::{Advice, change, change_by},
    chain::{self, Who},
    denied::add_capabilities,
    patch,
};
use crate::{
    case::{Case, Manifest},
    permission::Capability,
    pod::Pod,
    record::{Call, Errno, Target},
    story::failure::Failure,
    words,
};
use serde_json::json;

const PORT_SYSCTL: &str = "net.ipv4.ip_unprivileged_port_start";

/// What the manifest says of seccomp and security modules.
pub(super) fn confined(advice: &mut Advice, case: &Case<'_>) {
    if let Some(spec) = case.manifest {
        advice.explanation.push(chain::confinement(&spec));
    }
}

/// A call that one capability decides, which the process lacks.
pub(super) fn lacking(advice: &mut Advice, failure: &Failure, case: &Case<'_>, capability: Capability) {
    let Some(spec) = case.manifest else { return };
    let who = Who::of(failure, None);
    advice.explanation.push(chain::capabilities(&spec));
    let gains = spec.container.security.allow_privilege_escalation == Some(false) && who.uid != 0;
    advice
        .explanation
        .extend(gains.then(|| "allowPrivilegeEscalation: false keeps set-uid programs (su, sudo) from becoming another user".to_owned()));
    let is_root = chain::run_as_user(spec.pod, spec.container).unwrap_or(who.uid) == 0 && who.uid == 0;
    if !is_root {
        return; // the capability would not count, and a launcher should start as the final user
    }
    let switches = failure.call.call != Call::Socket;
    let names: &[&str] = if switches { &["SETUID", "SETGID"] } else { &[capability.name()] };
    let text = if switches {
        format!(
            "Let root change its user: securityContext.capabilities.add: [{}]; or start the program as the user that it wants to become (runAsUser, runAsGroup), if it can do without root.",
            names.join(", ")
        )
    } else {
        format!("Add this one capability: securityContext.capabilities.add: [{}]; or do without the raw socket.", capability.name())
    };
    change(advice, &spec, text, add_capabilities(spec.container, names));
    if advice.remedy.patch.is_some() {
        advice.remedy.also.extend(patch::capability_caveat(names));
    }
}

/// A port below the first one that needs no capability. Called only when the sysctl of the pod's network says so, or when the pod may
/// not set it anyhow.
pub(super) fn low_port(advice: &mut Advice, failure: &Failure, case: &Case<'_>, port: u16) {
    let Some(spec) = case.manifest else { return };
    advice.explanation.push(chain::capabilities(&spec));
    let (pod, container) = (spec.pod, spec.container);
    let other = another_port(pod, port);
    if pod.host_network {
        advice.explanation.push(format!("the pod has the node's network (hostNetwork), where {PORT_SYSCTL} cannot be set by a pod"));
    }
    if Who::of(failure, None).uid == 0 {
        let name = Capability::NET_BIND_SERVICE.name();
        let text = format!("Add this one capability: securityContext.capabilities.add: [{name}]; or let the program listen on {other}.");
        return change(advice, &spec, text, add_capabilities(container, &[name]));
    }
    if pod.host_network {
        advice.remedy.text = format!(
            "Let the program listen on {other}; a capability helps a user other than root only together with `setcap cap_net_bind_service=+ep` on the program's file."
        );
        return;
    }
    let first = lowest_wanted(case, port);
    let text = format!(
        "Let everybody in the pod bind ports from {first} on: spec.securityContext.sysctls: {PORT_SYSCTL}=\"{first}\" (a safe sysctl, it counts for this pod alone); or let the program listen on {other}."
    );
    let entry = json!({ "name": PORT_SYSCTL, "value": first.to_string() });
    // The list has no merge key and its values are not known here: what is in it must stay.
    let list = "/securityContext/sysctls";
    match pod.security.sysctls.iter().position(|name| name == PORT_SYSCTL) {
        Some(index) => {
            advice.explanation.push(format!("the pod sets {PORT_SYSCTL} itself, to a higher number"));
            let test = json!({ "op": "test", "path": format!("{list}/{index}/name"), "value": PORT_SYSCTL });
            let replace = json!({ "op": "replace", "path": format!("{list}/{index}/value"), "value": first.to_string() });
            change_by(advice, &spec, text, &[test, replace]);
        }
        None if pod.security.sysctls.is_empty() => change(advice, &spec, text, json!({ "securityContext": { "sysctls": [entry] } })),
        None => change_by(advice, &spec, text, &[json!({ "op": "add", "path": format!("{list}/-"), "value": entry })]),
    }
}

/// The other way out: a port that needs no capability. With hostNetwork clients reach it under that very number.
fn another_port(pod: &Pod, port: u16) -> String {
    let higher = u32::from(port) + 8000;
    if pod.host_network {
        format!("a port from 1024 on that nothing else on the node has, such as {higher}")
    } else {
        format!("{higher} and map it by the Service's targetPort")
    }
}

/// The lowest port that the container declares or was refused.
fn lowest_wanted(case: &Case<'_>, port: u16) -> u16 {
    let declared = case.manifest.iter().flat_map(|spec| &spec.container.ports).map(|(_, port)| *port);
    let refused =
        case.failures.iter().filter(|failure| failure.call.errno == Errno::EACCES).filter_map(|failure| match failure.call.target {
            Target::Inet { port, .. } if failure.call.call == Call::Bind => Some(port),
            Target::Inet { .. } | Target::Path(_) | Target::Paths { .. } | Target::File { .. } | Target::Unix(_) | Target::Nothing => None,
        });
    declared.chain(refused).filter(|known| *known > 0).chain([port]).min().unwrap_or(port)
}

/// The process that has the port, seen with the manifest.
pub(super) fn taken_port(advice: &mut Advice, case: &Case<'_>, port: u16, cgroup: Option<&str>) {
    let Some(spec) = case.manifest else { return };
    let whose = cgroup.and_then(|path| owner_of_cgroup(case, path));
    let declared: Vec<&str> = spec
        .pod
        .containers
        .iter()
        .filter(|other| other.ports.iter().any(|(_, known)| *known == port))
        .map(|other| other.name.as_str())
        .collect();
    if declared.len() > 1 {
        advice.explanation.push(format!("port {port} is declared by the containers {}", words::list(&declared, 5)));
    }
    match &whose {
        // Within a pod hostNetwork changes nothing: its containers share one network anyhow.
        Some(Whose::Own(_)) => advice.remedy.text = twice(port),
        Some(Whose::Beside(name)) => {
            advice.remedy.text = format!(
                "The containers of a pod share one network: give {} or {name} another port than {port} (its arguments, environment or configuration), and change containerPort, probes and the Service with it.",
                spec.container.name
            );
        }
        Some(Whose::Elsewhere(_)) | None if spec.pod.host_network => taken_on_the_node(advice, &spec, port),
        Some(Whose::Elsewhere(_)) | None => {}
    }
}

fn taken_on_the_node(advice: &mut Advice, spec: &Manifest<'_>, port: u16) {
    let rolling = spec.pod.owner.as_ref().filter(|owner| owner.kind == "Deployment" && owner.strategy != "Recreate");
    advice
        .explanation
        .push("the pod has the node's network (hostNetwork: true): it shares the port numbers with the node and all such pods".to_owned());
    advice.remedy.text =
        format!("Give the program another port than {port}, or take hostNetwork off the pod if it does not need the node's own addresses.");
    advice
        .remedy
        .also
        .extend(rolling.map(|owner| {
            format!("If it is the old pod of {owner} that has the port: a rolling update cannot end, use strategy Recreate.")
        }));
}
