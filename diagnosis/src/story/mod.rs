//! What happened in one start of one container, as typed facts with their times.
//!
//! - [`fact`]: what a piece of evidence says, for programs.
//! - [`report`]: a start as it is told to the outside, healthy ones too.

pub mod fact;
pub mod report;
