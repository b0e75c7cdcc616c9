//! The services on one port, until shutdown.
//!
//! Shutdown is told to every stream, each ends with UNAVAILABLE (agents then keep what was not acknowledged and connect
//! again), and what is being committed is waited for, at most [`GRACE`]. A store that is broken for good ends the server too.

use crate::{
    ingest::Ingest,
    query::Query,
    store::{Health, Store},
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, time::sleep};
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::server::HealthReporter;
use unready_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{ingest_server::IngestServer, verdicts_server::VerdictsServer},
};

/// How long open streams may take to end.
const GRACE: Duration = Duration::from_secs(5);
/// A client that vanished without a word is noticed after about twice this time.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Why the server ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store cannot be used any more; the sentence says why and what to do.
    #[error("{0}")]
    Store(String),
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// Our own descriptor set is refused.
    #[error("the reflection service cannot start: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves `store` on `listener` until `shutdown` completes.
pub async fn serve<S: Store>(listener: TcpListener, store: Arc<S>, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let (stop, stopping) = watch::channel(false);
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .add_service(health)
        .add_service(reflection)
        .add_service(IngestServer::new(Ingest::new(Arc::clone(&store), stopping.clone())))
        .add_service(VerdictsServer::new(Query::new(Arc::clone(&store), stopping.clone())))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stopped(stopping));
    tokio::pin!(server, shutdown);
    let reason = tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = &mut shutdown => None,
        broken = supervise(store.health(), reporter) => Some(broken),
    };
    stop.send_replace(true);
    tokio::select! {
        ended = &mut server => ended?,
        () = sleep(GRACE) => tracing::warn!("some connections did not end within {} s and are cut", GRACE.as_secs()),
    }
    reason.map_or(Ok(()), |reason| Err(ServeError::Store(reason)))
}

/// Completes when the server is to stop.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender, and with it the server, is gone: that is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Tells the health service and the log how the store is; completes with the reason when it is broken for good.
async fn supervise(mut health: watch::Receiver<Health>, reporter: HealthReporter) -> String {
    let mut was_stalled = false;
    loop {
        let now = health.borrow_and_update().clone();
        match now {
            Health::Storing => {
                reporter.set_serving::<IngestServer<Unnamed>>().await;
                reporter.set_serving::<VerdictsServer<Unnamed>>().await;
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

/// The health service knows services by their name alone.
type Unnamed = ();
