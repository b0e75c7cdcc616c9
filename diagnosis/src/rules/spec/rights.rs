//! Refusals without a path, and the manifest: capabilities, low ports, what confines a process beyond them.
//!
//! A capability is proposed alone, and only where it would count: for a user other than root it takes effect only if the
//! program's file has it too, because Kubernetes sets no ambient capabilities (KEP-2763 is not implemented).

use super::{
    chain::{self, Who},
    change, change_by,
    denied::add_capabilities,
    patch,
};
use crate::{
    permission::Capability,
    pod::Pod,
    record::{Call, Errno, Target},
    rules::{Context, Failure, Finding, Spec, words},
};
use serde_json::json;

const PORT_SYSCTL: &str = "net.ipv4.ip_unprivileged_port_start";

/// What the manifest says of seccomp and security modules.
pub(in crate::rules) fn confined(finding: &mut Finding, context: &Context<'_>) {
    if let Some(spec) = context.spec {
        finding.explanation.push(chain::confinement(&spec));
    }
}

/// A call that one capability decides, which the process lacks.
pub(in crate::rules) fn lacking(finding: &mut Finding, failure: &Failure, context: &Context<'_>, capability: Capability) {
    let Some(spec) = context.spec else { return };
    let who = Who::of(failure, None);
    finding.explanation.push(chain::capabilities(&spec));
    let gains = spec.container.security.allow_privilege_escalation == Some(false) && who.uid != 0;
    finding
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
    change(finding, &spec, text, add_capabilities(spec.container, names));
    if finding.remedy.patch.is_some() {
        finding.remedy.also.extend(patch::capability_caveat(names));
    }
}

/// A port below the first one that needs no capability. Called only when the sysctl of the pod's network says so, or when the pod may
/// not set it anyhow.
pub(in crate::rules) fn low_port(finding: &mut Finding, failure: &Failure, context: &Context<'_>, port: u16) {
    let Some(spec) = context.spec else { return };
    finding.explanation.push(chain::capabilities(&spec));
    let (pod, container) = (spec.pod, spec.container);
    let other = another_port(pod, port);
    if pod.host_network {
        finding.explanation.push(format!("the pod has the node's network (hostNetwork), where {PORT_SYSCTL} cannot be set by a pod"));
    }
    if Who::of(failure, None).uid == 0 {
        let name = Capability::NET_BIND_SERVICE.name();
        let text = format!("Add this one capability: securityContext.capabilities.add: [{name}]; or let the program listen on {other}.");
        return change(finding, &spec, text, add_capabilities(container, &[name]));
    }
    if pod.host_network {
        finding.remedy.text = format!(
            "Let the program listen on {other}; a capability helps a user other than root only together with `setcap cap_net_bind_service=+ep` on the program's file."
        );
        return;
    }
    let first = lowest_wanted(context, port);
    let text = format!(
        "Let everybody in the pod bind ports from {first} on: spec.securityContext.sysctls: {PORT_SYSCTL}=\"{first}\" (a safe sysctl, it counts for this pod alone); or let the program listen on {other}."
    );
    let entry = json!({ "name": PORT_SYSCTL, "value": first.to_string() });
    // The list has no merge key and its values are not known here: what is in it must stay.
    let list = "/securityContext/sysctls";
    match pod.security.sysctls.iter().position(|name| name == PORT_SYSCTL) {
        Some(index) => {
            finding.explanation.push(format!("the pod sets {PORT_SYSCTL} itself, to a higher number"));
            let test = json!({ "op": "test", "path": format!("{list}/{index}/name"), "value": PORT_SYSCTL });
            let replace = json!({ "op": "replace", "path": format!("{list}/{index}/value"), "value": first.to_string() });
            change_by(finding, &spec, text, &[test, replace]);
        }
        None if pod.security.sysctls.is_empty() => change(finding, &spec, text, json!({ "securityContext": { "sysctls": [entry] } })),
        None => change_by(finding, &spec, text, &[json!({ "op": "add", "path": format!("{list}/-"), "value": entry })]),
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
fn lowest_wanted(context: &Context<'_>, port: u16) -> u16 {
    let declared = context.spec.iter().flat_map(|spec| &spec.container.ports).map(|(_, port)| *port);
    let refused =
        context.failures.iter().filter(|failure| failure.call.errno == Errno::EACCES).filter_map(|failure| match failure.call.target {
            Target::Inet { port, .. } if failure.call.call == Call::Bind => Some(port),
            Target::Inet { .. } | Target::Path(_) | Target::Paths { .. } | Target::File { .. } | Target::Unix(_) | Target::Nothing => None,
        });
    declared.chain(refused).filter(|known| *known > 0).chain([port]).min().unwrap_or(port)
}

/// Whose a cgroup is, seen from a container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Whose {
    /// The same container's, of this start or another.
    Own(String),
    /// Another container's of the same pod.
    Beside(String),
    /// Another pod's.
    Elsewhere(String),
}

impl Whose {
    /// In words: `container metrics of this pod`.
    pub(in crate::rules) fn name(&self) -> &str {
        match self {
            Self::Own(name) | Self::Beside(name) | Self::Elsewhere(name) => name,
        }
    }
}

/// Which container of the pod a cgroup belongs to, or whose it is instead.
pub(in crate::rules) fn owner_of_cgroup(context: &Context<'_>, path: &str) -> Option<Whose> {
    use crate::attribution::{self, Place};
    let spec = context.spec?;
    let place = match attribution::place(path) {
        Place::Nested { container } => attribution::place(&container),
        place @ (Place::Pod { .. } | Place::Container { .. } | Place::Run { .. } | Place::Other) => place,
    };
    let Place::Container { pod_uid, container_id, .. } = place else { return None };
    let known = spec.pod.container_with_id(&container_id).map(|(container, _)| container.name.as_str());
    let is_own = container_id == context.workload.container_id || known == Some(spec.container.name.as_str());
    if let Some(name) = known.or(is_own.then_some(spec.container.name.as_str())) {
        let name = format!("container {name} of this pod");
        return Some(if is_own { Whose::Own(name) } else { Whose::Beside(name) });
    }
    let same = pod_uid.as_deref() == Some(spec.pod.uid.as_str());
    Some(if same {
        Whose::Beside("another container of this pod".to_owned())
    } else {
        Whose::Elsewhere(format!("another pod (uid {})", pod_uid?))
    })
}

/// The process that has the port, seen with the manifest.
pub(in crate::rules) fn taken_port(finding: &mut Finding, context: &Context<'_>, port: u16, whose: Option<&Whose>) {
    let Some(spec) = context.spec else { return };
    let declared: Vec<&str> = spec
        .pod
        .containers
        .iter()
        .filter(|other| other.ports.iter().any(|(_, known)| *known == port))
        .map(|other| other.name.as_str())
        .collect();
    if declared.len() > 1 {
        finding.explanation.push(format!("port {port} is declared by the containers {}", words::list(&declared, 5)));
    }
    match whose {
        // Within a pod hostNetwork changes nothing: its containers share one network anyhow.
        Some(Whose::Own(_)) => finding.remedy.text = twice(port),
        Some(Whose::Beside(name)) => {
            finding.remedy.text = format!(
                "The containers of a pod share one network: give {} or {name} another port than {port} (its arguments, environment or configuration), and change containerPort, probes and the Service with it.",
                spec.container.name
            );
        }
        Some(Whose::Elsewhere(_)) | None if spec.pod.host_network => taken_on_the_node(finding, &spec, port),
        Some(Whose::Elsewhere(_)) | None => {}
    }
}

/// One container, two servers.
pub(in crate::rules) fn twice(port: u16) -> String {
    format!(
        "Let only one process of the container listen on port {port}: look for a second server, a second `listen`, or a start script that starts it twice."
    )
}

fn taken_on_the_node(finding: &mut Finding, spec: &Spec<'_>, port: u16) {
    let rolling = spec.pod.owner.as_ref().filter(|owner| owner.kind == "Deployment" && owner.strategy != "Recreate");
    finding
        .explanation
        .push("the pod has the node's network (hostNetwork: true): it shares the port numbers with the node and all such pods".to_owned());
    finding.remedy.text =
        format!("Give the program another port than {port}, or take hostNetwork off the pod if it does not need the node's own addresses.");
    finding
        .remedy
        .also
        .extend(rolling.map(|owner| {
            format!("If it is the old pod of {owner} that has the port: a rolling update cannot end, use strategy Recreate.")
        }));
}
