//! The wire format of Unready: package `unready.v1`.
//!
//! The `.proto` files beside this crate are the contract; the code below [`v1`] is generated from them and committed, so
//! that a build needs no protobuf compiler. `tests/fresh.rs` generates it again and compares; with `UNREADY_UPDATE=1` in
//! the environment it writes it instead.
//!
//! - [`v1`]: messages, clients, servers.
//! - [`json`]: the proto3 JSON form of a verdict, which `-o json` prints.
//! - [`time`]: wall-clock nanoseconds to timestamps and back.
#![forbid(unsafe_code)]

pub use {prost, prost_types};

pub mod json;
pub mod time;

/// Messages and services of `unready.v1`, generated.
#[allow(
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod v1 {
    include!("gen/unready.v1.rs");
}

/// Version of the `Ingest` protocol that this crate describes. It grows when an old peer would misunderstand a new one;
/// a new field that may be ignored is no reason.
pub const PROTOCOL_VERSION: u32 = 1;

/// The encoded `FileDescriptorSet`, for the reflection service.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/unready.v1.bin");
