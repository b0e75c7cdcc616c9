//! The agent's pipeline while the wall clock of this machine is set: only where the machine is ours.
//!
//! ```text
//!   a start fails ─► +2 h ─► a start fails ─► −2 h ─► a start fails        each has one verdict, dated as the clock ran then
//! ```

use crate::{act, watcher::Watcher};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};
use unready_agent::{
    cgroupfs::CgroupRoot,
    pipeline::{Event, Events, Handle, Options, Pipeline},
};
use unready_diagnosis::{catalogue::Cause, verdict::Verdict};

/// How far the clock is set.
const STEP: i64 = 2 * 3600;
/// A verdict comes within a fraction of a second; under emulation within this.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to listen for what should not be said.
const SILENCE: Duration = Duration::from_millis(1_500);
/// What a date may be off: the start of a process under emulation lies between the date and our look at the clock.
const SLACK: i64 = 5;

/// An agent that follows what starts here, and all that it has said.
struct Agent {
    handle: Handle,
    heard: Events,
    /// Verdicts by cgroup, and how often each was given.
    said: BTreeMap<u64, (Verdict, u32)>,
    clock_set: u32,
}

/// Runs the story.
pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let outcome = runtime.block_on(story());
    runtime.shutdown_timeout(Duration::from_secs(1)); // the pipeline's task ends with it, also after a failure
    outcome
}

async fn story() -> Result<()> {
    // Our containers begin the moment they are made; a runtime takes half a second, in which level 1 is attached.
    let options = Options { starting_at_once: true, ..Options::default() };
    let (pipeline, handle, heard) = Pipeline::start(&options).context("start the pipeline")?;
    let running = tokio::spawn(pipeline.run());
    let mut agent = Agent { handle, heard, said: BTreeMap::new(), clock_set: 0 };
    let first = agent.fail("before").await?;
    set_wall(STEP)?;
    agent.clock_is_set(1).await?;
    let second = agent.fail("ahead").await?;
    ensure!(
        (second.date - first.date - STEP).abs() < 60,
        "dated {} s after the first, with a step of {STEP} s between",
        second.date - first.date
    );
    set_wall(-STEP)?;
    agent.clock_is_set(2).await?;
    let third = agent.fail("back").await?;
    ensure!(
        (0..60).contains(&(third.date - first.date)),
        "dated {} s after the first, and the clock was set back",
        third.date - first.date
    );
    agent.listen(SILENCE, |_| false).await;
    ensure!(agent.said.len() == 3, "{} verdicts on 3 failing starts", agent.said.len());
    if let Some((verdict, times)) = agent.said.values().find(|(_, times)| *times != 1) {
        bail!("{} ({}) was given {times} times", verdict.cause, verdict.summary);
    }
    agent.handle.end().await;
    running.await.context("the pipeline's task")?.context("the pipeline")
}

/// A failing start that was explained.
struct Failure {
    /// Its verdict's date, seconds since 1970.
    date: i64,
}

impl Agent {
    /// Lets a container fail and waits for its verdict; its date must be what the clock shows.
    async fn fail(&mut self, name: &str) -> Result<Failure> {
        let container = Container::make(self.said.len())?;
        let before = wall();
        let (pid, status) = container.start()?;
        ensure!(!status.success(), "process {pid} did not fail");
        let id = container.id;
        if !self.listen(PATIENCE, |agent| agent.said.contains_key(&id)).await {
            bail!("no verdict on {name} within {} s", PATIENCE.as_secs());
        }
        let after = wall();
        let (verdict, _) = &self.said[&id];
        ensure!(verdict.cause == Cause::FileMissing && verdict.subject.name == act::WANTED, "{}: {}", verdict.cause, verdict.summary);
        let date = i64::try_from(self.handle.anchor().wall_nanos(verdict.last_seen) / 1_000_000_000)?;
        ensure!((before - SLACK..=after + SLACK).contains(&date), "{name} is dated {date}, and it was {before} to {after}");
        Ok(Failure { date })
    }

    async fn clock_is_set(&mut self, times: u32) -> Result<()> {
        let said = self.said.values().map(|(_, times)| times).sum::<u32>();
        ensure!(self.listen(PATIENCE, |agent| agent.clock_set >= times).await, "the agent has not heard that the clock was set");
        self.listen(SILENCE, |_| false).await;
        ensure!(self.clock_set == times, "the clock was set {times} times, heard of {}", self.clock_set);
        ensure!(self.said.values().map(|(_, times)| times).sum::<u32>() == said, "something was said again because the clock was set");
        Ok(())
    }

    /// Takes events until it is enough, or so much time has passed.
    async fn listen(&mut self, time: Duration, enough: impl Fn(&Self) -> bool) -> bool {
        let end = Instant::now() + time; // a clock that nobody sets
        while !enough(self) {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(Some(event)) = tokio::time::timeout(left, self.heard.recv()).await else { return false };
            match event {
                Event::Verdict(verdict) => {
                    let times = self.said.get(&verdict.cgroup.0).map_or(0, |(_, times)| *times);
                    self.said.insert(verdict.cgroup.0, (*verdict, times + 1));
                }
                Event::ClockSet => self.clock_set += 1,
                Event::Start(_) | Event::AskCluster(..) | Event::Listening { .. } => {}
            }
        }
        true
    }
}

/// A cgroup as a runtime makes it.
struct Container {
    id: u64,
    directory: PathBuf,
}

impl Container {
    fn make(number: usize) -> Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let root = CgroupRoot::find()?;
        let parent = root.directory("/docker");
        let _ = fs::create_dir(&parent); // there already, from the second on
        let directory = parent.join(format!("{number:064x}"));
        fs::create_dir(&directory).with_context(|| format!("make the cgroup {}", directory.display()))?;
        Ok(Self { id: fs::metadata(&directory)?.ino(), directory })
    }

    /// Its program looks for a file, and gives up without it.
    fn start(&self) -> Result<(u32, std::process::ExitStatus)> {
        let mut child =
            std::process::Command::new("/proc/self/exe").args(["act", "start"]).arg(&self.directory).spawn().context("start a process")?;
        let pid = child.id();
        Ok((pid, child.wait().context("wait for a process")?))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        Watcher::remove(&self.directory);
    }
}

fn wall() -> i64 {
    clock_gettime(ClockId::Realtime).tv_sec
}

/// Sets this machine's clock, so many seconds on or back.
fn set_wall(by: i64) -> Result<()> {
    let now = clock_gettime(ClockId::Realtime);
    clock_settime(ClockId::Realtime, Timespec { tv_sec: now.tv_sec + by, ..now }).context("set the wall clock")
}
