//! The queries of the dashboard, as Grafana would send them.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;

/// A query of a panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Title of the panel.
    pub panel: String,
    /// `PromQL`, without variables.
    pub expression: String,
}

/// All of them. An error: the dashboard names a data source of somebody's, or has a variable that is not replaced.
pub fn queries() -> Result<Vec<Query>> {
    let path = super::folder().join("grafana/unready.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let dashboard: Value = serde_json::from_str(&text).context("the dashboard is not JSON")?;
    let panels = dashboard["panels"].as_array().context("the dashboard has no panels")?;
    let mut found = Vec::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        ensure!(panel["datasource"]["uid"] == "${datasource}", "{} names a data source of its own", panel["title"]);
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = without_variables(target["expr"].as_str().context("a target has no query")?);
            ensure!(!expression.contains('$'), "{expression} has a variable that the test does not know");
            found.push(Query { panel: panel["title"].as_str().unwrap_or_default().to_owned(), expression });
        }
    }
    ensure!(!found.is_empty(), "the dashboard has no queries");
    Ok(found)
}

fn without_variables(expression: &str) -> String {
    expression.replace("$__rate_interval", "1m").replace("$namespace", ".*")
}
