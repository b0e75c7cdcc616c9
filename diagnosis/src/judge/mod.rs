//! The judge: weighs the suspects of a start.
//!
//! - [`weigh`]: how much speaks for a suspect.
//! - [`questions`]: what was asked about the world, and what is known of it.

pub(crate) mod questions;
pub(crate) mod weigh;

use crate::{
    case::{Case, Suspect, finding::Finding},
    causes, manifest,
};

/// What a suspect means, with what the manifest has to do with it.
pub fn explain(suspect: Suspect<'_>, case: &Case<'_>) -> Option<Finding> {
    causes::explain(suspect, case).map(|finding| manifest::complete(finding, suspect, case))
}
