//! The catalogue of causes (design §2): one code each, CamelCase as Kubernetes reasons are.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! causes {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {
        /// Why a container is not ready. `docs/causes.md` has a section on each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Cause { $($(#[$meta])* $name),+ }

        impl Cause {
            /// All that this version can say.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }
        }
    };
}

causes! {
    /// A call was refused for lack of rights; the layer says which.
    PermissionDenied,
    /// A write to what is mounted read-only.
    ReadOnlyFilesystem,
    /// A file that start-up needs is not there, or came too late.
    FileMissing,
    /// A directory where a file was meant, or the reverse; a loop of links.
    WrongFileType,
    /// A file system or quota is full.
    StorageFull,
    /// The limit of open files is reached.
    TooManyFiles,
    /// Somebody else has the address.
    AddressInUse,
    /// The address is none of this network namespace.
    AddressUnavailable,
    /// The command is not in the image.
    CommandNotFound,
    /// The command is there and may not be executed, or is no program.
    NotExecutable,
    /// The dynamic loader that the program names is not in the image.
    LoaderMissing,
    /// A shared library is not in the image.
    LibraryMissing,
    /// The program is for another machine.
    WrongArchitecture,
    /// The interpreter of a script is not in the image (a CR in the `#!` line included).
    ScriptInterpreterMissing,
    /// What minimal images lack: CA bundle, zoneinfo, resolv.conf, /tmp, a passwd entry.
    RuntimeFileMissing,
    /// The kernel ended a process at its memory limit.
    OutOfMemory,
    /// Exit 0 although a server was expected.
    ExitedEarly,
    /// Exit code or signal, and nothing deeper is known.
    Crashed,
    /// An init container holds the pod.
    InitSequence,
    /// No node takes the pod.
    Unschedulable,
    /// A volume cannot be prepared, or takes long.
    VolumeSetup,
    /// The image cannot be had.
    ImagePull,
    /// The pod's sandbox or its network cannot be made.
    SandboxSetup,
    /// A `ConfigMap`, a Secret or a key of one that the environment needs does not exist.
    ConfigMissing,
    /// The runtime or the kubelet refuses to make or start the container.
    ContainerRefused,
    /// The kubelet refuses the pod, or has ended it.
    PodRejected,
    /// The API server lets the owner make no pod.
    AdmissionDenied,
    /// A postStart or preStop hook failed while the program itself is well.
    HookFailed,
    /// A readiness gate is not set.
    ReadinessGate,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
