//! Every cause of the catalogue has a section in `docs/causes.md` with the same five leads, and no section speaks of a
//! cause that does not exist.

use super::{
    Finding,
    rust::tokens,
    tree::{Text, Tree},
};
use crate::project::Project;
use anyhow::{Context as _, Result};

const CATALOGUE: &str = "diagnosis/src/catalogue/mod.rs";
const DOCUMENT: &str = "docs/causes.md";
/// What each section must say, in this order.
const LEADS: &[&str] = &["Symptom", "Observed", "Told apart", "Remedy", "Reproduce"];

pub(super) fn check(_: &Project, tree: &Tree) -> Vec<Finding> {
    let Some(document) = tree.file(DOCUMENT) else {
        return vec![Finding::new(DOCUMENT, 0, "is missing: it explains every cause")];
    };
    match catalogue(tree) {
        Ok(catalogue) => findings(&catalogue, document),
        Err(error) => Finding::of_error(CATALOGUE, &error),
    }
}

/// The codes, in the order of the catalogue: `catalogue! { Code, module, Group: "…" { … } … }`.
pub(super) fn catalogue(tree: &Tree) -> Result<Vec<String>> {
    let source = tree.file(CATALOGUE).with_context(|| format!("{CATALOGUE} is missing"))?;
    let tokens = tokens(&source.text);
    // `catalogue ! {` also begins the macro's definition as `macro_rules ! catalogue {`, which has no mark between.
    let starts = |window: &[super::rust::Token<'_>]| matches!(window, [a, b, c] if (a.text, b.text, c.text) == ("catalogue", "!", "{"));
    let start = tokens.windows(3).position(starts).with_context(|| format!("{CATALOGUE} has no `catalogue! {{ … }}`"))?;
    let mut depth = 0;
    let mut codes = Vec::new();
    for window in tokens[start + 3..].windows(2) {
        match window[0].text {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            text if depth == 0 && window[1].text == "," && text.starts_with(char::is_uppercase) => codes.push(text.to_owned()),
            _ => {}
        }
    }
    Ok(codes)
}

/// Is there a section of that name?
pub(super) fn is_documented(tree: &Tree, cause: &str) -> bool {
    tree.file(DOCUMENT).is_some_and(|document| sections(&document.text).iter().any(|section| section.title == cause))
}

struct Section<'a> {
    title: &'a str,
    line: usize,
    body: Vec<&'a str>,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        if content.starts_with("## ") || content.starts_with("### ") {
            let title = content.trim_start_matches('#').trim().trim_matches('`');
            sections.push(Section { title, line, body: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            section.body.push(content);
        }
    }
    sections
}

fn findings(catalogue: &[String], document: &Text) -> Vec<Finding> {
    let sections = sections(&document.text);
    let mut findings = Vec::new();
    for cause in catalogue {
        match sections.iter().find(|section| section.title == cause) {
            None => findings.push(Finding::new(DOCUMENT, 0, format!("has no section `## {cause}`"))),
            Some(section) => findings.extend(missing_leads(section)),
        }
    }
    let unknown =
        sections.iter().filter(|section| looks_like_cause(section.title) && !catalogue.iter().any(|cause| cause == section.title));
    findings.extend(unknown.map(|section| Finding::new(DOCUMENT, section.line, format!("there is no cause {}", section.title))));
    findings
}

fn missing_leads(section: &Section<'_>) -> Vec<Finding> {
    let finding = |message: String| Finding::new(DOCUMENT, section.line, format!("{}: {message}", section.title));
    let mut findings: Vec<Finding> =
        LEADS.iter().filter(|lead| said(section, lead).is_empty()).map(|lead| finding(format!("no paragraph **{lead}.**"))).collect();
    let reproduce = said(section, "Reproduce");
    if !reproduce.is_empty() && !reproduce.contains('`') {
        findings.push(finding("what to type is missing under Reproduce".to_owned()));
    }
    findings
}

/// What stands between a lead and the next one.
fn said(section: &Section<'_>, lead: &str) -> String {
    let begins = |line: &str, lead: &str| line.trim_start_matches(['*', '_', '#', '-', ' ']).starts_with(lead);
    let is_lead = |line: &&str| LEADS.iter().any(|other| other != &lead && begins(line, other));
    section.body.iter().skip_while(|line| !begins(line, lead)).take_while(|line| !is_lead(line)).copied().collect::<Vec<_>>().join("\n")
}

/// CamelCase of at least two words.
fn looks_like_cause(title: &str) -> bool {
    title.chars().all(char::is_alphanumeric)
        && title.starts_with(char::is_uppercase)
        && title.chars().skip(1).any(char::is_uppercase)
        && title.chars().any(char::is_lowercase)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may end on the first surprise")]
mod tests {
    use super::*;

    const GOOD: &str =
        "## FileMissing\n\n**Symptom.** a\n\n**Observed.** b\n\n**Told apart.** c\n\n**Remedy.** d\n\n**Reproduce.**\n\n```sh\nx\n```\n";

    fn messages(text: &str) -> Vec<String> {
        let document = Text { path: DOCUMENT.to_owned(), text: text.to_owned() };
        findings(&["FileMissing".to_owned()], &document).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn the_catalogue_is_read_from_its_source() {
        let code = "macro_rules! catalogue { ($x:ident) => { enum Cause { $x } } }\ncatalogue! {\nFileMissing, file_missing, Files: \"x\" {\nMISSING = \"a\": \"b\",\n}\nCrashed, crashed, Exits: \"x\" { A = \"a\": \"b\", }\n}\nstruct Other;";
        let tree = Tree::of(&[(CATALOGUE, code)]);
        assert_eq!(catalogue(&tree).unwrap(), ["FileMissing", "Crashed"]);
    }

    #[test]
    fn a_whole_section_is_accepted() {
        assert_eq!(messages(GOOD), Vec::<String>::new());
    }

    #[test]
    fn what_is_left_out_is_found() {
        assert_eq!(messages("# Causes\n").len(), 1);
        assert_eq!(messages(&GOOD.replace("**Remedy.** d", "")).len(), 1);
        assert_eq!(messages(&GOOD.replace("```sh\nx\n```", "try it")).len(), 1);
        assert_eq!(messages(&format!("{GOOD}## NoSuchCause\n")), ["there is no cause NoSuchCause"]);
        assert!(messages(&format!("{GOOD}## How to read this\n")).is_empty());
    }
}
