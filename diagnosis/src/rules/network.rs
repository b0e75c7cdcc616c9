//! placeholder
use super::{Context, Failure, Finding};
use crate::question::Question;
#[expect(missing_docs, reason = "placeholder")]
pub fn questions(_: &Failure, _: &Context<'_>) -> Vec<Question> {
    Vec::new()
}
#[expect(missing_docs, reason = "placeholder")]
pub fn explain(_: &Failure, _: &Context<'_>) -> Option<Finding> {
    None
}
