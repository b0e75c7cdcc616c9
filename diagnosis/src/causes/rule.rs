//! What a cause knows: of which suspects it can speak, what it must ask, and what it says.

use crate::{
    case::{Case, Suspect, finding::Finding},
    catalogue::Cause,
    question::Question,
    record::{Call, Target},
    story::failure::Failure,
};

/// What one file or folder knows.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What it can say.
    pub says: &'static [Cause],
    /// Failing calls that are its business.
    pub(super) calls: Option<Calls>,
    /// Other suspects that are.
    pub(super) others: Option<Others>,
}

/// What it knows of failing calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    /// Whether a failing call is its business.
    pub(super) takes: fn(&Failure) -> bool,
    pub(super) questions: fn(&Failure, &Case<'_>) -> Vec<Question>,
    pub(super) explain: fn(&Failure, &Case<'_>) -> Option<Finding>,
}

/// What it knows of other suspects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others {
    pub(super) questions: fn(Suspect<'_>, &Case<'_>) -> Vec<Question>,
    pub(super) explain: fn(Suspect<'_>, &Case<'_>) -> Option<Finding>,
}

impl Rule {
    pub(super) fn questions(&self, suspect: Suspect<'_>, case: &Case<'_>) -> Vec<Question> {
        match (suspect, self.calls, self.others) {
            (Suspect::Call(failure), Some(calls), _) if (calls.takes)(failure) => (calls.questions)(failure, case),
            (Suspect::Call(_), ..) | (_, _, None) => Vec::new(),
            (_, _, Some(others)) => (others.questions)(suspect, case),
        }
    }

    pub(super) fn explain(&self, suspect: Suspect<'_>, case: &Case<'_>) -> Option<Finding> {
        match (suspect, self.calls, self.others) {
            (Suspect::Call(failure), Some(calls), _) if (calls.takes)(failure) => (calls.explain)(failure, case),
            (Suspect::Call(_), ..) | (_, _, None) => None,
            (_, _, Some(others)) => (others.explain)(suspect, case),
        }
    }
}

/// Whether a failing call is on a file or directory. What executes something, and internet addresses, belong to other rules.
pub(super) const fn is_on_file(failure: &Failure) -> bool {
    !matches!(failure.call.call, Call::Exec) && !matches!(failure.call.target, Target::Inet { .. })
}

/// For rules that need no answer.
pub(super) fn nothing_to_ask(_: Suspect<'_>, _: &Case<'_>) -> Vec<Question> {
    Vec::new()
}
