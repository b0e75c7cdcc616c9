//! The ABI between kernel and user space.
//!
//! Both halves compile this crate: `agent-ebpf` for `bpfel-unknown-none`, the agent and `diagnosis` for the host. What
//! crosses the border is `repr(C)` without padding, integers only; an enum crosses as an integer and is checked by
//! `TryFrom` on arrival, so that an unknown value is an error and never undefined behaviour.
//!
//! - [`record`]: what the ring buffer carries, one struct a kind.
//! - [`call`]: which system calls are of interest, and how the kernel half finds their arguments.
//! - [`watch`]: the attention map and the repeat counters.
//! - [`offsets`]: where the running kernel keeps what we read.
//! - [`counters`]: what each hook did with what it saw.
//! - [`limits`]: the sizes of all maps with their memory arithmetic.
#![no_std]
#![forbid(unsafe_code)]

/// Makes an integer-backed enum with a checked conversion: the kernel half writes `X::A as u16`, user space calls
/// `X::try_from(raw)` and gets the raw value back as the error when it does not know it.
#[macro_export]
macro_rules! wire_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident: $int:ty { $($(#[$vmeta:meta])* $variant:ident = $value:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr($int)]
        $vis enum $name { $($(#[$vmeta])* $variant = $value),+ }

        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl TryFrom<$int> for $name {
            type Error = $int;

            fn try_from(raw: $int) -> Result<Self, $int> {
                match raw {
                    $($value => Ok(Self::$variant),)+
                    unknown => Err(unknown),
                }
            }
        }
    };
}

pub mod call;
pub mod counters;
pub mod hooks;
pub mod limits;
pub mod memory;
pub mod offsets;
pub mod record;
pub mod watch;
