//! The size of everything; what it takes of memory: [`crate::memory`].

/// Longest path that a record carries, in bytes; a longer one is cut and marked. `PATH_MAX` is 4,096, but the paths of
/// containers are short: the longest in a kubelet's volume tree is about 200.
pub const PATH_CAP: usize = 256;
/// Bytes of a program's arguments that an exec record carries.
pub const ARGS_CAP: usize = 256;
/// Supplementary groups captured with a failure. A process with more is marked, and its groups read from `/proc`.
pub const GROUPS_CAP: usize = 16;
/// Bytes of `comm`: `TASK_COMM_LEN` of `include/linux/sched.h`.
pub const COMM_CAP: usize = 16;

/// Bytes of the ring buffer. Records take 80 to 800 bytes: at least 2,600 of the largest fit.
pub const RING_BYTES: u32 = 1 << 21;
/// Cgroups under attention at once: 110 pods of a full node with 4 containers, sandbox and pod cgroup each, fit six times, beside
/// four containers that make as many of their own as they may.
pub const WATCHED_MAX: u32 = 8192;
/// Cgroups below a container, made by it, that are under attention at once: the pods of a cluster in a container fit.
pub const MADE_MAX: u32 = 1024;
/// Distinct failures (cgroup, call, errno, path) remembered so that their repetition is counted and not sent.
pub const REPEATS_MAX: u32 = 8192;
/// Distinct failures that one cgroup may send; the rest is only counted, so that a program which fails with ever new
/// paths starves no other.
pub const SENT_PER_CGROUP_MAX: u64 = 2048;
/// Processes whose end was told lately, on kernels that do not say which thread is the last (see `agent-ebpf/src/process.rs`).
pub const ENDED_MAX: u32 = 1024;
/// Processes remembered because they told something: their end is told whatever else their cgroup does.
pub const TOLD_MAX: u32 = 8192;
/// Bytes of the ring of debug messages (aya-log) when they are on; one page when they are off.
pub const LOG_RING_BYTES: u32 = 1 << 17;
/// Highest system call number that the call table can hold, plus one (x86-64 and arm64 stay below 480).
pub const CALLS_MAX: u32 = 512;
