//! How a command ends.

use std::process::ExitCode;

/// The exit status of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nothing kept it from becoming ready, or what was asked is answered.
    Healthy,
    /// Unready itself failed.
    Failed,
    /// At least one finding keeps it from becoming ready.
    Blocked,
    /// Not ready, and no cause was found.
    Unexplained,
}

/// What was typed makes no sense, and that was found only after clap had read it: it ends as clap does, with status 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(match status {
            Status::Healthy => 0,
            Status::Failed => 1,
            Status::Blocked => 3,
            Status::Unexplained => 4,
        })
    }
}
