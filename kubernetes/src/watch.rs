//! The pods of one node, as changes.
//!
//! ```text
//!           list done                        no answer for 5 s
//!   listing ─────────► Reset ─► following ─────────────────────► Unreachable
//!      ▲                            │                                 │
//!      │   resource version too old │                                 │
//!      └────────────────────────────┴── the server answers again ─────┘
//! ```
//!
//! Pods are stripped as they come in, one at a time; lists are read in pages. After `Unreachable` everything is listed
//! again, so that nothing that happened meanwhile is missed. A receiver that is slow slows the watch down; one that is
//! dropped ends it.

use crate::{
    convert,
    owner::{Chain, Owners},
    pauses, request_error,
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use k8s_openapi::api::core::v1 as api;
use kube::{
    Api, Client,
    api::ListParams,
    runtime::watcher::{self, Event},
};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use unready_diagnosis::{cluster::PodChange, pod::Pod};

/// Pods of one page of a list: what is in memory at once before it is stripped.
const PAGE: u32 = 10;
/// Changes that may wait for their receiver.
const CHANGES: usize = 64;
/// The server ends a watch after this time, and a connection that died silently is noticed soon after: seconds.
const WATCH: u32 = 60;
/// How long the server may be away before that is said.
const AWAY: Duration = Duration::from_secs(5);
/// How long a server that is away may leave a request unanswered before we begin anew.
const ANEW: Duration = Duration::from_secs(20);
/// How long the answer to "are you there" may take.
const THERE: Duration = Duration::from_secs(2);
/// First and longest pause between attempts.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Owners that are asked for at once.
const AT_ONCE: usize = 8;

type Stream = BoxStream<'static, Result<Event<api::Pod>, watcher::Error>>;

/// Follows the pods of a node until the receiver is dropped. Must be called within a tokio runtime.
pub fn node_pods(client: Client, node: &str) -> mpsc::Receiver<PodChange> {
    let (changes, receiver) = mpsc::channel(CHANGES);
    let selector = format!("spec.nodeName={node}");
    let config = watcher::Config::default().fields(&selector).page_size(PAGE).timeout(WATCH);
    let watch = Watch { owners: Owners::new(client.clone()), pods: Api::all(client), config, selector, changes };
    tokio::spawn(async move {
        let _ = watch.run().await;
    });
    receiver
}

struct Watch {
    pods: Api<api::Pod>,
    owners: Owners,
    config: watcher::Config,
    selector: String,
    changes: mpsc::Sender<PodChange>,
}

/// The receiver is gone.
#[derive(Debug)]
struct Ended;

/// A pod that was listed, and what leads to its owner.
type Listed = (Pod, Option<Chain>);

impl Watch {
    async fn run(&self) -> Result<(), Ended> {
        let mut health = Health::default();
        loop {
            let stream = watcher::watcher(self.pods.clone(), self.config.clone()).boxed();
            self.follow(stream, &mut health).await?;
            if health.is_news() {
                tracing::warn!("the pods of this node cannot be followed, what is known of them may be out of date: {}", health.reason);
                self.send(PodChange::Unreachable).await?;
            }
            health.begin_anew();
        }
    }

    /// Until the server has been away for too long.
    async fn follow(&self, mut stream: Stream, health: &mut Health) -> Result<(), Ended> {
        let mut listed = Vec::new();
        loop {
            let event = tokio::select! {
                () = self.changes.closed() => return Err(Ended),
                event = stream.next() => event,
                () = health.overdue() => {
                    // A watch that was resumed says nothing until a pod changes.
                    match self.is_there().await {
                        Ok(()) if !health.is_listing => health.well(),
                        Ok(()) => return Ok(()),
                        Err(reason) => { health.reason = reason; return Ok(()) }
                    }
                    continue;
                }
            };
            match event {
                Some(Ok(event)) => self.heard(event, &mut listed, health).await?,
                Some(Err(error)) => self.pause(health, &error).await?,
                None => return Ok(()), // it does not end by itself; if it ever does, we begin anew
            }
        }
    }

    async fn is_there(&self) -> Result<(), String> {
        let one = ListParams::default().fields(&self.selector).limit(1);
        match timeout(THERE, self.pods.list_metadata(&one)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(request_error::clause(&error)),
            Err(_) => Err("the API server does not answer in time".to_owned()),
        }
    }

    async fn heard(&self, event: Event<api::Pod>, listed: &mut Vec<Listed>, health: &mut Health) -> Result<(), Ended> {
        match event {
            Event::Init => {
                listed.clear();
                health.listing(); // it is only about to be asked for
                return Ok(());
            }
            Event::InitApply(pod) => listed.push((convert::pod(&pod), Chain::of(&pod.metadata))),
            Event::InitDone => self.reset(std::mem::take(listed), health).await?,
            Event::Apply(pod) => {
                let (mut stripped, chain) = (convert::pod(&pod), Chain::of(&pod.metadata));
                drop(pod);
                self.set_owner(&mut stripped, chain).await;
                self.send(PodChange::Apply(Box::new(stripped))).await?;
            }
            Event::Delete(pod) => self.send(PodChange::Delete { uid: convert::pod(&pod).uid }).await?,
        }
        health.heard();
        Ok(())
    }

    async fn reset(&self, listed: Vec<Listed>, health: &mut Health) -> Result<(), Ended> {
        let with_owner = |(mut pod, chain): Listed| async {
            self.set_owner(&mut pod, chain).await;
            pod
        };
        let pods: Vec<_> = stream::iter(listed).map(with_owner).buffered(AT_ONCE).collect().await;
        if health.was_said {
            tracing::info!("the pods of this node are followed again: {}", pods.len());
        }
        health.well();
        self.send(PodChange::Reset(pods)).await
    }

    async fn set_owner(&self, pod: &mut Pod, chain: Option<Chain>) {
        if let Some(chain) = chain {
            pod.owner = Some(self.owners.resolve(&chain).await);
        }
    }

    /// Between two attempts; ends early when it is time to say that the server is away.
    async fn pause(&self, health: &mut Health, error: &watcher::Error) -> Result<(), Ended> {
        let pause = if is_expired(error) { PAUSE.0 } else { health.failed(request_error::of_watch(error)) };
        tokio::select! {
            () = self.changes.closed() => Err(Ended),
            () = health.overdue() => Ok(()),
            () = sleep(pause) => Ok(()),
        }
    }

    async fn send(&self, change: PodChange) -> Result<(), Ended> {
        self.changes.send(change).await.map_err(|_| Ended)
    }
}

/// Whether, and since when, the server has not answered.
#[derive(Debug, Default)]
struct Health {
    since: Option<Instant>,
    /// Attempts that failed since.
    attempts: u32,
    /// It was said that the server is away.
    was_said: bool,
    /// A list is being read: nothing else proves that the server is well.
    is_listing: bool,
    reason: String,
}

impl Health {
    /// A list is asked for: no answer is a failure too.
    fn listing(&mut self) {
        self.is_listing = true;
        self.since.get_or_insert_with(Instant::now);
    }

    /// It failed; how long to wait before the next attempt. A third of it is left to chance: the agents of all nodes lose
    /// their server at the same moment.
    fn failed(&mut self, reason: String) -> Duration {
        self.reason = reason;
        self.since.get_or_insert_with(Instant::now);
        let pause = PAUSE.0.saturating_mul(1 << self.attempts.min(8)).min(PAUSE.1);
        self.attempts = self.attempts.saturating_add(1);
        pauses::shortened(pause)
    }

    /// A part of a list, or a change.
    fn heard(&mut self) {
        if self.is_listing {
            self.since = Some(Instant::now());
        } else {
            self.well();
        }
    }

    fn well(&mut self) {
        *self = Self::default();
    }

    /// Returns when the server has been away for too long.
    async fn overdue(&self) {
        let limit = if self.was_said { ANEW } else { AWAY };
        match self.since {
            Some(since) => sleep_until(since + limit).await,
            None => std::future::pending().await,
        }
    }

    /// Whether it is to be said that the server is away: once.
    fn is_news(&mut self) -> bool {
        if self.reason.is_empty() {
            "the API server does not answer".clone_into(&mut self.reason);
        }
        !std::mem::replace(&mut self.was_said, true)
    }

    fn begin_anew(&mut self) {
        (self.since, self.is_listing) = (None, false);
    }
}

/// The list or the watch has to begin anew, which the watcher does by itself; nobody is away.
fn is_expired(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchError(status) => status.code == 410,
        watcher::Error::InitialListFailed(kube::Error::Api(status)) | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => {
            status.code == 410
        }
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => false,
    }
}
