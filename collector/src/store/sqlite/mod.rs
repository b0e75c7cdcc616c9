//! Verdicts and starts in one `SQLite` file.
//!
//! One thread writes ([`writer`]), one read-only connection answers queries meanwhile (WAL). The SQL, the schema and what
//! `SQLite`'s errors mean stay in this folder; nothing outside it knows which database it is.

mod failure;
mod read;
mod schema;
mod starts;
mod writer;

pub use schema::OpenError;

use super::{Batch, Census, Health, Keep, Page, Selection, Starts, Store, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};
use tokio::sync::{mpsc, oneshot, watch};
use unready_proto::v1::StartFilter;
use writer::{Job, Writer};

/// Appends that may wait for the writer; more wait in their streams.
const QUEUE: usize = 64;

#[derive(Debug)]
pub struct Sqlite {
    /// `None` only while it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    reader: Arc<Mutex<Connection>>,
    revision: watch::Receiver<u64>,
    health: watch::Receiver<Health>,
    keep: Keep,
}

impl Sqlite {
    /// Opens or makes the file; no more than `keep` stays in it.
    pub fn open(path: &Path, keep: Keep) -> Result<Self, OpenError> {
        let unusable = |reason: String| OpenError::Unusable { path: path.to_owned(), reason };
        let database = schema::open(path)?;
        let extent = read::extent(&database).map_err(|error| unusable(error.to_string()))?;
        let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| unusable(error.to_string()))?;
        let (revision, revisions) = watch::channel(extent.revision);
        let (health, healths) = watch::channel(Health::Storing);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer { database, keep, rows: extent.rows, revision, health };
        let writer = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|error| unusable(format!("no thread for it: {error}")))?;
        Ok(Self {
            jobs: Some(jobs),
            writer: Some(writer),
            reader: Arc::new(Mutex::new(reader)),
            revision: revisions,
            health: healths,
            keep,
        })
    }
}

impl Sqlite {
    /// Reads beside the runtime: queries of many rows take long.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reader = Arc::clone(&self.reader);
        tokio::task::spawn_blocking(move || {
            let mut database = reader.lock().unwrap_or_else(PoisonError::into_inner);
            query(&mut database).map_err(|error| StoreError::Read(error.to_string()))
        })
        .await
        .map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Sqlite {
    /// Waits for what is queued, so that the file is closed when the store is gone.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Store for Sqlite {
    async fn append(&self, batch: impl Into<Batch> + Send) -> Result<Vec<bool>, StoreError> {
        let batch = batch.into();
        let (done, committed) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(Job { batch, done }).await.map_err(|_| StoreError::Closed)?;
        committed.await.map_err(|_| StoreError::Closed)
    }

    async fn list(&self, selection: Selection, limit: usize) -> Result<Page, StoreError> {
        self.read(move |database| read::page(database, &selection, limit)).await
    }

    async fn starts(&self, filter: StartFilter, limit: usize) -> Result<Starts, StoreError> {
        let since = starts::oldest(self.keep.starts_for);
        self.read(move |database| starts::list(database, &filter, since, limit)).await
    }

    async fn census(&self) -> Result<Census, StoreError> {
        self.read(read::census).await
    }

    fn revision(&self) -> watch::Receiver<u64> {
        self.revision.clone()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }
}
