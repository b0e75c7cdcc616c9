//! The judge: weighs the suspects of a start, asks what the best ones need, and says what the winner means.
//!
//! - [`docket`]: what was asked, what a judgement waits for, and what was said of one start.
//! - [`weigh`], with the numbers of [`weights`]: how much speaks for a suspect.
//! - [`questions`]: what was asked about the world, and what is known of it.
//! - [`verdicts`]: from a finding to a verdict.
//!
//! Nothing here knows of the states of a container or of time that passes: *when* something is judged is decided in [`crate::life`].

pub(crate) mod docket;
mod explain;
pub(crate) mod questions;
pub(crate) mod start;
pub(crate) mod verdicts;
pub(crate) mod weigh;
pub mod weights;

pub use explain::explain;
