//! The catalogue: every cause that a verdict can name, its group, what it means in a line, and its layers: which rule of the cause it
//! was, in a short phrase that users, dashboards and tests may rely on. The one place that a new cause is declared in.
//!
//! A layer belongs to its cause, so that a finding is made of a layer alone and can name no foreign one. `docs/causes.md` has a section on
//! each cause that explains each of its layers; a test holds the two together.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a cause is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Files, directories, mounts, rights.
    Files,
    /// Addresses and ports.
    Network,
    /// What the image lacks.
    Image,
    /// How processes end.
    Exits,
    /// The order of a pod's containers.
    Sequence,
    /// What the API server tells: the container was never started, or the platform ended it.
    Platform,
}

/// Which rule of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The cause that it belongs to.
    pub cause: Cause,
    /// The phrase: `mode bits`, `read-only root`, `appeared late`.
    pub word: &'static str,
    /// What it means, a clause.
    pub meaning: &'static str,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

macro_rules! catalogue {
    ($($name:ident, $module:ident, $group:ident: $line:literal { $($layer:ident = $word:literal: $meaning:literal,)+ })+) => {
        /// Why a container is not ready.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Cause { $(#[doc = $line] $name),+ }

        impl Cause {
            /// All that this version can say.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code: CamelCase, as Kubernetes reasons are.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// What it is about.
            pub const fn group(self) -> Group {
                match self { $(Self::$name => Group::$group),+ }
            }

            /// What it means, a sentence.
            pub const fn line(self) -> &'static str {
                match self { $(Self::$name => $line),+ }
            }

            pub const fn layers(self) -> &'static [Layer] {
                match self { $(Self::$name => &[$($module::$layer),+]),+ }
            }
        }

        $(
            #[doc = concat!("The layers of [`Cause::", stringify!($name), "`].")]
            #[allow(clippy::doc_markdown, reason = "the names of Kubernetes objects stand in prose, here and in what is printed")]
            pub mod $module {
                use super::{Cause, Layer};
                $(
                    #[doc = $meaning]
                    pub const $layer: Layer = Layer { cause: Cause::$name, word: $word, meaning: $meaning };
                )+
            }
        )+
    };
}

catalogue! {
    PermissionDenied, permission_denied, Files: "A call was refused for lack of rights; the layer says which." {
        MODE_BITS = "mode bits": "the mode bits of the class that applies do not give what the call needs",
        SUPPLEMENTARY_GROUP = "supplementary group": "the group has the permission, and the process is not in the group",
        ACL = "ACL": "an entry of the POSIX ACL, or its mask, decides against the process",
        OWNERSHIP = "ownership": "only the owner may do this",
        STICKY_DIRECTORY = "sticky directory": "in a sticky directory only the owner of the file or the directory may remove or rename it",
        SYSCTL = "sysctl": "the mode bits permit it, a hardening rule of `fs.protected_*` does not",
        INODE_FLAG = "inode flag": "the inode is immutable or append-only (chattr)",
        CAPABILITY = "capability": "a capability is missing; its name follows: `capability NET_BIND_SERVICE`",
        USER_NAMESPACE = "user namespace": "the process has the capability, and its user namespace does not know the file's owner",
        MOUNT_FLAG = "mount flag": "the mount is `noexec` or `nodev`",
        FILE_SERVER = "file server": "the mode bits permit it, the network or FUSE file system does not",
        DEVICE_RULES = "device rules": "the mode bits permit it, the container's device rules probably do not",
        SECCOMP = "seccomp": "the mode bits permit it, and a seccomp filter is on",
        LSM = "security module": "the mode bits permit it, and a security module confines the process",
        CHANGED_SINCE = "changed since": "it is permitted now: owner or mode were changed after the failure",
        UNEXPLAINED = "unexplained": "nothing that can be seen from outside denies it",
    }
    ReadOnlyFilesystem, read_only_filesystem, Files: "A write to what is mounted read-only." {
        READ_ONLY_ROOT = "read-only root": "the container's root file system is read-only",
        READ_ONLY_VOLUME = "read-only volume": "a volume that the kubelet writes (ConfigMap, Secret, projected, downwardAPI), always read-only",
        READ_ONLY_MOUNT = "read-only mount": "any other mount that is read-only",
    }
    FileMissing, file_missing, Files: "A file that start-up needs is not there, or came too late." {
        MISSING_FILE = "missing file": "the directory is there, the file is not",
        MISSING_DIRECTORY = "missing directory": "a directory on the way is not there",
        DANGLING_LINK = "dangling link": "a symbolic link leads to what is not there",
        MISSPELT = "misspelt": "a name much like it is there",
        APPEARED_LATE = "appeared late": "it was made after the program had looked for it",
    }
    WrongFileType, wrong_file_type, Files: "A directory where a file was meant, or the reverse; a loop of links." {
        DIRECTORY_FOR_FILE = "directory instead of file": "a directory where a file was meant",
        FILE_FOR_DIRECTORY = "file instead of directory": "a file where a directory was meant",
        LINK_LOOP = "link loop": "symbolic links that lead to each other",
        LINK_REFUSED = "link refused": "a symbolic link that the program refuses to follow (`O_NOFOLLOW`)",
        NO_PEER = "nobody behind it": "a FIFO without a reader, a socket, or a device without a driver",
    }
    StorageFull, storage_full, Files: "A file system or quota is full." {
        BYTES = "bytes": "no free blocks",
        INODES = "inodes": "no free inodes: too many files",
        QUOTA = "quota": "a quota of the user, group or project",
        FULL = "full": "full at that moment; which limit could not be checked again",
    }
    TooManyFiles, too_many_files, Files: "The limit of open files is reached." {
        PROCESS_LIMIT = "process limit": "the process's limit of open files (`RLIMIT_NOFILE`)",
        SYSTEM_LIMIT = "system limit": "the node's limit of open files (`fs.file-max`)",
    }
    AddressInUse, address_in_use, Network: "Somebody else has the address." {
        PORT_TAKEN = "port taken": "another socket of the network namespace has the port",
        SOCKET_FILE = "socket file left over": "the file of a unix socket is there already",
    }
    AddressUnavailable, address_unavailable, Network: "The address is none of this network namespace." {
        NO_SUCH_ADDRESS = "no such address": "no interface of the network namespace has the address",
    }
    CommandNotFound, command_not_found, Image: "The command is not in the image." {
        SEARCH_PATH = "not on PATH": "in none of the directories of PATH",
        MISSING_COMMAND = "missing command": "the path of the command does not exist",
    }
    NotExecutable, not_executable, Image: "The command is there and may not be executed, or is not a program." {
        NO_EXECUTE_BIT = "no x bit": "the file has no x bit for the process",
        NOEXEC_MOUNT = "noexec mount": "the file lies on a mount with `noexec`",
        NO_PROGRAM = "no program": "neither an ELF file nor a script with `#!`",
        DIRECTORY = "a directory": "the command is a directory",
    }
    LoaderMissing, loader_missing, Image: "The dynamic loader that the program names is not in the image." {
        LOADER = "program interpreter": "the ELF file names a loader (PT_INTERP) that is not there",
    }
    LibraryMissing, library_missing, Image: "A shared library is not in the image." {
        LIBRARY = "shared library": "a library that the program needs (DT_NEEDED) is in no directory that the loader searches",
        MODULE = "module": "a module of an interpreted program is in no directory that it searches",
    }
    WrongArchitecture, wrong_architecture, Image: "The program is for another machine." {
        MACHINE = "machine": "the ELF file is for another CPU",
    }
    ScriptInterpreterMissing, script_interpreter_missing, Image: "The interpreter of a script is not in the image (a CR in the `#!` line included)." {
        INTERPRETER = "interpreter": "the interpreter of the `#!` line is not there",
        CRLF = "CR LF": "the `#!` line ends in CR LF, so that the interpreter's name ends in CR",
    }
    RuntimeFileMissing, runtime_file_missing, Image: "What minimal images lack: CA bundle, zoneinfo, resolv.conf, /tmp, a passwd entry." {
        CA_BUNDLE = "CA bundle": "no bundle of CA certificates where programs look for one",
        ZONEINFO = "time zones": "no time zone database",
        NAME_RESOLUTION = "name resolution": "`/etc/resolv.conf`, `/etc/hosts` or `/etc/nsswitch.conf`",
        TEMPORARY_DIRECTORY = "temporary directory": "`/tmp`, `/var/tmp` or `/run`",
        ACCOUNT = "account": "`/etc/passwd` or `/etc/group`, or the user's entry in it",
        DEVICE = "device": "a device node or `/dev/shm`",
    }
    LimitReached, limit_reached, Exits: "A limit of processes and threads is reached." {
        PIDS_LIMIT = "pids limit": "the cgroup's limit of processes and threads (`pids.max`), of the container or of the pod",
        USER_LIMIT = "process limit": "the limit of processes of one user (`RLIMIT_NPROC`), which counts them on the whole node",
        NODE_LIMIT = "system limit": "the node's limit of threads (`kernel.threads-max`, `kernel.pid_max`)",
        UNTOLD = "unknown limit": "which of these it was could not be told",
    }
    OutOfMemory, out_of_memory, Exits: "The kernel ended a process at its memory limit." {
        MAIN_PROCESS = "main process": "the kernel killed the container's main process",
        CHILD_PROCESS = "child process": "the kernel killed another process of the container",
    }
    ExitedEarly, exited_early, Exits: "Exit 0 although a server was expected." {
        EXIT_ZERO = "exit code 0": "it ended with success, and was expected to serve",
    }
    Crashed, crashed, Exits: "Exit code or signal, and nothing deeper is known." {
        EXIT_CODE = "exit code": "it ended with a code other than 0",
        SIGNAL = "signal": "a signal ended it",
        PROBE = "failed probe": "the kubelet ended it, because its liveness or startup probe failed",
    }
    InitSequence, init_sequence, Sequence: "An init container holds the pod." {
        INIT_CONTAINER = "init container": "an init container fails, or runs for long",
        SIDECAR = "sidecar": "a sidecar fails, or has not started for long",
    }
    Unschedulable, unschedulable, Platform: "No node takes the pod." {
        RESOURCES = "resources": "nodes have not enough of what the pod requests, or as many pods as allowed",
        CLAIMS = "claims": "a claim of the pod does not exist or is not bound, or its volume is out of reach",
        NODE_SELECTION = "node selection": "nodeSelector, node affinity or nodeName fit no node",
        HOST_PORTS = "host ports": "the hostPort is in use",
        SPREADING = "spreading": "pod affinity, anti-affinity or topology spread constraints",
        CORDONED = "cordoned": "nodes are cordoned or not ready",
        TAINTS = "taints": "nodes have taints that the pod does not tolerate",
        NO_NODES = "no nodes": "there are no nodes",
        SCHEDULER = "scheduler": "no scheduler looks at the pod: the one that it names does not run",
        OTHER_PREDICATE = "another condition": "what the scheduler says, in its words",
    }
    VolumeSetup, volume_setup, Platform: "A volume cannot be prepared, or takes long." {
        MISSING_OBJECT = "missing object": "the ConfigMap or Secret of the volume does not exist",
        MISSING_KEY = "missing key": "`items` names a key that it does not have",
        MISSING_CLAIM = "missing claim": "the PersistentVolumeClaim does not exist",
        HOST_PATH = "host path": "the path on the node is not of the `type` that the volume asks for",
        DRIVER = "driver": "the CSI driver does not run on the node",
        ATTACHED_ELSEWHERE = "attached elsewhere": "the volume is attached to another node",
        OWNERSHIP_CHANGE = "ownership change": "the kubelet gives each file to the fsGroup, which takes long",
        SHARED_VOLUME = "shared volume": "another pod has the volume mounted, so that the fsGroup has no effect",
        RESIZE = "resize": "the volume could not be resized",
        ATTACH = "attach": "the volume cannot be attached to the node",
        MOUNT = "mount": "the volume cannot be mounted, for another reason or for none that is told",
    }
    ImagePull, image_pull, Platform: "The image cannot be had." {
        NO_SUCH_IMAGE = "no such image": "the registry knows no such repository, tag or digest",
        ACCESS_DENIED = "access denied": "the registry wants a login, or refuses it, or hides that there is no such repository",
        REGISTRY_UNREACHABLE = "registry unreachable": "its name does not resolve on the node, or it does not answer",
        TLS = "TLS": "its certificate is not trusted, or one side speaks TLS and the other does not",
        RATE_LIMIT = "rate limit": "too many pulls",
        PLATFORM = "platform": "there is no such image for the node's platform",
        NEVER_PULLED = "never pulled": "imagePullPolicy is Never, and the node does not have it",
        IMAGE_NAME = "image name": "the name is none",
        SIGNATURE = "signature": "its signature is not accepted",
        NODE_DISK = "node disk": "the node has no room for it",
        PULL_FAILED = "pull failed": "what the runtime says, in its words",
    }
    SandboxSetup, sandbox_setup, Platform: "The pod's sandbox or its network cannot be made." {
        NO_NETWORK = "no network": "the node has no CNI plug-in, or it is not ready",
        NETWORK_PLUGIN = "network plug-in": "the CNI plug-in fails",
        ADDRESSES = "addresses": "no address is left for the pod",
        RUNTIME_CLASS = "runtime class": "the runtime that its RuntimeClass asks for is not on the node",
        SANDBOX_IMAGE = "sandbox image": "the image of the sandbox (pause) cannot be had",
        SYSCTL = "sysctl": "a sysctl of the pod cannot be set",
        USER_NAMESPACE = "user namespace": "the node cannot give it a user namespace",
        CGROUP = "cgroup": "the pod's cgroup cannot be made",
        DEVICES = "devices": "devices of its ResourceClaims cannot be prepared",
        SANDBOX = "sandbox": "what the runtime says, in its words, or nothing for long",
    }
    ConfigMissing, config_missing, Platform: "A `ConfigMap`, a Secret or a key of one that the environment needs does not exist." {
        MISSING_OBJECT = "missing object": "the ConfigMap or Secret does not exist",
        MISSING_KEY = "missing key": "it exists and does not have the key",
    }
    ContainerRefused, container_refused, Platform: "The runtime or the kubelet refuses to make or start the container." {
        ROOT_USER = "root user": "runAsNonRoot, and it would run as root",
        UNVERIFIABLE_USER = "unverifiable user": "runAsNonRoot, and the image's user is a name, not a number",
        NO_SUCH_USER = "no such user": "the image's user is not in its /etc/passwd",
        NO_COMMAND = "no command": "neither image nor pod name a command",
        WORKING_DIRECTORY = "working directory": "the working directory is missing or may not be entered",
        MOUNT = "mount": "a volume cannot be mounted into the container",
        DEVICES = "devices": "a device is missing",
        PROFILE = "security profile": "its seccomp, AppArmor or SELinux profile cannot be used",
        NAME_RESERVED = "name reserved": "the runtime still works on an earlier attempt",
        RUNTIME = "runtime": "what the runtime says, in its words",
    }
    PodRejected, pod_rejected, Platform: "The kubelet refuses the pod, or has ended it." {
        SYSCTL = "sysctl": "a sysctl that the kubelet does not allow",
        NODE_RESOURCES = "node resources": "the node has not enough of what it requests, or not as its policy demands",
        NODE_PRESSURE = "node pressure": "evicted: the node ran short of memory, disk or process ids",
        STORAGE_LIMIT = "storage limit": "evicted: it wrote more than its limit of ephemeral storage, or an emptyDir's sizeLimit",
        NODE_SELECTION = "node selection": "the node does not match the pod's selector, affinity, nodeName or system",
        HOST_PORTS = "host ports": "a hostPort is in use",
        DEVICES = "devices": "devices cannot be given to it",
        PROFILE = "security profile": "the node cannot enforce its AppArmor profile",
        NODE_FEATURES = "node features": "kubelet or runtime lack a feature that it asks for",
        NODE_SHUTDOWN = "node shutdown": "the node shuts down, or is lost",
        PREEMPTION = "preemption": "it gave way to a critical pod",
        DEADLINE = "deadline": "activeDeadlineSeconds have passed",
        REFUSED = "refused": "what the kubelet says, in its words",
    }
    AdmissionDenied, admission_denied, Platform: "The API server lets the owner make no pod." {
        QUOTA = "quota": "a ResourceQuota is used up, or demands requests or limits",
        LIMIT_RANGE = "limit range": "a LimitRange forbids it",
        POD_SECURITY = "Pod Security": "it violates the Pod Security level of the namespace",
        SERVICE_ACCOUNT = "service account": "the service account does not exist",
        WEBHOOK = "webhook": "an admission webhook or policy denies it",
        WEBHOOK_AWAY = "webhook away": "an admission webhook that must agree cannot be reached",
        MISSING_OBJECT = "missing object": "its PriorityClass, RuntimeClass or namespace does not exist",
        INVALID = "invalid template": "the pod template is invalid",
        REFUSED = "refused": "what the API server says, in its words",
    }
    HookFailed, hook_failed, Platform: "A postStart or preStop hook failed while the program itself is well." {
        EXIT_CODE = "exit code": "the hook's command ended with a code other than 0",
        HOOK_COMMAND = "hook command": "the hook's command is not in the image",
        HTTP = "HTTP request": "the hook's HTTP request failed",
        POST_START = "postStart": "postStart failed; how is not known any more",
        PRE_STOP = "preStop": "preStop failed",
        GRACE_PERIOD = "grace period": "preStop takes the grace period, or a part of it",
    }
    ReadinessGate, readiness_gate, Platform: "A readiness gate is not set." {
        GATE_ABSENT = "condition absent": "nobody has set the condition",
        GATE_FALSE = "condition false": "the condition is False",
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_explains_every_cause_and_layer() {
        let catalogue = include_str!("../../../docs/causes.md");
        for cause in Cause::ALL {
            let section = catalogue.split("\n## ").find(|section| section.starts_with(cause.code()));
            let section = section.unwrap_or_else(|| panic!("docs/causes.md has no section on {cause}"));
            for layer in cause.layers() {
                assert!(section.contains(&format!("`{layer}`")), "docs/causes.md, {cause}: the layer `{layer}` is not explained");
            }
        }
    }
}
