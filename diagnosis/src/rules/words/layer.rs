//! The names of the layers: what each means stands in the table of [`LAYERS`](super::LAYERS).
#![allow(missing_docs, reason = "each phrase is explained in that table")]

pub const MODE_BITS: &str = "mode bits";
pub const SUPPLEMENTARY_GROUP: &str = "supplementary group";
pub const ACL: &str = "ACL";
pub const OWNERSHIP: &str = "ownership";
pub const STICKY_DIRECTORY: &str = "sticky directory";
pub const SYSCTL: &str = "sysctl";
pub const INODE_FLAG: &str = "inode flag";
/// Followed by the capability's name: `capability NET_BIND_SERVICE`.
pub const CAPABILITY: &str = "capability";
pub const USER_NAMESPACE: &str = "user namespace";
pub const MOUNT_FLAG: &str = "mount flag";
pub const FILE_SERVER: &str = "file server";
pub const DEVICE_RULES: &str = "device rules";
pub const SECCOMP: &str = "seccomp";
pub const LSM: &str = "security module";
pub const CHANGED_SINCE: &str = "changed since";
pub const UNEXPLAINED: &str = "unexplained";

pub const READ_ONLY_ROOT: &str = "read-only root";
pub const READ_ONLY_VOLUME: &str = "read-only volume";
pub const READ_ONLY_MOUNT: &str = "read-only mount";

pub const MISSING_FILE: &str = "missing file";
pub const MISSING_DIRECTORY: &str = "missing directory";
pub const DANGLING_LINK: &str = "dangling link";
pub const MISSPELT: &str = "misspelt";
pub const APPEARED_LATE: &str = "appeared late";

pub const DIRECTORY_FOR_FILE: &str = "directory instead of file";
pub const FILE_FOR_DIRECTORY: &str = "file instead of directory";
pub const LINK_LOOP: &str = "link loop";
pub const LINK_REFUSED: &str = "link refused";
pub const NO_PEER: &str = "nobody behind it";

pub const BYTES: &str = "bytes";
pub const INODES: &str = "inodes";
pub const QUOTA: &str = "quota";
pub const FULL: &str = "full";

pub const PROCESS_LIMIT: &str = "process limit";
pub const SYSTEM_LIMIT: &str = "system limit";

pub const PORT_TAKEN: &str = "port taken";
pub const SOCKET_FILE: &str = "socket file left over";
pub const NO_SUCH_ADDRESS: &str = "no such address";

pub const SEARCH_PATH: &str = "not on PATH";
pub const MISSING_COMMAND: &str = "missing command";
pub const NO_EXECUTE_BIT: &str = "no x bit";
pub const NOEXEC_MOUNT: &str = "noexec mount";
pub const NO_PROGRAM: &str = "no program";
pub const DIRECTORY: &str = "a directory";
pub const LOADER: &str = "program interpreter";
pub const LIBRARY: &str = "shared library";
pub const MODULE: &str = "module";
pub const MACHINE: &str = "machine";
pub const INTERPRETER: &str = "interpreter";
pub const CRLF: &str = "CR LF";

pub const CA_BUNDLE: &str = "CA bundle";
pub const ZONEINFO: &str = "time zones";
pub const NAME_RESOLUTION: &str = "name resolution";
pub const TEMPORARY_DIRECTORY: &str = "temporary directory";
pub const ACCOUNT: &str = "account";
pub const DEVICE: &str = "device";

pub const MAIN_PROCESS: &str = "main process";
pub const CHILD_PROCESS: &str = "child process";
pub const EXIT_ZERO: &str = "exit code 0";
pub const EXIT_CODE: &str = "exit code";
pub const SIGNAL: &str = "signal";
pub const PROBE: &str = "failed probe";

pub const INIT_CONTAINER: &str = "init container";
pub const SIDECAR: &str = "sidecar";

pub const RESOURCES: &str = "resources";
pub const CLAIMS: &str = "claims";
pub const NODE_SELECTION: &str = "node selection";
pub const HOST_PORTS: &str = "host ports";
pub const SPREADING: &str = "spreading";
pub const CORDONED: &str = "cordoned";
pub const TAINTS: &str = "taints";
pub const NO_NODES: &str = "no nodes";
pub const SCHEDULER: &str = "scheduler";
pub const OTHER_PREDICATE: &str = "another condition";

pub const MISSING_OBJECT: &str = "missing object";
pub const MISSING_KEY: &str = "missing key";
pub const MISSING_CLAIM: &str = "missing claim";
pub const HOST_PATH: &str = "host path";
pub const DRIVER: &str = "driver";
pub const ATTACHED_ELSEWHERE: &str = "attached elsewhere";
pub const OWNERSHIP_CHANGE: &str = "ownership change";
pub const SHARED_VOLUME: &str = "shared volume";
pub const RESIZE: &str = "resize";
pub const ATTACH: &str = "attach";
pub const MOUNT: &str = "mount";

pub const NO_SUCH_IMAGE: &str = "no such image";
pub const ACCESS_DENIED: &str = "access denied";
pub const REGISTRY_UNREACHABLE: &str = "registry unreachable";
pub const TLS: &str = "TLS";
pub const RATE_LIMIT: &str = "rate limit";
pub const PLATFORM: &str = "platform";
pub const NEVER_PULLED: &str = "never pulled";
pub const IMAGE_NAME: &str = "image name";
pub const SIGNATURE: &str = "signature";
pub const NODE_DISK: &str = "node disk";
pub const PULL_FAILED: &str = "pull failed";

pub const NO_NETWORK: &str = "no network";
pub const NETWORK_PLUGIN: &str = "network plug-in";
pub const ADDRESSES: &str = "addresses";
pub const RUNTIME_CLASS: &str = "runtime class";
pub const SANDBOX_IMAGE: &str = "sandbox image";
pub const CGROUP: &str = "cgroup";
pub const DEVICES: &str = "devices";
pub const SANDBOX: &str = "sandbox";

pub const ROOT_USER: &str = "root user";
pub const UNVERIFIABLE_USER: &str = "unverifiable user";
pub const NO_SUCH_USER: &str = "no such user";
pub const NO_COMMAND: &str = "no command";
pub const NAME_RESERVED: &str = "name reserved";
pub const PROFILE: &str = "security profile";
pub const WORKING_DIRECTORY: &str = "working directory";
pub const RUNTIME: &str = "runtime";

pub const NODE_RESOURCES: &str = "node resources";
pub const NODE_PRESSURE: &str = "node pressure";
pub const STORAGE_LIMIT: &str = "storage limit";
pub const NODE_SHUTDOWN: &str = "node shutdown";
pub const NODE_FEATURES: &str = "node features";
pub const PREEMPTION: &str = "preemption";
pub const DEADLINE: &str = "deadline";
pub const REFUSED: &str = "refused";

pub const LIMIT_RANGE: &str = "limit range";
pub const POD_SECURITY: &str = "Pod Security";
pub const SERVICE_ACCOUNT: &str = "service account";
pub const WEBHOOK: &str = "webhook";
pub const WEBHOOK_AWAY: &str = "webhook away";
pub const INVALID: &str = "invalid template";

pub const POST_START: &str = "postStart";
pub const PRE_STOP: &str = "preStop";
pub const HOOK_COMMAND: &str = "hook command";
pub const HTTP: &str = "HTTP request";
pub const GRACE_PERIOD: &str = "grace period";

pub const GATE_ABSENT: &str = "condition absent";
pub const GATE_FALSE: &str = "condition false";
