//! Links in Markdown to files of the repository lead somewhere, and so do their `#section`s. Links to other hosts are
//! not followed: a check must not depend on the network.

use super::{
    Finding,
    tree::{Text, Tree, has_extension},
};
use crate::project::Project;
use std::path::{Component, Path, PathBuf};

pub(super) fn check(project: &Project, tree: &Tree) -> Vec<Finding> {
    tree.markdown().flat_map(|text| findings(&project.root, tree, text)).collect()
}

fn findings(root: &Path, tree: &Tree, text: &Text) -> Vec<Finding> {
    let links = links(&text.text);
    links.into_iter().filter_map(|(target, line)| Some(Finding::new(&text.path, line, broken(root, tree, &text.path, target)?))).collect()
}

/// What is wrong with a link from `from`.
fn broken(root: &Path, tree: &Tree, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, section) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { from.to_owned() } else { resolve(from, file)? };
    if !root.join(&path).exists() && tree.file(&path).is_none() {
        return Some(format!("the link to {target} leads nowhere"));
    }
    let document = tree.file(&path).filter(|_| !section.is_empty() && has_extension(&path, "md"))?;
    let found = headings(&document.text).any(|heading| anchor(heading) == section);
    (!found).then(|| format!("{path} has no section #{section}"))
}

/// `docs/a.md` and `../b.md` give `b.md`.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut path = PathBuf::from(from);
    path.pop();
    for component in Path::new(target).components() {
        match component {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::Prefix(_) => path = PathBuf::new(),
        }
    }
    path.to_str().map(str::to_owned)
}

/// Targets of `[text](target)` outside code, with their lines.
fn links(text: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        // Every second piece is between backticks.
        for prose in line.split('`').step_by(2) {
            let targets = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            found.extend(targets.map(|target| (target, number)));
        }
    }
    found
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim())
}

/// As the usual renderers make them: lower case, spaces to hyphens, other punctuation dropped.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let readme = "[a](docs/a.md) [b](docs/none.md#x) [c](https://example.org/x) `[d](none)`\n```\n[e](none)\n```\n[f](docs/a.md#no) [g](docs/a.md#how-it-works)\n[h](#top)";
        let tree = Tree::of(&[("README.md", readme), ("docs/a.md", "# A\n\n## How it works!\n\n[up](../README.md) [out](../none.md)\n")]);
        let root = Path::new("/nonexistent");
        let lines = |path: &str| tree.file(path).map(|text| findings(root, &tree, text).iter().map(|f| f.line).collect::<Vec<_>>());
        assert_eq!(lines("README.md"), Some(vec![1, 5, 6]));
        assert_eq!(lines("docs/a.md"), Some(vec![5]));
    }
}
