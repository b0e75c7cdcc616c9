//! Open flags that decide which permission is needed, the same on all machines (`include/uapi/asm-generic/fcntl.h`).
//! The names of open(2).

pub const ACCMODE: u64 = 0o3;
pub const CREAT: u64 = 0o100;
pub const TRUNC: u64 = 0o1000;
pub const APPEND: u64 = 0o2000;
pub const NOATIME: u64 = 0o1_000_000;
pub const PATH: u64 = 0o10_000_000;
pub const TMPFILE: u64 = 0o20_000_000;
