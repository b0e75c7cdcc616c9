//! A collector's changes, across its restarts.
//!
//! ```text
//!   connect ─► snapshot ─► change ─► change … ─► stream ends: said once on stderr
//!      ▲                                              │
//!      └───────── again, after a growing pause ◄──────┘
//! ```
//!
//! The snapshot after an interruption holds what is known already: what of it is news, who follows must know.

use super::{Client, note_stall};
use crate::output;
use anyhow::anyhow;
use backon::BackoffBuilder as _;
use std::{future::Future, pin::Pin, time::Duration};
use tonic::{Status, Streaming};
use unready_proto::v1::{Filter, Verdict, WatchRequest, WatchResponse, watch_response::Message};

/// A sentence that takes a look at the peer.
pub(crate) type Explained = Pin<Box<dyn Future<Output = String> + Send>>;

/// What a feed brings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// All that there is.
    Snapshot { verdicts: Vec<Verdict>, truncated: bool },
    /// A verdict, new or changed.
    Verdict(Box<Verdict>),
}

/// A watch that begins anew whenever it ends.
pub(crate) struct Feed {
    client: Client,
    filter: Filter,
    limit: u32,
    explain: Box<dyn Fn(Status) -> Explained + Send + Sync>,
    stream: Option<Streaming<WatchResponse>>,
    /// Gathered until the mark comes.
    snapshot: Option<Vec<Verdict>>,
    pauses: backon::ExponentialBackoff,
    /// The interruption was told.
    told: bool,
}

/// From a restart that nobody notices to an outage.
fn pauses() -> backon::ExponentialBackoff {
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_factor(1.7)
        .with_jitter()
        .without_max_times()
        .build()
}

impl Feed {
    /// Connects; an address where no collector is, is an error, other than an interruption later.
    pub(crate) async fn begin(
        client: Client,
        filter: Filter,
        limit: u32,
        explain: impl Fn(Status) -> Explained + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let mut feed =
            Self { client, filter, limit, explain: Box::new(explain), stream: None, snapshot: None, pauses: pauses(), told: false };
        match feed.connect().await {
            Ok(()) => Ok(feed),
            Err(status) => Err(anyhow!((feed.explain)(status).await)),
        }
    }

    async fn connect(&mut self) -> Result<(), Status> {
        let request = WatchRequest { filter: Some(self.filter.clone()), limit: self.limit };
        self.stream = Some(self.client.watch(request).await?.into_inner());
        self.snapshot = Some(Vec::new());
        Ok(())
    }

    /// The next change. It may be dropped while it waits: nothing is lost.
    pub(crate) async fn next(&mut self) -> Change {
        loop {
            let Some(stream) = &mut self.stream else {
                self.reconnect().await;
                continue;
            };
            match stream.message().await {
                Ok(Some(message)) => {
                    if let Some(change) = self.take(message) {
                        return change;
                    }
                }
                Ok(None) => self.interrupted(None).await,
                Err(status) => self.interrupted(Some(status)).await,
            }
        }
    }

    fn take(&mut self, response: WatchResponse) -> Option<Change> {
        match (response.message, &mut self.snapshot) {
            (Some(Message::Verdict(verdict)), Some(before)) => {
                before.push(verdict);
                None
            }
            (Some(Message::Verdict(verdict)), None) => Some(Change::Verdict(Box::new(verdict))),
            (Some(Message::SnapshotComplete(mark)), before) => {
                note_stall(&mark.stalled);
                if std::mem::take(&mut self.told) {
                    output::note("the collector is back");
                }
                self.pauses = pauses();
                // What was resolved during an interruption must be heard of after it.
                self.filter.include_resolved = true;
                Some(Change::Snapshot { verdicts: before.take().unwrap_or_default(), truncated: mark.truncated })
            }
            // What a newer collector adds may be ignored.
            (None, _) => None,
        }
    }

    async fn interrupted(&mut self, status: Option<Status>) {
        self.stream = None;
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let reason = match status {
            Some(status) => (self.explain)(status).await,
            None => "it ended the stream".to_owned(),
        };
        output::note(&format!("the collector is away, trying again: {reason}"));
    }

    async fn reconnect(&mut self) {
        tokio::time::sleep(self.pauses.next().unwrap_or(Duration::from_secs(5))).await;
        if let Err(status) = self.connect().await {
            self.interrupted(Some(status)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_some_seconds() {
        let all: Vec<Duration> = pauses().take(40).collect();
        assert!(all[0] < Duration::from_millis(300), "{:?}", all[0]);
        assert!(all[20..].iter().all(|pause| *pause >= Duration::from_secs(4) && *pause <= Duration::from_secs(11)), "{all:?}");
    }
}
