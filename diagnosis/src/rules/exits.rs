//! placeholder
use super::{Context, Finding, Symptom};
use crate::{
    question::Question,
    record::ExitStatus,
    units::{BootNanos, Process},
};
#[expect(missing_docs, reason = "placeholder")]
pub fn questions(_: Symptom<'_>, _: &Context<'_>) -> Vec<Question> {
    Vec::new()
}
#[expect(missing_docs, reason = "placeholder")]
pub fn out_of_memory(_: BootNanos, _: Process, _: &Context<'_>) -> Option<Finding> {
    None
}
#[expect(missing_docs, reason = "placeholder")]
pub fn exit(_: BootNanos, _: ExitStatus, _: Process, _: &Context<'_>) -> Option<Finding> {
    None
}
