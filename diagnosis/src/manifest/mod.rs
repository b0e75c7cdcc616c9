//! What the pod's manifest says of a finding, and the change of it that helps.
//!
//! The rules find out what failed from the kernel and the live file system alone, and name what of it a manifest may bear on
//! ([`Matter`]). Here the manifest is laid beside it, once, at the end: where the path comes from ([`located`]), which fields bear on
//! the rights of the process ([`chain`]), and what has to change in the spec, as text and as a patch of the owner ([`patch`]). A change is
//! proposed only if the judgement, repeated with what the kubelet would make of it, no longer refuses ([`simulate`]).

mod advice;
mod alike;
mod candidates;
mod chain;
mod command;
mod denied;
mod injected;
mod limits;
pub(crate) mod located;
mod missing;
mod mode;
pub mod patch;
mod readonly;
mod refusal;
mod rights;
mod shared;
mod simulate;
mod subpath;
#[cfg(test)]
mod tests;
mod ungiven;
mod unmounted;
pub(crate) mod whose;
mod written;

use crate::{
    case::{
        Case, Suspect,
        finding::{Finding, Matter},
        look::walk_of,
    },
    story::failure::Failure,
    units::BootNanos,
};
use advice::Advice;

/// The finding with what the manifest adds to it.
pub fn complete(mut finding: Finding, suspect: Suspect<'_>, case: &Case<'_>) -> Finding {
    if case.manifest.is_none() {
        return finding;
    }
    let Some(matter) = finding.matter.take() else { return finding };
    let mut advice = Advice::new(std::mem::take(&mut finding.remedy), at(suspect));
    match suspect {
        Suspect::Call(failure) => of_call(&mut advice, &matter, failure, case),
        Suspect::OutOfMemory { .. } | Suspect::NeverStarted { .. } | Suspect::Exit { .. } => of_any(&mut advice, &matter, case),
    }
    let (reasons, facts, remedy) = advice.into_parts();
    finding.explanation.extend(reasons);
    finding.evidence.extend(facts);
    Finding { remedy, matter: Some(matter), ..finding }
}

const fn at(suspect: Suspect<'_>) -> BootNanos {
    match suspect {
        Suspect::Call(failure) => failure.last,
        Suspect::OutOfMemory { at, .. } | Suspect::NeverStarted { at } | Suspect::Exit { at, .. } => at,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the next function names each of the others")]
fn of_call(advice: &mut Advice, matter: &Matter, failure: &Failure, case: &Case<'_>) {
    match matter {
        Matter::Denied(denied) => denied::explain(advice, failure, case, denied),
        Matter::Lacking(capability) => rights::lacking(advice, failure, case, *capability),
        Matter::LowPort(port) => rights::low_port(advice, failure, case, *port),
        Matter::ReadOnly(name, path) => readonly::explain(advice, failure, case, name, path.as_ref().and_then(|path| walk_of(case, path))),
        Matter::Absent(name, stop) => missing::absent(advice, failure, case, name, stop.as_ref()),
        other => of_any(advice, other, case),
    }
}

fn of_any(advice: &mut Advice, matter: &Matter, case: &Case<'_>) {
    match matter {
        Matter::Confined => rights::confined(advice, case),
        Matter::TakenPort(port, cgroup) => rights::taken_port(advice, case, *port, cgroup.as_deref()),
        Matter::Late(name) => missing::late(advice, case, name),
        Matter::DirectoryForFile(name) => subpath::directory(advice, case, name),
        Matter::NoDirectory(name) => written::missing_directory(advice, case, name),
        Matter::Memory(memory) => limits::out_of_memory(advice, case, *memory),
        Matter::Storage(point, usage) => limits::storage(advice, case, point, usage.as_ref()),
        Matter::NoCommand(name, told, stop) => command::not_found(advice, case, name, told.as_deref(), stop.as_ref()),
        Matter::NoExecuteBit(path, file, told) => command::not_executable(advice, case, path, file.as_deref(), told.as_deref()),
        Matter::OtherMachine(architecture) => command::other_machine(advice, case, architecture),
        Matter::Image(path) => command::image_only(advice, case, path),
        Matter::Ended => command::ended(advice, case),
        // Only of a failing call.
        Matter::Denied(_) | Matter::Lacking(_) | Matter::LowPort(_) | Matter::ReadOnly(..) | Matter::Absent(..) => {}
    }
}
