//! The command of a container, as far as the runtime's message tells: for nodes without the kernel's evidence.
//!
//! runc 1.5 (`libcontainer/init_linux.go`, `utils.go`), crun and CRI-O; the words after `exec: "…": ` are Go's `os/exec` errors.

use super::{
    build::{Build, found},
    message::{between, quoted},
};
use crate::{
    catalogue::{command_not_found, not_executable},
    pod::Container,
    verdict::{Confidence, SubjectKind},
};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    NotOnPath,
    Missing,
    Denied,
    Directory,
    Format,
}

/// A command and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Problem<'a> {
    pub(super) command: &'a str,
    pub(super) wrong: Wrong,
}

/// Reads the runtime's message; `None`: it is about something else.
pub(super) fn read(message: &str) -> Option<Problem<'_>> {
    let crun = || between(message, "executable file `", "`").or_else(|| between(message, "executable file '", "'"));
    let command =
        quoted(message, "exec: ").or_else(crun).or_else(|| between(message, "exec ", ":").filter(|path| path.starts_with('/')))?;
    let (_, after) = message.split_once(command)?;
    let wrong = match after {
        text if text.contains("not found in $PATH") => Wrong::NotOnPath,
        text if text.contains("is a directory") => Wrong::Directory,
        text if text.contains("permission denied") || text.contains("operation not permitted") => Wrong::Denied,
        text if text.contains("exec format error") => Wrong::Format,
        text if text.contains("no such file or directory") || text.contains("not found") || text.contains("not a directory") => {
            Wrong::Missing
        }
        _ => return None,
    };
    Some(Problem { command, wrong })
}

pub(super) fn say(spec: &Container, problem: Problem<'_>) -> Build {
    let Problem { command, wrong } = problem;
    let start = |layer, summary: String| found(layer, (SubjectKind::Command, command), summary);
    let build = match wrong {
        Wrong::NotOnPath => start(command_not_found::SEARCH_PATH, format!("{command} is in no directory of the image's PATH"))
            .fix(format!("Correct {}, or add {command} to the image.", field(spec))),
        Wrong::Missing => start(command_not_found::MISSING_COMMAND, format!("{command} is not in the image"))
            .sure(Confidence::Likely)
            .because("a script whose interpreter is missing, or a program whose loader is, can look the same")
            .fix(format!("Correct {}, or add {command} to the image.", field(spec))),
        Wrong::Denied => start(not_executable::NO_EXECUTE_BIT, format!("{command} may not be executed by the container's user"))
            .sure(Confidence::Likely)
            .because(
                "most often the file has no x bit; a directory on the way that the user may not enter, or a noexec mount, looks the same",
            )
            .fix(format!(
                "Set the x bit where the image is built (`chmod +x {command}`); a file of a ConfigMap or Secret needs defaultMode 0555."
            )),
        Wrong::Directory => start(not_executable::DIRECTORY, format!("{command} is a directory"))
            .fix(format!("Name the program itself in {}.", field(spec))),
        Wrong::Format => start(not_executable::NO_PROGRAM, format!("{command} is not a program that this node can execute"))
            .sure(Confidence::Possible)
            .because("a script without `#!` line, or a program for another kind of CPU")
            .fix("Add the `#!` line, or build the image for the node's CPU (`kubernetes.io/arch` of the node)."),
    };
    build.because(written(spec))
}

fn field(spec: &Container) -> String {
    if spec.command.is_empty() { "the image's ENTRYPOINT".to_owned() } else { format!("`command` of container {}", spec.name) }
}

fn written(spec: &Container) -> String {
    match (spec.command.as_slice(), spec.args.as_slice()) {
        ([], []) => "the pod names no command: it is the image's own".to_owned(),
        ([], [first, ..]) => {
            format!("the pod names args ({first} …) and no command: an image without ENTRYPOINT takes the first of them as its command")
        }
        ([one], _) if one.contains(' ') => format!("`command` is one string with blanks, {one:?}: it is not split, nor given to a shell"),
        ([first, ..], _) => format!("the pod's `command` begins with {first}; it replaces the image's ENTRYPOINT"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runtimes_say() {
        let runc = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: ";
        let cases = [
            (format!("{runc}\"servre\": executable file not found in $PATH"), "servre", Wrong::NotOnPath),
            (format!("{runc}\"/app/servre\": stat /app/servre: no such file or directory"), "/app/servre", Wrong::Missing),
            (format!("{runc}\"/app/server\": permission denied"), "/app/server", Wrong::Denied),
            (format!("{runc}\"/app\": is a directory"), "/app", Wrong::Directory),
            (
                "container create failed: executable file `servre` not found in $PATH: No such file or directory".to_owned(),
                "servre",
                Wrong::NotOnPath,
            ),
            ("OCI runtime create failed: exec /app/run.sh: exec format error: unknown".to_owned(), "/app/run.sh", Wrong::Format),
        ];
        for (message, command, wrong) in &cases {
            assert_eq!(read(message), Some(Problem { command, wrong: *wrong }), "{message}");
        }
        assert_eq!(read("error mounting \"/a\" to rootfs at \"/b\": not a directory"), None);
    }
}
