//! What a suspect means.

use crate::{
    case::{Case, Suspect, finding::Finding},
    causes, manifest,
};

/// What a suspect means, with what the manifest has to do with it.
pub fn explain(suspect: Suspect<'_>, case: &Case<'_>) -> Option<Finding> {
    causes::explain(suspect, case).map(|finding| manifest::complete(finding, suspect, case))
}
