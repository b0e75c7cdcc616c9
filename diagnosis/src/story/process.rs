//! A process of a container, with the program that it runs.

use crate::{
    record::ExitStatus,
    units::{BootNanos, Process},
};

/// A process of the container.
#[derive(Clone, Debug)]
pub struct ProcessView {
    pub process: Process,
    /// Parent process id; 0 unknown.
    pub parent: u32,
    pub comm: String,
    /// File of its last exec; empty before the first.
    pub path: String,
    /// Its arguments, as far as captured.
    pub args: Vec<String>,
    /// Real uid and gid at exec.
    pub ids: (u32, u32),
    /// Real uid at its first exec: an entry script that executes the server as another user is the same process.
    pub began: u32,
    /// When it executed.
    pub executed: BootNanos,
    /// When and how it ended.
    pub exited: Option<(BootNanos, ExitStatus)>,
}
