//! The chart has the version of the workspace, and the plain manifests are what it gives.

use super::{
    Finding,
    tree::{Text, Tree},
};
use crate::{
    cluster,
    manifests::{self, MANIFESTS},
    project::Project,
};
use anyhow::{Context as _, Result};

const CHART: &str = "deploy/helm/unready/Chart.yaml";

pub(super) fn check(project: &Project, tree: &Tree) -> Vec<Finding> {
    let versions = versions(tree).unwrap_or_else(|error| Finding::of_error(CHART, &error));
    versions.into_iter().chain(freshness(project, tree)).collect()
}

fn versions(tree: &Tree) -> Result<Vec<Finding>> {
    let workspace = tree.file("Cargo.toml").context("Cargo.toml is missing")?;
    let is_version = |line: &&str| line.starts_with("version = \"");
    let line = workspace.text.lines().find(is_version).context("Cargo.toml names no version")?;
    let version = line.trim_start_matches("version = ").trim_matches('"');
    let chart = tree.file(CHART).context("is missing")?;
    Ok(["version", "appVersion"].into_iter().filter_map(|key| other_version(chart, key, version)).collect())
}

fn other_version(chart: &Text, key: &str, version: &str) -> Option<Finding> {
    let mut lines = (1..).zip(chart.text.lines());
    let found = lines.find_map(|(number, line)| Some((number, line.strip_prefix(key)?.strip_prefix(':')?)));
    let Some((number, value)) = found else { return Some(Finding::new(CHART, 0, format!("has no {key}"))) };
    (value.trim().trim_matches('"') != version)
        .then(|| Finding::new(CHART, number, format!("{key} is not {version}, that of the workspace")))
}

/// Needs Helm, which is not everywhere; the ring `cluster` has it, and compares too.
fn freshness(project: &Project, tree: &Tree) -> Option<Finding> {
    let Some(helm) = cluster::helm_if_there(project) else {
        return Some(Finding::warning(MANIFESTS, 0, "is not compared with the chart: there is no helm on the PATH, and none was built"));
    };
    let Some(file) = tree.file(MANIFESTS) else { return Some(Finding::new(MANIFESTS, 0, "is missing: run `cargo xtask manifests`")) };
    match manifests::render(project, &helm) {
        Ok(text) if text == file.text => None,
        Ok(_) => Some(Finding::new(MANIFESTS, 0, "is not what the chart gives: run `cargo xtask manifests`")),
        Err(error) => Some(Finding::new(MANIFESTS, 0, format!("{error:#}"))),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may end on the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_chart_of_another_version_is_found() {
        let tree = |chart| Tree::of(&[("Cargo.toml", "[workspace.package]\nversion = \"0.2.0\"\n"), (CHART, chart)]);
        assert!(versions(&tree("version: 0.2.0\nappVersion: \"0.2.0\"\n")).unwrap().is_empty());
        let found = versions(&tree("name: unready\nversion: 0.1.0\n")).unwrap();
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [2, 0], "{found:?}");
    }
}
