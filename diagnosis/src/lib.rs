//! Pure diagnosis: records, answers and the passing of time go in, questions, attention and verdicts come out.
//!
//! The shape is sans-IO. Nothing here can open a file, reach a socket or read a clock; time is an argument, and what a
//! rule needs to know about the world it asks:
//!
//! ```text
//!   kernel bytes ─ decode ─► Record ─┐                             ┌─► Output::Ask(Question) ─► agent/investigate
//!                 pod changes, ──────┼─► Engine::handle(Input, now)┼─► Output::Attention(attention)     ─► kernel
//!                 answers, loss ─────┘                             └─► Output::Verdict(Verdict) ─► delivery
//! ```
//!
//! The module list follows a record on its way:
//!
//! - [`decode`]: bytes of the kernel to [`record`]s; unknown kinds and truncation are errors.
//! - [`snapshot`]: which cgroups and processes exist, where records were lost.
//! - [`attribution`]: a cgroup's path to the container and pod that it belongs to.
//! - [`engine`]: one state machine a container, bounded; asks, waits, judges.
//! - [`story`]: what happened in one start, as it is told to the outside.
//! - [`question`]: what the engine may ask, and [`answer`]: what it may hear.
//! - [`permission`]: which component of a path and which rule denied it.
//! - [`rules`]: from a container's state to candidates for a verdict; which failures are noise.
//! - [`pod`], [`cluster`]: a pod as the rules see it; what the cluster tells and may be asked.
//! - [`platform`]: what the API server's account of a pod means, without the kernel.
//! - [`cause`], [`verdict`]: the catalogue, and what a verdict is.
//! - [`outside`]: text that others wrote, and what of it may be shown.
#![forbid(unsafe_code)]

pub mod answer;
pub mod attribution;
pub mod cause;
pub mod cluster;
pub mod decode;
pub mod engine;
pub mod input;
pub mod outside;
pub mod permission;
pub mod platform;
pub mod pod;
pub mod question;
pub mod record;
pub mod rules;
pub mod snapshot;
pub mod story;
pub mod units;
pub mod verdict;

pub use engine::Engine;
pub use input::{Input, Output};
