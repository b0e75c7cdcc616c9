//! A real Prometheus scrapes a real agent and a real collector: every query of the dashboard and every alert is understood, and
//! those that tell of this machine have data.
//!
//! What is about pods needs a cluster: `tests/deploy.rs` asks for that.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use rustix::process::geteuid;
use std::{env, time::Duration};
use unready_tests::{
    binaries::Binaries,
    deploy::{
        dashboard,
        prometheus::{self, Prometheus, Target},
    },
    http,
    lab::Lab,
    processes::{Agent, AgentOptions, Collector},
    wait,
};

const PATIENCE: Duration = Duration::from_mins(1);
/// Panels that need a cluster, or a sysctl of the node.
const NEEDS_MORE: &[&str] = &[
    "Pods not ready",
    "Slowing verdicts",
    "From creation to ready",
    "Where the time goes",
    "API server unreachable",
    "eBPF programs: CPU",
];

/// With `CI=true` everything has to run.
fn is_missing(what: &str) {
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "{what}");
    eprintln!("not run: {what}");
}

/// A container of this name that fails, and is explained.
fn fail(lab: &Lab, agent: &Agent, name: &str) {
    let container = lab.run(name, &["/bin/first-calls", &format!("/missing/{name}")]).unwrap();
    container.wait(PATIENCE).unwrap();
    wait::until("a verdict", PATIENCE, || Ok(agent.verdicts()?.of(name).next().map(drop))).unwrap();
}

#[test]
fn the_alerts_are_right() {
    if let Err(error) = prometheus::program("promtool") {
        return is_missing(&error.to_string());
    }
    prometheus::promtool(&["check", "rules", "rules.yaml"]).unwrap();
    prometheus::promtool(&["test", "rules", "rules_test.yaml"]).unwrap();
}

#[test]
fn every_query_is_understood_and_has_its_data() {
    if !geteuid().is_root() {
        return is_missing("loading eBPF programs needs root");
    }
    if let Err(error) = prometheus::program("prometheus") {
        return is_missing(&error.to_string());
    }
    let lab = Lab::new("metrics", Binaries::find().unwrap()).unwrap();
    lab.install(&["first-calls"]).unwrap();
    let (of_collector, of_agent) = (http::free_port().unwrap(), http::free_port().unwrap());
    let collector = Collector::start_with(lab.binaries(), lab.directory(), &["--metrics", &of_collector.to_string()]).unwrap();
    let options = AgentOptions { collector: Some(collector.url()), metrics: Some(of_agent), ..AgentOptions::default() };
    let agent = lab.agent(options).unwrap();
    for address in [of_collector, of_agent] {
        http::get(address, "/livez").unwrap();
        http::get(address, "/readyz").unwrap();
    }
    fail(&lab, &agent, "before");
    let targets = [Target { job: "agent", address: of_agent }, Target { job: "collector", address: of_collector }];
    let prometheus = Prometheus::start(&targets).unwrap();
    // What happened before the first scrape is no increase.
    fail(&lab, &agent, "after");
    for query in dashboard::queries().unwrap() {
        if NEEDS_MORE.contains(&query.panel.as_str()) {
            prometheus.query(&query.expression).unwrap();
            continue;
        }
        // A rate needs two scrapes.
        let has_data = || Ok(prometheus.query(&query.expression)?.iter().any(|value| value.is_finite()).then_some(()));
        wait::until(&format!("data of {query:?}"), PATIENCE, has_data).unwrap();
    }
    let one = |expression: &str| prometheus.query(expression).unwrap().first().copied();
    assert_eq!(one("unready_agent_ebpf_loaded"), Some(1.0));
    assert_eq!(one("sum(unready_agent_verdicts_total)"), one("sum(unready_collector_verdicts_total)"), "both count the same");
    let rules = prometheus.rules().unwrap();
    assert!(rules.len() >= 7 && rules.iter().all(|(_, health)| health == "ok" || health == "unknown"), "{rules:?}");
}
