//! Facts in words: calls with their arguments, processes, files, quantities.
//!
//! Every text that a user reads is put together from these, so that one thing is always said in the same way. Nothing
//! here decides anything.

mod calls;
mod describe;
mod quantities;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use calls::{O_NOFOLLOW, address_port};
pub use calls::{access_mode, call, call_name, failure, flags, subject_name};
pub use describe::{acl_tag, component, exit_status, kind, mount, owner_mode, permissions, process, signal, who, who_by_real_ids};
pub use quantities::{bytes, duration, list, plural, times};
