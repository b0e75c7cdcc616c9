//! Unready's eBPF programs: what the kernel half sees, one file a subject.
//!
//! | level | program | file |
//! |---|---|---|
//! | 0, always | `cgroup_mkdir`, `cgroup_rmdir`, `cgroup_attach` | [`cgroup`] |
//! | | `process_exec`, `process_exit`, `oom_victim` | [`process`] |
//! | 1, while something starts | `call_failed` | [`call`], with [`target`] for what the call was about, and [`root`] |
//! | | `listen_changed` | [`listen`] |
//! | | `io_uring_created` | [`io_uring`] |
//!
//! They sit on raw tracepoints, which attach in 0.1 ms and detach in a few, where the perf events that ordinary tracepoints need
//! make whoever closes them, at the latest the ending process, wait some 80 ms each. From 6.19 on raw tracepoints can be
//! preempted; there the three programs whose events come in crowds have an ordinary form, `…_steady`, that sees all of them.
//!
//! A program does three things: it decides whether the event is of interest (the cgroup first, for that is what most
//! events fail on) and within the cgroup's [`budget`], makes one record of it, and says to [`tally`] what became of it. Nothing here fails loudly: what
//! cannot be read is counted as failed, or marked in the record.
//!
//! The crate also compiles for the host, to nothing, so that editors and lints see it.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]
#![cfg_attr(
    target_arch = "bpf",
    expect(unsafe_code, reason = "programs read the kernel's memory and their maps; each use has its SAFETY comment")
)]
#![expect(clippy::inline_always, reason = "a call costs a stack frame of the 512 bytes that there are, and hides values from the verifier")]
#![expect(clippy::needless_pass_by_value, reason = "aya's macros hand the context over by value")]

mod add;
mod budget;
mod call;
mod cgroup;
mod creds;
mod debug;
mod globals;
mod io_uring;
mod listen;
mod maps;
mod peek;
mod process;
mod record;
mod root;
mod tally;
mod target;
mod zero;

/// What the kernel demands of a program that calls its GPL-only helpers.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Never reached: the verifier refuses a program that can come here, for the loop has no end.
    loop {}
}

#[cfg(not(target_arch = "bpf"))]
fn main() {
    eprintln!("these are eBPF programs; `cargo xtask build` compiles them for the kernel and puts them into the agent");
}
