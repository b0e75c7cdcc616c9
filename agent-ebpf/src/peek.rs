//! Reading memory of the kernel and of the process, always through the probe helpers: a bad address is an error there, not
//! a crash.

use crate::{globals::member, tally::Unreadable};
use aya_ebpf::{
    EbpfContext,
    helpers::{
        bpf_probe_read_kernel, bpf_probe_read_user,
        generated::{
            bpf_get_current_task, bpf_get_current_task_btf, bpf_probe_read_kernel as read_kernel, bpf_probe_read_user as read_user,
            bpf_task_pt_regs,
        },
        generated::{bpf_probe_read_kernel_str, bpf_probe_read_user_str},
    },
    programs::{RawTracePointContext, TracePointContext},
};
use unready_agent_common::offsets::ABSENT;

/// An address in the kernel, good for nothing but to be read by a helper.
#[derive(Clone, Copy)]
pub(crate) struct KernelAddress(u64);

impl KernelAddress {
    /// The `task_struct` of the running thread.
    #[inline(always)]
    pub(crate) fn current_task() -> Self {
        // SAFETY: the helper has no preconditions.
        Self(unsafe { bpf_get_current_task() })
    }

    /// The registers that the running thread's system call saved. Linux 5.15.
    #[inline(always)]
    pub(crate) fn current_registers() -> Self {
        // SAFETY: the helpers have no preconditions; the second takes what the first returns.
        Self(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) }.cast_unsigned())
    }

    /// The string of an ordinary tracepoint's first field, `__data_loc char[]` at byte 8 after the common ones: one word with the
    /// offset in its low half.
    #[inline(always)]
    pub(crate) fn first_string(ctx: &TracePointContext) -> Result<Self, Unreadable> {
        let event = Self(ctx.as_ptr() as u64);
        event.at((event.get::<u32>(8)? & 0xffff) as u16)
    }

    /// An address that the tracepoint hands over as argument `index`.
    #[inline(always)]
    pub(crate) fn argument(ctx: &RawTracePointContext, index: usize) -> Self {
        Self(ctx.arg(index))
    }

    /// The value at an offset.
    #[inline(always)]
    pub(crate) fn get<T: Copy>(self, offset: u16) -> Result<T, Unreadable> {
        if offset == ABSENT {
            return Err(Unreadable);
        }
        // SAFETY: the helper checks the address; `T` is one of the integers, which any bytes are valid for.
        unsafe { bpf_probe_read_kernel((self.0 + u64::from(offset)) as *const T) }.map_err(|_| Unreadable)
    }

    /// The address that a pointer at an offset holds.
    #[inline(always)]
    pub(crate) fn follow(self, offset: u16) -> Result<Self, Unreadable> {
        match self.get::<u64>(offset)? {
            0 => Err(Unreadable),
            address => Ok(Self(address)),
        }
    }

    /// Element `index` of an array of pointers.
    #[inline(always)]
    pub(crate) fn pointer(self, index: u32) -> Result<Self, Unreadable> {
        Self(self.0 + u64::from(index) * 8).follow(0)
    }

    /// The place at an offset.
    #[inline(always)]
    pub(crate) fn at(self, offset: u16) -> Result<Self, Unreadable> {
        if offset == ABSENT { Err(Unreadable) } else { Ok(Self(self.0 + u64::from(offset))) }
    }

    /// Copies the string there, at most `N` bytes with its NUL; its length without it.
    #[inline(always)]
    pub(crate) fn string<const N: usize>(self, into: *mut [u8; N]) -> Result<usize, Unreadable> {
        // SAFETY: `into` points to `N` writable bytes by its type; the helper checks the source.
        let read = unsafe { bpf_probe_read_kernel_str(into.cast(), N as u32, self.0 as *const _) };
        length::<N>(read)
    }

    /// Copies `bytes` bytes, at most `N`.
    #[inline(always)]
    pub(crate) fn bytes<const N: usize>(self, bytes: usize, into: *mut [u8; N]) -> Result<(), Unreadable> {
        // SAFETY: as in `string`; the minimum keeps the length inside `into`.
        let status = unsafe { read_kernel(into.cast(), bytes.min(N) as u32, self.0 as *const _) };
        if status == 0 { Ok(()) } else { Err(Unreadable) }
    }
}

/// An address in the memory of the running process.
#[derive(Clone, Copy)]
pub(crate) struct User(pub(crate) u64);

impl User {
    /// Copies the string there, at most `N` bytes with its NUL; its length without it, and whether more followed.
    #[inline(always)]
    pub(crate) fn string<const N: usize>(self, into: *mut [u8; N]) -> Result<(usize, bool), Unreadable> {
        // SAFETY: `into` points to `N` writable bytes by its type; the helper checks the source.
        let read = unsafe { bpf_probe_read_user_str(into.cast(), N as u32, self.0 as *const _) };
        let length = length::<N>(read)?;
        Ok((length, length == N - 1 && self.byte(N as u64 - 1) != 0))
    }

    /// The byte at an offset; 0 when it cannot be read.
    #[inline(always)]
    fn byte(self, offset: u64) -> u8 {
        // SAFETY: the helper checks the address.
        unsafe { bpf_probe_read_user((self.0 + offset) as *const u8) }.unwrap_or(0)
    }

    /// The eight bytes there.
    #[inline(always)]
    pub(crate) fn word(self) -> Result<u64, Unreadable> {
        // SAFETY: the helper checks the address.
        unsafe { bpf_probe_read_user(self.0 as *const u64) }.map_err(|_| Unreadable)
    }

    /// Copies `bytes` bytes, at most `N`.
    #[inline(always)]
    pub(crate) fn bytes<const N: usize>(self, bytes: usize, into: *mut [u8; N]) -> Result<(), Unreadable> {
        // SAFETY: as in `string`; the minimum keeps the length inside `into`.
        let status = unsafe { read_user(into.cast(), bytes.min(N) as u32, self.0 as *const _) };
        if status == 0 { Ok(()) } else { Err(Unreadable) }
    }
}

/// What a string helper returned: the bytes written with the NUL, or an error.
#[inline(always)]
fn length<const N: usize>(read: i64) -> Result<usize, Unreadable> {
    match usize::try_from(read) {
        Ok(read) if read <= N => Ok(read.saturating_sub(1)),
        _ => Err(Unreadable),
    }
}

/// The leader of the running thread's group, the thread that the process is known by.
#[inline(always)]
pub(crate) fn group_leader(task: KernelAddress) -> Result<KernelAddress, Unreadable> {
    task.follow(member!(task_group_leader))
}

/// Whether this is a 32-bit call, whose numbers are another table's.
#[inline(always)]
pub(crate) fn is_compat() -> bool {
    if member!(task_compat) == ABSENT {
        return false;
    }
    let word: u32 = KernelAddress::current_task().get(member!(task_compat)).unwrap_or(0);
    word >> (member!(compat_bit) & 31) & 1 == 1
}
