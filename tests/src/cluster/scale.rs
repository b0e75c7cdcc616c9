//! 110 pods at once on one node, ten of them faulty in ten ways: ten right answers, none about the healthy, in time, and at
//! what cost.

use super::patience::until;
use super::{
    checks::{Checks, unless},
    cost::{Cost, Meter},
    feed::{Arrivals, Feed},
    judge::Snapshot,
    kube::{Kube, is_ready},
    workload::Workload,
};
use crate::{bench::Sample, binaries::Binaries, verdicts::JsonVerdict, wait};
use anyhow::Result;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    time::{Duration, Instant, SystemTime},
};

/// Healthy pods.
const HEALTHY: usize = 100;
/// The faulty ones, from the table of workloads.
const FAULTY: [&str; 10] = [
    "full-volume",
    "init-fails",
    "memory-limit",
    "missing-command",
    "missing-image",
    "missing-item",
    "missing-loader",
    "nginx-readonly",
    "secret-mode",
    "wrong-subpath",
];
/// The API server's own account has whole seconds; what the kernel saw is timed exactly.
const TIMED: [&str; 7] = ["full-volume", "init-fails", "missing-item", "missing-loader", "nginx-readonly", "secret-mode", "wrong-subpath"];
/// Where they are.
pub const NAMESPACE: &str = "unready-demo-scale";
const NAME: &str = "healthy";
/// Until all are ready: some 20 seconds on an idle machine of two cores.
const READY_WITHIN: Duration = Duration::from_mins(3);
/// Until all are explained after that.
const EXPLAINED_WITHIN: Duration = Duration::from_mins(1);
/// What is promised, and what is asserted: a machine that does more than this may be slower.
const EVENT_P95: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(4));
const WATCH_P95: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));
const CORES: (f64, f64) = (0.2, 0.4);
const RESIDENT: (u64, u64) = (32 << 20, 40 << 20);

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// From the creation until all healthy pods were ready.
    pub ready: Duration,
    /// From the failing call to the Event on the pod.
    pub event: Sample,
    /// From the failing call to a line of `kubectl unready --watch`.
    pub watch: Sample,
    /// What the agent took, where it can be seen.
    pub cost: Option<Cost>,
}

/// Starts all, compares, and deletes them again.
pub fn check(checks: &mut Checks, kube: &Kube, binaries: &Binaries, workloads: &[Workload]) -> Result<Measured> {
    let faulty: Vec<Workload> =
        workloads.iter().filter(|one| FAULTY.contains(&one.name.as_str())).map(|one| one.within(NAMESPACE)).collect();
    kube.apply([&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } })])?;
    let feed = Feed::start(kube)?;
    let meter = Meter::start(kube)?;
    let begin = Instant::now();
    kube.apply(std::iter::once(&healthy()).chain(faulty.iter().flat_map(|workload| &workload.objects)))?;
    let all_ready = until("100 pods to be ready", READY_WITHIN, || Ok((ready(kube)? == HEALTHY).then(|| begin.elapsed())));
    let ready = checks.outcome("scale", &format!("{HEALTHY} healthy pods are ready"), all_ready).unwrap_or_default();
    let explained = until("10 verdicts", EXPLAINED_WITHIN, || {
        let arrived = feed.arrivals();
        Ok(faulty.iter().all(|one| said(&arrived, one).is_some()).then_some(()))
    });
    checks.outcome("scale", "ten verdicts arrive", explained);
    // Late words about the healthy would come now.
    wait::sleep(Duration::from_secs(3))?;
    let cost = meter.map(Meter::stop).transpose()?;
    let arrived = feed.arrivals();
    drop(feed);
    let snapshot = Snapshot::take(kube, binaries)?;
    judge(checks, &faulty, &snapshot);
    let (event, watch) = times(&arrived, &faulty);
    let measured = Measured { ready, event, watch, cost };
    promises(checks, &measured, binaries.are_debug());
    Ok(measured)
}

/// Takes the namespace away.
pub fn remove(kube: &Kube) -> Result<()> {
    kube.kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]).map(drop)
}

/// Small servers, each asked whether it is ready.
fn healthy() -> Value {
    let container = json!({
        "name": "web",
        "image": "unready.test/goserver:1",
        "readinessProbe": { "httpGet": { "path": "/", "port": 8080 }, "periodSeconds": 2 },
        "resources": { "requests": { "cpu": "1m", "memory": "4Mi" } },
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": NAME, "namespace": NAMESPACE },
        "spec": {
            "replicas": HEALTHY,
            "selector": { "matchLabels": { "app": NAME } },
            "template": {
                "metadata": { "labels": { "app": NAME } },
                "spec": { "terminationGracePeriodSeconds": 1, "containers": [container] },
            },
        },
    })
}

fn ready(kube: &Kube) -> Result<usize> {
    Ok(kube.list(&["pods", "-n", NAMESPACE, "-l", "app=healthy"])?.iter().filter(|pod| is_ready(pod)).count())
}

/// When the expected verdict about a workload arrived.
fn said<'a>(arrived: &'a Arrivals, workload: &Workload) -> Option<&'a (SystemTime, JsonVerdict)> {
    let expected = workload.expected.as_ref()?;
    arrived.verdicts.values().find(|(_, verdict)| workload.is_of(verdict) && expected.is(verdict))
}

fn judge(checks: &mut Checks, faulty: &[Workload], snapshot: &Snapshot) {
    for workload in faulty {
        super::judge::compare(checks, workload, snapshot);
    }
    let innocent = Workload {
        namespace: NAMESPACE.into(),
        name: NAME.into(),
        kind: "Deployment".into(),
        about: String::new(),
        objects: Vec::new(),
        expected: None,
    };
    super::judge::compare(checks, &innocent, snapshot);
}

/// From the failing call to the Event and to the line of the watch.
fn times(arrived: &Arrivals, faulty: &[Workload]) -> (Sample, Sample) {
    let (mut events, mut watch) = (Vec::new(), Vec::new());
    for workload in faulty.iter().filter(|one| TIMED.contains(&one.name.as_str())) {
        let Some((at, verdict)) = said(arrived, workload) else { continue };
        let failed = humantime::parse_rfc3339(&verdict.first_seen).ok();
        let since = |at: &SystemTime| failed.map(|failed| at.duration_since(failed).unwrap_or_default());
        watch.extend(since(at));
        let event = arrived
            .events
            .values()
            .find(|(_, event)| event.reason == verdict.cause && event.regarding == format!("Pod/{}", verdict.workload.pod));
        events.extend(event.and_then(|(at, _)| since(at)));
    }
    (Sample::new(events), Sample::new(watch))
}

fn promises(checks: &mut Checks, measured: &Measured, is_debug: bool) {
    let mut within = |what: &str, sample: &Sample, (_, asserted): (Duration, Duration)| {
        let problem = if sample.len() < TIMED.len() {
            format!("{} of {} were timed", sample.len(), TIMED.len())
        } else {
            unless(sample.percentile(95) <= asserted, || format!("p95 is {:?}", sample.percentile(95)))
        };
        checks.check("scale", what, problem);
    };
    within("from the failing call to the Event", &measured.event, EVENT_P95);
    within("from the failing call to kubectl unready --watch", &measured.watch, WATCH_P95);
    if let Some(cost) = measured.cost {
        checks.check(
            "scale",
            "the agent's processor time at its peak",
            unless(cost.peak_cores <= CORES.1, || format!("{:.2} cores", cost.peak_cores)),
        );
        // The code alone of a debug build takes what the whole agent may.
        checks.check("scale", "the agent's memory", unless(is_debug || cost.resident <= RESIDENT.1, || mib(cost.resident)));
    }
}

fn mib(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}

impl Measured {
    /// As Markdown, beside what is promised.
    pub fn markdown(&self) -> String {
        let seconds = |duration: Duration| format!("{:.2} s", duration.as_secs_f64());
        let mut text = format!(
            "{HEALTHY} healthy and {} faulty pods created at once on one node; the healthy ones were ready after {}.\n\n| | measured | promised |\n|---|---:|---:|\n",
            FAULTY.len(),
            seconds(self.ready)
        );
        let mut row = |what: &str, measured: String, promised: String| {
            let _ = writeln!(text, "| {what} | {measured} | {promised} |");
        };
        row("failing call to Event on the pod, p95", seconds(self.event.percentile(95)), seconds(EVENT_P95.0));
        row("failing call to `kubectl unready --watch`, p95", seconds(self.watch.percentile(95)), seconds(WATCH_P95.0));
        if let Some(cost) = self.cost {
            row("agent, busiest five seconds", format!("{:.2} cores", cost.peak_cores), format!("{} cores", CORES.0));
            row("agent, all of it", format!("{:.1} s of processor time in {:.0} s", cost.cpu, cost.seconds), "—".to_owned());
            row("agent, largest resident set", mib(cost.resident), mib(RESIDENT.0));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_faulty_ones_are_in_the_table() {
        let all = super::super::workload::all().unwrap();
        for name in FAULTY {
            let one = all.iter().find(|one| one.name == name).unwrap();
            assert!(one.expected.is_some(), "{name}");
        }
        assert!(TIMED.iter().all(|name| FAULTY.contains(name)));
    }
}
