//! How far a start is.
//!
//! ```text
//!             the runtime enters    Exec                            listens and lives on, or its readiness is told
//!   Created ───────────────────► Created ────► Attending(Starting) ──────────────────────────────────────────► Ready
//!      │ │ nothing is executed                    │  │ late  ▲                                                 │
//!      │ └───────────────► Resting(Idle)          │  ▼       │ something happens                               │
//!      │                      │ Exec              │ Attending(Stalled) ──── quiet for its budget ─► Resting     │
//!      │ ◄────────────────────┘                   │ exit                                              │ exit    │ exit
//!      │ the runtime gives up                     ▼                                                   ▼         ▼
//!      └────────────────────────────────────────► Ended ◄──────────────────────────────────────────────────────┘
//! ```

use crate::{
    record::ExitStatus,
    story::report::Stage,
    units::{BootNanos, Process},
};
use std::time::Duration;

/// See the module's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The cgroup exists; at most the runtime's helpers run in it.
    Created(Made),
    /// The container's own program runs, and is not known to be ready: it is looked at closely.
    Attending(Attending),
    /// It is ready, as far as one can tell.
    Ready,
    /// It is not known to be ready, and is left alone.
    Resting(Rest),
    /// Its main process ended, or its command was never executed.
    Ended(End),
}

/// What the runtime has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// Who entered the container's root: that process becomes the program.
    pub(crate) entered: Option<Entered>,
}

/// A process that entered the container's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entered {
    pub(crate) process: Process,
    /// It was called as the runtime's helpers are.
    pub(crate) as_helper: bool,
}

/// A start that is looked at closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attending {
    /// Since when its main process has executed nothing.
    pub(crate) quiet_since: BootNanos,
    pub(crate) pace: Pace,
}

/// Whether a start gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As usual.
    Starting,
    /// It has been quiet for longer than starts usually take, and somebody waits for it to become ready.
    Stalled,
}

/// Why a container is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It was there before us.
    Existing,
    /// Nothing of its own was executed for long: the next exec is looked at again.
    Idle(Made),
    /// Nothing happened in it for so long.
    Quiet(Duration),
}

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its main process ended.
    Main(BootNanos, ExitStatus),
    /// The runtime gave up before the command was executed.
    Refused {
        /// When and how the runtime's process ended; `None`: the cgroup was removed.
        by: Option<(BootNanos, ExitStatus)>,
        /// Who gave up is known to be one of the runtime's.
        is_sure: bool,
    },
    /// It is over, and how is not known.
    Unseen,
}

impl State {
    /// It is looked at closely.
    pub(crate) const fn is_starting(&self) -> bool {
        matches!(self, Self::Created(_) | Self::Attending(_))
    }

    pub(crate) const fn is_created(&self) -> bool {
        matches!(self, Self::Created(_))
    }

    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// It is left alone, ready or not.
    pub(crate) const fn is_left_alone(&self) -> bool {
        matches!(self, Self::Ready | Self::Resting(_))
    }

    /// Who entered its root, while that matters: before anything of its own was executed.
    pub(crate) const fn entered(&self) -> Option<Entered> {
        match self {
            Self::Created(made) | Self::Resting(Rest::Idle(made)) => made.entered,
            Self::Attending(_) | Self::Ready | Self::Resting(_) | Self::Ended(_) => None,
        }
    }

    /// When and how it ended, as far as that is known.
    pub(crate) const fn end(&self) -> Option<(BootNanos, ExitStatus)> {
        match self {
            Self::Ended(End::Main(at, status)) => Some((*at, *status)),
            Self::Ended(End::Refused { by, .. }) => *by,
            Self::Ended(End::Unseen) | Self::Created(_) | Self::Attending(_) | Self::Ready | Self::Resting(_) => None,
        }
    }

    /// As it is told to the outside.
    pub(crate) const fn stage(&self) -> Stage {
        match self {
            Self::Created(_) => Stage::Created,
            Self::Attending(Attending { pace: Pace::Starting, .. }) => Stage::Starting,
            Self::Attending(Attending { pace: Pace::Stalled, .. }) => Stage::Stalled,
            Self::Ready => Stage::Ready,
            Self::Resting(_) => Stage::Unwatched,
            Self::Ended(_) => Stage::Ended,
        }
    }

    /// Its program runs.
    pub(crate) const fn attending(quiet_since: BootNanos) -> Self {
        Self::Attending(Attending { quiet_since, pace: Pace::Starting })
    }
}

/// Which process is the container's main one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Main {
    #[default]
    Unknown,
    /// It was the first to execute something.
    Presumed(Process),
    /// It is known by more than that.
    Known(Process),
}

impl Main {
    /// Known, if there is one.
    pub(crate) const fn known(process: Option<Process>) -> Self {
        match process {
            Some(process) => Self::Known(process),
            None => Self::Unknown,
        }
    }

    pub(crate) const fn process(self) -> Option<Process> {
        match self {
            Self::Unknown => None,
            Self::Presumed(process) | Self::Known(process) => Some(process),
        }
    }

    pub(crate) const fn is_sure(self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// The same process, known more exactly.
    #[must_use]
    pub(crate) const fn as_process(self, process: Process) -> Self {
        match self {
            Self::Known(_) => Self::Known(process),
            Self::Presumed(_) | Self::Unknown => Self::Presumed(process),
        }
    }
}
