//! What has no node, and so no agent that could speak of it: pods that are not scheduled, owners that may make no pods.
//!
//! ```text
//!   pods without a node ──────────────► engine (without kernel) ─┐
//!   events FailedCreate … ─► owners ──► platform::owner ─────────┼─► ledger ─► store, Events
//!   list of owners, now and then ─►┘                             │
//!   what was said before and is not said again ──────────────────┤ (resolved)
//!   what an agent said and no agent takes back ──────────────────┘
//! ```
//!
//! The judgement is the same as on a node: pods go through the engine, which asks for their events and claims as it does there.
//! A pod that gets a node disappears from the watch, and with it what was said of it; from then on it is that node's agent's.
//! Pods on nodes without a living agent are not judged: the API server says of them what `kubectl` shows. What their agent said
//! is taken back when they are ready or gone (`forgotten`).
//!
//! An API server that is away changes nothing of what was said. One collector at a time does this ([`lease`](unready_kubernetes::lease)).

mod forgotten;
mod ledger;
mod owners;
mod pods;

use crate::{
    metrics::{Metrics, WatchKind},
    store::Store,
};
use forgotten::Forgotten;
use ledger::Ledger;
use owners::Owners;
use pods::Pods;
use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::{Instant, sleep, sleep_until};
use unready_diagnosis::units::{BootNanos, ClockAnchor};
use unready_kubernetes::{
    Client,
    events::Publisher,
    lease::{Change, Lease},
};

/// For Events that wait at the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// What was said before this collector took over, and was not said again after this time, is over.
const SETTLED: Duration = Duration::from_mins(1);

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Nanoseconds by which it must differ. Slewing changes the monotonic clock alike, and the API server's dates have whole seconds.
const STEP: u64 = 1_000_000_000;

/// Watches until `shutdown` completes, as long as the lease, if there is one, is held.
pub async fn run<S: Store>(
    client: Client,
    lease: Option<Lease>,
    identity: &str,
    store: Arc<S>,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()>,
) {
    let work = || watch(client.clone(), identity, Arc::clone(&store), Arc::clone(&metrics));
    if let Some(lease) = lease {
        return lease.lead(|change| counted(&metrics, change), work, shutdown).await;
    }
    metrics.lease(true);
    tokio::select! {
        () = work() => {}
        () = shutdown => {}
    }
}

fn counted(metrics: &Metrics, change: Change) {
    match change {
        Change::Held => metrics.lease(true),
        Change::Lost => metrics.lease(false),
        Change::Failed => metrics.watch_error(WatchKind::Lease),
    }
}

/// Does not end by itself, except when the store does. When somebody sets the clock, all ages are wrong: then it begins anew, as after
/// a restart.
async fn watch<S: Store>(client: Client, identity: &str, store: Arc<S>, metrics: Arc<Metrics>) {
    while watch_by(Clock::start(), client.clone(), identity, Arc::clone(&store), Arc::clone(&metrics)).await == Ended::ClockSet {
        tracing::info!("the clock was set: the cluster is looked at anew");
    }
}

/// Why watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Store,
    ClockSet,
}

async fn watch_by<S: Store>(clock: Clock, client: Client, identity: &str, store: Arc<S>, metrics: Arc<Metrics>) -> Ended {
    let publisher = Publisher::spawn(client.clone(), identity);
    let mut ledger = Ledger::new(store, publisher, Arc::clone(&metrics));
    ledger.inherit().await;
    let mut pods = Pods::new(client.clone(), clock);
    let mut forgotten = Forgotten::new(client.clone());
    let mut owners = Owners::new(client, clock, Arc::clone(&metrics));
    let mut settled = None;
    let mut set = pin!(clock.set());
    let ended = loop {
        metrics.pending(pods.len() + owners.len());
        if settled.is_none() && pods.is_listed() && owners.is_listed() {
            settled = Some(Instant::now() + SETTLED);
        }
        let kept = tokio::select! {
            () = pods.next() => pods.tell(&mut ledger).await,
            () = owners.next() => owners.tell(&mut ledger).await,
            () = forgotten.due() => forgotten.tell(&mut ledger, clock.wall()).await,
            () = due(settled), if ledger.has_leftovers() => ledger.resolve_leftovers(clock.wall()).await,
            () = &mut set => break Ended::ClockSet,
        };
        if kept.is_err() {
            break Ended::Store;
        }
    };
    ledger.finish(FAREWELL).await;
    ended
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Wall-clock nanoseconds that never go back: taken once, counted on by the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Clock {
    started: Instant,
    wall: u64,
}

impl Clock {
    fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), wall: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX) }
    }

    /// Completes when somebody has set the wall clock: it shows another time than we have counted.
    async fn set(self) {
        loop {
            sleep(LOOK).await;
            if Self::start().wall.abs_diff(self.wall()) > STEP {
                return;
            }
        }
    }

    fn wall(self) -> u64 {
        self.wall.saturating_add(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The engine's time, for which the wall clock stands here.
    fn now(self) -> BootNanos {
        BootNanos(self.wall())
    }

    fn at(self, moment: BootNanos) -> Instant {
        self.started + Duration::from_nanos(moment.0.saturating_sub(self.wall))
    }

    /// Boot times are wall times.
    fn anchor(self) -> ClockAnchor {
        ClockAnchor { boot: BootNanos(self.wall), wall: self.wall }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_clock_that_was_set_is_noticed_and_one_that_runs_is_not() {
        let runs = Clock::start();
        let hour = 3600 * STEP;
        for set in [Clock { wall: runs.wall + hour, ..runs }, Clock { wall: runs.wall - hour, ..runs }] {
            timeout(LOOK * 20, set.set()).await.unwrap();
        }
        assert!(timeout(LOOK * 2, runs.set()).await.is_err());
    }
}
