//! Each layer with what triggers it and with its neighbour, and the sentences that users read.

mod exec;
mod exits;
mod files;
mod network;

use crate::{
    case::{Case, Suspect, finding::Finding},
    catalogue::Cause,
    judge,
    question::Question,
    story::failure::Failure,
};

fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    judge::explain(Suspect::Call(failure), case)
}

fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    super::questions(Suspect::Call(failure), case)
}

/// A finding in one text, to look for words in.
fn text(finding: &Finding) -> String {
    format!("{}\n{}\n{}\n{}", finding.layer_text(), finding.summary, finding.explanation.join("\n"), finding.remedy.text)
}

#[test]
fn a_cause_is_said_by_one_rule_or_by_the_platform() {
    use crate::catalogue::Group;
    for cause in Cause::ALL {
        let rules = super::TABLE.iter().filter(|rule| rule.says.contains(cause)).count();
        let by_platform = matches!(cause.group(), Group::Platform | Group::Sequence);
        assert_eq!(rules, usize::from(!by_platform), "{cause}");
    }
}
