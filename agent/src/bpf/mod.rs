//! The kernel half, seen from user space: loads the eBPF programs, attaches and detaches them, reads what they say.
//!
//! - [`kernel_half`](KernelHalf): the one handle; its states are *loaded* → *lifecycle attached* ⇄ *starting attached*.
//! - [`hooks`]: which program sits where, at which level, and what is lost without it.
//! - [`calls`]: which failing system calls are of interest.
//! - [`offsets`], [`tracepoints`], [`btf`]: where this kernel keeps what the programs read, and how its tracepoints speak.
//! - [`reader`](Reader): the ring buffer, asynchronously and in batches.
//! - [`observer`](Observer): what it has done, what it costs and how full it is, for the metrics.
//!
//! This is the only module of the agent with `unsafe`: a trait of aya that vouches for plain data ([`pod`]), a function of
//! tokio that wants to be sure of a descriptor ([`wait`]), and one of the C library that has no safe face ([`load`]).
#![expect(
    unsafe_code,
    reason = "aya::Pod is an unsafe trait, which pod.rs derives from zerocopy's checked ones; AsyncFd's registration in wait.rs and mallopt in load.rs are unsafe"
)]

/// This version, with the compiler and the linker that made the embedded programs: whether a kernel takes them depends on these too.
pub const LONG_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\neBPF programs: ", env!("UNREADY_EBPF_MADE_BY"));

mod btf;
mod calls;
mod error;
mod hooks;
mod kernel_half;
mod links;
mod load;
mod log;
mod observer;
mod offsets;
mod options;
mod pod;
mod reader;
mod tracepoints;
mod wait;

pub use error::LoadError;
pub use kernel_half::KernelHalf;
pub use observer::{MapFill, Observation, Observer, ProgramCost};
pub use options::LoadOptions;
pub use reader::Reader;
pub(crate) use wait::waitable_descriptor;
