//! placeholder
use super::{Context, Failure, Finding};
use crate::{question::Question, units::BootNanos};
#[expect(missing_docs, reason = "placeholder")]
pub fn questions(_: &Failure, _: &Context<'_>) -> Vec<Question> {
    Vec::new()
}
#[expect(missing_docs, reason = "placeholder")]
pub fn explain(_: &Failure, _: &Context<'_>) -> Option<Finding> {
    None
}
#[expect(missing_docs, reason = "placeholder")]
pub fn never_started_questions(_: &Context<'_>) -> Vec<Question> {
    Vec::new()
}
#[expect(missing_docs, reason = "placeholder")]
pub fn never_started(_: BootNanos, _: &Context<'_>) -> Option<Finding> {
    None
}
