//! Verdicts as Events, so that `kubectl describe pod` and `kubectl events` show the sentence.
//!
//! One Event a verdict id: created once (`events.k8s.io/v1`), then patched when the verdict says more, counts on or is
//! resolved. Sentence and type of an Event may be changed through the older API of the same objects only (`v1`:
//! `ValidateEventUpdate` of `pkg/apis/core/validation`), so that is what patches go through; rights are needed for both groups.
//!
//! - `object`: what an Event says; [`annotation`]: the verdict in it.
//! - [`read`]: Events back to verdicts.
//! - `queue`: which one is sent next, and when; pure.
//!
//! Nothing here blocks: offers go into a bounded queue, in which a later state of a verdict replaces an earlier one. What
//! does not fit is dropped and counted.

pub mod annotation;
mod object;
mod queue;
pub mod read;

pub use object::{ACTION, CONTROLLER, NOTE_MAX, Regarding};
pub use queue::{Counts, QUEUE_MAX};

use crate::request_error::{self, Kind};
use k8s_openapi::api::{core::v1::Event as CoreEvent, events::v1::Event};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use object::Item;
use queue::{Next, Outcome, Queue};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};
use unready_proto::v1::Verdict;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(5);

/// Publishes verdicts. When it is dropped, what was not sent yet is lost: [`Publisher::finish`] sends it.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    news: Notify,
    ended: Notify,
    instance: String,
}

impl Publisher {
    /// Publishes in the name of this instance: the node's name, or the collector's pod. Must be called within a tokio runtime.
    pub fn spawn(client: Client, instance: &str) -> Self {
        let shared = Arc::new(Shared { queue: Mutex::default(), news: Notify::new(), ended: Notify::new(), instance: instance.to_owned() });
        let task = tokio::spawn(work(client, Arc::clone(&shared)));
        Self { shared, task }
    }

    /// An Event on the verdict's pod. A verdict that does not know its pod's name yet is left out: it comes again when it does.
    pub fn offer(&self, verdict: &Verdict) {
        if let Some(regarding) = object::pod_of(verdict) {
            self.offer_regarding(verdict, regarding);
        }
    }

    /// An Event on another object, in its namespace: an owner that has no pod.
    pub fn offer_regarding(&self, verdict: &Verdict, regarding: Regarding) {
        if let Some(item) = object::item(verdict, regarding, &self.shared.instance) {
            self.shared.queue().offer(item, Instant::now());
            self.shared.news.notify_one();
        }
    }

    /// What became of the offers so far.
    pub fn counts(&self) -> Counts {
        self.shared.queue().counts()
    }

    /// Sends what waits, for so long at most. What is offered afterwards may be lost.
    pub async fn finish(&self, within: Duration) -> Counts {
        self.shared.queue().close(Instant::now());
        self.shared.news.notify_one();
        let _ = timeout(within, self.shared.ended.notified()).await;
        self.counts()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn work(client: Client, shared: Arc<Shared>) {
    let mut report = Report::default();
    loop {
        let next = shared.queue().next(Instant::now());
        match next {
            Next::Create(item) => {
                let outcome = report.outcome(&item, create(&client, &item).await);
                shared.queue().done(&item, outcome, Instant::now());
            }
            Next::Patch(item) => {
                let outcome = report.outcome(&item, patch(&client, &item).await);
                shared.queue().done(&item, outcome, Instant::now());
            }
            Next::At(at) => tokio::select! {
                () = sleep_until(at) => {}
                () = shared.news.notified() => {}
            },
            Next::Idle => shared.news.notified().await,
            Next::Ended => return shared.ended.notify_one(),
        }
    }
}

type Answer = Result<kube::Result<()>, tokio::time::error::Elapsed>;

async fn create(client: &Client, item: &Item) -> Answer {
    let api = Api::<Event>::namespaced(client.clone(), &item.namespace);
    let event = item.event();
    timeout(REQUEST, async { api.create(&PostParams::default(), &event).await.map(drop) }).await
}

async fn patch(client: &Client, item: &Item) -> Answer {
    let api = Api::<CoreEvent>::namespaced(client.clone(), &item.namespace);
    let change = Patch::Merge(item.change());
    timeout(REQUEST, async { api.patch(&item.name, &PatchParams::default(), &change).await.map(drop) }).await
}

/// What the log says: one sentence when something changes.
#[derive(Debug, Default)]
struct Report {
    is_away: bool,
    is_forbidden: bool,
}

impl Report {
    fn outcome(&mut self, item: &Item, answer: Answer) -> Outcome {
        match answer {
            Ok(Ok(())) => {
                if std::mem::take(&mut self.is_away) {
                    tracing::info!("Events are published again");
                }
                self.is_forbidden = false;
                Outcome::Published
            }
            Ok(Err(error)) if request_error::is_namespace_ending(&error) => Outcome::InVain,
            Ok(Err(error)) => self.failed(item, &error),
            Err(_) => self.away("the API server did not answer in time"),
        }
    }

    fn failed(&mut self, item: &Item, error: &kube::Error) -> Outcome {
        match request_error::kind(error) {
            Kind::AlreadyExists => Outcome::Exists,
            Kind::NotFound => Outcome::Missing,
            Kind::Away | Kind::Unauthorized => self.away(&request_error::clause(error)),
            Kind::Forbidden => {
                if !std::mem::replace(&mut self.is_forbidden, true) {
                    let clause = request_error::clause(error);
                    tracing::warn!(
                        "Events cannot be published: {clause}; grant create on events.k8s.io/events and patch on events, or use --events off"
                    );
                }
                Outcome::InVain
            }
            Kind::Wrong => {
                tracing::warn!("the Event {}/{} was not taken: {}", item.namespace, item.name, request_error::clause(error));
                Outcome::InVain
            }
        }
    }

    fn away(&mut self, reason: &str) -> Outcome {
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!("Events wait: {reason}");
        }
        Outcome::Again
    }
}
