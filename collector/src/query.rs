//! List and watch verdicts, list starts.
//!
//! A watch is: what there is, a mark, then for each revision of the store what changed since the last one. A slow watcher
//! asks less often and gets several changes of one verdict as one; nothing is queued for it.

use crate::{
    metrics::Metrics,
    stop::stopped,
    store::{Page, Selection, Starts, Store, StoreError},
};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use unready_proto::v1::{
    Filter, ListRequest, ListResponse, ListStartsRequest, ListStartsResponse, SnapshotComplete, WatchRequest, WatchResponse, starts_server,
    verdicts_server, watch_response,
};

/// Verdicts that an answer holds when the request names no limit, and at most: some 20 MB.
const VERDICTS: Limits = Limits { default: 1_000, highest: 10_000 };
/// Starts that an answer holds when the request names no limit, and at most.
const STARTS: Limits = Limits { default: 100, highest: 1_000 };
/// Changes read at a time.
const CHANGES: usize = 500;
/// Messages to a watcher that are not yet written.
const OUTGOING: usize = 64;

#[derive(Debug)]
pub struct Query<S> {
    store: Arc<S>,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
}

impl<S> Query<S> {
    /// From this store, until `stopping` becomes true.
    pub fn new(store: Arc<S>, metrics: Arc<Metrics>, stopping: watch::Receiver<bool>) -> Self {
        Self { store, metrics, stopping }
    }
}

#[tonic::async_trait]
impl<S: Store> verdicts_server::Verdicts for Query<S> {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let ListRequest { filter, limit: asked } = request.into_inner();
        let selection = Selection::Latest(filter.unwrap_or_default());
        let Page { verdicts, truncated, .. } = self.store.list(selection, VERDICTS.of(asked)).await.map_err(|error| status(&error))?;
        let stalled = self.store.health().borrow().trouble();
        Ok(Response::new(ListResponse { verdicts, truncated, stalled }))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let WatchRequest { filter, limit: asked } = request.into_inner();
        let (outgoing, messages) = mpsc::channel(OUTGOING);
        let watcher = Watcher { store: Arc::clone(&self.store), filter: filter.unwrap_or_default(), outgoing };
        let (stopping, counted) = (self.stopping.clone(), self.metrics.watching());
        tokio::spawn(async move {
            let refused = tokio::select! {
                ended = watcher.run(VERDICTS.of(asked)) => ended.err().map(|error| status(&error)),
                () = stopped(stopping) => Some(Status::unavailable("the collector is shutting down")),
                () = watcher.outgoing.closed() => None,
            };
            if let Some(refused) = refused {
                let _ = watcher.outgoing.send(Err(refused)).await;
            }
            drop(counted);
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

#[tonic::async_trait]
impl<S: Store> starts_server::Starts for Query<S> {
    async fn list(&self, request: Request<ListStartsRequest>) -> Result<Response<ListStartsResponse>, Status> {
        let ListStartsRequest { filter, limit: asked } = request.into_inner();
        let found = self.store.starts(filter.unwrap_or_default(), STARTS.of(asked)).await;
        let Starts { reports: starts, truncated } = found.map_err(|error| status(&error))?;
        let stalled = self.store.health().borrow().trouble();
        Ok(Response::new(ListStartsResponse { starts, truncated, stalled }))
    }
}

struct Limits {
    default: usize,
    highest: usize,
}

impl Limits {
    fn of(&self, asked: u32) -> usize {
        match usize::try_from(asked) {
            Ok(0) => self.default,
            Ok(asked) => asked.min(self.highest),
            Err(_) => self.highest,
        }
    }
}

fn status(error: &StoreError) -> Status {
    match error {
        StoreError::Closed => Status::unavailable("the collector is shutting down"),
        StoreError::Read(_) => Status::internal(error.to_string()),
    }
}

struct Watcher<S> {
    store: Arc<S>,
    filter: Filter,
    outgoing: mpsc::Sender<Result<WatchResponse, Status>>,
}

impl<S: Store> Watcher<S> {
    /// Until the store or the client ends.
    async fn run(&self, limit: usize) -> Result<(), StoreError> {
        let mut revisions = self.store.revision();
        let Page { verdicts, truncated, revision: mut seen } = self.store.list(Selection::Latest(self.filter.clone()), limit).await?;
        for verdict in verdicts.into_iter().rev() {
            self.send(watch_response::Message::Verdict(verdict)).await;
        }
        let stalled = self.store.health().borrow().trouble();
        self.send(watch_response::Message::SnapshotComplete(SnapshotComplete { truncated, stalled })).await;
        while let Ok(latest) = revisions.wait_for(|revision| *revision > seen).await.map(|latest| *latest) {
            let page = self.store.list(Selection::ChangedAfter(seen, self.filter.clone()), CHANGES).await?;
            for verdict in page.verdicts {
                self.send(watch_response::Message::Verdict(verdict)).await;
            }
            // The row of the latest revision may have been pruned: a whole page covers it all the same.
            seen = if page.truncated { page.revision } else { page.revision.max(latest) };
        }
        Err(StoreError::Closed)
    }

    /// A client that went away is noticed by `closed`.
    async fn send(&self, message: watch_response::Message) {
        let _ = self.outgoing.send(Ok(WatchResponse { message: Some(message) })).await;
    }
}
