//! What goes into the engine and what comes out of it. A recording is a list of inputs with their times.

use crate::{
    cluster::{ClusterAnswer, ClusterQuestion, PodChange},
    question::{Answer, Question, QuestionId},
    record::Record,
    snapshot::Snapshot,
    story::report::StartReport,
    units::{BootNanos, CgroupId, ClockAnchor},
    verdict::{BlindSpots, Verdict},
};
use serde::{Deserialize, Serialize};
use unready_agent_common::watch::Level;

/// One input. With its time it is one line of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "an input is moved into the engine once; a box would cost more than the move")]
pub enum Input {
    /// Something happened in the kernel.
    Record(Record),
    /// What the launcher of a local run knows (`unready run`).
    Run(RunChange),
    /// This node's pods, as the API server tells of them.
    Pods(PodChange),
    /// The answer to a question about the cluster.
    ClusterAnswer {
        /// The question's id.
        id: QuestionId,
        /// What was found.
        answer: ClusterAnswer,
    },
    /// The answer to a question.
    Answer {
        /// The question's id.
        id: QuestionId,
        /// What was found.
        answer: Answer,
    },
    /// Kernel records were lost.
    Loss(Loss),
    /// Which cgroups exist: now and then, and after any loss.
    Cgroups(Snapshot),
    /// The node's wall clock was set: from about now on it runs so.
    Clock(ClockAnchor),
    /// `poll_timeout` has come.
    Timeout,
}

/// Records that never reached the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Loss {
    /// Lost because the ring or a queue was full, since the last such input.
    pub lost: u64,
    /// Could not be decoded: unknown kind, truncated.
    pub undecodable: u64,
    /// Records of this cgroup that were counted only, because it used up its budgets.
    pub suppressed: Option<(CgroupId, u64)>,
    /// This cgroup calls the kernel in ways that are not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blind: Option<(CgroupId, BlindSpots)>,
    /// When the counters were read before: nothing of it was lost earlier. `None`: it is not known (older recordings).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<BootNanos>,
    /// When the counters were read; `None`: with this input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<BootNanos>,
}

/// What only the launcher of a local run knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunChange {
    /// The cgroup made for the command, before it starts.
    Started {
        cgroup: CgroupId,
        /// The command line.
        command: Vec<String>,
        /// The probe that it must answer, as given.
        probe: Option<String>,
    },
    /// The probe was tried.
    Probed {
        cgroup: CgroupId,
        /// It was answered, by the command itself.
        passed: bool,
        /// The answer, or why there was none: `connection refused`.
        outcome: String,
    },
    /// It became ready: judged healthy from here on.
    Ready { cgroup: CgroupId },
    /// The time for it to become ready is up, or the user interrupted: judge by what is known.
    GiveUp { cgroup: CgroupId },
}

/// How closely the kernel half should look at a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    pub cgroup: CgroupId,
    /// `None`: not at all. Where there is a maker, the kernel half charges that one still.
    pub level: Option<Level>,
    /// The container below which it lies, the outermost: what is done in this cgroup is charged to that one too.
    pub maker: Option<CgroupId>,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A finding, new or with new facts; the same id replaces what was said before.
    Verdict(Box<Verdict>),
    /// How a start of a container goes: told when it gets on, healthy ones too. The same id replaces what was told before.
    Start(Box<StartReport>),
    /// How closely the kernel half should look at a cgroup.
    Attention(Attention),
    /// A question; its answer comes back as [`Input::Answer`].
    Ask(QuestionId, Question),
    /// A question about the cluster; its answer comes back as [`Input::ClusterAnswer`].
    AskCluster(QuestionId, ClusterQuestion),
    /// Everything about this cgroup has been said: what was held for its sake (root descriptors) can go.
    Release(CgroupId),
}
