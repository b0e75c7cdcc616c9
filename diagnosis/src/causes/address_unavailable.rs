//! `AddressUnavailable`: EADDRNOTAVAIL of a bind, and which addresses there are.

use super::rule::{Calls, Rule};
use crate::{
    case::{Case, Setting, finding::Finding, look::gap},
    catalogue::{Cause, address_unavailable},
    question::{Answer, Question},
    record::{Call, Errno, Target},
    story::failure::Failure,
    verdict::SubjectKind,
    words,
};

/// See the module's head.
pub(super) const RULE: Rule = Rule { says: &[Cause::AddressUnavailable], calls: Some(Calls { takes, questions, explain }), others: None };

fn takes(failure: &Failure) -> bool {
    failure.call.errno == Errno::EADDRNOTAVAIL && matches!((failure.call.call, &failure.call.target), (Call::Bind, Target::Inet { .. }))
}

fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    vec![Question::LocalAddresses { scope: case.scope(failure.call.task.process) }]
}

fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    let Target::Inet { address, port } = &failure.call.target else { return None };
    Some(unavailable(failure, case, address, *port))
}

fn unavailable(failure: &Failure, case: &Case<'_>, address: &str, port: u16) -> Finding {
    let subject = words::address_port(address, port);
    let mut found = Finding::new(address_unavailable::NO_SUCH_ADDRESS, (SubjectKind::Address, &subject), words::failure(failure));
    let addresses =
        case.answers.iter().find_map(|(_, answer)| if let Answer::Addresses(addresses) = answer { Some(addresses) } else { None });
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
            .push(format!("which addresses there are is not known: {}", gap(case).unwrap_or("they have not been looked at"))),
    }
    let all = if address.contains(':') { "::" } else { "0.0.0.0" };
    found.remedy.text = match case.setting() {
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
