//! An agent that is killed, restarted or updated in the midst of a flood says each verdict once, and misses none that still holds.
//!
//! Needs root; without it nothing is proved, which with `CI=true` is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use rustix::process::geteuid;
use std::{env, net::SocketAddr, time::Duration};
use unready_tests::{
    binaries::Binaries,
    http,
    lab::Lab,
    processes::{AgentOptions, Collector},
    runc::Container,
    verdicts::JsonVerdict,
    wait,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn starts_and_fails(lab: &Lab, name: &str) -> Container {
    let container = lab.run(name, &["/bin/first-calls", &format!("/missing/{name}")]).unwrap();
    container.wait(PATIENCE).unwrap();
    container
}

fn of(collector: &Collector, container: &str) -> Vec<JsonVerdict> {
    collector.verdicts().unwrap().of(container).cloned().collect()
}

/// One verdict, and of this cause.
fn is_told(collector: &Collector, container: &str, cause: &str) {
    wait::until(&format!("the verdict on {container}"), PATIENCE, || Ok((!of(collector, container).is_empty()).then_some(()))).unwrap();
    let verdicts = of(collector, container);
    assert!(matches!(verdicts.as_slice(), [one] if one.cause == cause && one.resolved_at.is_none()), "{container}: {verdicts:#?}");
}

/// How many verdicts an agent has given, by its own account.
fn judged(metrics: SocketAddr) -> u64 {
    let answer = http::get(metrics, "/metrics").unwrap();
    let told = answer.lines().filter(|line| line.starts_with("unready_agent_verdicts_total{"));
    told.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn what_still_holds_is_told_once_whatever_becomes_of_the_agent() {
    if !geteuid().is_root() {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "loading eBPF programs needs root");
        eprintln!("not run: loading eBPF programs needs root");
        return;
    }
    let lab = Lab::new("restarted", Binaries::find().unwrap()).unwrap();
    lab.install(&["first-calls", "storm"]).unwrap();
    let collector = Collector::start(lab.binaries(), lab.directory()).unwrap();
    let metrics = http::free_port().unwrap();
    let options = AgentOptions { collector: Some(collector.url()), metrics: Some(metrics), ..AgentOptions::default() };

    let mut killed = lab.agent(options).unwrap();
    let _flood = lab.run("flood", &["/bin/storm", "new", "/missing/storm"]).unwrap();
    let _before = starts_and_fails(&lab, "before");
    is_told(&collector, "before", "FileMissing");
    killed.daemon_mut().kill().unwrap();
    let mut updated = lab.agent(options).unwrap();
    let _after = starts_and_fails(&lab, "after");
    is_told(&collector, "after", "FileMissing");
    assert_eq!(judged(metrics), 1, "what an earlier agent said is not said again");
    updated.daemon_mut().end();

    let _last = lab.agent(options).unwrap();
    let _later = starts_and_fails(&lab, "later");
    is_told(&collector, "later", "FileMissing");
    for (name, cause) in [("before", "FileMissing"), ("after", "FileMissing")] {
        is_told(&collector, name, cause);
    }
    assert_eq!(judged(metrics), 1, "what earlier agents said is not said again");
}
