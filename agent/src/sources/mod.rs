//! Where the engine's inputs come from. Each source is bounded, and none waits for another.
//!
//! ```text
//!   kernel    records from the ring, counts from the maps ─┐
//!   walks     what exists, beside what is known ───────────┼─► pipeline
//!   cluster   this node's pods, answers of the API server ─┘
//! ```
//!
//! Answers to the engine's questions about the node are [`crate::investigate`]'s; that the wall clock was set is told by
//! [`crate::clock`]; what runs locally, by whoever runs it, through a [`Handle`](crate::pipeline::Handle).

pub mod cluster;
pub(crate) mod kernel;
pub(crate) mod walks;
