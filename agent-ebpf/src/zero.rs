//! Zeros without `memset`: the compiler would emit a call of a function that loops over bytes, which costs as many
//! instructions as there are bytes at run time and in the verifier.

/// Writes zeros over a value, eight bytes at a time.
///
/// # Safety
///
/// `place` must be valid for writes and aligned to 8, zeros must be valid for `T`, and its size a multiple of 8.
#[inline(always)]
pub(crate) unsafe fn over<T>(place: *mut T) {
    const { assert!(size_of::<T>().is_multiple_of(8)) };
    let words = place.cast::<u64>();
    let mut index = 0;
    while index < size_of::<T>() / 8 {
        // SAFETY: inside the value by the bound, aligned by the caller's word; volatile keeps the loop from becoming `memset`.
        unsafe { words.add(index).write_volatile(0) };
        index += 1;
    }
}
