//! What happened in one start of one container, as typed facts with their times.
//!
//! - [`failure`], [`process`]: failing calls, and the processes that made them.
//! - [`fact`]: what a piece of evidence says, for programs.
//! - [`report`]: a start as it is told to the outside, healthy ones too.

pub mod fact;
pub mod failure;
pub mod process;
pub mod report;
