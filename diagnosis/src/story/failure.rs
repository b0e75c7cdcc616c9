//! A failing call as a start keeps it.

use crate::{
    knowledge::noise,
    record::{Call, CallFailed, Errno, PathArg},
    units::BootNanos,
};
use std::time::Duration;

/// How often, and over what time, a call must have failed to count as tried again and again.
const RETRIES: u64 = 3;
const RETRIED_OVER: Duration = Duration::from_millis(900);

/// A failing call, with its repetitions.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The first occurrence.
    pub call: CallFailed,
    /// When it first happened.
    pub first: BootNanos,
    /// When it last happened.
    pub last: BootNanos,
    /// How often.
    pub count: u64,
    /// It was the runtime's helper, before the container's own program ran.
    pub by_runtime: bool,
    is_noise: bool,
}

impl Failure {
    /// What failed for the first time.
    pub fn new(call: CallFailed, at: BootNanos, by_runtime: bool) -> Self {
        let is_noise = noise::is_noise(&call);
        Self { call, first: at, last: at, count: 1, by_runtime, is_noise }
    }

    /// Healthy programs fail so all day.
    pub const fn is_noise(&self) -> bool {
        self.is_noise
    }

    /// The path that it is about: of a pair the one to be made.
    pub const fn path(&self) -> Option<&PathArg> {
        self.call.path()
    }

    /// The last part of its path; empty: it has none.
    pub fn base(&self) -> &str {
        self.path().map(|path| base(&path.path)).unwrap_or_default()
    }

    /// Whether it was tried at least three times over a second.
    pub fn is_retried(&self) -> bool {
        self.count >= RETRIES && self.last.since(self.first) >= RETRIED_OVER
    }

    /// Something was looked for and not found here: it may be in the next directory.
    pub fn is_lookup(&self) -> bool {
        matches!(self.call.errno, Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR)
            && matches!(self.call.call, Call::Exec | Call::Stat | Call::Access)
    }
}

/// The last part of a path.
pub fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
