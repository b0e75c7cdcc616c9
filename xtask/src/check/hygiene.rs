//! What does not belong into a repository: paths of somebody's machine, keys, large files, stray white space.

use super::{
    Finding,
    tree::{Text, Tree, has_extension, is_generated},
};
use crate::project::Project;

/// Larger files are built or fetched, not committed.
const MAX_BINARY: usize = 256 * 1024;
/// Beginnings of well-known secrets, cut in two so that this file does not find itself.
const SECRETS: &[(&str, &str)] = &[
    ("-----BEGIN ", "PRIVATE KEY-----"),
    ("-----BEGIN RSA ", "PRIVATE KEY-----"),
    ("-----BEGIN EC ", "PRIVATE KEY-----"),
    ("-----BEGIN OPENSSH ", "PRIVATE KEY-----"),
    ("gh", "p_"),
    ("github", "_pat_"),
    ("xox", "b-"),
];

pub(super) fn check(project: &Project, tree: &Tree) -> Vec<Finding> {
    let places = private_places(project);
    let mut findings: Vec<Finding> =
        tree.texts.iter().filter(|text| !is_generated(&text.path)).flat_map(|text| judge(text, &places)).collect();
    let large = tree.binaries.iter().filter(|(_, size)| *size > MAX_BINARY);
    findings.extend(large.map(|(path, size)| Finding::new(path, 0, format!("{size} bytes of binary data: build or fetch it instead"))));
    findings
}

/// Where this very machine keeps the project and its user.
fn private_places(project: &Project) -> Vec<String> {
    let root = project.root.display().to_string();
    let user = std::env::home_dir().map(|home| home.display().to_string()).filter(|home| home.starts_with("/home/"));
    std::iter::once(root).chain(user).filter(|path| path.matches('/').count() >= 2).collect()
}

fn judge(text: &Text, places: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.text.split('\n')) {
        findings.extend(problem(line, places, has_extension(&text.path, "md")).map(|message| Finding::new(&text.path, number, message)));
    }
    if !text.text.is_empty() && !text.text.ends_with('\n') {
        findings.push(Finding::new(&text.path, 0, "the last line has no end"));
    }
    findings
}

fn problem(line: &str, places: &[String], is_markdown: bool) -> Option<String> {
    if let Some(place) = places.iter().find(|place| line.contains(*place)) {
        return Some(format!("{place} is a path of one machine"));
    }
    if let Some((start, end)) = SECRETS.iter().find(|(start, end)| line.contains(&format!("{start}{end}"))) {
        return Some(format!("looks like a secret ({start}{end}…)"));
    }
    if line.ends_with('\r') {
        return Some("ends in a carriage return".to_owned());
    }
    // Two spaces at the end of a Markdown line are a line break.
    let is_break = is_markdown && line.ends_with("  ");
    (line.ends_with([' ', '\t']) && !is_break).then(|| "ends in white space".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, content: &str) -> Vec<usize> {
        let text = Text { path: path.to_owned(), text: content.to_owned() };
        judge(&text, &["/home/someone/unready".to_owned()]).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn what_does_not_belong_is_found() {
        let key = format!("-----BEGIN {}", "PRIVATE KEY-----");
        let content = format!("fine\n/home/someone/unready/x\n{key}\ncr\r\nblank \nbreak  \n");
        assert_eq!(lines("a.rs", &content), [2, 3, 4, 5, 6]);
        assert_eq!(lines("a.md", &content), [2, 3, 4, 5]);
    }

    #[test]
    fn the_last_line_ends() {
        assert_eq!(lines("a.rs", "x"), [0]);
        assert!(lines("a.rs", "").is_empty());
    }
}
