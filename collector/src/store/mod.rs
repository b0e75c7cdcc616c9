//! What a storage must do, whichever database it is.
//!
//! [`Store::append`] completes after the commit, never before: the acknowledgement to the agent rests on it. While the
//! database cannot take anything (disk full, locked) it waits and [`Store::health`] says why; nothing is thrown away.
//! Watching is built on a [`Store::revision`] that grows with each commit: a watcher asks for what changed after the one it
//! knows, so it can be slow without missing anything or being remembered.

pub mod merge;
pub mod sqlite;

use crate::metrics::VerdictLabels;
use std::future::Future;
use tokio::sync::watch;
use unready_proto::v1::{Filter, Verdict};

/// How the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It takes verdicts.
    Storing,
    /// It cannot at the moment, for this reason; it tries again by itself.
    Stalled(String),
    /// It never will again, for this reason.
    Broken(String),
}

impl Health {
    /// Why verdicts are not stored; empty: they are.
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
    /// The verdicts.
    pub verdicts: Vec<Verdict>,
    /// There are more.
    pub truncated: bool,
    /// The page shows the store as of this revision.
    pub revision: u64,
}

/// How much there is.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Verdicts, resolved ones included.
    pub verdicts: u64,
    /// Size of the store.
    pub bytes: u64,
    /// Verdicts that are not resolved.
    pub open: Vec<(VerdictLabels, u64)>,
}

/// A storage.
pub trait Store: Send + Sync + 'static {
    /// Puts verdicts in; completes when they are durable. A verdict with a known id replaces the older one
    /// ([`merge::merge`]). The answer says of each whether its id is new.
    fn append(&self, verdicts: Vec<Verdict>) -> impl Future<Output = Result<Vec<bool>, StoreError>> + Send;

    /// At most `limit` verdicts.
    fn list(&self, selection: Selection, limit: usize) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// How much there is, for metrics.
    fn census(&self) -> impl Future<Output = Result<Census, StoreError>> + Send;

    /// Grows with each commit that changed something.
    fn revision(&self) -> watch::Receiver<u64>;

    /// How it is.
    fn health(&self) -> watch::Receiver<Health>;
}
