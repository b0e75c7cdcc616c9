//! The services on their ports, until shutdown.
//!
//! ```text
//!   ingest port (TLS, or one loopback port for all) ─► Ingest, [Verdicts, Starts]  ┐
//!   query port (loopback, in the clear) ──────────────► Verdicts, Starts           ├─ health and reflection on both
//!                                                                                  ┘
//! ```
//!
//! Shutdown is told to every stream, each ends with UNAVAILABLE (agents then keep what was not acknowledged and connect
//! again), and what is being committed is waited for, at most [`GRACE`]. A store that is broken for good ends the server too.

use crate::{
    ingest::{Ingest, admission::Admission},
    metrics::Metrics,
    query::Query,
    stop::stopped,
    store::{Batch, Health, Store},
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};
use tonic::{
    service::Routes,
    transport::{Error, Server},
};
use tonic_health::server::HealthReporter;
use unready_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{ingest_server::IngestServer, starts_server::StartsServer, verdicts_server::VerdictsServer},
};
use unready_transport::incoming::Incoming;

/// How long open streams may take to end.
const GRACE: Duration = Duration::from_secs(5);
/// A client that vanished without a word is noticed after about twice this time.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Shortest time between two counts of what the store holds.
const CENSUS: Duration = Duration::from_secs(5);
/// Longest time: starts are not told as changes.
const LATEST_CENSUS: Duration = Duration::from_mins(1);
/// What is too old is removed with each commit, and at the latest after this time.
const SWEEP: Duration = Duration::from_hours(1);

/// Why the server ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store cannot be used any more; the sentence says why and what to do.
    #[error("{0}")]
    Store(String),
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] Error),
    /// Our own descriptor set is refused.
    #[error("the reflection service cannot start: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Where it listens.
#[derive(Debug)]
pub struct Ports {
    /// For agents.
    pub ingest: Incoming,
    /// For queries; `None`: the agents' port answers them too.
    pub query: Option<Incoming>,
}

impl Ports {
    /// One port for all, in the clear.
    pub fn one(listener: TcpListener) -> Self {
        Self { ingest: Incoming::new(listener, None), query: None }
    }
}

/// Serves `store` on one port, in the clear, to whoever connects, until `shutdown` completes.
pub async fn serve<S: Store>(listener: TcpListener, store: Arc<S>, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    serve_on(Ports::one(listener), store, Admission::default(), Arc::default(), shutdown).await
}

/// Serves `store` on these ports until `shutdown` completes.
pub async fn serve_on<S: Store>(
    ports: Ports,
    store: Arc<S>,
    admission: Admission,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (stop, stopping) = watch::channel(false);
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let common = Routes::new(health).add_service(reflection);
    let ingest =
        IngestServer::new(Ingest::new(Arc::clone(&store), admission, ports.ingest.is_encrypted(), Arc::clone(&metrics), stopping.clone()));
    let query = Arc::new(Query::new(Arc::clone(&store), Arc::clone(&metrics), stopping.clone()));
    let (verdicts, starts) = (VerdictsServer::from_arc(Arc::clone(&query)), StartsServer::from_arc(query));
    let (first, second) = match ports.query {
        None => (common.add_service(ingest).add_service(verdicts).add_service(starts), None),
        Some(incoming) => (common.clone().add_service(ingest), Some((incoming, common.add_service(verdicts).add_service(starts)))),
    };
    let first = listen(ports.ingest, first, stopping.clone());
    let second = async {
        match second {
            Some((incoming, routes)) => listen(incoming, routes, stopping.clone()).await,
            None => Ok(()),
        }
    };
    // Each ends by itself only when it fails: then both do.
    let server = async { tokio::try_join!(first, second).map(drop) };
    tokio::pin!(server, shutdown);
    let reason = tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = &mut shutdown => None,
        broken = supervise(store.health(), reporter, &metrics) => Some(broken),
        never = count(&store, &metrics) => match never {},
        never = sweep(&store) => match never {},
    };
    stop.send_replace(true);
    tokio::select! {
        ended = &mut server => ended?,
        () = sleep(GRACE) => tracing::warn!("some connections did not end within {} s and are cut", GRACE.as_secs()),
    }
    reason.map_or(Ok(()), |reason| Err(ServeError::Store(reason)))
}

async fn listen(incoming: Incoming, routes: Routes, stopping: watch::Receiver<bool>) -> Result<(), Error> {
    Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stopped(stopping))
        .await
}

/// Tells the health service, the metrics and the log how the store is; completes with the reason when it is broken for good.
async fn supervise(mut health: watch::Receiver<Health>, reporter: HealthReporter, metrics: &Metrics) -> String {
    let mut was_stalled = false;
    loop {
        let now = health.borrow_and_update().clone();
        metrics.stalled(now != Health::Storing);
        match now {
            Health::Storing => {
                reporter.set_serving::<IngestServer<Unnamed>>().await;
                reporter.set_serving::<VerdictsServer<Unnamed>>().await;
                reporter.set_serving::<StartsServer<Unnamed>>().await;
                if std::mem::take(&mut was_stalled) {
                    tracing::info!("verdicts are stored again");
                }
            }
            Health::Stalled(reason) => {
                reporter.set_not_serving::<IngestServer<Unnamed>>().await;
                tracing::error!("verdicts cannot be stored, and agents keep theirs until it is possible again: {reason}");
                was_stalled = true;
            }
            Health::Broken(reason) => return reason,
        }
        if health.changed().await.is_err() {
            return "the store ended".to_owned();
        }
    }
}

/// Counts what the store holds, when something changed, and not too often.
async fn count<S: Store>(store: &Arc<S>, metrics: &Metrics) -> std::convert::Infallible {
    let mut revisions = store.revision();
    loop {
        match store.census().await {
            Ok(census) => metrics.census(census),
            Err(error) => tracing::debug!("the store cannot be counted: {error}"),
        }
        sleep(CENSUS).await;
        if let Ok(Err(_)) = timeout(LATEST_CENSUS, revisions.changed()).await {
            // The store ends, and the server with it.
            std::future::pending::<()>().await;
        }
    }
}

/// What is too old is removed also while nothing new comes.
async fn sweep<S: Store>(store: &Arc<S>) -> std::convert::Infallible {
    loop {
        sleep(SWEEP).await;
        if let Err(error) = store.append(Batch::default()).await {
            tracing::debug!("old starts cannot be removed: {error}");
        }
    }
}

/// The health service knows services by their name alone.
type Unnamed = ();
