//! What a storage must do, whichever database it is: keep verdicts, and start reports.
//!
//! [`Store::append`] completes after the commit, never before: the acknowledgement to the agent rests on it. While the
//! database cannot take anything (disk full, locked) it waits and [`Store::health`] says why; nothing is thrown away.
//! Watching is built on a [`Store::revision`] that grows with each commit: a watcher asks for what changed after the one it
//! knows, so it can be slow without missing anything or being remembered. Starts are not watched: they move no revision.

pub mod merge;
pub mod sqlite;

use crate::metrics::labels::VerdictLabels;
use std::{future::Future, time::Duration};
use tokio::sync::watch;
use unready_proto::v1::{Filter, StartFilter, StartReport, Verdict};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Verdicts; resolved ones go first, then the oldest.
    pub verdicts: u64,
    /// Starts; those of which nothing was heard for longest go first.
    pub starts: u64,
    /// How long after the last word of it a start is kept, by the collector's own clock.
    pub starts_for: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self { verdicts: 100_000, starts: 20_000, starts_for: Duration::from_hours(7 * 24) }
    }
}

impl Keep {
    /// So many verdicts, and of starts as many as usual.
    pub fn verdicts(verdicts: u64) -> Self {
        Self { verdicts, ..Self::default() }
    }
}

/// What is put in at once.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub verdicts: Vec<Verdict>,
    /// Start reports.
    pub starts: Vec<StartReport>,
}

impl Batch {
    /// How many things there are in it.
    pub fn len(&self) -> usize {
        self.verdicts.len() + self.starts.len()
    }

    /// There is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Vec<Verdict>> for Batch {
    fn from(verdicts: Vec<Verdict>) -> Self {
        Self { verdicts, ..Self::default() }
    }
}

/// How the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It takes what it is given.
    Storing,
    /// It cannot at the moment, for this reason; it tries again by itself.
    Stalled(String),
    /// It never will again, for this reason.
    Broken(String),
}

impl Health {
    /// Why nothing is stored; empty: it is.
    pub fn trouble(&self) -> String {
        match self {
            Self::Storing => String::new(),
            Self::Stalled(reason) | Self::Broken(reason) => reason.clone(),
        }
    }
}

/// Why an operation failed. What passes by itself is no error but a wait.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is closing or broken.
    #[error("the store is closed")]
    Closed,
    /// It could not be read.
    #[error("the database cannot be read: {0}")]
    Read(String),
}

/// Which verdicts, in which order.
#[derive(Clone, Debug)]
pub enum Selection {
    /// The last seen first.
    Latest(Filter),
    /// What changed after this revision, in the order of the changes, resolved ones included.
    ChangedAfter(u64, Filter),
}

/// An answer to a selection.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub verdicts: Vec<Verdict>,
    /// There are more.
    pub truncated: bool,
    /// The page shows the store as of this revision.
    pub revision: u64,
}

/// Starts, the last told first.
#[derive(Clone, Debug, Default)]
pub struct Starts {
    /// What is known of them.
    pub reports: Vec<StartReport>,
    /// There are more.
    pub truncated: bool,
}

/// How much there is.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Verdicts, resolved ones included.
    pub verdicts: u64,
    pub starts: u64,
    /// Size of the store.
    pub bytes: u64,
    /// Verdicts that are not resolved.
    pub open: Vec<(VerdictLabels, u64)>,
}

pub trait Store: Send + Sync + 'static {
    /// Puts verdicts and starts in; completes when they are durable. A verdict with a known id replaces the older one
    /// ([`merge::merge`]), and so does a report of a start. What is too old is removed on this occasion, also by a batch with nothing
    /// in it. The answer says of each verdict whether its id is new.
    fn append(&self, batch: impl Into<Batch> + Send) -> impl Future<Output = Result<Vec<bool>, StoreError>> + Send;

    /// At most `limit` verdicts.
    fn list(&self, selection: Selection, limit: usize) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// At most `limit` starts.
    fn starts(&self, filter: StartFilter, limit: usize) -> impl Future<Output = Result<Starts, StoreError>> + Send;

    /// How much there is, for metrics.
    fn census(&self) -> impl Future<Output = Result<Census, StoreError>> + Send;

    /// Grows with each commit that changed a verdict.
    fn revision(&self) -> watch::Receiver<u64>;

    /// How it is.
    fn health(&self) -> watch::Receiver<Health>;
}
