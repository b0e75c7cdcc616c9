//! What a suspect means: the finding of a rule, before anything is said of it.

use crate::{
    answer::{Executable, Memory, Stop, Usage},
    catalogue::{Cause, Layer},
    permission::{Capability, Denial, Role},
    record::PathArg,
    story::failure::Failure,
    verdict::{Evidence, Remedy, Severity, Subject, SubjectKind, id_of},
    words,
};

/// What a suspect means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule of which cause.
    pub layer: Layer,
    /// What follows the layer's word: the name of a capability.
    pub detail: &'static str,
    pub subject: Subject,
    /// One sentence.
    pub summary: String,
    /// The chain of reasons.
    pub explanation: Vec<String>,
    /// What to do, as far as it can be said without the manifest.
    pub remedy: Remedy,
    /// Facts beyond the suspect itself.
    pub evidence: Vec<Evidence>,
    /// What it means for the start, if it is the reason.
    pub severity: Severity,
    /// The condition was checked again and explains the failure: needed for `Certain`.
    pub proved: bool,
    /// What of it the manifest may bear on.
    pub matter: Option<Matter>,
}

impl Finding {
    /// A finding to be filled in.
    pub fn new(layer: Layer, (kind, name): (SubjectKind, &str), summary: String) -> Self {
        Self {
            layer,
            detail: "",
            subject: Subject { kind, name: name.to_owned() },
            summary,
            explanation: Vec::new(),
            remedy: Remedy::default(),
            evidence: Vec::new(),
            severity: Severity::Blocking,
            proved: false,
            matter: None,
        }
    }

    /// A finding about the path of a failing call.
    pub fn about(layer: Layer, path: &str, failure: &Failure) -> Self {
        Self::new(layer, (SubjectKind::Path, path), words::failure(failure))
    }

    /// The code of the catalogue.
    pub const fn cause(&self) -> Cause {
        self.layer.cause
    }

    /// The id of this finding about a named container of a pod. Not of one start of it: a container that fails again of the same is one
    /// finding, counted on.
    pub fn id_in_pod(&self, pod_uid: &str, container: &str) -> String {
        id_of(&[pod_uid, container, self.cause().code(), self.subject.kind.word(), &self.subject.name])
    }

    /// The layer as it is told: `capability NET_BIND_SERVICE`.
    pub fn layer_text(&self) -> String {
        if self.detail.is_empty() { self.layer.word.to_owned() } else { format!("{} {}", self.layer.word, self.detail) }
    }
}

/// What of a finding the manifest may bear on: which field is at fault, and which change of it helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matter {
    /// A right is missing on a path.
    Denied(Box<DeniedPath>),
    /// Something beyond users, modes and capabilities confines the process.
    Confined,
    /// A capability is missing for a call without a path.
    Lacking(Capability),
    /// A port below the first that needs no capability.
    LowPort(u16),
    /// A port that somebody else has: the path of that one's cgroup, where it is known.
    TakenPort(u16, Option<String>),
    /// A write to what is read-only: where it was written, and the path that was walked.
    ReadOnly(String, Option<PathArg>),
    /// A file that is not there, and where the walk to it stopped.
    Absent(String, Option<Stop>),
    /// A file that came too late.
    Late(String),
    /// A directory where a file was meant.
    DirectoryForFile(String),
    /// A directory for temporary files, or a device, that the image lacks.
    NoDirectory(String),
    /// Memory ran out.
    Memory(Option<Memory>),
    /// The file system mounted at this point has no room.
    Storage(String, Option<Usage>),
    /// The command is not there: its name, what the runtime was told to run, where the walk to it stopped.
    NoCommand(String, Option<Vec<String>>, Option<Stop>),
    /// A file has no x bit: its path, what it is, what the runtime was told to run.
    NoExecuteBit(String, Option<Box<Executable>>, Option<Vec<String>>),
    /// A program for another machine, by the name that Kubernetes gives that one.
    OtherMachine(String),
    /// What only another image mends: the program.
    Image(String),
    /// A server ended without a failure.
    Ended,
}

/// A path on which a right is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedPath {
    /// Its part in the call.
    pub role: Role,
    pub path: PathArg,
    /// The rule that refuses.
    pub denial: Denial,
}
