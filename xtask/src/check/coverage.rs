//! Every cause has at least one scenario that triggers it, one that nearly does, and a healthy one; and is documented.
//!
//! A scenario is a file below `tests/scenarios` with `cause: X` and `role: trigger | near-miss | healthy`.

use super::{
    Finding, causes,
    tree::{Text, Tree, has_extension},
};
use crate::project::Project;
use anyhow::Result;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt::Write as _};

const FOLDER: &str = "tests/scenarios/";

/// What a scenario shows about its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Role {
    /// The cause is found.
    Trigger,
    /// Looks alike, and is another cause or none.
    NearMiss,
    /// A start that goes well.
    Healthy,
}

const ROLES: [(Role, &str); 3] = [(Role::Trigger, "trigger"), (Role::NearMiss, "near-miss"), (Role::Healthy, "healthy")];

/// The head of a scenario file.
#[derive(Debug, Deserialize)]
struct Head {
    cause: String,
    role: Role,
}

type Counts = BTreeMap<(String, Role), usize>;

pub(super) fn check(_: &Project, tree: &Tree) -> Vec<Finding> {
    findings(tree).unwrap_or_else(|error| Finding::of_error(FOLDER, &error))
}

fn findings(tree: &Tree) -> Result<Vec<Finding>> {
    let catalogue = causes::catalogue(tree)?;
    let (counts, mut findings) = count(tree, &catalogue);
    for cause in &catalogue {
        let empty = ROLES.iter().filter(|(role, _)| !counts.contains_key(&(cause.clone(), *role)));
        findings.extend(empty.map(|(_, name)| Finding::new(FOLDER, 0, format!("no scenario `cause: {cause}`, `role: {name}`"))));
    }
    Ok(findings)
}

/// Cause by role, as text.
pub(super) fn table(tree: &Tree) -> Result<String> {
    let catalogue = causes::catalogue(tree)?;
    let (counts, _) = count(tree, &catalogue);
    let mut text = format!("{:<26} {:>7} {:>9} {:>7}  documented", "cause", "trigger", "near-miss", "healthy");
    for cause in &catalogue {
        let [trigger, near_miss, healthy] = ROLES.map(|(role, _)| counts.get(&(cause.clone(), role)).copied().unwrap_or_default());
        let documented = if causes::is_documented(tree, cause) { "yes" } else { "-" };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{cause:<26} {trigger:>7} {near_miss:>9} {healthy:>7}  {documented}");
    }
    Ok(text)
}

fn count(tree: &Tree, catalogue: &[String]) -> (Counts, Vec<Finding>) {
    let mut counts = Counts::new();
    let mut findings = Vec::new();
    for scenario in tree.texts.iter().filter(|text| text.path.starts_with(FOLDER) && has_extension(&text.path, "yaml")) {
        match head(scenario, catalogue) {
            Ok(head) => *counts.entry((head.cause, head.role)).or_default() += 1,
            Err(message) => findings.push(Finding::new(&scenario.path, 0, message)),
        }
    }
    (counts, findings)
}

fn head(scenario: &Text, catalogue: &[String]) -> Result<Head, String> {
    let head: Head = serde_norway::from_str(&scenario.text).map_err(|error| format!("is no scenario: {error}"))?;
    if catalogue.contains(&head.cause) { Ok(head) } else { Err(format!("there is no cause {}", head.cause)) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may end on the first surprise")]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::of(&[
            ("diagnosis/src/catalogue/mod.rs", "catalogue! { FileMissing, file_missing, Files: { } Crashed, crashed, Exits: { } }"),
            ("docs/causes.md", "## Crashed\n"),
            ("tests/scenarios/files/a.yaml", "cause: FileMissing\nrole: trigger\ninputs: [{ at: 1 }]\n"),
            ("tests/scenarios/files/b.yaml", "cause: FileMissing\nrole: near-miss\n"),
            ("tests/scenarios/files/c.yaml", "cause: Unknown\nrole: healthy\n"),
            ("tests/scenarios/files/d.yaml", "cause: Crashed\nrole: often\n"),
            ("tests/scenarios/README.md", "no scenario"),
        ])
    }

    #[test]
    fn scenarios_are_counted_and_bad_ones_named() {
        let (counts, findings) = count(&tree(), &["FileMissing".to_owned(), "Crashed".to_owned()]);
        assert_eq!(counts.len(), 2);
        assert_eq!(
            findings.iter().map(|finding| finding.file.as_str()).collect::<Vec<_>>(),
            ["tests/scenarios/files/c.yaml", "tests/scenarios/files/d.yaml"]
        );
    }

    #[test]
    fn the_table_has_a_row_a_cause() {
        let table = table(&tree()).unwrap();
        let cells = |row: usize| table.lines().nth(row).unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(cells(1), ["FileMissing", "1", "1", "0", "-"]);
        assert_eq!(cells(2), ["Crashed", "0", "0", "0", "yes"]);
    }
}
