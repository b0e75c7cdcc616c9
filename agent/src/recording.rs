//! Recordings: every input of the engine with its time, so that `unready replay` says the same on any machine.
//!
//! JSON lines. The first is the [`Header`], the last a [`Closing`]; between them one line an input:
//!
//! ```text
//! {"unready-recording":1,"version":"0.1.0","anchor":{…},"node":"n1","kernel":"6.1.0-56","ebpf":true}
//! {"at":4711000000,"input":{"record":{…}}}
//! {"closed":true,"missing":0}
//! ```
//!
//! **Writing** ([`Recorder`]) never holds the pipeline up: lines go through a bounded queue to a thread of their own.
//! What the queue cannot take, or a full disk cannot, is counted; the count stands in the closing line. After a failed
//! write the file is cut back to its last whole line and nothing more is tried, so that it stays readable.
//!
//! **Reading** ([`Reader`]) is a stream and refuses what it cannot understand as a whole: no recording, or one of a
//! newer format. A damaged or unknown line is passed over and counted ([`Reader::warnings`]), and becomes an
//! [`Input::Loss`], so that the verdicts know that they miss something. A file without closing line is used as far as it goes.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::{Recorder, Summary};

use serde::{Deserialize, Serialize};
use std::{io, path::PathBuf};
use unready_diagnosis::{
    input::Input,
    units::{BootNanos, ClockAnchor},
};

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// First line of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    #[serde(rename = "unready-recording")]
    pub format: u32,
    /// Version of the Unready that wrote it.
    #[serde(default)]
    pub version: String,
    /// Turns the times into dates, until an [`Input::Clock`] brings another.
    #[serde(default)]
    pub anchor: ClockAnchor,
    /// Name of the machine.
    #[serde(default)]
    pub node: String,
    /// Its kernel's release.
    #[serde(default)]
    pub kernel: String,
    /// The eBPF programs were loaded: the inputs are all the evidence that the kernel had. Recordings that do not say so are from a time
    /// when there were no others.
    #[serde(default = "loaded")]
    pub ebpf: bool,
}

const fn loaded() -> bool {
    true
}

impl Header {
    /// Of this machine and version; with or without the eBPF programs.
    pub fn here(anchor: ClockAnchor, ebpf: bool) -> Self {
        let system = rustix::system::uname();
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            anchor,
            node: system.nodename().to_string_lossy().into_owned(),
            kernel: system.release().to_string_lossy().into_owned(),
            ebpf,
        }
    }
}

/// An input and when it was handled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timed {
    pub at: BootNanos,
    pub input: Input,
}

/// Last line of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// True.
    pub closed: bool,
    /// Inputs that were not written: the disk was too slow, or full.
    pub missing: u64,
}

/// Why a recording cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file cannot be made.
    #[error("cannot write the recording {}: {source}; choose another file with --record", path.display())]
    Create { path: PathBuf, source: io::Error },
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// It has no header.
    #[error("{} is not a recording: its first line is not the header that `--record` writes", path.display())]
    NotARecording { path: PathBuf },
    /// A later version wrote it.
    #[error("{} was written by Unready {version} in format {found}; this is {}, which reads up to format {FORMAT}: use the newer one", path.display(), env!("CARGO_PKG_VERSION"))]
    Newer {
        path: PathBuf,
        found: u32,
        /// Who wrote it.
        version: String,
    },
}
