//! Plain data across the border, vouched for once.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A value that maps and globals hold, as the kernel half lays it out.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Plain<T>(pub(super) T);

// SAFETY: aya asks that the value may be seen as bytes and made from bytes. `IntoBytes` proves that it has no padding,
// `FromBytes` that any bytes are a valid value, `Immutable` that nothing inside changes behind a shared reference; `transparent`
// gives the wrapper the same layout.
unsafe impl<T: FromBytes + IntoBytes + Immutable + Copy + 'static> aya::Pod for Plain<T> {}
