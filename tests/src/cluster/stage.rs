//! The order of events: install, sick and healthy workloads, what is said of them, outages, repairs, many pods at once. All that
//! was made is taken away at the end, also after a failure and Ctrl-C.

use super::{
    checks::{Checks, unless},
    feed::{Arrivals, Feed},
    group,
    judge::{self, Snapshot},
    kube::{Kube, field},
    outage::Outages,
    patience::until,
    release, repair,
    report::{self, Row},
    scale::{self, Measured},
    short_lived, volumes,
    workload::{self, Expected, Workload},
};
use crate::{binaries::Binaries, verdicts::JsonVerdict, wait};
use anyhow::{Result, ensure};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

/// Until everything is explained, counted from the creation of forty pods at once.
const EXPLAINED_WITHIN: Duration = Duration::from_mins(2);
/// Until the healthy ones are ready: two databases among them.
const READY_WITHIN: Duration = Duration::from_mins(3);
/// Who says too much does it a little later.
const SETTLES_FOR: Duration = Duration::from_secs(5);
/// Until a verdict is resolved after the container has become ready.
const RESOLVED_WITHIN: Duration = Duration::from_mins(1);
/// Until a namespace is gone.
const GONE_WITHIN: Duration = Duration::from_mins(2);

/// Which parts are played.
#[derive(Clone, Copy, Debug)]
pub struct Play {
    /// Compare everything, with a line a check, and try outages.
    pub check: bool,
    /// Many pods at once.
    pub scale: bool,
    /// Leave everything.
    pub keep: bool,
}

/// The cluster with what was made in it.
#[derive(Debug)]
pub struct Stage {
    kube: Kube,
    binaries: Binaries,
    workloads: Vec<Workload>,
    play: Play,
    is_made: bool,
}

impl Stage {
    /// Nothing is made yet.
    pub fn new(kube: Kube, binaries: Binaries, play: Play) -> Result<Self> {
        Ok(Self { kube, binaries, workloads: workload::all()?, play, is_made: false })
    }

    /// Plays all; returns what was measured.
    pub fn run(&mut self, checks: &mut Checks, images: &Path) -> Result<Option<Measured>> {
        let begin = Instant::now();
        step(begin, "images");
        release::load_images(&self.kube, &self.binaries, images)?;
        // From here on there is something to take away; what an earlier run left goes first.
        self.is_made = true;
        self.clear()?;
        step(begin, "helm installs the chart");
        release::install(&self.kube)?;
        let feed = Feed::start(&self.kube)?;
        let (sick, healthy): (Vec<&Workload>, Vec<&Workload>) = self.workloads.iter().partition(|workload| workload.expected.is_some());
        step(begin, &format!("{} sick and {} healthy workloads", sick.len(), healthy.len()));
        let created = self.create()?;
        explained(&feed, &sick);
        checks.outcome("healthy", "all are ready", repair::all_up(&self.kube, &healthy, READY_WITHIN));
        wait::sleep(SETTLES_FOR)?;
        let snapshot = Snapshot::take(&self.kube, &self.binaries)?;
        self.show(&snapshot, &feed.arrivals(), created)?;
        for workload in &self.workloads {
            judge::compare(checks, workload, &snapshot);
        }
        drop(feed);
        if self.play.check {
            step(begin, "a pod that is gone at once");
            short_lived::check(checks, &self.kube, &self.binaries, &self.home())?;
            step(begin, "a right fsGroup that does not reach its volume");
            group::check(checks, &self.kube, &self.home())?;
            step(begin, "outages");
            Outages { kube: &self.kube, binaries: &self.binaries, namespace: &self.home() }.run(checks)?;
        }
        step(begin, "repairs");
        self.repair(checks)?;
        let measured = self.play.scale.then(|| self.many(checks, begin)).transpose()?;
        step(begin, "done");
        Ok(measured)
    }

    /// Where pods go that are no workload of the table.
    fn home(&self) -> String {
        self.workloads.first().map(|workload| workload.namespace.clone()).unwrap_or_default()
    }

    fn create(&self) -> Result<SystemTime> {
        self.kube.apply(&workload::namespaces()?)?;
        volumes::make(&self.kube, &self.workloads)?;
        let created = SystemTime::now();
        self.kube.apply(self.workloads.iter().flat_map(|workload| &workload.objects))?;
        Ok(created)
    }

    fn show(&self, snapshot: &Snapshot, arrived: &Arrivals, created: SystemTime) -> Result<()> {
        println!("\n$ kubectl unready -A\n{}", self.kube.unready_text(&["-A"])?);
        let rows: Vec<Row<'_>> = self.workloads.iter().map(|workload| row(workload, snapshot, arrived, created)).collect();
        println!("{}\n", report::table(&rows));
        Ok(())
    }

    /// Applies every patch that is proposed.
    fn repair(&self, checks: &mut Checks) -> Result<()> {
        let snapshot = Snapshot::take(&self.kube, &self.binaries)?;
        for (workload, expected) in self.with_patch() {
            ensure!(!crate::interrupt::requested(), "interrupted");
            let Some(verdict) = snapshot.shown.iter().find(|verdict| workload.is_of(verdict) && expected.is(verdict)) else {
                checks.check(&workload.name, "is patched and gets ready", "nothing is said of it any more");
                continue;
            };
            let repaired = repair::repair(&self.kube, workload, verdict);
            if let Ok(repair) = &repaired {
                println!("{} is ready after {:.1} s:\n    $ {}", workload.name, repair.took.as_secs_f64(), repair.typed.join("\n    $ "));
            }
            checks.outcome(&workload.name, "is patched and gets ready", repaired);
        }
        self.resolved(checks)
    }

    fn with_patch(&self) -> impl Iterator<Item = (&Workload, &Expected)> {
        let sick = self.workloads.iter().filter_map(|workload| Some((workload, workload.expected.as_ref()?)));
        sick.filter(|(_, expected)| expected.patch.is_some())
    }

    /// What was said of a repaired workload is said no more.
    fn resolved(&self, checks: &mut Checks) -> Result<()> {
        let mut left: BTreeMap<&str, String> = BTreeMap::new();
        let waited = until("the verdicts to be resolved", RESOLVED_WITHIN, || {
            let (collected, shown) = (release::collected(&self.kube, &self.binaries)?, judge::shown(&self.kube, "-A")?);
            left = self.with_patch().map(|(workload, _)| (workload.name.as_str(), still(workload, &collected, &shown))).collect();
            Ok(left.values().all(String::is_empty).then_some(()))
        });
        ensure!(!crate::interrupt::requested(), "interrupted");
        if left.is_empty() {
            return waited;
        }
        for (name, still) in left {
            checks.check(name, "its verdict is resolved", still);
        }
        Ok(())
    }

    fn many(&self, checks: &mut Checks, begin: Instant) -> Result<Measured> {
        self.delete_workloads()?;
        step(begin, "110 pods at once");
        scale::check(checks, &self.kube, &self.binaries, &self.workloads)
    }

    /// The namespaces of the workloads, and their volumes.
    fn delete_workloads(&self) -> Result<()> {
        let namespaces = workload::namespaces()?;
        let names: Vec<&str> = namespaces.iter().map(|object| field(object, "/metadata/name")).collect();
        let arguments: Vec<&str> =
            ["delete", "namespace", "--ignore-not-found", "--wait=false"].into_iter().chain(names.iter().copied()).collect();
        self.kube.kubectl(&arguments)?;
        self.gone(&names)?;
        volumes::remove(&self.kube)
    }

    fn gone(&self, names: &[&str]) -> Result<()> {
        let begin = Instant::now();
        loop {
            let namespaces = self.kube.list(&["namespaces"])?;
            let left = namespaces.iter().filter(|object| names.contains(&field(object, "/metadata/name"))).count();
            if left == 0 {
                return Ok(());
            }
            ensure!(begin.elapsed() < GONE_WITHIN, "the namespaces {} do not go away", names.join(", "));
            std::thread::sleep(Duration::from_millis(400));
        }
    }

    /// Takes away what this or an earlier run made.
    fn clear(&self) -> Result<()> {
        scale::remove(&self.kube)?;
        let workloads = self.delete_workloads();
        release::remove(&self.kube)?;
        workloads?;
        self.gone(&[self.kube.release(), scale::NAMESPACE])
    }

    /// The last words of agent and collector.
    pub fn logs(&self) -> String {
        release::logs(&self.kube)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.is_made {
            return;
        }
        if self.play.keep {
            println!("everything is left as it is; `kubectl unready -A` tells, and another run takes it away first");
            return;
        }
        if let Err(error) = self.clear() {
            eprintln!("not everything could be taken away: {error:#}");
        }
    }
}

fn step(begin: Instant, what: &str) {
    println!("[{:>5.1} s] {what}", begin.elapsed().as_secs_f64());
}

/// Waits until each sick workload has its verdict, and says which are still without.
fn explained(feed: &Feed, sick: &[&Workload]) {
    let mut left: Vec<&Workload> = sick.to_vec();
    let waited = until("all verdicts", EXPLAINED_WITHIN, || {
        let arrived = feed.arrivals();
        left.retain(|workload| arrival(&arrived, workload).is_none());
        Ok(left.is_empty().then_some(()))
    });
    if waited.is_err() {
        println!("without their verdict: {}", left.iter().map(|workload| workload.name.as_str()).collect::<Vec<_>>().join(", "));
    }
}

/// When the expected verdict came.
fn arrival<'a>(arrived: &'a Arrivals, workload: &Workload) -> Option<&'a (SystemTime, JsonVerdict)> {
    let expected = workload.expected.as_ref()?;
    arrived.verdicts.values().find(|(_, verdict)| workload.is_of(verdict) && expected.is(verdict))
}

fn row<'a>(workload: &'a Workload, snapshot: &'a Snapshot, arrived: &Arrivals, created: SystemTime) -> Row<'a> {
    let mut said = snapshot.shown.iter().filter(|verdict| workload.is_of(verdict));
    let expected = workload.expected.as_ref();
    let first = said.clone().next();
    let verdict = said.find(|verdict| expected.is_some_and(|expected| expected.is(verdict))).or(first);
    let after = arrival(arrived, workload).and_then(|(at, _)| at.duration_since(created).ok());
    (workload, verdict, after)
}

/// What is still said of a workload.
fn still(workload: &Workload, collected: &[JsonVerdict], shown: &[JsonVerdict]) -> String {
    let current: Vec<&JsonVerdict> =
        collected.iter().filter(|verdict| verdict.is_current()).chain(shown).filter(|verdict| workload.is_of(verdict)).collect();
    unless(current.is_empty(), || judge::all(&current))
}
