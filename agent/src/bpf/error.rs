//! Why the kernel half is not there, a sentence each, with the way out.

use std::{error::Error as StdError, fs, io};

/// Lines of the verifier's log that an error shows: the reason is in the last ones.
const LOG_LINES: usize = 15;

/// Why the programs could not be loaded or attached.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It was built without them on purpose (`UNREADY_WITHOUT_EBPF=1`).
    #[error("this binary was built without its eBPF programs: build it without UNREADY_WITHOUT_EBPF=1, after `cargo xtask setup`")]
    NoObject,
    /// The kernel does not describe its structures.
    #[error("{0}; Unready needs a kernel with CONFIG_DEBUG_INFO_BTF=y, as the distributions' kernels from 5.10 on have it")]
    NoBtf(String),
    /// The kernel said no to the caller, not to the program.
    #[error("{0}")]
    NotPermitted(String),
    /// The verifier did not take a program.
    #[error("this kernel's verifier refuses the program {program}; please report it with these last lines of its log:\n{log}")]
    Verifier {
        program: &'static str,
        /// The end of the verifier's log.
        log: String,
    },
    /// A program that nothing works without has no place to sit in this kernel.
    #[error(
        "the program {program} cannot be attached: {reason}; Unready needs kernel 5.10 or later with tracepoints of system calls (CONFIG_HAVE_SYSCALL_TRACEPOINTS, CONFIG_TRACEPOINTS)"
    )]
    Attach { program: &'static str, reason: String },
    /// A map could not be made or used.
    #[error("the eBPF map {map} cannot be used: {reason}")]
    Map { map: &'static str, reason: String },
    /// The object that is embedded in this binary is none.
    #[error("the embedded eBPF object is damaged ({0}): build again")]
    Object(String),
    /// No asynchronous runtime, or no descriptors left.
    #[error("the ring buffer cannot be waited for: {0}")]
    Wait(io::Error),
}

impl LoadError {
    /// What aya says of an object, its maps and its globals.
    pub(super) fn of_object(error: &aya::EbpfError) -> Self {
        not_permitted(error).unwrap_or_else(|| match error {
            aya::EbpfError::MapError(_) => Self::Map { map: "set", reason: chain(error) },
            aya::EbpfError::FileError { .. }
            | aya::EbpfError::UnexpectedPinningType { .. }
            | aya::EbpfError::ParseError(_)
            | aya::EbpfError::BtfError(_)
            | aya::EbpfError::RelocationError(_)
            | aya::EbpfError::BtfRelocationError(_)
            | aya::EbpfError::NoBTF
            | aya::EbpfError::ProgramError(_) => Self::Object(chain(error)),
        })
    }

    /// What aya says of loading one program.
    pub(super) fn of_program(program: &'static str, error: &aya::programs::ProgramError) -> Self {
        if let aya::programs::ProgramError::LoadError { io_error, verifier_log } = error {
            let log = verifier_log.to_string();
            // The verifier says why; a refusal of the caller comes without a word.
            if !log.trim().is_empty() {
                return Self::Verifier { program, log: tail(&log) };
            }
            return not_permitted(io_error).unwrap_or_else(|| Self::Attach { program, reason: io_error.to_string() });
        }
        not_permitted(error).unwrap_or_else(|| Self::Attach { program, reason: chain(error) })
    }

    /// What aya says of a map.
    pub(super) fn of_map(map: &'static str, error: &aya::maps::MapError) -> Self {
        not_permitted(error).unwrap_or_else(|| Self::Map { map, reason: chain(error) })
    }
}

/// The refusal behind an error, if the caller was refused.
fn not_permitted(error: &(dyn StdError + 'static)) -> Option<LoadError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            return Some(LoadError::NotPermitted(refusal()));
        }
        next = error.source();
    }
    None
}

/// Who refuses: the lockdown or the lack of rights.
fn refusal() -> String {
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    if lockdown.contains("[confidentiality]") {
        return "the kernel is locked down for confidentiality and lets nobody read its memory: boot with lockdown=integrity or none"
            .to_owned();
    }
    "loading eBPF programs is not permitted: run as root, or with the capabilities BPF and PERFMON (and check that seccomp allows bpf(2))"
        .to_owned()
}

/// An error and what is behind it, in one line.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        next = error.source();
    }
    text
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_refusal_is_found_behind_other_errors() {
        let refused = Outer(io::Error::from_raw_os_error(libc::EPERM));
        assert!(matches!(not_permitted(&refused), Some(LoadError::NotPermitted(_))));
        assert!(not_permitted(&Outer(io::Error::from_raw_os_error(libc::EINVAL))).is_none());
    }

    #[test]
    fn the_reason_is_said_once() {
        assert_eq!(chain(&Outer(io::Error::other("inner"))), "outer: inner");
    }

    #[test]
    fn only_the_end_of_the_log_is_shown() {
        let log = (0..100).map(|line| format!("{line}\n\n")).collect::<Vec<_>>().concat();
        assert_eq!(tail(&log).lines().next(), Some("85"));
    }
}
