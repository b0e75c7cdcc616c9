//! What a verdict is (design §1): one sentence that a stranger can act on, its evidence, and its fix.

use crate::{
    catalogue::Cause,
    outside::{text, texts},
    pod::{ContainerKind, Owner},
    story::fact::Fact,
    units::{BootNanos, CgroupId},
};
use serde::{Deserialize, Serialize};

/// A finding about one start of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Stable: the same finding again has the same id. 16 hexadecimal digits.
    pub id: String,
    pub cause: Cause,
    /// Which rule of the cause, in a few words: `mode bits`, `supplementary group`, `read-only root`, `appeared late`.
    pub layer: String,
    /// What it means for the start.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// What may be missing from the evidence.
    pub completeness: Completeness,
    pub subject: Subject,
    /// Whose start.
    pub workload: Workload,
    /// Cgroup of the container.
    pub cgroup: CgroupId,
    /// One sentence.
    pub summary: String,
    /// The chain of reasons, a sentence each.
    pub explanation: Vec<String>,
    /// What to do.
    pub remedy: Remedy,
    /// Typed facts.
    pub evidence: Vec<Evidence>,
    /// When it was first observed.
    pub first_seen: BootNanos,
    /// When it was last observed.
    pub last_seen: BootNanos,
    /// How often.
    pub count: u64,
    /// When the condition went away.
    pub resolved_at: Option<BootNanos>,
}

/// The id of what is told apart by these parts: stable over repetitions and releases. FNV-1a, 64 bits, of the parts with a zero byte
/// after each.
pub(crate) fn id_of(parts: &[&str]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

impl Verdict {
    /// As it is told: whatever came from outside is spelt out where it cannot be seen. The body of a patch stays as it is: it
    /// is applied, not read. A field that is added must be decided on here.
    pub(crate) fn escaped(self) -> Self {
        let Self {
            id,
            cause,
            layer,
            severity,
            confidence,
            completeness,
            subject,
            workload,
            cgroup,
            summary,
            explanation,
            remedy,
            evidence,
            first_seen,
            last_seen,
            count,
            resolved_at,
        } = self;
        Self {
            id,
            cause,
            layer: text(layer),
            severity,
            confidence,
            completeness,
            subject: Subject { name: text(subject.name), ..subject },
            workload: workload.escaped(),
            cgroup,
            summary: text(summary),
            explanation: texts(explanation),
            remedy: Remedy { text: text(remedy.text), patch: remedy.patch, also: texts(remedy.also) },
            evidence: evidence.into_iter().map(Evidence::escaped).collect(),
            first_seen,
            last_seen,
            count,
            resolved_at,
        }
    }
}

impl Evidence {
    /// A fact in words.
    pub fn new(at: BootNanos, kind: EvidenceKind, text: impl Into<String>) -> Self {
        Self { at, kind, text: text.into(), fact: None }
    }

    /// The same with what programs are told.
    #[must_use]
    pub fn with(self, fact: Fact) -> Self {
        Self { fact: Some(fact), ..self }
    }

    fn escaped(self) -> Self {
        Self { text: text(self.text), fact: self.fact.map(Fact::escaped), ..self }
    }
}

impl Workload {
    pub(crate) fn escaped(self) -> Self {
        let Self { namespace, pod, pod_uid, container, container_id, runtime, command, kind, image, owner, restarts } = self;
        Self {
            namespace: text(namespace),
            pod: text(pod),
            pod_uid: text(pod_uid),
            container: text(container),
            container_id: text(container_id),
            runtime: text(runtime),
            command: texts(command),
            kind,
            image: text(image),
            owner: owner.map(Owner::escaped),
            restarts,
        }
    }
}

impl Owner {
    fn escaped(self) -> Self {
        Self { kind: text(self.kind), name: text(self.name), api_version: text(self.api_version), strategy: text(self.strategy) }
    }
}

/// What it means for the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Worth knowing.
    Advisory,
    /// It becomes ready late.
    Slowing,
    /// It cannot become ready.
    Blocking,
}

/// How sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Confidence {
    /// One of several explanations.
    Possible,
    /// The best explanation, not proved.
    Likely,
    /// An observed failure whose condition was checked again.
    Certain,
}

macro_rules! words {
    ($name:ident: $($variant:ident),+) => {
        impl $name {
            /// The word of the catalogue.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// What the word means; `None`: a later release has more of them.
            pub fn of(word: &str) -> Option<Self> {
                [$(Self::$variant),+].into_iter().find(|one| one.word() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words!(Severity: Advisory, Slowing, Blocking);
words!(Confidence: Possible, Likely, Certain);

/// Kernel events that this verdict might have needed and did not get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Completeness {
    /// Lost in the ring or a queue, or undecodable, during the start.
    pub lost: u64,
    /// Counted only, because the container used up its budget.
    pub suppressed: u64,
    /// Questions that could no longer be answered.
    pub unanswered: u32,
    /// Ways of calling the kernel that the container uses and that are not seen.
    #[serde(skip_serializing_if = "BlindSpots::is_empty")]
    pub blind: BlindSpots,
}

impl Completeness {
    /// Nothing is missing.
    pub const fn is_complete(&self) -> bool {
        self.lost == 0 && self.suppressed == 0 && self.unanswered == 0 && self.blind.is_empty()
    }
}

/// How a container may call the kernel without being seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlindSpots {
    /// Through an `io_uring`: the kernel does then what the program asked for, without a system call.
    pub io_uring: bool,
    /// By the numbers of 32-bit programs.
    pub compat: bool,
    /// A kernel of its own (gVisor, Kata): this one sees the sandbox's calls alone.
    pub own_kernel: bool,
}

impl BlindSpots {
    /// There are none.
    pub const fn is_empty(&self) -> bool {
        !(self.io_uring || self.compat || self.own_kernel)
    }

    /// Those of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            io_uring: self.io_uring || other.io_uring,
            compat: self.compat || other.compat,
            own_kernel: self.own_kernel || other.own_kernel,
        }
    }
}

/// The thing that a verdict is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// What sort of thing.
    pub kind: SubjectKind,
    pub name: String,
}

/// Sorts of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SubjectKind {
    /// A path in the container.
    Path,
    /// An address with port.
    Address,
    /// A shared library.
    Library,
    /// A capability or call that was refused.
    Capability,
    Command,
    Process,
    Limit,
    /// A pod, or an owner that has none.
    Pod,
    Container,
    Image,
    /// A volume of the pod.
    Volume,
    /// An object of the API: `Secret db`, `ConfigMap app, key url`.
    Object,
    /// A hook: `postStart`.
    Hook,
    /// A condition of the pod.
    Condition,
}

words!(SubjectKind: Path, Address, Library, Capability, Command, Process, Limit, Pod, Container, Image, Volume, Object, Hook, Condition);

/// Whose start it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Workload {
    /// Kubernetes namespace.
    pub namespace: String,
    pub pod: String,
    /// Pod UID, from the cgroup's path.
    pub pod_uid: String,
    /// Container name; for runtimes without Kubernetes the container's id.
    pub container: String,
    /// Full id of this start of the container.
    pub container_id: String,
    /// `containerd`, `cri-o`, `docker`, `podman`, `runc`, `unready run`.
    pub runtime: String,
    /// Command line of a local run.
    pub command: Vec<String>,
    /// Kind of the container, when the pod is known.
    pub kind: Option<ContainerKind>,
    /// Image, as the pod names it.
    pub image: String,
    /// Who makes the pod.
    pub owner: Option<Owner>,
    /// How often the container was started before this start.
    pub restarts: u32,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remedy {
    /// In words.
    pub text: String,
    /// The change of a manifest, where the manifest is at fault.
    pub patch: Option<Patch>,
    /// What must be done beside the patch, a sentence each.
    pub also: Vec<String>,
}

/// A change of the object that makes the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    pub target: Owner,
    pub namespace: String,
    /// How `body` is to be read.
    pub kind: PatchKind,
    /// The patch itself. A strategic merge patch begins with `apiVersion`, `kind` and `metadata.name`, so that it can be
    /// given to `kubectl patch --patch-file` and to `kubectl apply --server-side` alike.
    pub body: serde_json::Value,
}

/// How a patch is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatchKind {
    /// Lists of named things are merged by their key (containers by name, volumes by name, mounts by path).
    StrategicMerge,
    /// RFC 6902: for what a merge cannot say, and for kinds that know no strategic merge.
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub at: BootNanos,
    /// What sort of fact.
    pub kind: EvidenceKind,
    /// In words: `open("/data/orders.db", O_RDWR|O_CREAT) = EACCES`.
    pub text: String,
    /// The same for programs, where there is more to it than words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<Fact>,
}

/// Sorts of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EvidenceKind {
    /// A failing call.
    Call,
    /// A file or directory looked at.
    File,
    Mount,
    /// A program that was executed.
    Exec,
    /// How a process ended.
    Exit,
    Socket,
    /// Limits and use.
    Resource,
    /// A line of the program's own stderr.
    Output,
    /// A question that could not be answered.
    Gap,
    /// A field of the pod's spec.
    Spec,
    /// What the API server's status says.
    Status,
    /// An event of the API server.
    Event,
}

words!(EvidenceKind: Call, File, Mount, Exec, Exit, Socket, Resource, Output, Gap, Spec, Status, Event);
