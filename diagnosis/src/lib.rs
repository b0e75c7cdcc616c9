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
//! - [`life`]: the states of a start, bounded; [`story`]: what happened in it, as it is told to the outside.
//! - [`judge`]: weighs the suspects of a start, asks what the best ones need, says what the winner means.
//! - [`causes`]: a file or folder a cause, found by one table; [`catalogue`]: their names; [`case`]: what they may look at.
//! - [`manifest`]: which field of the pod is at fault, and the patch that helps.
//! - [`knowledge`]: what is known of real programs, as tables.
//! - [`question`]: what the engine may ask, and [`answer`]: what it may hear.
//! - [`permission`]: which component of a path and which rule denied it.
//! - [`words`]: facts in words.
//! - [`pod`], [`cluster`]: a pod as the rules see it; what the cluster tells and may be asked.
//! - [`platform`]: what the API server's word on a pod means, without the kernel.
//! - [`verdict`]: what a verdict is.
//! - [`outside`]: text that others wrote, and what of it may be shown.
#![forbid(unsafe_code)]

pub mod answer;
pub mod attribution;
pub mod case;
pub mod catalogue;
pub mod causes;
pub mod cluster;
pub mod decode;
pub mod input;
pub mod judge;
pub mod knowledge;
pub mod life;
pub mod manifest;
pub mod outside;
pub mod permission;
pub mod platform;
pub mod pod;
pub mod question;
pub mod record;
pub mod snapshot;
pub mod story;
pub mod units;
pub mod verdict;
pub mod words;

pub use input::{Input, Output};
pub use life::{Config, Engine};
pub use platform::{of_owner, of_pod};
