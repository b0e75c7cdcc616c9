//! Counting what several CPUs count at once.
//!
//! Rust offers no `fetch_add` for this target (`core` knows no compare-and-swap there), but the instruction exists on every
//! kernel: `BPF_ATOMIC | BPF_ADD` without fetch, formerly `BPF_XADD`.

/// Adds one to a counter in a map.
///
/// # Safety
///
/// The pointer must be to an element of a map, aligned, and the element alive.
#[inline(always)]
pub(crate) unsafe fn one(counter: *mut u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller vouches for the pointer; the instruction touches those eight bytes and nothing else.
    unsafe {
        core::arch::asm!("lock *(u64 *)({counter} + 0) += {one}", counter = in(reg) counter, one = in(reg) 1_u64, options(nostack));
    }
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        *counter += 1;
    }
}
