//! docs/metrics.md lists every metric of agent and collector, with type, labels and help text: both are asked, and the document
//! is compared; with `UNREADY_UPDATE` it is written.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};
use unready_agent::metrics::Metrics as Agent;
use unready_collector::metrics::Metrics as Collector;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
const HEAD: &str = "\
# Metrics

Agent and collector serve them at `/metrics`, where `--metrics ADDRESS:PORT` says; the chart in
[deploy](../deploy/README.md) sets it, and can make a PodMonitor. Beside them are `/livez` (the process answers) and `/readyz` (it
does its work; if not, the answer is a sentence that says what it waits for). This list is made by `cargo xtask metrics`.

Labels have a limit: a namespace or kind that comes too late for one of its own is counted under `other`, and what is not
known under `none`. No label names a pod, a container or a path: those are in the verdicts. `namespace` is that of the pod that
a metric is about, as in kube-state-metrics: scrape with `honor_labels: true`, or look for it under `exported_namespace`.

A dashboard is in [deploy/grafana](../deploy/grafana/unready.json), examples of alerts in
[deploy/prometheus](../deploy/prometheus/rules.yaml).
";

#[derive(Debug, Default)]
struct Metric {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

/// Families by the name that samples have.
fn metrics(text: &str) -> BTreeMap<String, Metric> {
    let mut families: BTreeMap<String, Metric> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            // The encoder ends each with a full stop.
            help.trim_end_matches('.').clone_into(&mut families.entry(name.to_owned()).or_default().help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kind.clone_into(&mut families.entry(name.to_owned()).or_default().kind);
        } else if !line.starts_with('#') {
            sample(&mut families, line);
        }
    }
    families.into_iter().map(|(name, metric)| (in_samples(&name, &metric), metric)).collect()
}

fn sample(families: &mut BTreeMap<String, Metric>, line: &str) {
    let name = line.split(['{', ' ']).next().unwrap();
    let endings = ["", "_total", "_info", "_bucket", "_sum", "_count"];
    let family = endings.iter().find_map(|ending| name.strip_suffix(ending).filter(|family| families.contains_key(*family)));
    let metric = families.get_mut(family.unwrap_or_else(|| panic!("{line} is of no family"))).unwrap();
    let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(labels, _)| labels);
    let keys = labels.split("\",").filter_map(|label| label.split_once("=\"")).map(|(key, _)| key.trim_start_matches(','));
    metric.labels.extend(keys.filter(|key| *key != "le").map(str::to_owned));
}

fn in_samples(family: &str, metric: &Metric) -> String {
    match metric.kind.as_str() {
        "counter" => format!("{family}_total"),
        "info" => format!("{family}_info"),
        _ => family.to_owned(),
    }
}

fn section(out: &mut String, title: &str, text: &str) {
    write!(out, "\n## {title}\n\n| metric | type | labels | what |\n|---|---|---|---|\n").unwrap();
    for (name, metric) in metrics(text) {
        assert!(metric.help.split(' ').count() > 2, "{name} has no help text: {:?}", metric.help);
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(out, "| `{name}` | {} | {} | {} |", metric.kind, labels.join(", "), metric.help).unwrap();
    }
}

fn document() -> String {
    let mut out = HEAD.to_owned();
    section(&mut out, "Agent", &Agent::describe());
    section(&mut out, "Collector", &Collector::describe());
    out
}

#[test]
fn the_document_lists_every_metric() {
    let document = document();
    if std::env::var_os("UNREADY_UPDATE").is_some() {
        fs::write(Path::new(DOCUMENT), &document).unwrap();
    }
    let committed = fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(document == committed, "docs/metrics.md is not what agent and collector say: run `cargo xtask metrics`");
}

#[test]
fn labels_are_read_whatever_their_values() {
    let text = "# HELP a_b Some help.\n# TYPE a_b counter\na_b_total{x=\"1,y=\\\"2\",z=\"3\"} 4\n# EOF\n";
    let found = metrics(text);
    assert_eq!(found["a_b_total"].labels, BTreeSet::from(["x".to_owned(), "z".to_owned()]));
}
