//! From a container's failing call to the verdict as a client of the collector sees it, committed.
//!
//! Each failure is a container of its own by runc: `first-calls` prints when its open failed, and the client notes when
//! the verdict arrived on a Watch stream. Both clocks are the kernel's time since boot.

use super::{Sample, failed_at, since_boot};
use crate::{
    lab::Lab,
    processes::{AgentOptions, Collector},
    wait,
};
use anyhow::{Context, Result, anyhow};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use unready_proto::v1::{WatchRequest, verdicts_client::VerdictsClient, watch_response::Message};

/// Containers started at the same time.
pub const AT_ONCE: usize = 2;
/// A verdict that takes longer counts as missing.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Debug)]
pub struct Latency {
    /// Of those that were explained.
    pub sample: Sample,
    /// Containers without a verdict in time.
    pub missing: usize,
}

/// When the first verdict about a container arrived.
#[derive(Clone, Debug, Default)]
struct Arrivals {
    first: Arc<Mutex<HashMap<String, Duration>>>,
    watching: Arc<AtomicBool>,
}

impl Arrivals {
    fn of(&self, container: &str) -> Option<Duration> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get(container).copied()
    }

    fn note(&self, container: String) {
        let now = since_boot();
        self.first.lock().unwrap_or_else(PoisonError::into_inner).entry(container).or_insert(now);
    }

    /// Watches the collector for as long as it lives, in a thread of its own.
    fn watch(url: String) -> Result<Self> {
        let arrivals = Self::default();
        let writer = arrivals.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a client")?;
        thread::spawn(move || runtime.block_on(writer.follow(url)));
        wait::until("the Watch stream", PATIENCE, || Ok(arrivals.watching.load(Ordering::Acquire).then_some(())))?;
        Ok(arrivals)
    }

    async fn follow(&self, url: String) {
        let Ok(mut client) = VerdictsClient::connect(url).await else { return };
        let Ok(stream) = client.watch(WatchRequest::default()).await else { return };
        let mut stream = stream.into_inner();
        while let Ok(Some(response)) = stream.message().await {
            match response.message {
                Some(Message::Verdict(verdict)) => self.note(verdict.workload.unwrap_or_default().container),
                Some(Message::SnapshotComplete(_)) => self.watching.store(true, Ordering::Release),
                None => {}
            }
        }
    }
}

/// Starts `count` containers, [`AT_ONCE`] at a time.
pub fn measure(lab: &Lab, count: usize) -> Result<Latency> {
    lab.install(&["first-calls"])?;
    let collector = Collector::start(lab.binaries(), lab.directory())?;
    let _agent = lab.agent(AgentOptions { collector: Some(collector.url()), ..AgentOptions::default() })?;
    let arrivals = Arrivals::watch(collector.url().to_owned())?;
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<Option<Duration>>> {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|&n| n < count);
        numbers.map(|n| one(lab, &arrivals, &format!("latency-{n}"))).collect()
    };
    let all: Vec<Option<Duration>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        let joined = workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?);
        Ok::<_, anyhow::Error>(joined.collect::<Result<Vec<_>>>()?.concat())
    })?;
    let missing = all.iter().filter(|took| took.is_none()).count();
    Ok(Latency { sample: Sample::new(all.into_iter().flatten().collect()), missing })
}

/// How long one container's verdict took; `None` when it did not come in time.
fn one(lab: &Lab, arrivals: &Arrivals, name: &str) -> Result<Option<Duration>> {
    let container = lab.run(name, &["/bin/first-calls", &format!("/missing/{name}")])?;
    container.wait(PATIENCE)?;
    let failed = failed_at(&container.stdout()).with_context(|| format!("{name} did not say when it failed: {}", container.stderr()))?;
    let late = since_boot() + PATIENCE;
    let arrived = wait::until("a verdict", PATIENCE * 2, || Ok(arrivals.of(name).map(Some).or((since_boot() > late).then_some(None))))?;
    Ok(arrived.map(|arrived| arrived.saturating_sub(failed)))
}
